/* fetching -- a bench for tests of the client layer: a loop, a pool, servers
 * in the same loop, and fetches whose upcalls are written down and may be told
 * to do harm.
 *
 * After each turn of the loop the pool's counters are held against what its
 * lists say. on_done coming twice, or any upcall after it, is a failure.
 */
#ifndef FETCHING_H
#define FETCHING_H

#include <signal.h>

#include "client/aif_conn.h"
#include "server.h"

#define MS 1000000ull
#define PATIENCE_MS 5000u
#define SERVERS 3u
#define BODY_MAX 4096u

/* What a test wants done from inside an upcall. */
typedef enum act {
    DO_NOTHING,
    DO_CANCEL,
    DO_FREE,
    DO_DISCARD,
    DO_PAUSE,
    DO_CLOSE_POOL,
    DO_CANCEL_OTHER,
    DO_FREE_OTHER,
    DO_START_OTHER,
    RETURN_DISCARD, /* on_head */
    RETURN_FAILURE  /* on_head, on_body */
} act;

typedef struct call {
    aif_fetch *f;
    /* The request. */
    const char *method;
    const char *target;
    const aif_header *fields;
    uint16_t port;
    int secure;
    /* What to do. */
    act in_head, in_body, in_trailer, in_done, in_space;
    act in_phase[AIF_PHASE_DONE]; /* when that phase ends */
    struct call *other;
    char *space; /* for on_space */
    size_t space_len;
    /* What happened. */
    unsigned heads, bodies, trailers, spaces, dones, phases;
    int code;
    int status;
    int reused, retried;
    aif_limit limit;
    aif_fetch_state state;
    aif_err err;
    char body[BODY_MAX]; /* the first bytes */
    uint64_t body_len;
    uint64_t spent[AIF_PHASE_DONE];
    unsigned turn; /* when it ended, counted over all calls */
} call;

typedef struct bench {
    aif_loop loop;
    aif_pool *pool;
    aif_pool_settings settings;
    const aif_pool_hooks *hooks;
    void *user;
    server server[SERVERS];
    uv_timer_t ticker;
    unsigned ended;
    unsigned ticker_gone;
} bench;

#ifndef BENCH_LOCAL
#    define BENCH_LOCAL /* _Thread_local, for benches in several threads */
#endif

static BENCH_LOCAL bench b;

/* ---- the pool's own account --------------------------------------------- */

static inline unsigned
list_length(const aif_list *l)
{
    unsigned n = 0;

    for (const aif_list *at = l->next; at != l; at = at->next) {
        n++;
    }
    return n;
}

/* Waiters stand in the order of their arrival. */
static inline void
check_order(const aif_list *queue)
{
    uint64_t seq = 0;

    for (aif_list *n = queue->next; n != queue; n = n->next) {
        const aif_fetch *f = AIF_LIST_ENTRY(n, aif_fetch, waiting);

        CHECK(f->seq > seq);
        CHECK_EQ_INT(f->state, AIF_FETCH_QUEUED);
        seq = f->seq;
    }
}

static inline void
check_origin(const aif_pool *p, const aif_origin *o, unsigned *waiting)
{
    unsigned open = 0, recalled = 0;

    for (aif_list *n = p->conns.next; n != &p->conns; n = n->next) {
        open += AIF_LIST_ENTRY(n, aif_conn, link)->origin == o;
    }
    for (aif_list *n = p->waiters.next; n != &p->waiters; n = n->next) {
        recalled += AIF_LIST_ENTRY(n, aif_fetch, waiting)->origin == o;
    }
    CHECK_EQ_INT(o->open, open);
    CHECK(p->settings.limit_per_host == 0
          || open <= p->settings.limit_per_host);
    check_order(&o->waiters);
    *waiting += list_length(&o->waiters);
    /* Nobody is forgotten. */
    if (!aif_list_empty(&o->waiters)) {
        CHECK(recalled > 0
              || (open >= p->settings.limit_per_host
                  && aif_list_empty(&o->idle)));
    }
}

