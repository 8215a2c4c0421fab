/* aif_sendfile -- sendfile(2) in libuv's threads.
 *
 * The socket does not block, so a slow peer never holds a thread: what it does
 * not take at once waits for a poll in the loop. That watches a duplicate,
 * since libuv bears one watcher for each descriptor and the stage has it.
 *
 * When the memory goes: once it is closed, no thread works (|busy|) and libuv
 * has let go of the poll handle (|polled|).
 */
#include "net/aif_sendfile.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <unistd.h>
#if defined(__linux__)
#    include <sys/sendfile.h>
#elif defined(__APPLE__)
#    include <sys/uio.h>
#endif

#include "base/aif_err.h"
#include "base/aif_mem.h"

struct aif_sendfile {
    aif_loop *loop;
    aif_sendfile_cb on_sent;
    void *user;
    uv_work_t work;
    uv_poll_t poll;
    int sock;
    int fd;
    uint64_t at;
    size_t len;
    ssize_t result;      /* the thread's */
    unsigned busy : 1;   /* |work| is with libuv */
    unsigned full : 1;   /* the socket took less than it was offered */
    unsigned polled : 1; /* |poll| is a handle of the loop */
    unsigned closed : 1;
};

static void
let_go(aif_sendfile *s)
{
    if (!s->closed || s->busy || s->polled) {
        return;
    }
    if (s->sock >= 0) {
        (void)close(s->sock);
    }
    if (s->fd >= 0) {
        (void)close(s->fd);
    }
    aif_mem_free(s);
}

aif_sendfile *
aif_sendfile_new(aif_loop *loop, int sock, int fd, aif_sendfile_cb on_sent,
                 void *user, int *code)
{
    aif_sendfile *s;

    if (loop->closing) {
        *code = AIF_ECLOSED;
        return NULL;
    }
    s = aif_mem_zalloc(sizeof(*s));
    if (s == NULL) {
        *code = AIF_ENOMEM;
        return NULL;
    }
    s->loop = loop;
    s->on_sent = on_sent;
    s->user = user;
    s->fd = -1;
    s->sock = fcntl(sock, F_DUPFD_CLOEXEC, 3);
    if (s->sock >= 0) {
        s->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    }
    if (s->fd < 0) {
        *code = uv_translate_sys_error(errno);
        s->closed = 1;
        let_go(s);
        return NULL;
    }
    return s;
}

/* As much as fits, as sendfile(2) of Linux has it: a count, or -1. */
static ssize_t
send_part(const aif_sendfile *s)
{
#if defined(__linux__)
    off_t at = (off_t)s->at;

    return sendfile(s->sock, s->fd, &at, s->len);
#elif defined(__APPLE__)
    off_t n = (off_t)s->len;
    int rc = sendfile(s->fd, s->sock, (off_t)s->at, &n, NULL, 0);

    /* It fails with EAGAIN even where some of it has left. */
    return rc < 0 && (n == 0 || (errno != EAGAIN && errno != EINTR))
               ? -1
               : (ssize_t)n;
#else
    (void)s;
    errno = ENOSYS;
    return -1;
#endif
}

/* In a thread. */
static void
send_in_thread(uv_work_t *req)
{
    aif_sendfile *s = AIF_LIST_ENTRY(req, aif_sendfile, work);
    ssize_t n;

    do {
        n = send_part(s);
    } while (n < 0 && errno == EINTR);
    s->result = n < 0 ? uv_translate_sys_error(errno) : n;
}

static int wait_for_room(aif_sendfile *s);

static void
on_done(uv_work_t *req, int status)
{
    aif_sendfile *s = AIF_LIST_ENTRY(req, aif_sendfile, work);
    ssize_t n = status < 0 ? status : s->result;

    s->busy = 0;
    s->loop->lookups--;
    if (s->closed) {
        let_go(s);
        return;
    }
    if (n == UV_EAGAIN) {
        n = wait_for_room(s);
        if (n == 0) {
            return;
        }
    }
    s->full = n > 0 && (size_t)n < s->len;
    s->on_sent(s->user, n);
}

static int
ask_thread(aif_sendfile *s)
{
    int rc = uv_queue_work(&s->loop->uv, &s->work, send_in_thread, on_done);

    if (rc == 0) {
        s->busy = 1;
        s->loop->lookups++;
        aif_loop_want(s->loop);
    }
    return rc;
}

/* An error of the socket is the next sendfile's to report. */
static void
on_room(uv_poll_t *poll, int status, int events)
{
    aif_sendfile *s = poll->data;
    int rc;

    (void)status;
    (void)events;
    (void)uv_poll_stop(poll);
    rc = ask_thread(s);
    if (rc < 0) {
        s->on_sent(s->user, rc);
    }
}

static int
wait_for_room(aif_sendfile *s)
{
    int rc;

    if (!s->polled) {
        rc = uv_poll_init(&s->loop->uv, &s->poll, s->sock);
        if (rc < 0) {
            return rc;
        }
        s->poll.data = s;
        s->polled = 1;
        s->loop->handles++;
    }
    rc = uv_poll_start(&s->poll, UV_WRITABLE, on_room);
    if (rc == 0) {
        aif_loop_want(s->loop);
    }
    return rc;
}

int
aif_sendfile_start(aif_sendfile *s, uint64_t offset, size_t len)
{
    s->at = offset;
    s->len = len;
    if (s->full) {
        s->full = 0;
        return wait_for_room(s);
    }
    return ask_thread(s);
}

int
aif_sendfile_file(const aif_sendfile *s)
{
    return s->fd;
}

static void
on_gone(uv_handle_t *handle)
{
    aif_sendfile *s = handle->data;

    s->loop->handles--;
    s->polled = 0;
    let_go(s);
}

void
aif_sendfile_close(aif_sendfile *s)
{
    if (s == NULL || s->closed) {
        return;
    }
    s->closed = 1;
    if (s->polled) {
        uv_close((uv_handle_t *)&s->poll, on_gone);
        aif_loop_want(s->loop);
    }
    /* In the child of a fork the connection is the parent's. */
    if (s->busy && !s->loop->silent) {
        (void)shutdown(s->sock, SHUT_RDWR);
    }
    let_go(s);
}
