/* aif_fetch -- the life of one request: acquire a connection, send, receive.
 * aif_fetch.c has its states and limits, aif_fetch_body.c what it receives.
 *
 *   NEW -> QUEUED -> DIALING -> SENDING -> HEAD -> BODY -> DONE
 *             \_________________/   |        |       |
 *              (a kept connection)  v        v       v
 *                       from each: FAILED, CANCELLED
 *
 * on_done is called exactly once, from fetch_end() alone, for a fetch that
 * was started.
 *
 * Owner:    whoever called aif_fetch_new(). Everything that the owner sets in
 *           the struct stays valid until on_done.
 * Thread:   the loop's.
 * Re-entry: upcalls come from inside aif_loop_run(), aif_fetch_start() and
 *           whatever ends a fetch or frees a connection for another one. Any
 *           of them may pause, discard, cancel or free this or another fetch;
 *           the memory goes when the last guard is left.
 */
#ifndef AIF_FETCH_H
#define AIF_FETCH_H

#include "base/aif_buf.h"
#include "base/aif_err.h"
#include "base/aif_list.h"
#include "client/aif_trace.h"
#include "client/aif_upload.h"
#include "http/aif_decode.h"
#include "http/aif_h1parse.h"
#include "http/aif_h1write.h"
#include "net/aif_deadline.h"

/* Up to this a body may decode to whatever it likes. */
#define AIF_RATIO_FLOOR (1024u * 1024u)

struct aif_conn;
struct aif_origin;
struct aif_pool;
typedef struct aif_fetch aif_fetch;

typedef enum aif_fetch_state {
    AIF_FETCH_NEW,
    AIF_FETCH_QUEUED,
    AIF_FETCH_DIALING,
    AIF_FETCH_SENDING,
    AIF_FETCH_HEAD,
    AIF_FETCH_BODY,
    AIF_FETCH_DONE,
    AIF_FETCH_FAILED,
    AIF_FETCH_CANCELLED
} aif_fetch_state;

/* The limits of time, by the name of what ran out. */
typedef enum aif_limit {
    AIF_LIMIT_NONE,
    AIF_LIMIT_TOTAL,   /* start to end */
    AIF_LIMIT_ACQUIRE, /* until a connection is ready */
    AIF_LIMIT_DIAL,    /* DNS and connect */
    AIF_LIMIT_TLS,     /* the handshake */
    AIF_LIMIT_WAIT,    /* request sent to head of the response */
    AIF_LIMIT_READ     /* between two reads, once the request is sent */
} aif_limit;

/* Nanoseconds; 0 is no limit. |total_due| is a point on uv_hrtime()'s clock,
 * since it spans several fetches when redirects are followed. */
typedef struct aif_fetch_limits {
    uint64_t total_due;
    uint64_t acquire;
    uint64_t dial;
    uint64_t tls;
    uint64_t wait;
    uint64_t read;
} aif_fetch_limits;

/* on_head's way to say: not interested in the body. */
#define AIF_FETCH_DISCARD 1

typedef struct aif_fetch_cbs {
    /* A 1xx head, whose fields may be taken; more will come. Only notes it. 0,
     * or a negative code to fail. May be NULL. */
    int (*on_informational)(void *user, aif_fetch *f, aif_h1parse *p);
    /* The head is whole: read |p|, and take its header if you like. 0 to
     * receive the body; AIF_FETCH_DISCARD to end here as aif_fetch_discard()
     * does; a negative code to fail. */
    int (*on_head)(void *user, aif_fetch *f, aif_h1parse *p);
    /* Where |*len| bytes that are known to follow could go directly; NULL or
     * a shorter *|len| are fine. on_body then gets the same pointer. Only
     * asked for bodies of known length, and inside of long chunks, without a
     * content coding. May be NULL. */
    char *(*on_space)(void *user, aif_fetch *f, size_t *len);
    /* Decoded body bytes. 0, or a negative code to fail. */
    int (*on_body)(void *user, aif_fetch *f, const char *data, size_t len);
    /* A chunk of a chunked body ends behind the bytes that came so far. Not
     * called for one of a coded body that waits to be decoded. May be NULL. */
    void (*on_chunk)(void *user, aif_fetch *f);
    /* The body is over and had trailer fields, which may be taken. 0, or a
     * negative code to fail. May be NULL. */
    int (*on_trailer)(void *user, aif_fetch *f, aif_header *trailer);
    /* A phase has ended. May be NULL. */
    void (*on_phase)(void *user, aif_fetch *f, aif_phase ended);
    /* The end: |code| 0 or negative; f->err, f->limit, f->trace tell more. */
    void (*on_done)(void *user, aif_fetch *f, int code);
} aif_fetch_cbs;

