/* aif_conn -- one HTTP/1.1 connection: dial, TLS, and one exchange at a time.
 * aif_conn_dial.c has its beginning, aif_conn.c its end, aif_conn_exchange.c
 * the exchange.
 *
 *   DIALING --> READY <--> BUSY --> DRAINING --> READY
 *      |          |          |          |
 *      +----------+----------+----------+--> CLOSED
 *
 * Only the pool moves READY and BUSY (aif_conn_begin, aif_pool_release); only
 * aif_conn_close() enters CLOSED. In READY any byte and any end closes: no
 * response can be handed to a request that was sent after it.
 *
 * Owner:    the pool; the memory goes after CLOSED when no callback is on the
 *           stack.
 * Thread:   the loop's.
 */
#ifndef AIF_CONN_H
#define AIF_CONN_H

#include "client/aif_pool.h"

/* A body nobody wants is read up to this, to keep its connection. */
#define AIF_MAX_DRAIN (64u * 1024u)
#define AIF_DRAIN_NS (5u * 1000u * 1000u * 1000ull)

typedef enum aif_conn_state {
    AIF_CONN_DIALING,
    AIF_CONN_READY,
    AIF_CONN_BUSY,
    AIF_CONN_DRAINING,
    AIF_CONN_CLOSED
} aif_conn_state;

typedef struct aif_conn {
    aif_pool *pool; /* NULL once closed */
    aif_origin *origin;
    aif_conn_state state;
    aif_dial *dial;      /* DIALING, before the socket */
    void *errand;        /* DIALING: what hooks->dial has begun, or NULL */
    aif_stage *stage;    /* owned; tcp, or tls above it */
    aif_h1parse *parser; /* owned */
    aif_fetch *fetch;    /* DIALING and BUSY */
    aif_list link;       /* in pool->conns */
    aif_list idle;       /* READY: in origin->idle; DRAINING: in ->draining */
    aif_list aged;       /* READY: in pool->idle; DRAINING: in ->draining */
    uint64_t expires;    /* READY: ns */
    uint64_t keep_ns;    /* the peer's Keep-Alive, less a margin */
    aif_deadline drain;  /* DRAINING: ends it */
    uint64_t drained;
    aif_write write; /* the request under way */
    uv_buf_t bufs[2];
    unsigned served;      /* exchanges that went well */
    unsigned depth;       /* callbacks on the stack */
    unsigned keep : 1;    /* the head allows another exchange */
    unsigned writing : 1; /* the request has not left whole */
    unsigned pieces : 1;  /* ... and its body comes in pieces */
    unsigned broken : 1;  /* a write failed; the read side will tell */
    unsigned secure : 1;  /* the stage is tls */
    unsigned patient : 1; /* the stage need not tell of a few bytes */
    unsigned veiled : 1;  /* the socket's other end encrypts */
    char peer[72];
} aif_conn;

/* Opens a connection for |f|, which becomes its first user. 0, or a negative
 * code with |err|: nothing was made. */
int aif_conn_open(aif_pool *p, aif_origin *o, aif_fetch *f, aif_err *err);

/* How a connection goes on that hooks->dial has begun: by one of these, or by
 * aif_conn_fail(), once, and not from inside that hook. After it |c| may be
 * gone.
 *
 * aif_conn_adopt() takes the connected, non-blocking socket |fd| of |family|.
 * With |veiled| there is no TLS stage over it, because somebody else encrypts
 * what goes through. On failure the socket stays the caller's: 0, or a
 * negative code after which the fetch has failed.
 *
 * aif_conn_aim() dials |addresses|, literals with commas between them. */
int aif_conn_adopt(aif_conn *c, int fd, int family, int veiled);
void aif_conn_aim(aif_conn *c, const char *addresses, uint16_t port);

/* Starts the exchange of |f| on a READY connection. */
void aif_conn_begin(aif_conn *c, aif_fetch *f);

/* Lets go of the fetch, which is over: reads the rest of a body if |drain| and
 * it may be short, else closes. */
void aif_conn_abandon(aif_conn *c, int drain);

/* Closes at once, without a word to the fetch. */
void aif_conn_close(aif_conn *c);

/* 1 if a kept connection can be used now: not expired, silent, open. */
int aif_conn_is_fresh(aif_conn *c, uint64_t now);

/* Reading on or off, for back-pressure. */
void aif_conn_read(aif_conn *c, int on);

/* At least |n| bytes of the body are to come, and nobody looks at it before:
 * see aif_stage_expect(). 0: tell of any byte. */
void aif_conn_expect(aif_conn *c, size_t n);

/* What the upload tells: all of the body has left; or a write has failed,
 * after which the fetch may be over. */
void aif_conn_sent(aif_conn *c);
void aif_conn_write_failed(aif_conn *c, int code);

/* ---- between the files of the connection -------------------------------- */

/* Around everything that calls up. After an upcall |c| may be CLOSED, and
 * c->fetch tells whether its fetch is still there. */
void aif_conn_enter(aif_conn *c);
void aif_conn_leave(aif_conn *c);

/* Closes, and ends the fetch with |code| or sends it out once more. |err| (may
 * be NULL) is copied first. */
void aif_conn_fail(aif_conn *c, int code, const aif_err *err);

/* The time for what is read away is up. */
void aif_conn_on_drain_due(aif_deadline *d);

extern const aif_stage_cbs aif_conn_stage_cbs;
extern const aif_h1parse_cbs aif_conn_parse_cbs;

#endif
