/* aif_tcp -- the bottom stage, over a libuv stream.
 *
 * When the memory goes: once the user has given the stage up (|closed|), libuv
 * has let go of the handle (|gone|), and no callback of the stage is running
 * (|depth|).
 *
 * Writes: |writes| holds the user's requests in order. At most the head is
 * with libuv (|writing|), in |write_req|; so completing the others is our own
 * affair, and so is completing the head once uv_close() has begun: libuv does
 * not look at the bytes of a closing handle any more, it only calls back.
 *
 * A write that fails does not fail the stage. A server may answer early and
 * close; what it said is still in the socket, and the read side reports it,
 * and then the end or the reset.
 */
#include "net/aif_tcp.h"

#include <errno.h>
#include <limits.h>

#include "base/aif_mem.h"

static const aif_stage_type tcp_type;

static aif_tcp *
tcp_of(aif_stage *s)
{
    return (aif_tcp *)(void *)s;
}

/* -- Life --------------------------------------------------------------- */

static void
release(aif_tcp *t)
{
    if (t->closed && t->gone && t->depth == 0) {
        if (t->stage.loop->expected == t) {
            t->stage.loop->expected = NULL;
        }
        aif_mem_free(t);
    }
}

static void
enter(aif_tcp *t)
{
    t->depth++;
}

static void
leave(aif_tcp *t)
{
    t->depth--;
    release(t);
}

static void
on_gone(uv_handle_t *handle)
{
    aif_tcp *t = handle->data;

    t->stage.loop->handles--;
    t->gone = 1;
    release(t);
}

/* Inside on_space the handle must stay as it is: libuv would call a read
 * callback that uv_close() has just cleared. read_done() comes right after and
 * makes up for it; nothing is written in between. */
static void
close_handle(aif_tcp *t)
{
    uv_handle_t *handle = (uv_handle_t *)&t->handle.stream;

    if (!t->asking && !uv_is_closing(handle)) {
        uv_close(handle, on_gone);
        aif_loop_want(t->stage.loop);
    }
}

/* An on_written may close the stage, which completes the rest from inside;
 * the loop then ends as it finds the list empty. */
static void
complete_writes(aif_tcp *t, int code)
{
    aif_list *node;

    while ((node = aif_list_head(&t->writes)) != NULL) {
        aif_write *w = AIF_LIST_ENTRY(node, aif_write, link);

        aif_list_unlink(node);
        w->on_written(w, code);
    }
}

/* The end of the stage by the network: nothing may be read or written any
 * more, and the descriptor is given back before the user even knows. */
static void
fail(aif_tcp *t, int code, const char *reason)
{
    aif_err err;

    t->failed = 1;
    t->reading = 0;
    if (t->write_code == 0) {
        t->write_code = code;
    }
    enter(t);
    close_handle(t);
    complete_writes(t, code);
    if (!t->closed && t->stage.cbs != NULL && t->stage.cbs->on_fail != NULL) {
        aif_err_set_sys(&err, code, code > AIF_ERR_FIRST ? code : 0,
                        "read: %s", reason);
        t->stage.cbs->on_fail(t->stage.user, &err);
    }
    leave(t);
}

static void
tcp_close(aif_stage *s)
{
    aif_tcp *t = tcp_of(s);

    if (t->closed) {
        return;
    }
    t->closed = 1;
    t->reading = 0;
    t->write_code = UV_ECANCELED;
    t->stage.cbs = NULL;
    aif_list_unlink(&t->link);
    enter(t);
    close_handle(t);
    complete_writes(t, UV_ECANCELED);
    leave(t);
}

void
aif_tcp_abort(aif_tcp *t)
{
    aif_list *node;

    while ((node = aif_list_head(&t->writes)) != NULL) {
        aif_list_unlink(node);
    }
    tcp_close(&t->stage);
}

/* -- Writing ------------------------------------------------------------ */

/* Drops |n| bytes, and empty buffers, from the front of |w|. */
static void
advance(aif_write *w, size_t n)
{
    while (w->count > 0 && n >= w->bufs[0].len) {
        n -= w->bufs[0].len;
        w->bufs++;
        w->count--;
    }
    if (n > 0) {
        w->bufs[0].base += n;
        w->bufs[0].len -= n;
    }
}

static void on_sent(uv_write_t *req, int status);

/* Sends |w| or hands what does not fit to libuv, which must have nothing.
 * |fresh|: it was not queued before. 1 if all has left, 0 if libuv has it, or
 * a negative code. */
