/* aif_conn_exchange.c -- one request and its response on an open connection.
 *
 * Rule: a connection is kept only in the state "message whole, nothing behind
 *       it, request fully written", and looked at again before use.
 */
#include "client/aif_conn.h"

#include <stdint.h>

#include "base/aif_ascii.h"

#define NS_PER_S 1000000000ull

/* Direct reads into the body's own memory pay from here on. */
#define DIRECT_MIN (16u * 1024u)

/* A body that is wanted whole: reads of less are no sign of a fast peer; what
 * may stay in a socket until it is read; and in all of them together. */
#define EXPECT_MIN (128u * 1024u)
#define EXPECT_MAX (512u * 1024u)
#define EXPECT_ALL (8u * 1024u * 1024u)

/* ---- the exchange ------------------------------------------------------- */

/* The message is whole. |silent| says that nothing came behind it. */
static void
conn_complete(aif_conn *c, int silent)
{
    aif_fetch *f = c->fetch;
    aif_pool *p = c->pool;

    c->fetch = NULL;
    aif_conn_expect(c, 0);
    if (f != NULL) {
        aif_fetch_ref(f);
        f->conn = NULL;
    }
    if (c->state == AIF_CONN_DRAINING) {
        aif_deadline_clear(&p->loop->deadlines, &c->drain);
        aif_list_unlink(&c->idle);
        aif_list_unlink(&c->aged);
    }
    c->served++;
    if (c->secure && c->served == 1 && p->hooks->tls_used != NULL) {
        p->hooks->tls_used(p->user, c->stage, c->origin);
    }
    if (c->keep && silent && !c->writing && !c->broken) {
        aif_pool_release(p, c);
    }
    else {
        aif_conn_close(c);
    }
    if (f != NULL) {
        aif_fetch_whole(f);
        aif_fetch_unref(f);
    }
}

/* Whoever wants all of a body need not wake up for each segment of it. While
 * the bytes come faster than they are taken, the next read is left until there
 * is a good deal of them, or what is left. */
static void
conn_wait_for_more(aif_conn *c, size_t len)
{
    const aif_fetch *f = c->fetch;
    uint64_t rest, most;

    if (len < EXPECT_MIN || c->state != AIF_CONN_BUSY || f == NULL || !f->whole
        || f->decode != NULL)
    {
        aif_conn_expect(c, 0);
        return;
    }
    rest = aif_h1parse_at_hand(c->parser);
    most = EXPECT_ALL / (c->pool->busy > 0 ? c->pool->busy : 1);
    most = most < EXPECT_MAX ? most : EXPECT_MAX;
    aif_conn_expect(c, (size_t)(rest < most ? rest : most));
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
    aif_conn_enter(c);
    if (c->fetch != NULL) {
        aif_fetch_read(c->fetch);
    }
    rc = aif_h1parse_feed(c->parser, data, len, &used);
    if (c->state != AIF_CONN_CLOSED) {
        if (rc < 0) {
            aif_conn_fail(c, rc, aif_h1parse_error(c->parser));
        }
        else if (aif_h1parse_is_done(c->parser)) {
            conn_complete(c, used == len);
        }
        else if (c->patient || len >= EXPECT_MIN) {
            conn_wait_for_more(c, len);
        }
    }
    aif_conn_leave(c);
}

/* The upcall may end the fetch. */
static void
choose_space(aif_conn *c, char **buf, size_t *len)
{
    size_t most = c->fetch->read_most, room;
    uint64_t rest;
    char *space;

    /* Never more than what is left of this message or chunk: a byte behind it
     * stays in the socket, where the look before the next use finds it. */
    rest = aif_h1parse_at_hand(c->parser);
    if (rest >= DIRECT_MIN) {
        room = rest < SIZE_MAX ? (size_t)rest : SIZE_MAX;
        space = aif_fetch_space(c->fetch, &room);
        if (space != NULL && (room >= DIRECT_MIN || room == rest)) {
            *buf = space;
            *len = room;
            return;
        }
    }
    /* The reader wants less than a slab to be on its way. TLS has its own use
     * of the slab. */
    if (c->state == AIF_CONN_BUSY && !c->secure && most > 0
        && most < AIF_SLAB_SIZE)
    {
        *buf = aif_loop_slab(c->pool->loop);
        *len = *buf != NULL ? most : 0;
    }
}

