/* aif_conn.c -- a connection's end: what fails, what is read away, the close.
 *
 * aif_conn_enter() and aif_conn_leave() stand around everything that calls up;
 * the memory goes in the last leave after the close. After any upcall the
 * connection may be closed (the state tells) and its fetch gone (c->fetch
 * tells).
 */
#include "client/aif_conn.h"

#include "base/aif_mem.h"

void
aif_conn_enter(aif_conn *c)
{
    c->depth++;
}

void
aif_conn_leave(aif_conn *c)
{
    c->depth--;
    if (c->depth == 0 && c->state == AIF_CONN_CLOSED) {
        aif_h1parse_free(c->parser);
        aif_mem_free(c);
    }
}

/* ---- the end ------------------------------------------------------------ */

void
aif_conn_close(aif_conn *c)
{
    aif_pool *p = c->pool;
    aif_origin *o = c->origin;
    aif_stage *stage = c->stage;

    if (c->state == AIF_CONN_CLOSED) {
        return;
    }
    aif_conn_enter(c);
    switch (c->state) {
    case AIF_CONN_DIALING:
        p->dialing--;
        break;
    case AIF_CONN_READY:
        p->idle_count--;
        break;
    case AIF_CONN_BUSY:
    case AIF_CONN_DRAINING:
        p->busy--;
        break;
    case AIF_CONN_CLOSED:
        break;
    }
    c->state = AIF_CONN_CLOSED;
    c->pool = NULL;
    c->origin = NULL;
    c->stage = NULL;
    aif_list_unlink(&c->link);
    aif_list_unlink(&c->idle);
    aif_list_unlink(&c->aged);
    aif_deadline_clear(&p->loop->deadlines, &c->drain);
    if (c->dial != NULL) {
        aif_dial_cancel(c->dial);
        c->dial = NULL;
    }
    if (c->errand != NULL) {
        p->hooks->dial_cancel(p->user, c->errand);
        c->errand = NULL;
    }
    aif_stage_close(stage);
    aif_pool_closed(p, o);
    aif_conn_leave(c);
}

/* A kept connection that died before a byte of the response was most likely
 * closed by the peer while the request was on its way: such a request may go
 * out once more if its method allows that (RFC 9110 9.2.2, RFC 9112 9.3.1). */
static int
may_retry(const aif_conn *c, const aif_fetch *f, int code)
{
    int lost = code == AIF_EDISCONNECTED || code == UV_ECONNRESET
               || code == UV_EPIPE || code == UV_ECONNABORTED
               || code == AIF_ETRUNCATED || code == UV_ENOTCONN;

    return c->state == AIF_CONN_BUSY && c->served > 0 && lost && f->idempotent
           && !f->retried && !aif_h1parse_is_started(c->parser);
}

/* A body in pieces goes out once more only from its beginning. */
static int
can_resend(const aif_fetch *f)
{
    const aif_upload *u = f->upload;

    return u == NULL || u->replayable || u->attempts == 0;
}

/* Notes why |f| ends; a source that is used up is part of it. */
static void
note_failure(aif_fetch *f, const aif_err *err, int used_up)
{
    if (f->err.code != 0 || err == NULL) {
        return;
    }
    f->err = *err;
    if (used_up) {
        aif_err_set_sys(&f->err, err->code, err->sys,
                        "%.140s; the request was not sent again, because its "
                        "body cannot be replayed",
                        err->text);
    }
}

void
aif_conn_fail(aif_conn *c, int code, const aif_err *err)
{
    aif_fetch *f = c->fetch;
    aif_pool *p = c->pool;
    int retry, lost;

    if (f == NULL) {
        aif_conn_close(c);
        return;
    }
    lost = may_retry(c, f, code);
    retry = lost && can_resend(f);
    if (!retry) {
        note_failure(f, err, lost);
    }
    aif_fetch_ref(f);
    aif_conn_enter(c);
    c->fetch = NULL;
    f->conn = NULL;
    if (retry) {
        aif_fetch_again(f);
        /* It stands in the queue before the room that this connection leaves
         * is given away. */
        if (f->state == AIF_FETCH_QUEUED) {
            aif_pool_queue(p, f);
        }
    }
    aif_conn_close(c);
    if (!retry) {
        aif_fetch_end(f, code);
    }
    aif_conn_leave(c);
    aif_fetch_unref(f);
}

void
aif_conn_on_drain_due(aif_deadline *d)
{
    aif_conn_close(AIF_LIST_ENTRY(d, aif_conn, drain));
}

/* Reads on without a fetch, for a bounded number of bytes and seconds. */
static void
conn_drain(aif_conn *c)
{
    uint64_t due = uv_hrtime() + AIF_DRAIN_NS;
    int rc;

    aif_conn_enter(c);
    c->state = AIF_CONN_DRAINING;
    c->drained = 0;
    aif_conn_expect(c, 0);
    rc = aif_deadline_set(&c->pool->loop->deadlines, &c->drain, due);
    if (rc == 0) {
        rc = aif_stage_read(c->stage, 1);
    }
    if (rc < 0) {
        aif_conn_close(c);
    }
    else {
        aif_pool_draining(c->pool, c);
    }
    aif_conn_leave(c);
}

void
aif_conn_abandon(aif_conn *c, int drain)
{
    int64_t length;

    c->fetch = NULL;
    if (c->state == AIF_CONN_CLOSED) {
        return;
    }
    if (!drain || c->state != AIF_CONN_BUSY || !c->keep || c->writing) {
        aif_conn_close(c);
        return;
    }
    length = aif_h1parse_length(c->parser);
    if (length >= 0 && (uint64_t)length > c->drained + AIF_MAX_DRAIN) {
        aif_conn_close(c);
        return;
    }
    conn_drain(c);
}

int
aif_conn_is_fresh(aif_conn *c, uint64_t now)
{
    return now < c->expires && aif_stage_probe(c->stage) == 0;
}
