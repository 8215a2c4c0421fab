/* aif_upload.c -- pieces of a body, framed and written one after the other.
 *
 * Rule: whatever ends an attempt closes its connection first, which completes
 *       a pending write; so nothing is on its way any more when the attempt is
 *       stopped, and the bytes are the owner's again.
 */
#include "client/aif_upload.h"

#include "client/aif_conn.h"

/* A chunk line with CRLF is short; the ceiling is the trailers'. */
#define FRAME_MAX (AIF_MAX_TRAILER + 64u)

static void on_patience_due(aif_deadline *d);

void
aif_upload_init(aif_upload *u, const aif_upload_cbs *cbs, void *user,
                int64_t length)
{
    *u = (aif_upload){.cbs = cbs, .user = user, .length = length};
    aif_buf_init(&u->frame, FRAME_MAX);
    aif_list_init(&u->write.link);
    aif_deadline_init(&u->patience, on_patience_due);
}

void
aif_upload_fini(aif_upload *u)
{
    aif_upload_file_close(u);
    aif_buf_fini(&u->frame);
}

/* ---- an attempt --------------------------------------------------------- */

static int
is_whole(const aif_upload *u)
{
    return u->ending || (u->length >= 0 && u->sent == (uint64_t)u->length);
}

/* Nothing of the request is left to send. */
static void
finish(aif_upload *u)
{
    u->state = AIF_UPLOAD_ENDED;
    u->started = 0;
    aif_conn_sent(u->conn);
}

static void
open_up(aif_upload *u)
{
    u->state = AIF_UPLOAD_OPEN;
    u->started = 1;
    u->attempts++;
    u->cbs->on_start(u->user, u);
}

static void
on_patience_due(aif_deadline *d)
{
    aif_upload *u = AIF_LIST_ENTRY(d, aif_upload, patience);

    /* A server may never have heard of 100 (Continue): the wait is bounded. */
    aif_upload_continue(u);
}

void
aif_upload_attach(aif_upload *u, aif_conn *c, aif_fetch *f)
{
    u->fetch = f;
    u->conn = c;
    u->given = 0;
    u->sent = 0;
    u->ending = 0;
    if (u->expect != 0) {
        uint64_t due = uv_hrtime() + u->expect;

        u->state = AIF_UPLOAD_EXPECTING;
        if (aif_deadline_set(&f->pool->loop->deadlines, &u->patience, due)
            == 0)
        {
            return;
        }
    }
    open_up(u);
}

void
aif_upload_continue(aif_upload *u)
{
    if (u->state == AIF_UPLOAD_EXPECTING) {
        aif_deadline_clear(&u->fetch->pool->loop->deadlines, &u->patience);
        open_up(u);
    }
}

void
aif_upload_refuse(aif_upload *u)
{
    if (u->state == AIF_UPLOAD_EXPECTING) {
        aif_deadline_clear(&u->fetch->pool->loop->deadlines, &u->patience);
        u->unexpected = 1;
        u->state = AIF_UPLOAD_STOPPED;
    }
}

/* Nothing more is taken; the bytes of the last piece are the owner's again. */
static void
stop_as(aif_upload *u, aif_upload_state state)
{
    int told = u->started;

    if (u->state == AIF_UPLOAD_EXPECTING) {
        aif_deadline_clear(&u->fetch->pool->loop->deadlines, &u->patience);
    }
    u->state = state;
    u->started = 0;
    aif_upload_file_close(u);
    if (told) {
        u->cbs->on_stop(u->user, u);
    }
}

void
aif_upload_stop(aif_upload *u)
{
    u->conn = NULL;
    stop_as(u, AIF_UPLOAD_IDLE);
}

void
aif_upload_over(aif_upload *u)
{
    u->conn = NULL;
    stop_as(u, AIF_UPLOAD_STOPPED);
    u->fetch = NULL;
    u->cbs->on_end(u->user, u);
}

void
aif_upload_fail(aif_upload *u, int code, const aif_err *err)
{
    aif_fetch *f = u->fetch;

    if (f == NULL
        || (u->state != AIF_UPLOAD_OPEN && u->state != AIF_UPLOAD_BUSY
            && u->state != AIF_UPLOAD_ENDED))
    {
        return;
    }
    if (err != NULL) {
        f->err = *err;
        f->err.code = code;
    }
    aif_fetch_end(f, code);
}

/* ---- writing ------------------------------------------------------------ */

/* The write is over, well or not. */
void
aif_upload_written(aif_upload *u, int code)
{
    aif_conn *c = u->conn;

    if (code < 0) {
        if (code != UV_ECANCELED && c != NULL) {
            stop_as(u, AIF_UPLOAD_STOPPED);
            aif_conn_write_failed(c, code);
        }
        return;
    }
    u->sent += u->piece;
    u->piece = 0;
    if (u->file[0] != NULL && !aif_upload_file_written(u)) {
        return;
    }
    u->state = AIF_UPLOAD_OPEN;
    if (is_whole(u)) {
        finish(u);
    }
}

