/* aif_conn.c -- a connection's beginning and end: dial, handshake, close.
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

static void
on_drain_due(aif_deadline *d)
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

/* ---- the beginning ------------------------------------------------------ */

static void
on_dial_resolved(void *user, int cached)
{
    aif_conn *c = user;

    if (c->fetch != NULL) {
        c->fetch->dns_cached = cached ? 1 : 0;
        aif_fetch_enter(c->fetch, AIF_PHASE_CONNECT, uv_hrtime());
    }
}

/* Puts TLS over the socket; the fetch is told before, so that what goes wrong
 * here is known as a failure of that phase. */
static void
conn_secure(aif_conn *c, aif_tcp *tcp)
{
    aif_err err = {0};
    aif_stage *tls = NULL;

    aif_fetch_securing(c->fetch);
    if (c->state == AIF_CONN_CLOSED) {
        aif_stage_close(&tcp->stage);
        return;
    }
    if (c->pool->hooks != NULL && c->pool->hooks->tls_new != NULL) {
        tls = c->pool->hooks->tls_new(c->pool->user, &tcp->stage, c->origin,
                                      &err);
    }
    else {
        aif_err_set(&err, AIF_ETLS, "this pool cannot speak TLS");
    }
    if (tls == NULL) {
        aif_stage_close(&tcp->stage);
        aif_conn_fail(c, err.code < 0 ? err.code : AIF_ETLS, &err);
        return;
    }
    c->secure = 1;
    c->stage = tls;
    aif_stage_set_user(tls, &aif_conn_stage_cbs, c);
    if (aif_stage_read(tls, 1) < 0 && c->state != AIF_CONN_CLOSED) {
        aif_err_set(&err, AIF_ETLS, "reading could not start");
        aif_conn_fail(c, AIF_ETLS, &err);
    }
}

static void
note_peer(aif_conn *c, const aif_tcp *tcp)
{
    struct sockaddr_storage addr;
    int len = sizeof(addr);

    if (aif_tcp_peer(tcp, &addr, &len) == 0) {
        aif_tcp_format_address((struct sockaddr *)&addr, c->peer,
                               sizeof(c->peer));
    }
}

static void
on_dial_done(void *user, aif_tcp *tcp, const aif_err *err)
{
    aif_conn *c = user;
    int rc;

    aif_conn_enter(c);
    c->dial = NULL;
    if (tcp == NULL) {
        aif_conn_fail(c, err->code, err);
    }
    else {
        note_peer(c, tcp);
        if (c->origin->secure) {
            conn_secure(c, tcp);
        }
        else {
            c->stage = &tcp->stage;
            aif_stage_set_user(c->stage, &aif_conn_stage_cbs, c);
            rc = aif_stage_read(c->stage, 1);
            if (rc < 0) {
                aif_err failed = {0};

                aif_err_set_sys(&failed, rc, rc, "reading could not start");
                aif_conn_fail(c, rc, &failed);
            }
            else {
                aif_conn_stage_cbs.on_open(c);
            }
        }
    }
    aif_conn_leave(c);
}

static const aif_dial_cbs dial_cbs = {
    .on_resolved = on_dial_resolved,
    .on_done = on_dial_done,
};

int
aif_conn_open(aif_pool *p, aif_origin *o, aif_fetch *f, aif_err *err)
{
    aif_conn *c = aif_mem_zalloc(sizeof(*c));
    aif_dial_options options = {
        .host = f->addresses != NULL ? f->addresses : o->host,
        .port = f->addresses != NULL && f->address_port != 0 ? f->address_port
                                                             : o->port,
        .unix_path = p->settings.unix_path,
        .family = p->settings.family,
        .race_ms = p->settings.race_ms,
        .ttl_ms = p->settings.dns_ttl_ms,
        .local_addr = p->settings.local_addr,
        .public_only = p->settings.public_only || o->public_only,
    };
    int rc;

    if (c == NULL) {
        return aif_err_set(err, AIF_ENOMEM, "out of memory");
    }
    c->parser = aif_h1parse_new(AIF_H1_RESPONSE, NULL, &aif_conn_parse_cbs, c);
    if (c->parser == NULL) {
        aif_mem_free(c);
        return aif_err_set(err, AIF_ENOMEM, "out of memory");
    }
    c->pool = p;
    c->origin = o;
    c->state = AIF_CONN_DIALING;
    c->fetch = f;
    aif_list_init(&c->idle);
    aif_list_init(&c->aged);
    aif_deadline_init(&c->drain, on_drain_due);
    aif_list_push_tail(&p->conns, &c->link);
    p->open++;
    p->dialing++;
    o->open++;
    aif_conn_enter(c);
    aif_fetch_dialing(f, c);
    rc = c->state == AIF_CONN_CLOSED
             ? 0
             : aif_dial_start(p->loop, &options, &dial_cbs, c, &c->dial);
    if (c->state == AIF_CONN_CLOSED) {
        rc = 0; /* An upcall has ended the fetch, and all is done. */
    }
    else if (rc < 0) {
        c->dial = NULL;
        c->fetch = NULL;
        f->conn = NULL;
        aif_err_set_sys(err, rc, rc, "the connection could not be started: %s",
                        rc > AIF_ERR_FIRST ? uv_strerror(rc)
                                           : aif_err_name(rc));
        aif_conn_close(c);
    }
    aif_conn_leave(c);
    return rc;
}

int
aif_conn_is_fresh(aif_conn *c, uint64_t now)
{
    return now < c->expires && aif_stage_probe(c->stage) == 0;
}
