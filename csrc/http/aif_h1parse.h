/* aif_h1parse -- HTTP/1.0 and 1.1 messages from bytes; its .c is the only file
 * that knows llhttp.
 *
 * One parser reads the messages of one connection, one after the other. It
 * owns the head it reads. llhttp bounds nothing and its versions differ in
 * what they let through; every ceiling and every strictness that callers rely
 * on is checked here, so that the result does not depend on the version:
 *
 *   - obs-fold, bare CR, bare LF as a line end in head, chunk lines and
 *     trailers, blanks before the colon, NUL and other control bytes in
 *     values (RFC 9112 2.2, 5.1, 5.2; RFC 9110 5.5);
 *   - repeated Content-Length even if equal, Content-Length with
 *     Transfer-Encoding, a Transfer-Encoding that is not exactly one
 *     "chunked", or in an HTTP/1.0 message (RFC 9112 6.1 to 6.3);
 *   - a version other than 1.0 and 1.1, a status outside 100..999 (from 600 on
 *     for the sake of known servers), an unasked 101;
 *   - the limits below.
 *
 * Read but not kept: chunk extensions, blanks behind a chunk size, up to
 * AIF_MAX_LEADING_CRLF bytes of empty lines in front of a start line. Refused
 * too: Content-Length and Transfer-Encoding in a trailer.
 *
 * Whatever way the bytes are cut, events and verdict are the same.
 *
 * Re-entry: an upcall may call nothing of this parser but the getters; it may
 *           return a negative code to abort the feed, which then returns it.
 */
#ifndef AIF_H1PARSE_H
#define AIF_H1PARSE_H

#include <stdint.h>

#include "base/aif_err.h"
#include "http/aif_h1fault.h"
#include "http/aif_header.h"

typedef struct aif_h1parse aif_h1parse;

typedef enum aif_h1_kind { AIF_H1_RESPONSE, AIF_H1_REQUEST } aif_h1_kind;

/* Ceilings for one message; 0 in a member means the default of aif_buf.h. A
 * line is counted without its CRLF, a section with all of them and the empty
 * line that ends it. Nothing goes above UINT32_MAX / 2. */
typedef struct aif_h1parse_limits {
    size_t head;            /* bytes of start line and fields, 1xx heads too */
    size_t line;            /* bytes of the start line or of one field */
    unsigned fields;        /* fields in a head, and in a trailer section */
    size_t trailer;         /* bytes of the trailer section */
    size_t chunk_line;      /* bytes of one chunk-size line */
    unsigned informational; /* 1xx heads before the final one */
} aif_h1parse_limits;

/* Upcalls; any may be NULL. Each returns 0, or a negative code to abort. */
typedef struct aif_h1parse_cbs {
    /* The first byte of a head, a 1xx one too, is there. */
    int (*on_begin)(void *user, aif_h1parse *p);
    /* The start line is whole: method and target, or status and reason. */
    int (*on_start)(void *user, aif_h1parse *p);
    /* A field of the head or, after on_head, of the trailer section, in order.
     * Who listens gets them here instead of in aif_h1parse_header() and
     * aif_h1parse_trailer(), which stay empty; the slices are valid now. */
    int (*on_field)(void *user, aif_slice name, aif_slice value);
    /* A 1xx head other than 101; read it now, it is reset afterwards. */
    int (*on_informational)(void *user, aif_h1parse *p);
    /* The final head (or a request's head) is whole. */
    int (*on_head)(void *user, aif_h1parse *p);
    /* Body bytes without framing, in order; |data| points into the feed. */
    int (*on_body)(void *user, const char *data, size_t len);
    /* A chunk of a chunked body has come whole: on_body has had its last
     * byte. */
    int (*on_chunk)(void *user);
    /* A chunk-size line is whole, the last one too. */
    int (*on_size)(void *user, aif_h1parse *p);
    /* A chunk is whole with its CRLF; the last one with the trailers. */
    int (*on_chunk_end)(void *user, aif_h1parse *p);
    /* The message is whole; trailers are in aif_h1parse_trailer(). */
    int (*on_message)(void *user, aif_h1parse *p);
} aif_h1parse_cbs;

