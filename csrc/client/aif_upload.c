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

/* Large enough to make few of the ways to a thread and back. */
#define FILE_STEP (512u * 1024u)

static void on_patience_due(aif_deadline *d);
static int file_written(aif_upload *u);

void
aif_upload_init(aif_upload *u, const aif_upload_cbs *cbs, void *user,
                int64_t length)
{
    *u = (aif_upload){.cbs = cbs, .user = user, .length = length};
    aif_buf_init(&u->frame, FRAME_MAX);
    aif_list_init(&u->write.link);
    aif_deadline_init(&u->patience, on_patience_due);
}

static void
close_file(aif_upload *u)
{
    for (unsigned i = 0; i < 2; i++) {
        aif_pread_close(u->file[i]);
        u->file[i] = NULL;
    }
    u->ahead_len = 0;
    u->reading = 0;
    u->sending = 0;
}

void
aif_upload_fini(aif_upload *u)
{
    close_file(u);
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
    close_file(u);
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
static void
written(aif_upload *u, int code)
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
    if (u->file[0] != NULL && !file_written(u)) {
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
    written(u, code);
    if (code == 0
        && (u->state == AIF_UPLOAD_OPEN || u->state == AIF_UPLOAD_ENDED))
    {
        u->cbs->on_taken(u->user, u, 0);
    }
    aif_conn_leave(c);
}

/* Writes |count| buffers, of which |piece| bytes are body. 1, 0 or
 * AIF_ECLOSED. */
static int
send_bufs(aif_upload *u, unsigned count, size_t piece)
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
        written(u, rc < 0 ? rc : 0);
    }
    if (rc < 0 || u->conn != c) {
        rc = AIF_ECLOSED;
    }
    aif_conn_leave(c);
    return rc;
}

/* Puts |data| between its chunk's frame, if there is one. The number of
 * buffers, or a code. */
static int
frame(aif_upload *u, const char *data, size_t len)
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
static int
may_give(aif_upload *u, uint64_t len, aif_err *err)
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
    int rc = may_give(u, len, err);

    if (rc < 0 || len == 0) {
        return rc < 0 ? rc : 1;
    }
    rc = frame(u, data, len);
    if (rc < 0) {
        return aif_err_set(err, rc, "out of memory");
    }
    u->given += len;
    rc = send_bufs(u, (unsigned)rc, len);
    return rc < 0 ? aif_err_set(err, rc, "the connection takes no more") : rc;
}

int
aif_upload_end(aif_upload *u, const aif_header *trailer, aif_err *err)
{
    int rc;

    if (u->state == AIF_UPLOAD_ENDED) {
        return 1;
    }
    rc = may_give(u, 0, err);
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
    rc = send_bufs(u, 1, 0);
    return rc < 0 ? aif_err_set(err, rc, "the connection takes no more") : rc;
}

/* ---- files -------------------------------------------------------------- */

static void
file_failed(aif_upload *u)
{
    int code = u->file_code;

    close_file(u);
    u->cbs->on_taken(u->user, u, code);
}

/* Reads ahead into the buffer that is not being sent. */
static void
file_read(aif_upload *u)
{
    size_t n = u->file_left < FILE_STEP ? (size_t)u->file_left : FILE_STEP;
    int rc;

    if (n == 0 || u->reading || u->ahead_len > 0 || u->file_code < 0) {
        return;
    }
    rc = aif_pread_start(u->file[u->slot], u->file_at, n);
    if (rc < 0) {
        u->file_code = rc;
    }
    else {
        u->reading = 1;
    }
}

/* Sends what was read, as a chunk of its own, and reads on meanwhile. The
 * result of send_bufs(). */
static int
file_send(aif_upload *u)
{
    size_t n = u->ahead_len;
    int rc = frame(u, u->ahead, n);

    if (rc < 0) {
        u->file_code = rc;
        return rc;
    }
    u->ahead_len = 0;
    u->slot ^= 1u;
    u->sending = 1;
    file_read(u);
    return send_bufs(u, (unsigned)rc, n);
}

/* A part has left. 1 if it was the last. */
static int
file_written(aif_upload *u)
{
    u->sending = 0;
    if (u->ahead_len > 0) {
        /* It may be over at once, which has then been looked at. */
        if (file_send(u) < 0 && u->file_code < 0) {
            file_failed(u);
        }
        return 0;
    }
    if (u->reading) {
        return 0;
    }
    if (u->file_code < 0) {
        file_failed(u);
        return 0;
    }
    close_file(u);
    return 1;
}

static void
on_file_read(void *user, const char *data, ssize_t n)
{
    aif_upload *u = user;
    aif_conn *c = u->conn;
    int rc;

    u->reading = 0;
    if (c == NULL || u->state != AIF_UPLOAD_BUSY) {
        return;
    }
    if (n <= 0) {
        u->file_code = n == 0 ? AIF_ETRUNCATED : (int)n;
    }
    else {
        u->file_at += (uint64_t)n;
        u->file_left -= (uint64_t)n;
        u->ahead = data;
        u->ahead_len = (size_t)n;
    }
    if (u->sending) {
        return; /* Its end comes by here. */
    }
    aif_conn_enter(c);
    rc = u->file_code < 0 ? u->file_code : file_send(u);
    if (u->file_code < 0 && rc < 0) {
        file_failed(u);
    }
    else if (rc == 1
             && (u->state == AIF_UPLOAD_OPEN || u->state == AIF_UPLOAD_ENDED))
    {
        u->cbs->on_taken(u->user, u, 0);
    }
    aif_conn_leave(c);
}

/* Both readers. 0 or a code. */
static int
open_file(aif_upload *u, int fd, size_t room)
{
    int code = 0;

    for (unsigned i = 0; i < 2; i++) {
        u->file[i] = aif_pread_new(u->conn->pool->loop, fd, room, on_file_read,
                                   u, &code);
        if (u->file[i] == NULL) {
            close_file(u);
            return code;
        }
    }
    return 0;
}

int
aif_upload_give_file(aif_upload *u, int fd, uint64_t offset, uint64_t len,
                     aif_err *err)
{
    int rc = may_give(u, len, err);

    if (rc < 0 || len == 0) {
        return rc < 0 ? rc : 1;
    }
    rc = open_file(u, fd, len < FILE_STEP ? (size_t)len : FILE_STEP);
    if (rc < 0) {
        return aif_err_set_sys(err, rc, rc, "the file cannot be read: %s",
                               rc > AIF_ERR_FIRST ? uv_strerror(rc)
                                                  : aif_err_name(rc));
    }
    u->file_at = offset;
    u->file_left = len;
    u->file_code = 0;
    u->slot = 0;
    u->given += len;
    u->state = AIF_UPLOAD_BUSY;
    file_read(u);
    if (u->file_code < 0) {
        rc = u->file_code;
        close_file(u);
        u->state = AIF_UPLOAD_OPEN;
        u->given -= len;
        return aif_err_set_sys(err, rc, rc, "the file cannot be read: %s",
                               uv_strerror(rc));
    }
    return 0;
}
