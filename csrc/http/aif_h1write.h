/* aif_h1write -- the head of an HTTP/1.1 request, and chunk framing.
 *
 * The one place where bytes of the caller become bytes on the wire: method and
 * names are checked as tokens, values for control bytes, the target for
 * anything outside 0x21..0x7e (RFC 9110 5.1, 5.5, 9.1; RFC 9112 3).
 */
#ifndef AIF_H1WRITE_H
#define AIF_H1WRITE_H

#include <stdint.h>

#include "base/aif_err.h"
#include "http/aif_header.h"

#define AIF_H1_NO_BODY (-1)
#define AIF_H1_CHUNKED (-2)

typedef struct aif_h1head {
    aif_slice method;
    aif_slice target;           /* origin-form, or absolute-form for proxies */
    aif_slice authority;        /* for Host, unless the caller set one */
    const aif_header *fields;   /* the caller's, in order; may be NULL */
    const aif_header *defaults; /* each sent unless |fields| has its name */
    aif_slice lines; /* |defaults| by aif_h1write_lines(), or none */
    int64_t body;    /* length, AIF_H1_NO_BODY or AIF_H1_CHUNKED */
    int old;         /* says HTTP/1.0, which has no chunked coding */
} aif_h1head;

/* Appends the head with its empty line to |out|: request line, Host first
 * (RFC 9110 7.2), the caller's fields, the defaults, then the framing field
 * that |body| asks for. A Host among |fields|, else among |defaults|, stands
 * for |authority|. Framing belongs to us: a Content-Length of the caller
 * that equals |body| is accepted and sent once, any other one and any
 * Transfer-Encoding is refused; so is a second Host. With AIF_H1_NO_BODY no
 * framing field is sent, but "Content-Length: 0" is for POST, PUT and PATCH
 * (RFC 9110 8.6) and where the caller gave it. 0; AIF_EINVAL with a text in
 * |err| that names the field or part but not its value; AIF_ETOOBIG;
 * AIF_ENOMEM. On failure |out| is as it was. */
int aif_h1write_head(aif_buf *out, const aif_h1head *head, aif_err *err);

/* Appends the lines of |defaults|, checked and framed, for heads to come that
 * have no |fields|: these need not look at them again. Fails as
 * aif_h1write_head(), and with AIF_EINVAL if one of them is not simply copied
 * (Host, framing), which only a head can judge. */
int aif_h1write_lines(aif_buf *out, const aif_header *defaults, aif_err *err);

/* Appends the line that opens a chunk of |len| > 0 bytes. The chunk's data and
 * CRLF follow; the last chunk is the constant below. AIF_EINVAL for 0, which
 * would end the body; else as aif_buf_add(), with nothing half written. */
int aif_h1write_chunk(aif_buf *out, uint64_t len);

#define AIF_H1_LAST_CHUNK "0\r\n\r\n"

/* Appends the last chunk with the fields of |trailer|, which may be NULL.
 * AIF_EINVAL with |err| for a field that may not stand in a trailer section
 * (RFC 9110 6.5.1) or on the wire; else as aif_buf_add(), with nothing half
 * written. */
int aif_h1write_last_chunk(aif_buf *out, const aif_header *trailer,
                           aif_err *err);

#endif
