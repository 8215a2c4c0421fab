/* aif_fetch.c -- the states of one request and its limits of time.
 *
 * The connection and the pool report what happens; every way out leads through
 * aif_fetch_end(), which is the only caller of on_done. Whatever is done to a
 * fetch after an upcall is done under a guard and looks at the state first.
 */
#include "client/aif_fetch.h"

#include <string.h>

#include "base/aif_mem.h"
#include "client/aif_conn.h"
#include "client/aif_pool.h"

/* How long the deadline of a fetch may lie ahead while no limit runs. */
#define PLACE_NS (60ull * 1000u * 1000u * 1000u)

/* How long bytes may lie in the socket because more are expected. */
#define LULL_NS (50u * 1000u * 1000u)

static void on_due(aif_deadline *d);

aif_fetch *
aif_fetch_new(const aif_fetch_cbs *cbs, void *user)
{
    aif_fetch *f = aif_mem_zalloc(sizeof(*f));

    if (f == NULL) {
        return NULL;
    }
    f->cbs = cbs;
    f->user = user;
    f->max_body = UINT64_MAX;
    aif_buf_init(&f->head, AIF_MAX_REQUEST_HEAD);
    aif_list_init(&f->waiting);
    aif_list_init(&f->stalled);
    aif_buf_init(&f->held, AIF_MAX_HELD);
    aif_header_init(&f->trailer, AIF_MAX_TRAILER, AIF_MAX_FIELDS);
    aif_deadline_init(&f->deadline, on_due);
    return f;
}

static void
let_go(aif_fetch *f)
{
    if (f->freed && f->refs == 0) {
        aif_buf_fini(&f->head);
        aif_buf_fini(&f->held);
        aif_header_fini(&f->trailer);
        aif_mem_free(f);
    }
}

void
aif_fetch_ref(aif_fetch *f)
{
    f->refs++;
}

void
aif_fetch_unref(aif_fetch *f)
{
    f->refs--;
    let_go(f);
}

void
aif_fetch_free(aif_fetch *f)
{
    static const aif_fetch_cbs silent = {0};

    if (f == NULL) {
        return;
    }
    f->cbs = &silent;
    aif_fetch_cancel(f);
    f->freed = 1;
    let_go(f);
}

/* ---- limits ------------------------------------------------------------- */

static uint64_t
earlier(uint64_t a, uint64_t b)
{
    if (a == 0) {
        return b;
    }
    return (b == 0 || a < b) ? a : b;
}

/* What runs now; 0 if nothing does. */
static uint64_t
present_due(const aif_fetch *f)
{
    return earlier(earlier(earlier(f->limits.total_due, f->acquire_due),
                           earlier(f->wait_due, f->phase_due)),
                   f->lull_due);
}

/* One node serves all limits of a fetch. It is moved only towards an earlier
 * time; when it fires too early it is simply set again, so that the usual
 * request, whose limits only ever move away, costs one insertion. It has been
 * in the heap since the start, so that moving it takes no memory. */
static void
arm(aif_fetch *f)
{
    uint64_t due = present_due(f);

    if (due != 0 && f->deadline.due > due && aif_deadline_is_set(&f->deadline))
    {
        (void)aif_deadline_set(&f->pool->loop->deadlines, &f->deadline, due);
    }
}

/* Puts the node where the present limit is or, if none runs but one may, some
 * time ahead. */
static int
hold_place(aif_fetch *f, uint64_t now)
{
    const aif_fetch_limits *l = &f->limits;
    uint64_t due = present_due(f);

    if (due == 0 && (l->acquire | l->dial | l->tls | l->wait | l->read) != 0) {
        due = now + PLACE_NS;
    }
    return due == 0 ? 0
                    : aif_deadline_set(&f->pool->loop->deadlines, &f->deadline,
                                       due);
}

/* When |ns| from |now| is; 0, for never, if |ns| is 0. */
static uint64_t
due_after(uint64_t ns, uint64_t now)
{
    if (ns == 0) {
        return 0;
    }
    return ns < UINT64_MAX - now ? now + ns : UINT64_MAX;
}

/* Puts the limit |ns| (0: none) on the present phase, in place of the last
 * one's. */
void
aif_fetch_limit_phase(aif_fetch *f, aif_limit limit, uint64_t ns, uint64_t now)
{
    f->phase_due = due_after(ns, now);
    f->phase_limit = limit;
    arm(f);
}

static void
fail_late(aif_fetch *f, aif_limit limit)
{
    f->limit = limit;
    aif_err_set(&f->err, AIF_ETIMEOUT, "a limit of time ran out");
    aif_fetch_end(f, AIF_ETIMEOUT);
}