static int
send_one(aif_tcp *t, aif_write *w, int fresh)
{
    int rc;

    advance(w, 0);
    if (w->count == 0) {
        return 1;
    }
    rc = uv_try_write(&t->handle.stream, w->bufs, w->count);
    if (rc < 0 && rc != UV_EAGAIN) {
        return rc;
    }
    if (rc > 0) {
        advance(w, (size_t)rc);
        if (w->count == 0) {
            return 1;
        }
    }
    rc = fresh ? aif_write_keep(w) : 0;
    if (rc < 0) {
        return rc;
    }
    rc =
        uv_write(&t->write_req, &t->handle.stream, w->bufs, w->count, on_sent);
    if (rc < 0) {
        return rc;
    }
    t->writing = 1;
    aif_loop_want(t->stage.loop);
    return 0;
}

static void
on_shut(uv_shutdown_t *req, int status)
{
    /* A FIN that cannot be sent is the read side's to report. */
    (void)req;
    (void)status;
}

static int
shut_if_drained(aif_tcp *t)
{
    int rc;

    if (t->shut || t->writing || !aif_list_empty(&t->writes)) {
        return 0;
    }
    t->shut = 1;
    rc = uv_shutdown(&t->shutdown_req, &t->handle.stream, on_shut);
    if (rc == 0) {
        aif_loop_want(t->stage.loop);
    }
    return rc;
}

/* Sends what is queued until the socket is full. Each on_written may close
 * the stage, or write, which goes to the end of the queue. */
static void
flush(aif_tcp *t)
{
    aif_list *node;

    while (!t->writing && t->write_code == 0
           && (node = aif_list_head(&t->writes)) != NULL)
    {
        aif_write *w = AIF_LIST_ENTRY(node, aif_write, link);
        int rc = send_one(t, w, 0);

        if (rc < 0) {
            t->write_code = rc;
            complete_writes(t, rc);
        }
        else if (rc > 0) {
            aif_list_unlink(node);
            w->on_written(w, 0);
        }
    }
    if (t->shutting && t->write_code == 0) {
        (void)shut_if_drained(t);
    }
}

static void
on_sent(uv_write_t *req, int status)
{
    aif_tcp *t = AIF_LIST_ENTRY(req, aif_tcp, write_req);
    aif_list *node;

    t->writing = 0;
    /* A handle that is being closed: its writes are completed already. */
    if (t->closed || t->failed) {
        return;
    }
    enter(t);
    if (status < 0) {
        t->write_code = status;
        complete_writes(t, status);
    }
    else if ((node = aif_list_head(&t->writes)) != NULL) {
        aif_write *w = AIF_LIST_ENTRY(node, aif_write, link);

        aif_list_unlink(node);
        w->on_written(w, 0);
        flush(t);
    }
    leave(t);
}

static int
tcp_write(aif_stage *s, aif_write *w)
{
    aif_tcp *t = tcp_of(s);
    int rc = 0;

    if (t->write_code != 0) {
        return t->write_code;
    }
    if (t->stage.loop->silent) {
        return AIF_ECLOSED;
    }
    if (t->shutting) {
        return UV_EPIPE;
    }
    t->stage.loop->expected = t;
    if (!t->writing && aif_list_empty(&t->writes)) {
        rc = send_one(t, w, 1);
        if (rc < 0) {
            t->write_code = rc;
        }
    }
    else {
        rc = aif_write_keep(w);
    }
    if (rc == 0) {
        aif_list_push_tail(&t->writes, &w->link);
    }
    return rc;
}

static int
tcp_shutdown(aif_stage *s)
{
    aif_tcp *t = tcp_of(s);

    if (t->write_code != 0) {
        return t->write_code;
    }
    if (t->stage.loop->silent) {
        return AIF_ECLOSED;
    }
    if (t->shutting) {
        return 0;
    }
    t->shutting = 1;
    return shut_if_drained(t);
}

static int
tcp_socket(aif_stage *s)
{
    aif_tcp *t = tcp_of(s);

    if (t->write_code != 0 || t->shutting || t->stage.loop->silent
        || !aif_list_empty(&t->writes))
    {
        return -1;
    }
    return aif_tcp_fd(t);
}

/* -- Reading ------------------------------------------------------------ */

/* Leaves |buf| empty when the user has changed its mind or there is no memory;
 * libuv then calls read_done() with UV_ENOBUFS, which finds out which. */
