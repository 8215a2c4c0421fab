/* py_transport_read.c -- what the stage says, and what the protocol hears.
 *
 * A protocol's methods run in the context that the transport was made in. What
 * they raise ends the connection; KeyboardInterrupt and SystemExit end the
 * program and leave the connection as it is.
 */
#include "py/py_transport.h"
#include "py/py_transport_tls.h"

/* A read of so much is expected to be followed by another, and goes right into
 * the bytes that the protocol will get. */
#define DIRECT_READ (32u * 1024u)

/* More than the powers of two that messages like to be: libuv reads again at
 * once after a read that was filled, and gets half of the next one. */
#define LENT (AIF_SLAB_SIZE + 64u * 1024u)

/* ---- the context -------------------------------------------------------- */

int
transport_enter(TransportObject *t)
{
    if (t->inside) {
        return 0;
    }
    if (PyContext_Enter(t->context) < 0) {
        /* It is entered: by the program, with run() of its own. */
        PyErr_Clear();
        return 0;
    }
    t->inside = 1;
    return 1;
}

void
transport_leave(TransportObject *t, int entered)
{
    PyObject *raised;

    if (!entered) {
        return;
    }
    raised = compat_take_exception();
    t->inside = 0;
    if (PyContext_Exit(t->context) < 0) {
        PyErr_Clear();
    }
    if (raised != NULL) {
        compat_set_exception(raised);
    }
}

/* ---- reading on and off ------------------------------------------------- */

int
transport_read_as_due(TransportObject *t)
{
    HostObject *h = t->host;
    int on, rc;

    if (t->stage == NULL || h == NULL || !t->begun) {
        return 0;
    }
    switch (t->state) {
    case TRANSPORT_SHAKING:
    case TRANSPORT_SAYING_BYE:
        on = 1;
        break;
    case TRANSPORT_OPEN:
        /* TLS goes on reading while it closes: renegotiation, close_notify. */
        on = t->closing ? t->tls : !t->paused;
        break;
    default:
        on = 0;
        break;
    }
    Py_INCREF(h);
    host_enter(h);
    rc = aif_stage_read(t->stage, on);
    host_leave(h);
    Py_DECREF(h);
    transport_hold(t);
    return rc;
}

/* ---- data --------------------------------------------------------------- */

void
transport_drop_space(TransportObject *t)
{
    if (t->viewed) {
        t->viewed = 0;
        PyBuffer_Release(&t->view);
    }
    Py_CLEAR(t->space);
}

/* glibc gives blocks from a size on by mmap(), with a page fault for each page
 * of each, until one as large has been freed; most of ours are cut to what
 * came before that. So one is freed beforehand. */
static void
teach_malloc(core_state *st)
{
    if (!st->taught_malloc) {
        PyObject *large = PyBytes_FromStringAndSize(NULL, 2 * LENT);

        st->taught_malloc = 1;
        PyErr_Clear();
        Py_XDECREF(large);
    }
}

/* The bytes for a large read, at once and for no longer than it takes: an
 * object that was not needed waits for the next in the module's state. */
static void
lend_body(TransportObject *t, char **buf, size_t *len)
{
    PyObject **spare = &t->st->spare;

    if (t->body == NULL && *spare != NULL) {
        t->body = *spare;
        *spare = NULL;
    }
    if (t->body == NULL) {
        teach_malloc(t->st);
        t->body = PyBytes_FromStringAndSize(NULL, LENT);
    }
    if (t->body == NULL) {
        PyErr_Clear(); /* The slab will do. */
        return;
    }
    *buf = PyBytes_AS_STRING(t->body);
    *len = LENT;
}

static void
return_body(TransportObject *t)
{
    if (t->body != NULL && t->st->spare == NULL) {
        t->st->spare = t->body;
        t->body = NULL;
    }
    Py_CLEAR(t->body);
}

/* The bytes that have come, as an object. */
static PyObject *
take_bytes(TransportObject *t, const char *data, size_t len)
{
    PyObject *bytes;

    if (t->body != NULL && data == PyBytes_AS_STRING(t->body)
        && len >= DIRECT_READ)
    {
        bytes = t->body;
        t->body = NULL;
        (void)_PyBytes_Resize(&bytes, (Py_ssize_t)len);
    }
    else {
        bytes = PyBytes_FromStringAndSize(data, (Py_ssize_t)len);
        return_body(t);
    }
    t->last_read = len;
    return bytes;
}

static int
is_deaf(const TransportObject *t)
{
    return t->state != TRANSPORT_OPEN || t->closing || t->protocol == NULL;
}

/* protocol.get_buffer(-1). Under TLS the memory has to stay while OpenSSL runs
 * without the lock; plain TCP uses it before anybody else can run. */
static int
ask_for_space(TransportObject *t, char **buf, size_t *len)
{
    PyObject *hint = PyLong_FromLong(-1);

    transport_drop_space(t);
    if (hint == NULL) {
        return -1;
    }
    t->space =
        PyObject_CallMethodOneArg(t->protocol, t->st->str_get_buffer, hint);
    Py_DECREF(hint);
    if (t->space == NULL
        || PyObject_GetBuffer(t->space, &t->view, PyBUF_WRITABLE) < 0)
    {
        return -1;
    }
    t->viewed = 1;
    *buf = t->view.buf;
    *len = (size_t)t->view.len;
    if (*len == 0) {
        PyErr_SetString(PyExc_RuntimeError,
                        "get_buffer() returned an empty buffer");
        return -1;
    }
    if (!t->tls) {
        t->viewed = 0;
        PyBuffer_Release(&t->view);
    }
    return 0;
}

