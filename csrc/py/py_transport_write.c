/* py_transport_write.c -- what a transport has to send.
 *
 * A write goes to the stage at once. What does not fit waits in |items|; the
 * stage has the first |flying| of them, in one aif_write. Nothing is copied,
 * but for the rest of a write from memory that the program may change: bytes
 * after it are as they were at the call.
 */
#include <string.h>

#include "base/aif_mem.h"
#include "py/py_transport.h"

#define GATHER 64u                        /* buffers in one write */
#define GATHER_BYTES (256u * 1024u)       /* and bytes, if they are many */
#define COPIED_REST ((size_t)1024 * 1024) /* more than that is held instead */
#define LOST_WRITES_LOGGED 5u

/* ---- the queue ---------------------------------------------------------- */

static int
make_room(TransportObject *t)
{
    size_t cap = t->cap == 0 ? 4 : t->cap * 2;
    pending *items;

    if (t->head > 0 && t->head >= t->cap / 2) {
        memmove(t->items, t->items + t->head, t->count * sizeof(pending));
        t->head = 0;
        return 0;
    }
    items = aif_mem_realloc(t->items, cap * sizeof(pending));
    if (items == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    t->items = items;
    t->cap = cap;
    return 0;
}

/* Takes |owner| over. */
static int
push(TransportObject *t, PyObject *owner, char *base, size_t len)
{
    if (owner == NULL || (t->head + t->count == t->cap && make_room(t) < 0)) {
        Py_XDECREF(owner);
        return -1;
    }
    t->items[t->head + t->count] = (pending){owner, base, len};
    t->count++;
    t->queued += len;
    return 0;
}

static void
drop_first(TransportObject *t, size_t n)
{
    while (n-- > 0 && t->count > 0) {
        PyObject *owner = t->items[t->head].owner;

        t->queued -= t->items[t->head].len;
        t->head++;
        t->count--;
        if (t->count == 0) {
            t->head = 0;
        }
        Py_DECREF(owner);
    }
    /* Nobody should pay for ever for a burst. */
    if (t->count == 0 && t->cap > GATHER) {
        aif_mem_free(t->items);
        t->items = NULL;
        t->cap = 0;
    }
}

/* What the stage has stays until it says so. */
void
transport_drop_queue(TransportObject *t)
{
    while (t->count > t->flying) {
        pending *last = &t->items[t->head + t->count - 1];
        PyObject *owner = last->owner;

        t->queued -= last->len;
        t->count--;
        Py_DECREF(owner);
    }
}

size_t
transport_buffered(const TransportObject *t)
{
    size_t flying = 0, left = 0;

    if (t->flying == 0) {
        return t->queued;
    }
    for (size_t i = 0; i < t->flying; i++) {
        flying += t->items[t->head + i].len;
    }
    if (t->stage == NULL) {
        left = 0;
    }
    else if (t->stage == &t->tcp->stage) {
        left = aif_tcp_unsent(t->tcp);
    }
    else {
        for (unsigned i = 0; i < t->write.count; i++) {
            left += t->write.bufs[i].len;
        }
    }
    return t->queued - flying + left;
}

/* ---- flow control ------------------------------------------------------- */

static void
tell_protocol(TransportObject *t, PyObject *name, const char *failed)
{
    PyObject *res;

    if (t->protocol == NULL) {
        return;
    }
    res = PyObject_CallMethodNoArgs(t->protocol, name);
    if (res == NULL) {
        transport_report(t, failed);
    }
    Py_XDECREF(res);
}

/* TLS counts its limit as reached, plain TCP as passed: so does asyncio. */
void
transport_pause_writing(TransportObject *t)
{
    size_t size;

    if (t->paused_writing) {
        return;
    }
    size = transport_buffered(t);
    if (t->tls ? size < t->high : size <= t->high) {
        return;
    }
    t->paused_writing = 1;
    tell_protocol(t, t->st->str_pause_writing,
                  "protocol.pause_writing() failed");
}

void
transport_resume_writing(TransportObject *t)
{
    if (!t->paused_writing || transport_buffered(t) > t->low) {
        return;
    }
    t->paused_writing = 0;
    tell_protocol(t, t->st->str_resume_writing,
                  "protocol.resume_writing() failed");
}

/* ---- sending ------------------------------------------------------------ */

static void
write_failed(TransportObject *t, int code)
{
    PyObject *exc = code == AIF_ETLS ? host_unpark(t->host, code) : NULL;

    if (exc == NULL) {
        exc = transport_os_error(code);
    }
    if (exc == NULL) {
        transport_fatal_raised(t, "Fatal write error on socket transport");
        return;
    }
    transport_fatal(t, exc, "Fatal write error on socket transport");
}

static void
on_written(aif_write *w, int code)
{
    TransportObject *t = w->user;
    size_t n = t->flying;
    int entered;

    if (t->stage == NULL || t->host == NULL) {
        t->flying = 0; /* It is being given up. */
        drop_first(t, n);
        return;
    }
    Py_INCREF(t);
    entered = transport_enter(t);
    t->flying = 0;
    drop_first(t, n);
    if (t->state != TRANSPORT_LOST) {
        if (code < 0) {
            write_failed(t, code);
        }
        else {
            transport_resume_writing(t);
            transport_pump(t);
        }
    }
    transport_leave(t, entered);
    transport_hold(t);
    Py_DECREF(t);
}

/* The stage has to keep what the program may change. */
static int
on_keep(aif_write *w)
{
    TransportObject *t = w->user;
    uv_buf_t *rest = w->bufs;

    if (w->count != 1 || t->writing == NULL || rest->len > COPIED_REST) {
        return 0;
    }
    t->copied = PyBytes_FromStringAndSize(rest->base, (Py_ssize_t)rest->len);
    if (t->copied == NULL) {
        PyErr_Clear();
        return AIF_ENOMEM;
    }
    rest->base = PyBytes_AS_STRING(t->copied);
    return 0;
}

static int
send_bufs(TransportObject *t, uv_buf_t *bufs, unsigned count,
          PyObject *changing)
{
    HostObject *h = (HostObject *)Py_NewRef(t->host);
    int rc;

    t->write = (aif_write){
        .bufs = bufs,
        .count = count,
        .on_written = on_written,
        .on_keep = changing != NULL ? on_keep : NULL,
        .user = t,
    };
    aif_list_init(&t->write.link);
    t->writing = changing;
    t->busy = 1;
    host_enter(h);
    rc = aif_stage_write(t->stage, &t->write);
    t->busy = 0;
    t->writing = NULL;
    if (rc < 0 && t->state != TRANSPORT_LOST) {
        write_failed(t, rc);
    }
    host_leave(h);
    Py_DECREF(h);
    return rc;
}

/* The next write: as many items as are small, or one that is not. */
static unsigned
gather(TransportObject *t, uv_buf_t **out)
{
    size_t bytes = 0;
    unsigned n = 0;

    if (t->count > 1 && t->bufs == NULL) {
        t->bufs = aif_mem_alloc(GATHER * sizeof(uv_buf_t));
    }
    *out = t->bufs != NULL ? t->bufs : &t->one;
    while (n < t->count && n < (t->bufs != NULL ? GATHER : 1)
           && bytes < GATHER_BYTES)
    {
        const pending *p = &t->items[t->head + n];

        (*out)[n].base = p->base;
        (*out)[n].len = p->len;
        bytes += p->len;
        n++;
    }
    return n;
}

void
transport_pump(TransportObject *t)
{
    uv_buf_t *bufs;
    unsigned n;
    int rc;

    while (t->count > 0 && t->flying == 0 && !t->busy && t->stage != NULL
           && t->state == TRANSPORT_OPEN)
    {
        n = gather(t, &bufs);
        /* Their places are fixed before the stage can say anything. */
        t->flying = n;
        rc = send_bufs(t, bufs, n, NULL);
        if (rc == 0) {
            return;
        }
        t->flying = 0;
        if (rc < 0) {
            transport_drop_queue(t);
            return;
        }
        drop_first(t, n);
        transport_resume_writing(t);
    }
    if (t->count == 0 && !t->busy && transport_drained(t) < 0) {
        transport_fatal_raised(t, "Fatal error on transport");
    }
}

/* ---- writing ------------------------------------------------------------ */

/* What keeps the bytes of |data| as they are: a new reference. */
static PyObject *
keeper(PyObject *data)
{
    return PyBytes_CheckExact(data) ? Py_NewRef(data)
                                    : PyMemoryView_FromObject(data);
}

/* Queues all of |data|, whose bytes are |view|'s. */
static int
push_data(TransportObject *t, PyObject *data, const Py_buffer *view)
{
    PyObject *owner;
    char *base = view->buf;

    if (view->readonly || (size_t)view->len > COPIED_REST) {
        owner = keeper(data);
    }
    else {
        owner = PyBytes_FromStringAndSize(base, view->len);
        base = owner == NULL ? NULL : PyBytes_AS_STRING(owner);
    }
    return push(t, owner, base, (size_t)view->len);
}

/* To an empty queue: as its first item |data| is with the stage at once.
 * Others may come behind it meanwhile. */
static int
write_now(TransportObject *t, PyObject *data, const Py_buffer *view)
{
    int rc;

    if (push(t, keeper(data), view->buf, (size_t)view->len) < 0) {
        return -1;
    }
    t->one.base = view->buf;
    t->one.len = (size_t)view->len;
    t->flying = 1;
    rc = send_bufs(t, &t->one, 1, view->readonly ? NULL : data);
    if (rc == 0) {
        pending *first = &t->items[t->head];

        t->queued -= first->len - t->one.len;
        first->len = t->one.len;
        if (t->copied != NULL) {
            Py_SETREF(first->owner, t->copied);
            t->copied = NULL;
        }
        transport_pause_writing(t);
        transport_hold(t);
        return 0;
    }
    Py_CLEAR(t->copied);
    t->flying = 0;
    drop_first(t, 1);
    if (rc < 0) {
        transport_drop_queue(t);
    }
    else if (t->count > 0 || t->closing || t->eof) {
        transport_pump(t); /* Somebody did that meanwhile. */
    }
    return 0;
}

/* 1: |data| is to be written; 0: it is not; -1 with an exception. */
static int
may_write(TransportObject *t, const char *what)
{
    if (t->eof) {
        PyErr_Format(PyExc_RuntimeError, "Cannot call %s() after write_eof()",
                     what);
        return -1;
    }
    if (t->empty_waiter != NULL) {
        PyErr_Format(PyExc_RuntimeError,
                     "unable to %s; sendfile is in progress", what);
        return -1;
    }
    return 1;
}

/* Writes to a connection that is gone are dropped, and said so in the end. */
static int
is_lost(TransportObject *t)
{
    PyObject *res = NULL;

    if (t->state != TRANSPORT_LOST && t->stage != NULL
        && !(t->tls && t->closing))
    {
        return 0;
    }
    if (t->lost_writes++ >= LOST_WRITES_LOGGED
        && state_import(&t->st->logger, "asyncio.log", "logger") == 0)
    {
        res = PyObject_CallMethod(t->st->logger, "warning", "s",
                                  t->tls ? "SSL connection is closed"
                                         : "socket.send() raised exception.");
    }
    if (PyErr_Occurred()) {
        PyErr_Clear();
    }
    Py_XDECREF(res);
    return 1;
}

static int
write_one(TransportObject *t, PyObject *data)
{
    Py_buffer view;
    int rc = 0;

    if (PyObject_GetBuffer(data, &view, PyBUF_SIMPLE) < 0) {
        return -1;
    }
    if (view.len > 0 && t->count == 0 && !t->busy
        && t->state == TRANSPORT_OPEN)
    {
        rc = write_now(t, data, &view);
    }
    else if (view.len > 0) {
        rc = push_data(t, data, &view);
        transport_pause_writing(t);
        transport_hold(t);
    }
    PyBuffer_Release(&view);
    return rc;
}

PyObject *
transport_write(PyObject *self, PyObject *data)
{
    TransportObject *t = (TransportObject *)self;
    int rc;

    if (!PyBytes_Check(data) && !PyByteArray_Check(data)
        && !PyMemoryView_Check(data))
    {
        return PyErr_Format(
            PyExc_TypeError,
            t->tls ? "data: expecting a bytes-like instance, got %s"
                   : "data argument must be a bytes-like object, not '%s'",
            Py_TYPE(data)->tp_name);
    }
    if (may_write(t, "write") < 0) {
        return NULL;
    }
    rc = PyObject_IsTrue(data);
    if (rc > 0 && !is_lost(t)) {
        Py_INCREF(t); /* It may be dropped by what it calls. */
        rc = write_one(t, data);
        Py_DECREF(t);
    }
    if (rc < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

/* Queues all of |lines|, whose items may change what they stand in. */
static int
push_lines(TransportObject *t, PyObject *lines)
{
    int rc = 0;

    for (Py_ssize_t i = 0; rc == 0 && i < PySequence_Fast_GET_SIZE(lines); i++)
    {
        PyObject *line = Py_NewRef(PySequence_Fast_GET_ITEM(lines, i));

        rc = write_one(t, line);
        Py_DECREF(line);
    }
    return rc;
}

PyObject *
transport_writelines(PyObject *self, PyObject *list)
{
    TransportObject *t = (TransportObject *)self;
    PyObject *lines;
    int rc = 0;

    if (may_write(t, "writelines") < 0) {
        return NULL;
    }
    lines = PySequence_Fast(list, "writelines() takes an iterable of bytes");
    if (lines == NULL) {
        return NULL;
    }
    if (PySequence_Fast_GET_SIZE(lines) > 0 && !is_lost(t)) {
        unsigned was = t->busy;

        /* Held back until all of it is queued: it leaves together. */
        t->busy = 1;
        rc = push_lines(t, lines);
        t->busy = was & 1u;
        if (!was && t->count > 0) {
            /* What came before the one that failed leaves all the same. */
            PyObject *failed = rc < 0 ? compat_take_exception() : NULL;

            Py_INCREF(t);
            transport_pump(t);
            transport_hold(t);
            Py_DECREF(t);
            if (failed != NULL) {
                compat_set_exception(failed);
            }
        }
    }
    Py_DECREF(lines);
    if (rc < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

PyObject *
transport_write_eof(PyObject *self, PyObject *ignored)
{
    TransportObject *t = (TransportObject *)self;

    (void)ignored;
    if (t->tls) {
        PyErr_SetNone(PyExc_NotImplementedError);
        return NULL;
    }
    if (!t->closing && !t->eof) {
        t->eof = 1;
        if (t->count == 0 && transport_drained(t) < 0) {
            return NULL;
        }
    }
    Py_RETURN_NONE;
}

/* CPython's own tests fill asyncio's backlog by this name: |data| is queued
 * and sent with what comes next. */
PyObject *
transport_append_backlog(PyObject *self, PyObject *data)
{
    TransportObject *t = (TransportObject *)self;
    unsigned was = t->busy;
    int rc;

    t->busy = 1;
    rc = write_one(t, data);
    t->busy = was & 1u;
    if (rc < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}