static void
choose_space(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    aif_tcp *t = handle->data;
    const aif_stage_cbs *cbs = t->stage.cbs;
    char *base = NULL;
    size_t len = 0;

    (void)suggested;
    *buf = uv_buf_init(NULL, 0);
    if (t->closed || !t->reading || cbs == NULL) {
        return;
    }
    if (cbs->on_space != NULL) {
        enter(t);
        t->asking = 1;
        cbs->on_space(t->stage.user, &base, &len);
        t->asking = 0;
        /* Never the last reference: the handle is not closed in there. */
        t->depth--;
        if (t->closed || !t->reading) {
            return;
        }
    }
    if (base == NULL || len == 0) {
        base = aif_loop_slab(t->stage.loop);
        len = base != NULL ? AIF_SLAB_SIZE : 0;
    }
    buf->base = base;
    buf->len = len < INT_MAX ? len : INT_MAX;
}

/* libuv takes a hang-up behind a short read for the end of the stream and does
 * not read again; that it was a reset is only known to the socket. */
static int
end_or_reset(const aif_tcp *t)
{
    int error = 0;
    socklen_t len = sizeof(error);

    if (getsockopt(aif_tcp_fd(t), SOL_SOCKET, SO_ERROR, &error, &len) < 0
        || error == 0)
    {
        return UV_EOF;
    }
    return uv_translate_sys_error(error);
}

static void
read_ended(aif_tcp *t, int code)
{
    t->reading = 0;
    (void)uv_read_stop(&t->handle.stream);
    if (code == UV_EOF) {
        code = end_or_reset(t);
    }
    if (code != UV_EOF) {
        fail(t, code, uv_strerror(code));
        return;
    }
    t->eof = 1;
    if (t->stage.cbs != NULL && t->stage.cbs->on_eof != NULL) {
        enter(t);
        t->stage.cbs->on_eof(t->stage.user);
        leave(t);
    }
}

static void
read_done(uv_stream_t *stream, ssize_t nread, const uv_buf_t *buf)
{
    aif_tcp *t = stream->data;

    if (t->closed) {
        close_handle(t);
        return;
    }
    /* Nobody listens: what the peer says stays in the socket. */
    if (!t->reading || t->stage.cbs == NULL) {
        t->reading = 0;
        (void)uv_read_stop(stream);
        return;
    }
    if (nread > 0) {
        enter(t);
        t->stage.cbs->on_read(t->stage.user, buf->base, (size_t)nread);
        leave(t);
    }
    else if (nread == 0 && t->stage.cbs->on_spare != NULL) {
        enter(t);
        t->stage.cbs->on_spare(t->stage.user);
        leave(t);
    }
    else if (nread == UV_ENOBUFS) {
        fail(t, AIF_ENOMEM, "out of memory");
    }
    else if (nread < 0) {
        read_ended(t, (int)nread);
    }
}

static int
tcp_read(aif_stage *s, int on)
{
    aif_tcp *t = tcp_of(s);
    int rc = 0;

    if (on && (t->closed || t->failed)) {
        return t->write_code;
    }
    if (t->closed || t->failed || t->eof || t->reading == (on != 0)) {
        return 0;
    }
    if (t->asking) {
        /* libuv is in the middle of a read; read_done() looks at the flag. */
        t->reading = on != 0;
        return 0;
    }
    if (on) {
        rc = uv_read_start(&t->handle.stream, choose_space, read_done);
        if (rc < 0) {
            return rc;
        }
        aif_loop_want(t->stage.loop);
    }
    else {
        (void)uv_read_stop(&t->handle.stream);
    }
    t->reading = on != 0;
    return 0;
}

/* Linux wakes nobody for less than SO_RCVLOWAT bytes, but for the end of the
 * stream, and when the window is closed; so nothing can be waited for in vain.
 * Elsewhere nobody has measured that it pays. */
static void
tcp_expect(aif_stage *s, size_t n)
{
#ifdef __linux__
    aif_tcp *t = tcp_of(s);
    int low = n < INT_MAX ? (int)n : INT_MAX;
    int value = low > 0 ? low : 1;

    if (low == t->low_water || t->is_pipe || t->closed || t->failed) {
        return;
    }
    if (setsockopt(aif_tcp_fd(t), SOL_SOCKET, SO_RCVLOWAT, &value,
                   sizeof(value))
        == 0)
    {
        t->low_water = low;
    }
#else
    (void)s;
    (void)n;
#endif
}