static void
on_space(void *user, char **buf, size_t *len)
{
    TransportObject *t = user;
    int entered;

    if (is_deaf(t)) {
        return;
    }
    if (!t->buffered) {
        if (t->last_read >= DIRECT_READ) {
            lend_body(t, buf, len);
        }
        return;
    }
    Py_INCREF(t);
    entered = transport_enter(t);
    if (ask_for_space(t, buf, len) < 0) {
        *buf = NULL;
        transport_fatal_raised(
            t, "Fatal error: protocol.get_buffer() call failed.");
    }
    transport_leave(t, entered);
    Py_DECREF(t);
}

static void
on_spare(void *user)
{
    TransportObject *t = user;

    transport_drop_space(t);
    return_body(t);
}

static PyObject *
hand_over(TransportObject *t, const char *data, size_t len)
{
    PyObject *arg, *res;

    if (t->buffered && t->space != NULL) {
        transport_drop_space(t);
        arg = PyLong_FromSize_t(len);
    }
    else {
        arg = take_bytes(t, data, len);
    }
    if (arg == NULL) {
        return NULL;
    }
    res = PyObject_CallMethodOneArg(t->protocol,
                                    t->buffered ? t->st->str_buffer_updated
                                                : t->st->str_data_received,
                                    arg);
    Py_DECREF(arg);
    return res;
}

/* A protocol that has become buffered since the bytes were asked for gets them
 * copied into its buffer, piece by piece. */
static int
copy_over(TransportObject *t, const char *data, size_t len)
{
    while (len > 0 && t->buffered && !is_deaf(t)) {
        char *space = NULL;
        size_t n = 0;
        PyObject *res;

        if (ask_for_space(t, &space, &n) < 0) {
            return -1;
        }
        n = n < len ? n : len;
        memcpy(space, data, n);
        res = hand_over(t, space, n);
        if (res == NULL) {
            return -1;
        }
        Py_DECREF(res);
        data += n;
        len -= n;
    }
    return 0;
}

static void
on_read(void *user, const char *data, size_t len)
{
    TransportObject *t = user;
    PyObject *res;
    int entered;

    if (is_deaf(t)) {
        on_spare(t);
        return;
    }
    Py_INCREF(t);
    entered = transport_enter(t);
    if (t->buffered && t->space == NULL) {
        res = copy_over(t, data, len) < 0 ? NULL : Py_NewRef(Py_None);
    }
    else {
        if (!t->buffered) {
            transport_drop_space(t);
        }
        res = hand_over(t, data, len);
    }
    if (res == NULL) {
        transport_fatal_raised(
            t, t->buffered
                   ? "Fatal error: protocol.buffer_updated() call failed."
                   : "Fatal error: protocol.data_received() call failed.");
    }
    Py_XDECREF(res);
    transport_leave(t, entered);
    Py_DECREF(t);
}

/* ---- the end of the stream ---------------------------------------------- */

int
transport_tell_eof(TransportObject *t)
{
    PyObject *res;
    int keep;

    if (t->eof_told || !t->connected || t->protocol == NULL) {
        return 0;
    }
    t->eof_told = 1;
    res = PyObject_CallMethodNoArgs(t->protocol, t->st->str_eof_received);
    keep = res == NULL ? -1 : PyObject_IsTrue(res);
    Py_XDECREF(res);
    if (keep < 0) {
        transport_fatal_raised(
            t, t->tls ? "Error calling eof_received()"
                      : "Fatal error: protocol.eof_received() call failed.");
    }
    return keep;
}

static void
on_eof(void *user)
{
    TransportObject *t = user;
    int entered;

    on_spare(t);
    if (t->state == TRANSPORT_LOST) {
        return;
    }
    Py_INCREF(t);
    entered = transport_enter(t);
    if (t->tls) {
        transport_tls_eof(t);
    }
    else if (!t->closing && transport_tell_eof(t) == 0
             && transport_begin_close(t) < 0)
    {
        transport_fatal_raised(t, "Fatal error on transport");
    }
    transport_leave(t, entered);
    Py_DECREF(t);
}

static void
on_fail(void *user, const aif_err *err)
{
    TransportObject *t = user;
    PyObject *exc;
    int entered;

    on_spare(t);
    if (t->state == TRANSPORT_LOST) {
        return;
    }
    Py_INCREF(t);
    entered = transport_enter(t);
    if (t->tls) {
        transport_tls_fail(t, err);
    }
    else {
        exc = transport_os_error(err->code);
        if (exc == NULL) {
            exc = compat_take_exception();
        }
        transport_fatal(t, exc, "Fatal read error on socket transport");
    }
    transport_leave(t, entered);
    Py_DECREF(t);
}

static void
on_open(void *user)
{
    TransportObject *t = user;
    int entered;

    Py_INCREF(t);
    entered = transport_enter(t);
    transport_tls_open(t);
    transport_leave(t, entered);
    Py_DECREF(t);
}

const aif_stage_cbs transport_cbs = {
    .on_open = on_open,
    .on_space = on_space,
    .on_spare = on_spare,
    .on_read = on_read,
    .on_eof = on_eof,
    .on_fail = on_fail,
};