static void
on_space(void *user, char **buf, size_t *len)
{
    aif_conn *c = user;

    if (c->state == AIF_CONN_BUSY && c->fetch != NULL) {
        aif_conn_enter(c);
        choose_space(c, buf, len);
        aif_conn_leave(c);
    }
}

static void
on_eof(void *user)
{
    aif_conn *c = user;
    int rc;

    if (c->state == AIF_CONN_DIALING) {
        aif_err err = {0};

        rc = aif_err_set(&err, AIF_EDISCONNECTED,
                         "the peer left before the connection was ready");
        aif_conn_fail(c, rc, &err);
        return;
    }
    if (c->state != AIF_CONN_BUSY) {
        aif_conn_close(c);
        return;
    }
    aif_conn_enter(c);
    rc = aif_h1parse_eof(c->parser);
    if (c->state != AIF_CONN_CLOSED) {
        if (rc == 0 && c->broken) {
            /* A reset that a pending write has used up reads as an end. */
            aif_err err = {0};

            rc = aif_err_set_sys(&err, AIF_ETRUNCATED, UV_ECONNRESET,
                                 "the connection was reset inside the body");
            aif_conn_fail(c, rc, &err);
        }
        else if (rc == 0) {
            c->keep = 0;
            conn_complete(c, 0);
        }
        else {
            aif_conn_fail(c, rc, aif_h1parse_error(c->parser));
        }
    }
    aif_conn_leave(c);
}

static void
on_fail(void *user, const aif_err *err)
{
    aif_conn *c = user;
    aif_err copy = *err; /* The stage goes before the text is used. */

    aif_conn_enter(c);
    if (c->state != AIF_CONN_CLOSED) {
        aif_conn_fail(c, copy.code, &copy);
    }
    aif_conn_leave(c);
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

const aif_stage_cbs aif_conn_stage_cbs = {
    .on_open = on_open,
    .on_space = on_space,
    .on_read = on_read,
    .on_eof = on_eof,
    .on_fail = on_fail,
};

/* The request cannot leave whole. A peer that has reset the connection may
 * have answered before, so the read side is left to tell what came and then
 * the end; after any other failure it may have nothing to tell. */
void
aif_conn_write_failed(aif_conn *c, int code)
{
    aif_err err = {0};

    c->broken = 1;
    if (code == UV_EPIPE || code == UV_ECONNRESET) {
        return;
    }
    aif_err_set_sys(&err, code, code > AIF_ERR_FIRST ? code : 0,
                    "writing the request failed: %s",
                    code > AIF_ERR_FIRST ? uv_strerror(code)
                                         : aif_err_name(code));
    aif_conn_fail(c, code, &err);
}

static void
on_written(aif_write *w, int code)
{
    aif_conn *c = w->user;

    if (c->state == AIF_CONN_CLOSED) {
        return;
    }
    aif_conn_enter(c);
    if (code < 0) {
        aif_conn_write_failed(c, code);
    }
    else if (!c->pieces) {
        aif_conn_sent(c);
    }
    aif_conn_leave(c);
}

void
aif_conn_sent(aif_conn *c)
{
    c->writing = 0;
    c->pieces = 0;
    if (c->fetch != NULL) {
        aif_fetch_sent(c->fetch);
    }
}

static void
conn_write(aif_conn *c, aif_fetch *f)
{
    int rc;

    c->bufs[0] = uv_buf_init(f->head.data, (unsigned)f->head.len);
    c->bufs[1] = uv_buf_init((char *)(uintptr_t)f->body, 0);
    c->bufs[1].len = f->body_len;
    c->write.bufs = c->bufs;
    c->write.count = f->body_len > 0 ? 2 : 1;
    c->write.on_written = on_written;
    c->write.user = c;
    c->writing = 1;
    c->pieces = f->upload != NULL && f->upload->length != 0;
    rc = aif_stage_write(c->stage, &c->write);
    if (c->state == AIF_CONN_CLOSED || c->fetch != f) {
        return;
    }
    if (rc < 0) {
        aif_conn_write_failed(c, rc);
    }
    else if (c->pieces) {
        aif_upload_attach(f->upload, c, f);
    }
    else if (rc == 1) {
        aif_conn_sent(c);
    }
}

void
aif_conn_begin(aif_conn *c, aif_fetch *f)
{
    aif_conn_enter(c);
    c->state = AIF_CONN_BUSY;
    c->pool->idle_count--;
    c->pool->busy++;
    c->fetch = f;
    c->keep = 0;
    c->keep_ns = 0;
    c->drained = 0;
    aif_h1parse_set_limits(c->parser, &f->parse);
    aif_h1parse_reset(c->parser, f->head_request);
    aif_fetch_ready(f, c);
    if (c->state != AIF_CONN_CLOSED) {
        conn_write(c, f);
    }
    aif_conn_leave(c);
}

void
aif_conn_read(aif_conn *c, int on)
{
    if (c->stage != NULL) {
        (void)aif_stage_read(c->stage, on);
    }
}

void
aif_conn_expect(aif_conn *c, size_t n)
{
    if (c->stage != NULL && (n > 0 || c->patient)) {
        aif_stage_expect(c->stage, n);
        c->patient = n > 0;
        if (n > 0) {
            aif_fetch_expect(c->fetch);
        }
    }
}

/* ---- what the parser says ----------------------------------------------- */

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
        if (v.ptr[at < v.len ? at : 0] == '"') {
            at++; /* Some quote the number. */
        }
        for (end = at; end < v.len && v.ptr[end] >= '0' && v.ptr[end] <= '9';
             end++)
        {
        }
        if (aif_ascii_u64(v.ptr + at, end - at, 86400, &seconds) < 0) {
            return;
        }
        if (seconds == 0) {
            c->keep = 0;
        }
        c->keep_ns =
            seconds > 2 ? (seconds - 1) * NS_PER_S : seconds * NS_PER_S / 2;
        return;
    }
}