static inline void
check_pool(aif_pool *p)
{
    unsigned count[5] = {0};
    unsigned open = 0, waiting, origins = 0;

    if (p == NULL) {
        return;
    }
    for (aif_list *n = p->conns.next; n != &p->conns; n = n->next) {
        const aif_conn *c = AIF_LIST_ENTRY(n, aif_conn, link);

        count[c->state]++;
        open++;
        CHECK(c->pool == p);
        CHECK(c->fetch == NULL || c->fetch->conn == c);
    }
    CHECK_EQ_INT(count[AIF_CONN_CLOSED], 0);
    CHECK_EQ_INT(p->open, open);
    CHECK_EQ_INT(p->dialing, count[AIF_CONN_DIALING]);
    CHECK_EQ_INT(p->idle_count, count[AIF_CONN_READY]);
    CHECK_EQ_INT(p->idle_count, list_length(&p->idle));
    CHECK_EQ_INT(p->busy, count[AIF_CONN_BUSY] + count[AIF_CONN_DRAINING]);
    CHECK(p->settings.limit == 0 || p->open <= p->settings.limit);
    CHECK_EQ_INT(p->unused_count, list_length(&p->unused));
    check_order(&p->waiters);
    waiting = list_length(&p->waiters);
    for (size_t i = 0; i < p->bucket_count; i++) {
        for (aif_origin *o = p->buckets[i]; o != NULL; o = o->next) {
            check_origin(p, o, &waiting);
            origins++;
        }
    }
    CHECK_EQ_INT(p->waiting, waiting);
    CHECK_EQ_INT(p->origins, origins);
    /* A waiter that could be served is never left standing. */
    if (p->waiting > 0 && !aif_list_empty(&p->waiters)) {
        CHECK(p->settings.limit > 0 && p->open >= p->settings.limit
              && p->idle_count == 0);
    }
}

/* ---- the bench ---------------------------------------------------------- */

static inline void
on_tick(uv_timer_t *t)
{
    (void)t;
}

static inline void
on_ticker_gone(uv_handle_t *h)
{
    (void)h;
    b.ticker_gone = 1;
}

/* A loop with a ticker, so that no turn takes longer than that. */
static inline void
bench_open(void)
{
    memset(&b, 0, sizeof(b));
    (void)signal(SIGPIPE, SIG_IGN);
    CHECK_EQ_INT(aif_loop_init(&b.loop), 0);
    CHECK_EQ_INT(uv_timer_init(&b.loop.uv, &b.ticker), 0);
    CHECK_EQ_INT(uv_timer_start(&b.ticker, on_tick, 2, 2), 0);
    b.settings.keepalive = 60000 * MS;
    b.settings.dns_ttl_ms = 1000;
}

static inline void
bench_pool(void)
{
    b.pool = aif_pool_new(&b.loop, &b.settings, b.hooks, b.user);
    CHECK(b.pool != NULL);
}

/* Server |i| and its scripts; the pool too, if there is none yet. */
#define SERVE(i, ...)                                                         \
    do {                                                                      \
        static const step *const scripts_[] = {__VA_ARGS__};                  \
                                                                              \
        server_open(&b.server[i], &b.loop.uv, scripts_,                       \
                    sizeof(scripts_) / sizeof(scripts_[0]));                  \
        if (b.pool == NULL) {                                                 \
            bench_pool();                                                     \
        }                                                                     \
    } while (0)

static inline void
turn(void)
{
    (void)uv_run(&b.loop.uv, UV_RUN_ONCE);
    check_pool(b.pool);
}

#define UNTIL(condition)                                                      \
    do {                                                                      \
        uint64_t until_ = uv_hrtime() + PATIENCE_MS * MS;                     \
                                                                              \
        while (!(condition) && uv_hrtime() < until_) {                        \
            turn();                                                           \
        }                                                                     \
        CHECK(condition);                                                     \
    } while (0)