static void
on_due(aif_deadline *d)
{
    aif_fetch *f = AIF_LIST_ENTRY(d, aif_fetch, deadline);
    uint64_t now = uv_hrtime();

    if (f->limits.total_due != 0 && f->limits.total_due <= now) {
        fail_late(f, AIF_LIMIT_TOTAL);
    }
    else if (f->phase_due != 0 && f->phase_due <= now) {
        fail_late(f, f->phase_limit);
    }
    else if (f->wait_due != 0 && f->wait_due <= now) {
        fail_late(f, AIF_LIMIT_WAIT);
    }
    else if (f->acquire_due != 0 && f->acquire_due <= now) {
        fail_late(f, AIF_LIMIT_ACQUIRE);
    }
    else {
        if (f->lull_due != 0 && f->lull_due <= now) {
            f->lull_due = 0;
            if (f->conn != NULL) {
                aif_conn_expect(f->conn, 0);
            }
        }
        (void)hold_place(f, now); /* in the room that it has just left */
    }
}

/* ---- phases ------------------------------------------------------------- */

void
aif_fetch_enter(aif_fetch *f, aif_phase phase, uint64_t now)
{
    aif_phase ended = f->trace.phase;

    if (ended == phase) {
        return;
    }
    aif_trace_enter(&f->trace, phase, now);
    if (f->cbs->on_phase != NULL) {
        f->cbs->on_phase(f->user, f, ended);
    }
}

int
aif_fetch_start(aif_fetch *f, aif_pool *pool, const aif_target *target,
                const aif_h1head *head)
{
    int rc;
    uint64_t now;

    if (f->state != AIF_FETCH_NEW) {
        return AIF_EINVAL;
    }
    if (pool->closed) {
        return aif_err_set(&f->err, AIF_ECLOSED, "the pool is closed");
    }
    aif_err_reset(&f->err);
    rc = aif_h1write_head(&f->head, head, &f->err);
    if (rc < 0) {
        return rc;
    }
    rc = aif_pool_origin(pool, target, &f->origin);
    if (rc < 0) {
        aif_buf_reset(&f->head, AIF_MAX_REQUEST_HEAD);
        return aif_err_set(&f->err, rc, "out of memory");
    }
    now = uv_hrtime();
    f->pool = pool;
    f->acquire_due = due_after(f->limits.acquire, now);
    rc = hold_place(f, now);
    if (rc < 0) {
        aif_pool_leave_origin(f->origin);
        f->origin = NULL;
        aif_buf_reset(&f->head, AIF_MAX_REQUEST_HEAD);
        return aif_err_set(&f->err, rc,
                           rc == AIF_ECLOSED ? "the loop has ended"
                                             : "out of memory");
    }
    aif_trace_begin(&f->trace, now);
    f->state = AIF_FETCH_QUEUED;
    aif_pool_acquire(pool, f);
    return 0;
}

void
aif_fetch_dialing(aif_fetch *f, aif_conn *conn)
{
    uint64_t now = uv_hrtime();

    f->conn = conn;
    f->state = AIF_FETCH_DIALING;
    aif_fetch_limit_phase(f, AIF_LIMIT_DIAL, f->limits.dial, now);
    /* The path of a Unix socket is no name to look up. */
    aif_fetch_enter(f,
                    f->pool->settings.unix_path != NULL ? AIF_PHASE_CONNECT
                                                        : AIF_PHASE_DNS,
                    now);
}

void
aif_fetch_securing(aif_fetch *f)
{
    uint64_t now = uv_hrtime();

    aif_fetch_limit_phase(f, AIF_LIMIT_TLS, f->limits.tls, now);
    aif_fetch_enter(f, AIF_PHASE_TLS, now);
}

void
aif_fetch_ready(aif_fetch *f, aif_conn *conn)
{
    uint64_t now = uv_hrtime();

    f->conn = conn;
    f->reused = conn->served > 0;
    f->state = AIF_FETCH_SENDING;
    /* The limit between reads does not run yet: a long request may take its
     * time, and nothing is expected while it leaves. */
    f->acquire_due = 0;
    f->phase_due = 0;
    memcpy(f->peer, conn->peer, sizeof(f->peer));
    aif_fetch_enter(f, AIF_PHASE_SEND, now);
}

void
aif_fetch_sent(aif_fetch *f)
{
    uint64_t now;

    if (f->state != AIF_FETCH_SENDING) {
        return; /* The response has overtaken the request. */
    }
    now = uv_hrtime();
    f->state = AIF_FETCH_HEAD;
    f->wait_due = due_after(f->limits.wait, now);
    aif_fetch_limit_phase(f, AIF_LIMIT_READ, f->limits.read, now);
    aif_fetch_enter(f, AIF_PHASE_WAIT, now);
}