struct aif_fetch {
    /* Set by the owner before the start. */
    const aif_fetch_cbs *cbs;
    void *user;
    aif_fetch_limits limits;
    aif_h1parse_limits parse; /* ceilings of the response's framing */
    uint64_t max_body;        /* decoded bytes; UINT64_MAX for no ceiling */
    size_t read_most;         /* bytes of a read at most; 0: as may be */
    unsigned max_ratio; /* decoded bytes for each coded one, looked at from
                            AIF_RATIO_FLOOR on; 0 for no ceiling */
    void *dialer;       /* the owner's: a new connection is made by its
                              hooks->dial; NULL: the pool does it */
    const char *body;   /* the whole request body, or NULL */
    size_t body_len;
    aif_upload *upload;        /* or a body in pieces; borrowed until its
                                  on_end; NULL */
    unsigned head_request : 1; /* the method is HEAD */
    unsigned idempotent : 1;   /* may be sent twice (RFC 9110 9.2.2) */
    unsigned decode_body : 1;  /* undo Content-Encoding */
    unsigned close_after : 1;  /* the request says "Connection: close" */
    unsigned whole : 1;        /* nobody looks at the body before all of it is
                                  there; may be set at any time */

    /* To be read by the owner. */
    aif_trace trace;
    aif_err err;
    aif_limit limit; /* which limit ran out, with AIF_ETIMEOUT */
    aif_fetch_state state;
    aif_buf head;        /* the request head as sent */
    uint64_t received;   /* decoded body bytes so far */
    uint64_t coded;      /* what they were decoded from */
    int status;          /* 0 before the head */
    unsigned reused : 1; /* went over a kept connection */
    unsigned retried : 1;
    unsigned dns_cached : 1; /* the name had been looked up before */
    char peer[72];           /* "192.0.2.1:443" once there is a connection */

    /* The machine's own. */
    struct aif_pool *pool;
    struct aif_origin *origin;
    struct aif_conn *conn;
    aif_list waiting; /* in the pool's or the origin's queue */
    uint64_t seq;     /* the order of arrival in the pool */
    aif_deadline deadline;
    uint64_t acquire_due; /* of AIF_LIMIT_ACQUIRE; 0: none, as the next two */
    uint64_t wait_due;    /* of AIF_LIMIT_WAIT */
    uint64_t phase_due;   /* of |phase_limit| */
    uint64_t lull_due;    /* when to look for fewer bytes than expected */
    aif_limit phase_limit;
    aif_decode *decode;
    aif_buf held; /* coded bytes that came and wait, from |held_at| on */
    size_t held_at;
    aif_list stalled;   /* in the pool's list of that name, or in |parked| */
    aif_header trailer; /* of a message that is whole before its body is */
    unsigned refs;      /* guards: the memory stays while there are any */
    unsigned paused : 1;
    unsigned pending : 1;   /* |held| or the decoder has more to give */
    unsigned over : 1;      /* the message is whole, the body is pending */
    unsigned excessive : 1; /* |max_ratio| is what was exceeded */
    unsigned has_body : 1;  /* a byte of the body came */
    unsigned decoding : 1;  /* |decode| is on the stack */
    unsigned freed : 1;     /* the memory goes with the last guard */
};

