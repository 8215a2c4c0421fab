/* aif_conn.c -- one connection: dial, handshake, exchanges, the end.
 *
 * Rule 1: a connection is kept only in the state "message whole, nothing
 *         behind it, request fully written", and looked at again before use.
 * Rule 2: conn_enter() and conn_leave() stand around everything that calls
 *         up; the memory goes in the last leave after the close.
 */
#include "client/aif_conn.h"

#include <string.h>

#include "base/aif_ascii.h"
#include "base/aif_mem.h"

#define NS_PER_S 1000000000ull

/* Direct reads into the body's own memory pay from here on. */
#define DIRECT_MIN (16u * 1024u)

static void conn_fail(aif_conn *c, int code, const aif_err *err);

static void
conn_enter(aif_conn *c)
{
    c->depth++;
}

static void
conn_leave(aif_conn *c)
{
    c->depth--;
    if (c->depth == 0 && c->state == AIF_CONN_CLOSED) {
        aif_h1parse_free(c->parser);
        aif_mem_free(c);
    }
}

/* ---- the end ------------------------------------------------------------- */

void
aif_conn_close(aif_conn *c)
{
    aif_pool *p = c->pool;
    aif_origin *o = c->origin;
    aif_stage *stage = c->stage;

    if (c->state == AIF_CONN_CLOSED) {
        return;
    }
    conn_enter(c);
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
    conn_leave(c);
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

static void
conn_fail(aif_conn *c, int code, const aif_err *err)
{
    aif_fetch *f = c->fetch;
    aif_pool *p = c->pool;
    int retry;

    if (f == NULL) {
        aif_conn_close(c);
        return;
    }
    retry = may_retry(c, f, code);
    if (!retry && f->err.code == 0 && err != NULL) {
        f->err = *err;
    }
    c->fetch = NULL;
    f->conn = NULL;
    aif_conn_close(c);
    if (retry) {
        aif_fetch_again(f);
        aif_pool_acquire(p, f, 1);
    }
    else {
        aif_fetch_end(f, code);
    }
}

static void
on_drain_due(aif_deadline *d)
{
    aif_conn_close(AIF_LIST_ENTRY(d, aif_conn, drain));
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
    c->state = AIF_CONN_DRAINING;
    c->drained = 0;
    if (aif_deadline_set(&c->pool->loop->deadlines, &c->drain,
                         uv_hrtime() + AIF_DRAIN_NS)
            < 0
        || aif_stage_read(c->stage, 1) < 0) {
        aif_conn_close(c);
    }
}

/* ---- the exchange -------------------------------------------------------- */

/* The message is whole. |silent| says that nothing came behind it. */
static void
conn_complete(aif_conn *c, int silent)
{
    aif_fetch *f = c->fetch;
    aif_pool *p = c->pool;

    c->fetch = NULL;
    if (f != NULL) {
        f->conn = NULL;
    }
    if (c->state == AIF_CONN_DRAINING) {
        aif_deadline_clear(&p->loop->deadlines, &c->drain);
    }
    if (c->keep && silent && !c->writing && !c->broken) {
        c->served++;
        if (c->secure && c->served == 1 && p->hooks->tls_used != NULL) {
            p->hooks->tls_used(p->user, c->stage, c->origin);
        }
        aif_pool_release(p, c);
    }
    else {
        aif_conn_close(c);
    }
    if (f != NULL) {
        aif_fetch_end(f, 0);
    }
}

static void
on_read(void *user, const char *data, size_t len)
{
    aif_conn *c = user;
    size_t used = 0;
    int rc;

    if (c->state == AIF_CONN_READY) {
        /* Nobody asked: whatever this is, it must not answer the next
         * request. */
        aif_conn_close(c);
        return;
    }
    if (c->state != AIF_CONN_BUSY && c->state != AIF_CONN_DRAINING) {
        return;
    }
    conn_enter(c);
    if (c->fetch != NULL) {
        aif_fetch_read(c->fetch);
    }
    rc = aif_h1parse_feed(c->parser, data, len, &used);
    if (c->state != AIF_CONN_CLOSED) {
        if (rc < 0) {
            conn_fail(c, rc, aif_h1parse_error(c->parser));
        }
        else if (aif_h1parse_is_done(c->parser)) {
            conn_complete(c, used == len);
        }
    }
    conn_leave(c);
}

static void
on_space(void *user, char **buf, size_t *len)
{
    aif_conn *c = user;
    int64_t length;
    size_t room;
    char *space;

    if (c->state != AIF_CONN_BUSY || c->fetch == NULL
        || !aif_h1parse_has_head(c->parser)) {
        return;
    }
    length = aif_h1parse_length(c->parser);
    if (length < 0 || (uint64_t)length < c->drained + DIRECT_MIN) {
        return;
    }
    /* Never more than what is left of this message: a byte behind it stays in
     * the socket, where the look before the next use finds it. */
    room = (size_t)((uint64_t)length - c->drained);
    space = aif_fetch_space(c->fetch, &room);
    if (space != NULL && room > 0) {
        *buf = space;
        *len = room;
    }
}

static void
on_eof(void *user)
{
    aif_conn *c = user;
    int rc;
    aif_err err = {0};

    if (c->state != AIF_CONN_BUSY) {
        aif_conn_close(c);
        return;
    }
    conn_enter(c);
    rc = aif_h1parse_eof(c->parser);
    if (c->state != AIF_CONN_CLOSED) {
        if (rc == 0) {
            c->keep = 0;
            conn_complete(c, 0);
        }
        else {
            aif_err_set(&err, rc, "%s", aif_h1parse_error(c->parser)->text);
            conn_fail(c, rc, &err);
        }
    }
    conn_leave(c);
}

static void
on_fail(void *user, const aif_err *err)
{
    aif_conn *c = user;
    aif_err copy = *err; /* The stage goes before the text is used. */

    conn_enter(c);
    if (c->state != AIF_CONN_CLOSED) {
        conn_fail(c, copy.code, &copy);
    }
    conn_leave(c);
}

static void
on_open(void *user)
{
    aif_conn *c = user;
    aif_fetch *f = c->fetch;

    if (c->state != AIF_CONN_DIALING || f == NULL) {
        return;
    }
    c->pool->dialing--;
    c->pool->idle_count++;
    c->state = AIF_CONN_READY;
    aif_conn_begin(c, f);
}

static const aif_stage_cbs stage_cbs = {
    .on_open = on_open,
    .on_space = on_space,
    .on_read = on_read,
    .on_eof = on_eof,
    .on_fail = on_fail,
};

static void
on_written(aif_write *w, int code)
{
    aif_conn *c = w->user;

    if (c->state == AIF_CONN_CLOSED) {
        return;
    }
    if (code < 0) {
        c->broken = 1; /* The read side tells what the peer had to say. */
        return;
    }
    c->writing = 0;
    if (c->fetch != NULL) {
        conn_enter(c);
        aif_fetch_sent(c->fetch);
        conn_leave(c);
    }
}

void
aif_conn_begin(aif_conn *c, aif_fetch *f)
{
    int rc;

    conn_enter(c);
    c->state = AIF_CONN_BUSY;
    c->pool->idle_count--;
    c->pool->busy++;
    c->fetch = f;
    c->keep = 0;
    c->keep_ns = 0;
    c->drained = 0;
    aif_h1parse_reset(c->parser, f->head_request);
    aif_fetch_ready(f, c);
    c->bufs[0] = uv_buf_init(f->head.data, (unsigned)f->head.len);
    c->bufs[1] = uv_buf_init((char *)(uintptr_t)f->body, 0);
    c->bufs[1].len = f->body_len;
    c->write.bufs = c->bufs;
    c->write.count = f->body_len > 0 ? 2 : 1;
    c->write.on_written = on_written;
    c->write.user = c;
    c->writing = 1;
    rc = aif_stage_write(c->stage, &c->write);
    if (c->state == AIF_CONN_CLOSED || c->fetch != f) {
        conn_leave(c);
        return;
    }
    if (rc == 1) {
        c->writing = 0;
        aif_fetch_sent(f);
    }
    else if (rc < 0) {
        c->broken = 1;
        if (c->secure) {
            /* A TLS stage whose write failed is dead and says no more. */
            aif_err err = {0};

            aif_err_set_sys(&err, rc, rc, "writing the request failed");
            conn_fail(c, rc, &err);
        }
    }
    conn_leave(c);
}

void
aif_conn_read(aif_conn *c, int on)
{
    if (c->stage != NULL) {
        (void)aif_stage_read(c->stage, on);
    }
}

/* ---- what the parser says ------------------------------------------------ */

/* The peer's Keep-Alive: timeout=N (RFC 2068 19.7.1.1), less a margin for the
 * time a request is on its way; 0 when it does not say. */
static void
note_keep_alive(aif_conn *c, aif_header *h)
{
    int i = aif_header_find(h, "keep-alive", 0);
    aif_slice v;
    size_t at, end;
    uint64_t seconds;

    if (i < 0) {
        return;
    }
    v = aif_header_value(h, (unsigned)i);
    for (at = 0; at + 8 < v.len; at++) {
        if (!aif_ascii_equal(v.ptr + at, "timeout=", 8)) {
            continue;
        }
        at += 8;
        for (end = at; end < v.len && v.ptr[end] >= '0' && v.ptr[end] <= '9';
             end++) {
        }
        if (aif_ascii_u64(v.ptr + at, end - at, 86400, &seconds) < 0) {
            return;
        }
        if (seconds == 0) {
            c->keep = 0;
        }
        c->keep_ns = seconds > 2 ? (seconds - 1) * NS_PER_S
                                 : seconds * NS_PER_S / 2;
        return;
    }
}

static int
on_parsed_head(void *user, aif_h1parse *p)
{
    aif_conn *c = user;
    aif_fetch *f = c->fetch;
    int rc;

    c->keep = !!aif_h1parse_keep_alive(p);
    note_keep_alive(c, aif_h1parse_header(p));
    if (f == NULL) {
        return 0;
    }
    rc = aif_fetch_on_head(f, p);
    if (c->state == AIF_CONN_CLOSED) {
        return AIF_ECANCELLED;
    }
    if (rc == AIF_FETCH_DISCARD) {
        aif_fetch_discard(f);
        return c->state == AIF_CONN_CLOSED ? AIF_ECANCELLED : 0;
    }
    return rc;
}

static int
on_parsed_body(void *user, const char *data, size_t len)
{
    aif_conn *c = user;
    int rc = 0;

    c->drained += len;
    if (c->fetch != NULL) {
        rc = aif_fetch_on_body(c->fetch, data, len);
    }
    else if (c->drained > AIF_MAX_DRAIN) {
        rc = AIF_ECANCELLED;
    }
    return c->state == AIF_CONN_CLOSED ? AIF_ECANCELLED : rc;
}

static int
on_parsed_message(void *user, aif_h1parse *p)
{
    aif_conn *c = user;

    (void)p;
    return c->fetch == NULL ? 0 : aif_fetch_on_message(c->fetch);
}

static const aif_h1parse_cbs parse_cbs = {
    .on_head = on_parsed_head,
    .on_body = on_parsed_body,
    .on_message = on_parsed_message,
};

/* ---- the beginning ------------------------------------------------------- */

static void
on_dial_resolved(void *user, int cached)
{
    aif_conn *c = user;

    (void)cached;
    if (c->fetch != NULL) {
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
    if (c->pool->hooks != NULL && c->pool->hooks->tls_new != NULL) {
        tls = c->pool->hooks->tls_new(c->pool->user, &tcp->stage, c->origin,
                                      &err);
    }
    else {
        aif_err_set(&err, AIF_ETLS, "this pool cannot speak TLS");
    }
    if (tls == NULL) {
        aif_stage_close(&tcp->stage);
        conn_fail(c, err.code, &err);
        return;
    }
    c->secure = 1;
    c->stage = tls;
    aif_stage_set_user(tls, &stage_cbs, c);
    if (aif_stage_read(tls, 1) < 0 && c->state != AIF_CONN_CLOSED) {
        aif_err_set(&err, AIF_ETLS, "reading could not start");
        conn_fail(c, AIF_ETLS, &err);
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

    conn_enter(c);
    c->dial = NULL;
    if (tcp == NULL) {
        conn_fail(c, err->code, err);
    }
    else {
        note_peer(c, tcp);
        if (c->origin->secure) {
            conn_secure(c, tcp);
        }
        else {
            c->stage = &tcp->stage;
            aif_stage_set_user(c->stage, &stage_cbs, c);
            rc = aif_stage_read(c->stage, 1);
            if (rc < 0) {
                aif_err failed = {0};

                aif_err_set_sys(&failed, rc, rc, "reading could not start");
                conn_fail(c, rc, &failed);
            }
            else {
                on_open(c);
            }
        }
    }
    conn_leave(c);
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
        .host = o->host,
        .port = o->port,
        .unix_path = p->settings.unix_path,
        .family = p->settings.family,
        .race_ms = p->settings.race_ms,
        .ttl_ms = p->settings.dns_ttl_ms,
        .local_addr = p->settings.local_addr,
    };
    int rc;

    if (c == NULL) {
        return aif_err_set(err, AIF_ENOMEM, "out of memory");
    }
    c->parser = aif_h1parse_new(AIF_H1_RESPONSE, &p->settings.parse,
                                &parse_cbs, c);
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
    conn_enter(c);
    aif_fetch_dialing(f, c);
    rc = aif_dial_start(p->loop, &options, &dial_cbs, c, &c->dial);
    if (rc < 0) {
        c->dial = NULL;
        c->fetch = NULL;
        f->conn = NULL;
        aif_err_set_sys(err, rc, rc, "the connection could not be started: %s",
                        rc > AIF_ERR_FIRST ? uv_strerror(rc)
                                           : aif_err_name(rc));
        aif_conn_close(c);
    }
    conn_leave(c);
    return rc < 0 ? rc : 0;
}

int
aif_conn_is_fresh(aif_conn *c, uint64_t now)
{
    return now < c->expires && aif_stage_probe(c->stage) == 0;
}