static void
on_written(aif_write *w, int code)
{
    aif_upload *u = w->user;
    aif_conn *c = u->conn;

    /* After the end of the attempt this is only the stage letting go. */
    if (c == NULL || c->state == AIF_CONN_CLOSED) {
        return;
    }
    aif_conn_enter(c);
    aif_upload_written(u, code);
    if (code == 0
        && (u->state == AIF_UPLOAD_OPEN || u->state == AIF_UPLOAD_ENDED))
    {
        u->cbs->on_taken(u->user, u, 0);
    }
    aif_conn_leave(c);
}

/* Writes |count| buffers, of which |piece| bytes are body. 1, 0 or
 * AIF_ECLOSED. */
int
aif_upload_send(aif_upload *u, unsigned count, size_t piece)
{
    aif_conn *c = u->conn;
    int rc;

    u->piece = piece;
    u->state = AIF_UPLOAD_BUSY;
    u->write.bufs = u->bufs;
    u->write.count = count;
    u->write.on_written = on_written;
    u->write.user = u;
    aif_conn_enter(c);
    rc = aif_stage_write(c->stage, &u->write);
    if (rc != 0 && u->conn == c) {
        aif_upload_written(u, rc < 0 ? rc : 0);
    }
    if (rc < 0 || u->conn != c) {
        rc = AIF_ECLOSED;
    }
    aif_conn_leave(c);
    return rc;
}

/* Puts |data| between its chunk's frame, if there is one. The number of
 * buffers, or a code. */
int
aif_upload_frame(aif_upload *u, const char *data, size_t len)
{
    static char crlf[] = "\r\n";
    int rc;

    if (u->length >= 0) {
        u->bufs[0].base = (char *)(uintptr_t)data;
        u->bufs[0].len = len;
        return 1;
    }
    aif_buf_reset(&u->frame, FRAME_MAX);
    rc = aif_h1write_chunk(&u->frame, len);
    if (rc < 0) {
        return rc;
    }
    u->bufs[0].base = u->frame.data;
    u->bufs[0].len = u->frame.len;
    u->bufs[1].base = (char *)(uintptr_t)data;
    u->bufs[1].len = len;
    u->bufs[2].base = crlf;
    u->bufs[2].len = 2;
    return 3;
}

/* Whether |len| more bytes may be given. */
int
aif_upload_may_give(aif_upload *u, uint64_t len, aif_err *err)
{
    if (u->length >= 0 && u->state != AIF_UPLOAD_STOPPED
        && u->state != AIF_UPLOAD_IDLE && len > (uint64_t)u->length - u->given)
    {
        return aif_err_set(err, AIF_EINVAL,
                           "the body is longer than the announced %lld bytes",
                           (long long)u->length);
    }
    if (u->state == AIF_UPLOAD_OPEN
        || (u->state == AIF_UPLOAD_ENDED && len == 0))
    {
        return 0;
    }
    if (u->state == AIF_UPLOAD_BUSY) {
        return aif_err_set(err, AIF_EINVAL,
                           "another piece of the body is on its way");
    }
    return aif_err_set(err, AIF_ECLOSED, "the body is not wanted any more");
}

int
aif_upload_give(aif_upload *u, const char *data, size_t len, aif_err *err)
{
    int rc = aif_upload_may_give(u, len, err);

    if (rc < 0 || len == 0) {
        return rc < 0 ? rc : 1;
    }
    rc = aif_upload_frame(u, data, len);
    if (rc < 0) {
        return aif_err_set(err, rc, "out of memory");
    }
    u->given += len;
    rc = aif_upload_send(u, (unsigned)rc, len);
    return rc < 0 ? aif_err_set(err, rc, "the connection takes no more") : rc;
}

int
aif_upload_end(aif_upload *u, const aif_header *trailer, aif_err *err)
{
    int rc;

    if (u->state == AIF_UPLOAD_ENDED) {
        return 1;
    }
    rc = aif_upload_may_give(u, 0, err);
    if (rc < 0) {
        return rc;
    }
    if (u->length >= 0) {
        return aif_err_set(
            err, AIF_EINVAL,
            "the body ended after %llu of the announced %lld bytes",
            (unsigned long long)u->sent, (long long)u->length);
    }
    aif_buf_reset(&u->frame, FRAME_MAX);
    rc = aif_h1write_last_chunk(&u->frame, trailer, err);
    if (rc < 0) {
        return rc;
    }
    u->ending = 1;
    u->bufs[0].base = u->frame.data;
    u->bufs[0].len = u->frame.len;
    rc = aif_upload_send(u, 1, 0);
    return rc < 0 ? aif_err_set(err, rc, "the connection takes no more") : rc;
}