/* A fetch with no limits, no ceiling and nothing set. NULL when out of
 * memory. */
aif_fetch *aif_fetch_new(const aif_fetch_cbs *cbs, void *user);

/* Frees |f| (NULL is allowed); one that is under way is cancelled first. No
 * upcall comes from here on. */
void aif_fetch_free(aif_fetch *f);

/* Where a request goes; all borrowed until the call returns. */
typedef struct aif_target {
    aif_slice host; /* name or literal, no brackets */
    uint16_t port;
    int secure;
    int public_only;       /* as of aif_dial_options; part of the origin */
    void *tls;             /* the pool owner's TLS settings; its identity is
                               part of the origin */
    aif_slice server_name; /* overrides |host| for TLS; ptr NULL: not */
} aif_target;

/* Starts |f|, once in its life: the head is checked and written to f->head,
 * then a connection is acquired from |pool|. 0: on_done will be called,
 * perhaps before this returns. A negative code with f->err set: nothing was
 * started, on_done is not called, and another start may be tried; for a fetch
 * that was started before, AIF_EINVAL, with |f| untouched. */
int aif_fetch_start(aif_fetch *f, struct aif_pool *pool,
                    const aif_target *target, const aif_h1head *head);

/* Ends a fetch that is under way with AIF_ECANCELLED: its connection is
 * closed. Harmless at any other time. */
void aif_fetch_cancel(aif_fetch *f);

/* Ends a fetch in BODY as if it were whole (on_done with 0): a short rest is
 * read and thrown away by the connection itself, a long one closes it. */
void aif_fetch_discard(aif_fetch *f);

/* Stops and restarts reading the body from the socket, and with it the limit
 * between two reads. What was read already still comes; of a coded body only
 * the step that is being decoded, the rest waits as it is. Harmless outside of
 * BODY. */
void aif_fetch_pause(aif_fetch *f);
void aif_fetch_resume(aif_fetch *f);

/* Guards around upcalls; not for owners. */
void aif_fetch_ref(aif_fetch *f);
void aif_fetch_unref(aif_fetch *f);

/* What the connection and the pool tell; not for owners. After each of them
 * the fetch may have ended, and be gone unless guarded. */
void aif_fetch_enter(aif_fetch *f, aif_phase phase, uint64_t now);
void aif_fetch_dialing(aif_fetch *f, struct aif_conn *conn);
void aif_fetch_securing(aif_fetch *f);
void aif_fetch_ready(aif_fetch *f, struct aif_conn *conn);
void aif_fetch_sent(aif_fetch *f);
void aif_fetch_again(aif_fetch *f);
void aif_fetch_read(aif_fetch *f);
void aif_fetch_expect(aif_fetch *f);
int aif_fetch_on_head(aif_fetch *f, aif_h1parse *p);
int aif_fetch_on_body(aif_fetch *f, const char *data, size_t len);
void aif_fetch_on_chunk(aif_fetch *f);
int aif_fetch_on_message(aif_fetch *f, aif_h1parse *p);
char *aif_fetch_space(aif_fetch *f, size_t *len);
void aif_fetch_end(aif_fetch *f, int code);

/* The message is whole and its connection goes elsewhere: the fetch ends,
 * unless its body has still to be decoded. */
void aif_fetch_whole(aif_fetch *f);

/* Decodes what is pending, for a millisecond or so. */
void aif_fetch_go_on(aif_fetch *f);

/* Between the two files of the fetch. */
static inline int
aif_fetch_is_under_way(const aif_fetch *f)
{
    return f->state > AIF_FETCH_NEW && f->state < AIF_FETCH_DONE;
}

void aif_fetch_limit_phase(aif_fetch *f, aif_limit limit, uint64_t ns,
                           uint64_t now);
int aif_fetch_make_decoder(aif_fetch *f, aif_header *h);
void aif_fetch_drop_body(aif_fetch *f);

#endif