/* Lets |ms| pass. */
static inline void
settle(unsigned ms)
{
    uint64_t until = uv_hrtime() + ms * MS;

    while (uv_hrtime() < until) {
        turn();
    }
}

static inline unsigned
server_handles(void)
{
    unsigned n = 0;

    for (unsigned i = 0; i < SERVERS; i++) {
        n += b.server[i].handles;
    }
    return n;
}

/* Everything has an end, and leaves nothing. */
static inline void
bench_close(void)
{
    aif_pool_free(b.pool);
    b.pool = NULL;
    for (unsigned i = 0; i < SERVERS; i++) {
        if (b.server[i].handles > 0) {
            server_close(&b.server[i]);
        }
    }
    UNTIL(server_handles() == 0 && b.loop.lookups == 0);
    uv_close((uv_handle_t *)&b.ticker, on_ticker_gone);
    UNTIL(b.ticker_gone);
    CHECK_EQ_INT(aif_loop_fini(&b.loop), 0);
}

/* ---- calls -------------------------------------------------------------- */

static inline int call_start(call *c);

static inline int
call_act(call *c, act what)
{
    switch (what) {
    case DO_NOTHING:
        break;
    case DO_CANCEL:
        aif_fetch_cancel(c->f);
        break;
    case DO_FREE: {
        aif_fetch *f = c->f;

        c->f = NULL;
        aif_fetch_free(f);
        break;
    }
    case DO_DISCARD:
        aif_fetch_discard(c->f);
        break;
    case DO_PAUSE:
        aif_fetch_pause(c->f);
        break;
    case DO_CLOSE_POOL:
        aif_pool_close(b.pool);
        break;
    case DO_CANCEL_OTHER:
        if (c->other->f != NULL) {
            aif_fetch_cancel(c->other->f);
        }
        break;
    case DO_FREE_OTHER:
        return call_act(c->other, DO_FREE);
    case DO_START_OTHER:
        if (c->other->f != NULL && c->other->f->state == AIF_FETCH_NEW) {
            CHECK_EQ_INT(call_start(c->other), 0);
        }
        break;
    case RETURN_DISCARD:
        return AIF_FETCH_DISCARD;
    case RETURN_FAILURE:
        return AIF_ECALLBACK;
    }
    return 0;
}

static inline int
call_on_head(void *user, aif_fetch *f, aif_h1parse *p)
{
    call *c = user;

    CHECK(c->f == f);
    CHECK_EQ_INT(c->dones, 0);
    CHECK_EQ_INT(c->heads, 0);
    CHECK_EQ_INT(f->state, AIF_FETCH_BODY);
    CHECK(aif_h1parse_has_head(p));
    c->heads++;
    c->status = f->status;
    return call_act(c, c->in_head);
}

static inline char *
call_on_space(void *user, aif_fetch *f, size_t *len)
{
    call *c = user;

    CHECK(c->f == f);
    CHECK_EQ_INT(c->dones, 0);
    c->spaces++;
    (void)call_act(c, c->in_space);
    if (c->space == NULL) {
        return NULL;
    }
    CHECK(c->body_len + *len <= c->space_len);
    return c->space + c->body_len;
}

static inline int
call_on_body(void *user, aif_fetch *f, const char *data, size_t len)
{
    call *c = user;

    CHECK(c->f == f);
    CHECK_EQ_INT(c->dones, 0);
    CHECK(c->heads == 1 && len > 0);
    c->bodies++;
    if (c->body_len < BODY_MAX) {
        size_t room = BODY_MAX - (size_t)c->body_len;

        memcpy(c->body + c->body_len, data, len < room ? len : room);
    }
    c->body_len += len;
    CHECK_EQ_INT(f->received, c->body_len);
    return call_act(c, c->in_body);
}

static inline int
call_on_trailer(void *user, aif_fetch *f, aif_header *trailer)
{
    call *c = user;

    CHECK(c->f == f);
    CHECK_EQ_INT(c->dones, 0);
    CHECK_EQ_INT(c->heads, 1);
    c->trailers += trailer->count;
    return call_act(c, c->in_trailer);
}