/* On the way of every request on a kept connection: one system call. */
static int
tcp_probe(aif_stage *s)
{
    aif_tcp *t = tcp_of(s);
    char byte;

    if (t->closed || t->eof || t->write_code != 0) {
        return AIF_EDISCONNECTED;
    }
    if (recv(aif_tcp_fd(t), &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0
        && (errno == EAGAIN || errno == EWOULDBLOCK))
    {
        return 0;
    }
    return AIF_EDISCONNECTED;
}

int
aif_tcp_read_now(aif_tcp *t, char *buf, size_t len)
{
    ssize_t n;

    if (t->closed || t->failed) {
        return t->write_code;
    }
    if (t->eof) {
        return 0;
    }
    do {
        n = recv(aif_tcp_fd(t), buf, len < INT_MAX ? len : INT_MAX,
                 MSG_DONTWAIT);
    } while (n < 0 && errno == EINTR);
    if (n < 0) {
        return errno == EWOULDBLOCK ? UV_EAGAIN
                                    : uv_translate_sys_error(errno);
    }
    return (int)n;
}

int
aif_tcp_read_expected(aif_tcp *t)
{
    uv_buf_t buf;
    int n;

    if (t->closed || t->failed || t->eof || !t->reading) {
        return 0;
    }
    enter(t);
    choose_space((uv_handle_t *)&t->handle.stream, 0, &buf);
    n = buf.len == 0 ? UV_ENOBUFS : aif_tcp_read_now(t, buf.base, buf.len);
    if (n == 0) {
        n = UV_EOF;
    }
    read_done(&t->handle.stream, n == UV_EAGAIN ? 0 : n, &buf);
    leave(t);
    return n > 0 && (size_t)n < buf.len;
}

static const aif_stage_type tcp_type = {
    .name = "tcp",
    .write = tcp_write,
    .read = tcp_read,
    .probe = tcp_probe,
    .shutdown = tcp_shutdown,
    .socket = tcp_socket,
    .expect = tcp_expect,
    .close = tcp_close,
};

/* -- Beginning ---------------------------------------------------------- */

/* From here on the stage ends by aif_stage_close() only. */
static void
link_stage(aif_tcp *t)
{
    aif_loop *loop = t->stage.loop;

    t->handle.stream.data = t;
    loop->handles++;
    aif_list_push_tail(&loop->stages, &t->link);
}

static aif_tcp *
new_stage(aif_loop *loop, int family, int *code)
{
    aif_tcp *t;

    if (loop->closing) {
        *code = AIF_ECLOSED;
        return NULL;
    }
    if (family != AF_INET && family != AF_INET6 && family != AF_UNIX) {
        *code = UV_EAFNOSUPPORT;
        return NULL;
    }
    t = aif_mem_zalloc(sizeof(*t));
    if (t == NULL) {
        *code = AIF_ENOMEM;
        return NULL;
    }
    t->stage.type = &tcp_type;
    t->stage.loop = loop;
    t->is_pipe = family == AF_UNIX;
    aif_list_init(&t->link);
    aif_list_init(&t->writes);
    *code = 0;
    return t;
}

aif_tcp *
aif_tcp_new(aif_loop *loop, int family, int *code)
{
    aif_tcp *t = new_stage(loop, family, code);
    int rc;

    if (t == NULL) {
        return NULL;
    }
    if (t->is_pipe) {
        rc = uv_pipe_init(&loop->uv, &t->handle.pipe, 0);
    }
    else {
        /* With a family the socket is made now, and a lack of descriptors is
         * known now. */
        rc = uv_tcp_init_ex(&loop->uv, &t->handle.tcp, (unsigned)family);
    }
    if (rc < 0) {
        aif_mem_free(t);
        *code = rc;
        return NULL;
    }
    link_stage(t);
    if (!t->is_pipe) {
        /* It costs latency where it fails, nothing else. */
        (void)uv_tcp_nodelay(&t->handle.tcp, 1);
    }
    return t;
}

aif_tcp *
aif_tcp_adopt(aif_loop *loop, int fd, int family, int *code)
{
    aif_tcp *t = new_stage(loop, family, code);
    int rc;

    if (t == NULL) {
        return NULL;
    }
    rc = t->is_pipe ? uv_pipe_init(&loop->uv, &t->handle.pipe, 0)
                    : uv_tcp_init(&loop->uv, &t->handle.tcp);
    if (rc < 0) {
        aif_mem_free(t);
        *code = rc;
        return NULL;
    }
    link_stage(t);
    rc = t->is_pipe ? uv_pipe_open(&t->handle.pipe, fd)
                    : uv_tcp_open(&t->handle.tcp, fd);
    if (rc < 0) {
        tcp_close(&t->stage);
        *code = rc;
        return NULL;
    }
    if (!t->is_pipe) {
        (void)uv_tcp_nodelay(&t->handle.tcp, 1);
    }
    return t;
}

size_t
aif_tcp_unsent(const aif_tcp *t)
{
    return uv_stream_get_write_queue_size(&t->handle.stream);
}

int
aif_tcp_fd(const aif_tcp *t)
{
    uv_os_fd_t fd;

    if (uv_fileno((const uv_handle_t *)&t->handle.stream, &fd) < 0) {
        return -1;
    }
    return fd;
}