void
aif_fetch_again(aif_fetch *f)
{
    uint64_t now = uv_hrtime();

    f->retried = 1;
    if (f->upload != NULL) {
        aif_upload_stop(f->upload);
    }
    f->state = AIF_FETCH_QUEUED;
    f->phase_due = 0;
    f->wait_due = 0;
    f->acquire_due = due_after(f->limits.acquire, now);
    arm(f);
    aif_fetch_enter(f, AIF_PHASE_QUEUED, now);
}

void
aif_fetch_read(aif_fetch *f)
{
    /* Only the limit between reads moves; the wait for the head stands, or a
     * byte now and then would hold it up forever. The deadline is left to
     * fire too early. */
    if (f->phase_due != 0) {
        f->phase_due = due_after(f->limits.read, uv_hrtime());
    }
}

/* The connection will not tell of a few bytes; should no more come, it has to
 * be asked. */
void
aif_fetch_expect(aif_fetch *f)
{
    uint64_t now = uv_hrtime();

    f->lull_due = now + LULL_NS;
    if (aif_deadline_is_set(&f->deadline)) {
        arm(f);
    }
    else if (hold_place(f, now) < 0) {
        f->lull_due = 0;
        aif_conn_expect(f->conn, 0);
    }
}

/* ---- the response ------------------------------------------------------- */

/* 1 if the upcalls leave the fetch where the body can come. */
static int
enter_body(aif_fetch *f, uint64_t now)
{
    if (f->state == AIF_FETCH_SENDING) {
        aif_fetch_enter(f, AIF_PHASE_WAIT, now);
    }
    if (!aif_fetch_is_under_way(f)) {
        return 0;
    }
    f->state = AIF_FETCH_BODY;
    aif_fetch_enter(f, AIF_PHASE_RECEIVE, now);
    return f->state == AIF_FETCH_BODY;
}

static int
take_head(aif_fetch *f, aif_h1parse *p)
{
    int64_t length = aif_h1parse_length(p);
    uint64_t now = uv_hrtime();
    int rc, coded = 0;

    f->status = aif_h1parse_status(p);
    f->wait_due = 0;
    aif_fetch_limit_phase(f, AIF_LIMIT_READ, f->limits.read, now);
    if (!enter_body(f, now)) {
        return 0;
    }
    /* Before on_head, which may take the fields away; but a response whose
     * body nobody wants is not refused for how that body is coded. */
    if (f->decode_body && length != 0) {
        coded = aif_fetch_make_decoder(f, aif_h1parse_header(p));
    }
    rc = f->cbs->on_head(f->user, f, p);
    if (rc == AIF_FETCH_DISCARD) {
        aif_fetch_discard(f);
        return 0;
    }
    if (rc != 0 || f->state != AIF_FETCH_BODY || coded < 0) {
        return rc != 0 ? rc : coded;
    }
    if (f->decode == NULL && length > 0 && (uint64_t)length > f->max_body) {
        rc = aif_err_set(&f->err, AIF_ETOOBIG,
                         "the body announces more than the limit");
    }
    return rc;
}

int
aif_fetch_on_head(aif_fetch *f, aif_h1parse *p)
{
    int rc;

    aif_fetch_ref(f);
    rc = take_head(f, p);
    aif_fetch_unref(f);
    return rc;
}

/* ---- the ways out ------------------------------------------------------- */

void
aif_fetch_end(aif_fetch *f, int code)
{
    aif_conn *c = f->conn;

    if (!aif_fetch_is_under_way(f)) {
        return;
    }
    aif_fetch_ref(f);
    f->conn = NULL;
    aif_deadline_clear(&f->pool->loop->deadlines, &f->deadline);
    if (!aif_list_empty(&f->waiting)) {
        aif_pool_withdraw(f->pool, f);
    }
    aif_list_unlink(&f->stalled);
    f->state = code == 0                ? AIF_FETCH_DONE
               : code == AIF_ECANCELLED ? AIF_FETCH_CANCELLED
                                        : AIF_FETCH_FAILED;
    if (f->err.code != code) {
        /* What was noted on the way to another end than this. */
        aif_err_reset(&f->err);
        f->err.code = code;
    }
    if (c != NULL) {
        aif_conn_abandon(c, code == 0);
    }
    if (f->upload != NULL) {
        aif_upload_over(f->upload);
        f->upload = NULL;
    }
    aif_fetch_drop_body(f);
    aif_pool_leave_origin(f->origin);
    f->origin = NULL;
    if (code == 0) {
        aif_fetch_enter(f, AIF_PHASE_DONE, uv_hrtime());
    }
    if (f->cbs->on_done != NULL) {
        f->cbs->on_done(f->user, f, code);
    }
    aif_fetch_unref(f);
}

void
aif_fetch_cancel(aif_fetch *f)
{
    aif_fetch_end(f, AIF_ECANCELLED);
}

void
aif_fetch_discard(aif_fetch *f)
{
    if (f->state == AIF_FETCH_BODY) {
        aif_fetch_end(f, 0);
    }
}