/* A parser ready for its first message. |limits| (NULL: all defaults) is
 * copied, |cbs| is borrowed. NULL when out of memory. */
aif_h1parse *aif_h1parse_new(aif_h1_kind kind,
                             const aif_h1parse_limits *limits,
                             const aif_h1parse_cbs *cbs, void *user);
void aif_h1parse_free(aif_h1parse *p);

/* Makes |p| as one that was just born for another owner; its kind and limits
 * stay, its rules are to be set. */
void aif_h1parse_renew(aif_h1parse *p, const aif_h1parse_cbs *cbs, void *user);

/* Other ceilings from the next message on; |limits| as above. Between
 * messages, before aif_h1parse_reset(). */
void aif_h1parse_set_limits(aif_h1parse *p, const aif_h1parse_limits *limits);

/* Sets what differs from the usual: bits of enum aif_h1_rule (aif_h1scan.h),
 * none by default. At any time before the bytes that it is about. */
void aif_h1parse_set_rules(aif_h1parse *p, unsigned rules);

/* Makes the parser ready for the next message. |head_request| says that a
 * response answers HEAD and so has no body whatever its fields say. */
void aif_h1parse_reset(aif_h1parse *p, int head_request);

/* Consumes up to |len| bytes and stops behind the message's last byte:
 * *|used| says how many were taken, and aif_h1parse_is_done() whether the
 * message is whole. 0, AIF_EPARSE, AIF_ETOOBIG, AIF_ENOMEM, or what an upcall
 * returned; after an error the parser must be reset and its connection ended.
 * The detail is in aif_h1parse_error(). Never reads past data + len. */
int aif_h1parse_feed(aif_h1parse *p, const char *data, size_t len,
                     size_t *used);

/* The stream has ended. 0 if that completes a body that runs until close
 * (on_message is called) or the message was whole already; AIF_EDISCONNECTED
 * if not one byte of this message came; else AIF_ETRUNCATED. */
int aif_h1parse_eof(aif_h1parse *p);

/* Getters, valid from on_head until the next reset. */
int aif_h1parse_is_started(const aif_h1parse *p); /* a byte was fed */
int aif_h1parse_has_head(const aif_h1parse *p);
int aif_h1parse_is_done(const aif_h1parse *p);
int aif_h1parse_status(const aif_h1parse *p);
int aif_h1parse_major(const aif_h1parse *p); /* of the version; 1 */
int aif_h1parse_minor(const aif_h1parse *p); /* of the version 1.x */
/* Borrowed, valid from on_start on. */
aif_slice aif_h1parse_reason(const aif_h1parse *p);
aif_slice aif_h1parse_method(const aif_h1parse *p); /* requests */
aif_slice aif_h1parse_target(const aif_h1parse *p); /* requests */
aif_header *aif_h1parse_header(aif_h1parse *p);     /* may be taken from */
aif_header *aif_h1parse_trailer(aif_h1parse *p);
/* The body's length as announced: Content-Length, 0 where a response cannot
 * have a body, -1 for chunked or until close. */
int64_t aif_h1parse_length(const aif_h1parse *p);
int aif_h1parse_is_chunked(const aif_h1parse *p);
/* Bytes of the body that are known to come next, with nothing between them:
 * what is left of a body of known length, or of the chunk under way. */
uint64_t aif_h1parse_at_hand(const aif_h1parse *p);
/* 1 if the connection may carry another message after this one. */
int aif_h1parse_keep_alive(const aif_h1parse *p);
/* 1 if the message asks for another protocol (Upgrade with Connection:
 * upgrade, RFC 9110 7.8; CONNECT) or, a response, changes to it (101). With
 * AIF_H1_UPGRADES such a message ends with its head. */
int aif_h1parse_upgrade(const aif_h1parse *p);
/* Which rule the bytes broke; NONE if what failed was not them. */
aif_h1_fault aif_h1parse_fault(const aif_h1parse *p);
const aif_err *aif_h1parse_error(const aif_h1parse *p);

/* The version of llhttp this build stands on, "8.1.0"; static. */
const char *aif_h1parse_version(void);

#endif
