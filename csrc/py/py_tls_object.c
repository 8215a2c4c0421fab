/* py_tls_object.c -- Python's engine: ssl.SSLObject between two memory BIOs.
 *
 * It serves where the direct engine may not: another TLS library, an SSLObject
 * of the program's own class. A read that cannot succeed costs an exception,
 * so the record headers are followed as ciphertext comes in.
 *
 * ssl is Python code. It may run signal handlers and finalizers, which the
 * host keeps out of the core.
 */
#include <limits.h>

#include "py/py_tls_engine.h"

/* ---- memory that Python sees -------------------------------------------- */

static HostObject *
host_of(const tls_engine *e)
{
    return e->direct.engine.loop->user;
}

/* A memoryview of ours may live on in the frames of a traceback, or with an
 * SSLObject of the program's own; the memory does not. */
static void
drop_view(tls_engine *e, PyObject *view)
{
    if (Py_REFCNT(view) > 1) {
        PyObject *raised = compat_take_exception();
        PyObject *res = PyObject_CallMethod(view, "release", NULL);

        if (res == NULL) {
            host_swallow(host_of(e));
        }
        Py_XDECREF(res);
        if (raised != NULL) {
            compat_set_exception(raised);
        }
    }
    Py_DECREF(view);
}

/* The count of bytes that |res| (may be NULL) stands for, which is taken over;
 * -1 with an exception if it is no such thing. */
static Py_ssize_t
count_of(PyObject *res, size_t max)
{
    Py_ssize_t n;

    if (res == NULL) {
        return -1;
    }
    n = PyLong_AsSsize_t(res);
    Py_DECREF(res);
    if (n == -1 && PyErr_Occurred()) {
        return -1;
    }
    if (n < 0 || (size_t)n > max) {
        PyErr_SetString(PyExc_ValueError,
                        "the SSLObject returned an impossible number");
        return -1;
    }
    return n;
}

/* What the failed call that is set stands for. */
static int
failure_of(tls_engine *e)
{
    return tls_engine_is_want_read(e) ? UV_EAGAIN : tls_engine_failed(e);
}

/* ---- ciphertext in ------------------------------------------------------ */

static int
object_feed(aif_tls_engine *base, const char *data, size_t len)
{
    tls_engine *e = tls_engine_of(base);
    PyObject *view = PyMemoryView_FromMemory((char *)(uintptr_t)data,
                                             (Py_ssize_t)len, PyBUF_READ);
    PyObject *res = NULL;

    if (view != NULL) {
        res = PyObject_CallMethodOneArg(e->incoming, e->st->str_write, view);
        Py_DECREF(view);
    }
    if (res == NULL) {
        (void)tls_engine_failed(e);
        return AIF_ENOMEM;
    }
    Py_DECREF(res);
    aif_tls_records_follow(&e->seen, (const unsigned char *)data, len);
    return 0;
}

static int
object_feed_eof(aif_tls_engine *base)
{
    tls_engine *e = tls_engine_of(base);
    PyObject *res =
        PyObject_CallMethodNoArgs(e->incoming, e->st->str_write_eof);

    if (res == NULL) {
        return tls_engine_failed(e);
    }
    Py_DECREF(res);
    return 0;
}

static int
object_has_record(aif_tls_engine *base)
{
    return tls_engine_of(base)->seen.whole > 0;
}

static int
object_has_part(aif_tls_engine *base)
{
    return aif_tls_records_is_inside(&tls_engine_of(base)->seen);
}

/* ---- records ------------------------------------------------------------ */

/* ssl.read(len, buf). */
static ptrdiff_t
object_decrypt(aif_tls_engine *base, char *buf, size_t len)
{
    tls_engine *e = tls_engine_of(base);
    PyObject *view, *number, *res = NULL;
    Py_ssize_t n;

    view = PyMemoryView_FromMemory(buf, (Py_ssize_t)len, PyBUF_WRITE);
    number = PyLong_FromSize_t(len);
    if (view != NULL && number != NULL) {
        PyObject *args[] = {e->ssl, number, view};

        res = PyObject_VectorcallMethod(e->st->str_read, args, 3, NULL);
    }
    if (view != NULL) {
        drop_view(e, view);
    }
    Py_XDECREF(number);
    n = count_of(res, len);
    if (n < 0) {
        int rc = failure_of(e);

        e->seen.whole = rc == UV_EAGAIN ? 0 : e->seen.whole;
        return rc;
    }
    if ((size_t)n < len && e->seen.whole > 0) {
        e->seen.whole--;
    }
    return n;
}

static ptrdiff_t
object_encrypt(aif_tls_engine *base, const char *data, size_t len)
{
    tls_engine *e = tls_engine_of(base);
    PyObject *view = PyMemoryView_FromMemory((char *)(uintptr_t)data,
                                             (Py_ssize_t)len, PyBUF_READ);
    PyObject *res = NULL;
    Py_ssize_t n;

    if (view != NULL) {
        res = PyObject_CallMethodOneArg(e->ssl, e->st->str_write, view);
        drop_view(e, view);
    }
    n = count_of(res, len);
    return n < 0 ? failure_of(e) : n;
}

/* The peer's own close_notify is for the reads to find. */
static int
object_goodbye(aif_tls_engine *base)
{
    tls_engine *e = tls_engine_of(base);
    PyObject *raised = compat_take_exception();
    PyObject *res = PyObject_CallMethodNoArgs(e->ssl, e->st->str_unwrap);
    int rc = res != NULL;

    if (res == NULL) {
        host_swallow(host_of(e));
    }
    Py_XDECREF(res);
    if (raised != NULL) {
        compat_set_exception(raised);
    }
    return rc;
}

/* ---- ciphertext out ----------------------------------------------------- */

static int
object_collect(aif_tls_engine *base, uv_buf_t *out)
{
    tls_engine *e = tls_engine_of(base);
    PyObject *raised = compat_take_exception();
    PyObject *bytes = PyObject_CallMethodNoArgs(e->outgoing, e->st->str_read);
    int rc = 1;

    if (bytes == NULL) {
        rc = tls_engine_failed(e);
    }
    else if (PyBytes_GET_SIZE(bytes) == 0) {
        Py_DECREF(bytes);
        rc = 0;
    }
    else {
        e->sending = bytes;
        *out = uv_buf_init(PyBytes_AS_STRING(bytes),
                           (unsigned)PyBytes_GET_SIZE(bytes));
    }
    if (raised != NULL) {
        compat_set_exception(raised);
    }
    return rc;
}

static void
object_sent(aif_tls_engine *base)
{
    Py_CLEAR(tls_engine_of(base)->sending);
}

const aif_tls_ops tls_object_ops = {
    .handshake = tls_engine_handshake,
    .feed = object_feed,
    .feed_eof = object_feed_eof,
    .has_record = object_has_record,
    .has_part = object_has_part,
    .decrypt = object_decrypt,
    .encrypt = object_encrypt,
    .goodbye = object_goodbye,
    .collect = object_collect,
    .sent = object_sent,
    .blame = tls_engine_blame,
    .release = tls_engine_free,
};