static int
on_parsed_informational(void *user, aif_h1parse *p)
{
    aif_conn *c = user;

    if (c->fetch != NULL && c->fetch->upload != NULL
        && aif_h1parse_status(p) == 100)
    {
        aif_upload_continue(c->fetch->upload);
    }
    if (c->fetch != NULL && c->fetch->cbs->on_informational != NULL) {
        int rc = c->fetch->cbs->on_informational(c->fetch->user, c->fetch, p);

        if (rc < 0) {
            return rc;
        }
    }
    return c->state == AIF_CONN_CLOSED ? AIF_ECANCELLED : 0;
}

/* What an upcall did to the fetch decides: a discarded one leaves the rest of
 * the body to this connection, a cancelled one has closed it. */
static int
upcall_result(const aif_conn *c, int rc)
{
    if (c->state == AIF_CONN_CLOSED) {
        return AIF_ECANCELLED;
    }
    return c->fetch == NULL ? 0 : rc;
}

static int
on_parsed_head(void *user, aif_h1parse *p)
{
    aif_conn *c = user;

    c->keep = aif_h1parse_keep_alive(p) && !c->fetch->close_after;
    if (c->fetch->upload != NULL) {
        aif_upload_refuse(c->fetch->upload);
    }
    note_keep_alive(c, aif_h1parse_header(p));
    return upcall_result(c, aif_fetch_on_head(c->fetch, p));
}

static int
on_parsed_body(void *user, const char *data, size_t len)
{
    aif_conn *c = user;

    c->drained += len;
    if (c->fetch != NULL) {
        return upcall_result(c, aif_fetch_on_body(c->fetch, data, len));
    }
    return c->drained > AIF_MAX_DRAIN ? AIF_ECANCELLED : 0;
}

static int
on_parsed_chunk(void *user)
{
    aif_conn *c = user;

    if (c->fetch != NULL) {
        aif_fetch_on_chunk(c->fetch);
    }
    return upcall_result(c, 0);
}

static int
on_parsed_message(void *user, aif_h1parse *p)
{
    aif_conn *c = user;

    return c->fetch == NULL
               ? 0
               : upcall_result(c, aif_fetch_on_message(c->fetch, p));
}

const aif_h1parse_cbs aif_conn_parse_cbs = {
    .on_informational = on_parsed_informational,
    .on_head = on_parsed_head,
    .on_body = on_parsed_body,
    .on_chunk = on_parsed_chunk,
    .on_message = on_parsed_message,
};
