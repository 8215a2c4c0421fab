/* py_response_into.c -- a streamed body right into the caller's memory.
 *
 * While such a reader waits, the next bytes go from the socket to where it
 * wants them, as far as they are known to be of the body; and once it has
 * some, the rest stays in the socket for its next call.
 */
#include "py/py_response.h"

#include <string.h>

static void
let_go(ResponseObject *r)
{
    PyBuffer_Release(&r->into);
    r->into_len = 0;
}

char *
response_into_space(ResponseObject *r, size_t *len)
{
    size_t have = (size_t)r->into.len - r->into_len;

    if (have == 0 || r->body_len > 0) {
        return NULL;
    }
    *len = have < *len ? have : *len;
    return (char *)r->into.buf + r->into_len;
}

size_t
response_into_add(ResponseObject *r, const char *data, size_t len)
{
    size_t n = len;
    char *space = response_into_space(r, &n);

    if (space == NULL) {
        return 0;
    }
    if (data != space) {
        memcpy(space, data, n);
    }
    r->into_len += n;
    return n;
}

/* The reader is over: it is not woken again. */
static void
end_reader(ResponseObject *r, WaitObject *w)
{
    if (r->reader == w) {
        r->reader = NULL;
        Py_DECREF(w); /* Whoever comes here holds a reference. */
    }
    host_drop(w);
}

/* In the drain: how many bytes came, 0 at the end, or the failure. */
static int
into_ready(WaitObject *w)
{
    ResponseObject *r = (ResponseObject *)Py_NewRef(w->owner);
    size_t count = r->into_len;
    PyObject *result = NULL;

    if (count == 0 && !r->whole && !r->failed && !r->released) {
        Py_DECREF(r);
        return 0;
    }
    let_go(r);
    end_reader(r, w);
    if (count > 0 || r->whole) {
        response_given(r);
        result = PyLong_FromSize_t(count);
    }
    else {
        PyObject *failure = response_failure(r);

        if (failure != NULL) {
            PyErr_SetObject((PyObject *)Py_TYPE(failure), failure);
        }
    }
    if (result != NULL) {
        wait_set_result(w, result);
        Py_DECREF(result);
    }
    else {
        PyObject *exc = compat_take_exception();

        wait_set_exception(w, exc);
        Py_XDECREF(exc);
    }
    Py_DECREF(r);
    return 1;
}

/* Bytes that the reader does not hear of any more go in front of the rest. */
static int
put_back(ResponseObject *r)
{
    size_t len = r->into_len + r->body_len;
    PyObject *all = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)len);

    if (all == NULL) {
        PyErr_Clear();
        return AIF_ENOMEM;
    }
    memcpy(PyBytes_AS_STRING(all), r->into.buf, r->into_len);
    if (r->body_len > 0) {
        memcpy(PyBytes_AS_STRING(all) + r->into_len,
               PyBytes_AS_STRING(r->body), r->body_len);
    }
    Py_XSETREF(r->body, all);
    r->body_len = len;
    return 0;
}

static void
into_stop(WaitObject *w)
{
    ResponseObject *r = (ResponseObject *)w->owner;

    if (r->reader != w) {
        return;
    }
    if (r->into_len > 0 && put_back(r) < 0) {
        response_release(r, 1); /* Better an error than a body with a hole. */
    }
    let_go(r);
    end_reader(r, w);
}

static const wait_ops into_ops = {
    .stop = into_stop,
    .ready = into_ready,
};

PyObject *
response_read_into(ResponseObject *r, PyObject *view)
{
    PyObject *zero, *result;
    WaitObject *w;

    if (!PyMemoryView_Check(view)) {
        PyErr_SetString(PyExc_TypeError, "read_into() takes a memoryview");
        return NULL;
    }
    if (r->reader != NULL) {
        PyErr_SetString(PyExc_RuntimeError,
                        "another coroutine is already reading this body");
        return NULL;
    }
    if (r->body_len > 0) {
        PyErr_SetString(PyExc_RuntimeError,
                        "there is something to take from this body first");
        return NULL;
    }
    if (r->whole && !r->bodiless) {
        zero = PyLong_FromLong(0);
        result = zero == NULL ? NULL : wait_new_done(r->st, zero);
        Py_XDECREF(zero);
        return result;
    }
    if (r->host == NULL || r->released) {
        return response_read(r, 0); /* which gives the exception */
    }
    if (PyObject_GetBuffer(view, &r->into, PyBUF_WRITABLE) < 0) {
        return NULL;
    }
    r->into_len = 0;
    w = wait_new(r->st, r->host, &into_ops, (PyObject *)r);
    if (w == NULL) {
        let_go(r);
        return NULL;
    }
    r->reader = (WaitObject *)Py_NewRef(w);
    r->reader_all = 0;
    host_hold(r->host, w);
    response_resume(r);
    return (PyObject *)w;
}
