/* aif_upload_file.c -- parts of files as pieces of a body: sent by the kernel
 * where they go to a socket as they are, read ahead in libuv's threads where
 * they do not.
 */
#include "client/aif_conn.h"
#include "client/aif_upload.h"

/* Large enough to make few of the ways to a thread and back. */
#define FILE_STEP (512u * 1024u)

/* At most this is asked of the kernel at once: a peer as fast as it would hold
 * a thread for all of a file. */
#define RAW_STEP (2u * 1024u * 1024u)

/* The end of a piece is read and written. A thread hears after the peer that
 * all has left, and the response to a whole request would be taken for an
 * early one. */
#define RAW_TAIL (64u * 1024u)

/* ---- files that are read ------------------------------------------------ */

void
aif_upload_file_close(aif_upload *u)
{
    for (unsigned i = 0; i < 2; i++) {
        aif_pread_close(u->file[i]);
        u->file[i] = NULL;
    }
    aif_sendfile_close(u->raw);
    u->raw = NULL;
    u->ahead_len = 0;
    u->reading = 0;
    u->sending = 0;
}

static void
file_failed(aif_upload *u)
{
    int code = u->file_code;

    aif_upload_file_close(u);
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
 * result of aif_upload_send(). */
static int
file_send(aif_upload *u)
{
    size_t n = u->ahead_len;
    int rc = aif_upload_frame(u, u->ahead, n);

    if (rc < 0) {
        u->file_code = rc;
        return rc;
    }
    u->ahead_len = 0;
    u->slot ^= 1u;
    u->sending = 1;
    file_read(u);
    return aif_upload_send(u, (unsigned)rc, n);
}

/* A part has left. 1 if it was the last. */
int
aif_upload_file_written(aif_upload *u)
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
    aif_upload_file_close(u);
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
open_file(aif_upload *u, int fd)
{
    size_t room = u->file_left < FILE_STEP ? (size_t)u->file_left : FILE_STEP;
    int code = 0;

    for (unsigned i = 0; i < 2; i++) {
        u->file[i] = aif_pread_new(u->conn->pool->loop, fd, room, on_file_read,
                                   u, &code);
        if (u->file[i] == NULL) {
            aif_upload_file_close(u);
            return code;
        }
    }
    return 0;
}

/* Begins to read what is left. 0, or a code with nothing open. */
static int
read_file(aif_upload *u, int fd)
{
    int rc = open_file(u, fd);

    if (rc == 0) {
        file_read(u);
        rc = u->file_code;
        if (rc < 0) {
            aif_upload_file_close(u);
        }
    }
    return rc;
}

/* ---- files that the kernel sends ---------------------------------------- */

static int
raw_send(aif_upload *u)
{
    uint64_t n = u->file_left - RAW_TAIL;

    return aif_sendfile_start(u->raw, u->file_at,
                              n < RAW_STEP ? (size_t)n : RAW_STEP);
}

/* Not every file can be sent by the kernel, and what it says of a failure does
 * not tell whose it is; reading does. */
static int
is_of_socket(int code)
{
    return code == UV_EPIPE || code == UV_ECONNRESET || code == UV_ETIMEDOUT
           || code == UV_ENOTCONN || code == UV_ECONNABORTED
           || code == UV_EHOSTUNREACH || code == UV_ENETUNREACH
           || code == UV_ENETDOWN;
}

/* The piece goes on by reading. */
static void
raw_over(aif_upload *u)
{
    aif_sendfile *raw = u->raw;

    u->raw = NULL;
    u->file_code = 0;
    u->slot = 0;
    u->file_code = read_file(u, aif_sendfile_file(raw));
    aif_sendfile_close(raw);
    if (u->file_code < 0) {
        file_failed(u);
    }
}

static void
raw_failed(aif_upload *u, int code)
{
    if (is_of_socket(code)) {
        aif_upload_file_close(u);
        aif_upload_written(u, code);
    }
    else {
        raw_over(u);
    }
}

static void
raw_sent(aif_upload *u, size_t n)
{
    int rc;

    u->sent += n;
    u->file_at += n;
    u->file_left -= n;
    if (u->file_left <= RAW_TAIL) {
        raw_over(u);
        return;
    }
    rc = raw_send(u);
    if (rc < 0) {
        raw_failed(u, rc);
    }
}

static void
on_raw_sent(void *user, ssize_t n)
{
    aif_upload *u = user;
    aif_conn *c = u->conn;

    if (c == NULL || u->state != AIF_UPLOAD_BUSY) {
        return;
    }
    aif_conn_enter(c);
    if (n > 0) {
        raw_sent(u, (size_t)n);
    }
    else if (n < 0) {
        raw_failed(u, (int)n);
    }
    else {
        u->file_code = AIF_ETRUNCATED;
        file_failed(u);
    }
    aif_conn_leave(c);
}

/* 1 if the kernel sends the piece, 0 if it has to be read. */
static int
raw_file(aif_upload *u, int fd)
{
    int code = 0;
    int sock;

    if (u->file_left <= RAW_TAIL || u->length < 0) {
        return 0;
    }
    sock = aif_stage_socket(u->conn->stage);
    if (sock < 0) {
        return 0;
    }
    u->raw =
        aif_sendfile_new(u->conn->pool->loop, sock, fd, on_raw_sent, u, &code);
    if (u->raw == NULL || raw_send(u) < 0) {
        aif_upload_file_close(u);
        return 0;
    }
    return 1;
}

int
aif_upload_give_file(aif_upload *u, int fd, uint64_t offset, uint64_t len,
                     aif_err *err)
{
    int rc = aif_upload_may_give(u, len, err);

    if (rc < 0 || len == 0) {
        return rc < 0 ? rc : 1;
    }
    u->file_at = offset;
    u->file_left = len;
    u->file_code = 0;
    u->slot = 0;
    rc = raw_file(u, fd) ? 0 : read_file(u, fd);
    if (rc < 0) {
        return aif_err_set_sys(err, rc, rc, "the file cannot be read: %s",
                               rc > AIF_ERR_FIRST ? uv_strerror(rc)
                                                  : aif_err_name(rc));
    }
    u->given += len;
    u->state = AIF_UPLOAD_BUSY;
    return 0;
}