static inline void
call_on_phase(void *user, aif_fetch *f, aif_phase ended)
{
    call *c = user;

    CHECK(c->f == f);
    CHECK_EQ_INT(c->dones, 0);
    c->phases |= 1u << ended;
    (void)call_act(c, c->in_phase[ended]);
}

static inline void
call_on_done(void *user, aif_fetch *f, int code)
{
    call *c = user;

    CHECK_EQ_INT(c->dones, 0);
    CHECK(f->state >= AIF_FETCH_DONE);
    CHECK(f->conn == NULL && f->origin == NULL);
    CHECK_EQ_INT(f->err.code, code);
    c->dones++;
    c->code = code;
    c->limit = f->limit;
    c->state = f->state;
    c->err = f->err;
    c->reused = f->reused;
    c->retried = f->retried;
    memcpy(c->spent, f->trace.spent, sizeof(c->spent));
    c->turn = ++b.ended;
    (void)call_act(c, c->in_done);
}

static const aif_fetch_cbs call_cbs = {
    .on_head = call_on_head,
    .on_body = call_on_body,
    .on_trailer = call_on_trailer,
    .on_phase = call_on_phase,
    .on_done = call_on_done,
};

static const aif_fetch_cbs direct_cbs = {
    .on_head = call_on_head,
    .on_space = call_on_space,
    .on_body = call_on_body,
    .on_phase = call_on_phase,
    .on_done = call_on_done,
};

/* A GET of server |i|, to be changed before the start. */
static inline void
call_init(call *c, unsigned i)
{
    memset(c, 0, sizeof(*c));
    c->method = "GET";
    c->target = "/";
    c->port = b.server[i].port;
    c->f = aif_fetch_new(&call_cbs, c);
    CHECK(c->f != NULL);
    c->f->idempotent = 1;
}

static inline aif_slice
slice(const char *text)
{
    aif_slice s = {text, strlen(text)};

    return s;
}

static inline int
call_start(call *c)
{
    aif_target target = {
        .host = slice("127.0.0.1"), .port = c->port, .secure = c->secure};
    aif_h1head head = {
        .method = slice(c->method),
        .target = slice(c->target),
        .authority = slice("server.test"),
        .fields = c->fields,
        .body = c->f->body == NULL ? AIF_H1_NO_BODY : (int64_t)c->f->body_len,
    };

    return aif_fetch_start(c->f, b.pool, &target, &head);
}

static inline void
call_begin(call *c, unsigned i)
{
    call_init(c, i);
    CHECK_EQ_INT(call_start(c), 0);
}

/* Waits for the end, which has come exactly once, and frees. */
static inline void
call_end(call *c, int code)
{
    UNTIL(c->dones > 0);
    CHECK_EQ_INT(c->dones, 1);
    CHECK_EQ_INT(c->code, code);
    CHECK_EQ_INT(c->state, code == 0                ? AIF_FETCH_DONE
                           : code == AIF_ECANCELLED ? AIF_FETCH_CANCELLED
                                                    : AIF_FETCH_FAILED);
    aif_fetch_free(c->f);
    c->f = NULL;
}

/* The same for one that went well and received |body|. */
static inline void
call_good(call *c, const char *body)
{
    call_end(c, 0);
    CHECK_EQ_INT(c->status, 200);
    CHECK_EQ_INT(c->body_len, strlen(body));
    CHECK(c->body_len <= BODY_MAX && memcmp(c->body, body, strlen(body)) == 0);
}

/* A whole GET of server |i|. 1 if it went over a kept connection. */
static inline int
get_good(unsigned i, const char *body)
{
    call c;

    call_begin(&c, i);
    call_good(&c, body);
    return c.reused;
}

#define OK_HEAD "HTTP/1.1 200 OK\r\n"
#define OK(length, body) OK_HEAD "Content-Length: " length "\r\n\r\n" body

#endif
