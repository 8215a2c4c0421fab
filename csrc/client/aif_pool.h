/* aif_pool -- kept connections by origin, limits, and the queue of fetches
 * that wait for one.
 *
 * Every open connection counts, idle ones too: where the total limit is
 * reached, the longest idle connection of another origin makes room. Waiters
 * are served in the order of arrival; one whose origin is at its own limit
 * steps aside without blocking others. All steps of a request are O(1), or
 * O(log n) for its deadline.
 *
 * A fetch in an origin's own queue is never forgotten: either the origin is at
 * its limit, and the next connection that is released or closed recalls the
 * first of them, or a recalled one stands in the pool's queue, and recalls the
 * next if it leaves without having used its turn.
 *
 * Owner:    whoever called aif_pool_new().
 * Thread:   the loop's.
 */
#ifndef AIF_POOL_H
#define AIF_POOL_H

#include "client/aif_fetch.h"
#include "net/aif_dial.h"

typedef struct aif_pool aif_pool;
typedef struct aif_origin aif_origin;
struct aif_conn;

/* scheme, host, port, TLS settings and what may be connected to: what makes
 * connections exchangeable. */
struct aif_origin {
    aif_pool *pool;
    aif_origin *next; /* in its bucket */
    uint64_t hash;
    char *key; /* owned; the bytes that are hashed */
    size_t key_len;
    char *host;        /* owned; NUL-terminated */
    char *server_name; /* owned; what TLS verifies, NUL-terminated */
    uint16_t port;
    unsigned secure : 1;
    unsigned public_only : 1; /* as of aif_dial_options */
    void *tls;                /* the owner's; held by hooks->origin_open */
    void *session;     /* the owner's: what a TLS session can be had from */
    unsigned in_vain;  /* the owner's: sessions that were not resumed */
    aif_list idle;     /* conns, the latest used first */
    aif_list draining; /* conns, the longest first */
    aif_list waiters;  /* fetches held up by limit_per_host, in order */
    unsigned open;     /* conns in any state */
    unsigned users;    /* fetches that point here */
    aif_list unused;   /* in pool->unused while open and users are 0 */
};

/* What the pool needs from its owner. The first two are called for fetches
 * with a |dialer| alone, and all others may be NULL without TLS. */
typedef struct aif_pool_hooks {
    /* Begins to make |c|, a new connection for |f|, by |f|->dialer. *|out|
     * stands for it until one of the functions that aif_conn.h names is
     * called. 0, or a negative code with |err| set. */
    int (*dial)(void *user, aif_fetch *f, struct aif_conn *c, void **out,
                aif_err *err);
    /* Nobody wants what |errand| stands for any more. */
    void (*dial_cancel)(void *user, void *errand);
    /* A TLS stage over |below|, of which it takes possession on success. It
     * starts its handshake when aif_stage_read() is first turned on, and
     * calls on_open. NULL with |err| set. */
    aif_stage *(*tls_new)(void *user, aif_stage *below, aif_origin *o,
                          aif_err *err);
    /* The first exchange over a TLS stage went well: its session may be
     * kept. */
    void (*tls_used)(void *user, aif_stage *tls, aif_origin *o);
    /* |o|->tls begins and ceases to be used. */
    void (*origin_open)(void *user, aif_origin *o);
    void (*origin_close)(void *user, aif_origin *o);
} aif_pool_hooks;

typedef struct aif_pool_settings {
    unsigned limit;          /* open connections; 0: no limit */
    unsigned limit_per_host; /* by origin; 0: no limit */
    uint64_t keepalive;      /* ns that a connection may idle; 0: not at all */
    unsigned force_close : 1;
    unsigned public_only : 1; /* as of aif_dial_options, for all origins */
    unsigned dns_ttl_ms;
    int family;
    unsigned race_ms;
    const char *unix_path;             /* borrowed for the pool's life */
    const struct sockaddr *local_addr; /* the same */
} aif_pool_settings;

struct aif_pool {
    aif_loop *loop;
    aif_pool_settings settings;
    const aif_pool_hooks *hooks;
    void *user;
    aif_origin **buckets; /* owned */
    size_t bucket_count;  /* a power of two */
    size_t origins;
    aif_list conns;    /* every open connection */
    aif_list idle;     /* by release, the longest idle first */
    aif_list draining; /* conns that read the rest of a body for nobody */
    aif_list waiters;  /* fetches held up by the total limit, in order */
    aif_list unused;   /* origins, the longest unused first */
    aif_list stalled;  /* fetches that have more to decode, in turn */
    aif_list parked;   /* the same, but their readers want a pause */
    size_t unused_count;
    unsigned open, idle_count, busy, dialing, waiting;
    uint64_t seq;
    aif_deadline sweep; /* closes what has idled too long */
    aif_deadline turn;  /* of the stalled fetches */
    unsigned closed : 1;
    unsigned pumping : 1;
};

/* NULL when out of memory. |settings| is copied. */
aif_pool *aif_pool_new(aif_loop *loop, const aif_pool_settings *settings,
                       const aif_pool_hooks *hooks, void *user);

/* Closes every connection and ends every fetch with AIF_ECLOSED. The pool
 * stays usable as an object but serves no more. */
void aif_pool_close(aif_pool *p);

/* Closes and frees; NULL is allowed. Not from inside an upcall of its own. */
void aif_pool_free(aif_pool *p);

/* Closes the idle connections only. */
void aif_pool_close_idle(aif_pool *p);

/* Finds |target|'s origin, or makes it; counts one user more. */
int aif_pool_origin(aif_pool *p, const aif_target *target, aif_origin **out);
void aif_pool_leave_origin(aif_origin *o);

/* Gives |f|, whose origin is set, a connection now or lets it wait. A retried
 * fetch keeps its place in the order and gets no kept connection. */
void aif_pool_acquire(aif_pool *p, aif_fetch *f);

/* The same, but serves nobody yet: the caller is about to make room. */
void aif_pool_queue(aif_pool *p, aif_fetch *f);

/* Takes |f|, which has ended, out of the queue it waits in. */
void aif_pool_withdraw(aif_pool *p, aif_fetch *f);

/* A fetch was put into |p->stalled|: its turn comes in the next run of the
 * loop. */
void aif_pool_stalled(aif_pool *p);

/* What a connection tells its pool; not for others. */
void aif_pool_release(aif_pool *p, struct aif_conn *c);

/* |c| reads the rest of a body for nobody: it goes as soon as a fetch waits
 * for its room. */
void aif_pool_draining(aif_pool *p, struct aif_conn *c);
void aif_pool_closed(aif_pool *p, aif_origin *o);

#endif
