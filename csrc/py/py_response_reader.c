/* py_response_reader.c -- what a reader of a streamed body may know and ask
 * without waiting: how much came, where chunks end, whether it is over.
 */
#include "py/py_response.h"

#include <string.h>

/* ---- the ends of chunks ------------------------------------------------- */

static uint64_t
end_at(const ResponseObject *r, size_t offset)
{
    uint64_t end;

    memcpy(&end, r->ends.data + offset, sizeof(end));
    return end;
}

void
response_pass_chunks(ResponseObject *r, uint64_t at)
{
    while (r->ends_at < r->ends.len && end_at(r, r->ends_at) < at) {
        r->ends_at += sizeof(uint64_t);
    }
    if (r->ends_at == r->ends.len) {
        aif_buf_reset(&r->ends, 1024);
        r->ends_at = 0;
    }
}

/* Gives the room in front of |ends_at| back once it is most of the memory. */
static void
tidy_chunks(ResponseObject *r)
{
    if (r->ends_at > 4096 && r->ends_at > r->ends.len / 2) {
        r->ends.len -= r->ends_at;
        memmove(r->ends.data, r->ends.data + r->ends_at, r->ends.len);
        r->ends_at = 0;
    }
}

void
response_chunk(ResponseObject *r)
{
    size_t waiting;

    if (r->reader != NULL && r->reader_all) {
        return; /* Nobody will ask. */
    }
    tidy_chunks(r);
    if (r->ends.len >= RESPONSE_MAX_ENDS) {
        r->ends_at += RESPONSE_MAX_ENDS / 2 + sizeof(uint64_t);
        tidy_chunks(r);
    }
    if (aif_buf_add(&r->ends, (const char *)&r->received, sizeof(r->received))
        < 0)
    {
        return; /* An end that is not known of is no harm. */
    }
    waiting = (r->ends.len - r->ends_at) / sizeof(uint64_t);
    if (waiting >= RESPONSE_HIGH_CHUNKS && r->body_len > 0 && r->fetch != NULL)
    {
        aif_fetch_pause(r->fetch);
    }
}

PyObject *
Response_chunk_end(PyObject *self, PyObject *arg)
{
    ResponseObject *r = (ResponseObject *)self;
    uint64_t at = PyLong_AsUnsignedLongLong(arg), end;

    if (at == (uint64_t)-1 && PyErr_Occurred()) {
        return NULL;
    }
    response_pass_chunks(r, at);
    if (r->ends_at == r->ends.len) {
        return PyLong_FromLong(-1);
    }
    end = end_at(r, r->ends_at);
    return PyLong_FromUnsignedLongLong(end);
}

/* ---- the end ------------------------------------------------------------ */

static int
is_over(const ResponseObject *r)
{
    return r->host == NULL;
}

/* In the drain. */
static int
ending_ready(WaitObject *w)
{
    host_drop(w);
    wait_set_result(w, Py_None);
    return 1;
}

static void
ending_stop(WaitObject *w)
{
    host_drop(w);
}

static const wait_ops ending_ops = {
    .stop = ending_stop,
    .ready = ending_ready,
};

void
response_ended(ResponseObject *r)
{
    WaitObject *w = r->ending;

    r->ending = NULL;
    if (w != NULL) {
        if (w->state == WAIT_PENDING) {
            wait_finish(w);
        }
        Py_DECREF(w);
    }
}

PyObject *
Response_wait_end(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    ResponseObject *r = (ResponseObject *)self;
    WaitObject *w;

    if (is_over(r)) {
        return (PyObject *)wait_new_done(r->st, Py_None);
    }
    if (r->ending != NULL && r->ending->state == WAIT_PENDING) {
        return Py_NewRef((PyObject *)r->ending);
    }
    /* Not the owner of the response: a callback does not keep an exchange
     * that was given up. */
    w = wait_new(r->st, r->host, &ending_ops, NULL);
    if (w == NULL) {
        return NULL;
    }
    host_hold(r->host, w);
    Py_XSETREF(r->ending, (WaitObject *)Py_NewRef(w));
    return (PyObject *)w;
}

PyObject *
Response_take_some(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    return response_take((ResponseObject *)self);
}

/* ---- attributes --------------------------------------------------------- */

PyObject *
Response_get_received(PyObject *self, void *Py_UNUSED(closure))
{
    return PyLong_FromUnsignedLongLong(((ResponseObject *)self)->received);
}

PyObject *
Response_get_coded(PyObject *self, void *Py_UNUSED(closure))
{
    ResponseObject *r = (ResponseObject *)self;

    return PyLong_FromUnsignedLongLong(
        r->host != NULL && r->fetch != NULL ? r->fetch->coded : r->coded);
}

PyObject *
Response_get_ended(PyObject *self, void *Py_UNUSED(closure))
{
    return PyBool_FromLong(((ResponseObject *)self)->whole);
}

PyObject *
Response_get_all_read(PyObject *self, void *Py_UNUSED(closure))
{
    return PyBool_FromLong(((ResponseObject *)self)->all_read);
}

/* Nobody else may be reading, so that what comes next may be lost to him. */
PyObject *
Response_get_reading(PyObject *self, void *Py_UNUSED(closure))
{
    return PyBool_FromLong(((ResponseObject *)self)->reader != NULL);
}

PyObject *
Response_get_failure(PyObject *self, void *Py_UNUSED(closure))
{
    ResponseObject *r = (ResponseObject *)self;

    if (!r->failed) {
        Py_RETURN_NONE;
    }
    return Py_XNewRef(response_failure(r));
}

PyObject *
Response_get_high_water(PyObject *self, void *Py_UNUSED(closure))
{
    return PyLong_FromSize_t(((ResponseObject *)self)->high_water);
}

int
Response_set_high_water(PyObject *self, PyObject *value,
                        void *Py_UNUSED(closure))
{
    ResponseObject *r = (ResponseObject *)self;
    size_t size = value == NULL ? 0 : PyLong_AsSize_t(value);

    if (size == (size_t)-1 && PyErr_Occurred()) {
        return -1;
    }
    if (size == 0) {
        PyErr_SetString(PyExc_ValueError, "high_water must be positive");
        return -1;
    }
    r->high_water = size;
    if (r->fetch != NULL) {
        r->fetch->read_most = response_read_most(size);
    }
    return 0;
}

PyObject *
Response_get_options(PyObject *self, void *Py_UNUSED(closure))
{
    return Py_NewRef((PyObject *)((ResponseObject *)self)->options);
}

PyObject *
Response_get_pool(PyObject *self, void *Py_UNUSED(closure))
{
    ResponseObject *r = (ResponseObject *)self;

    return Py_NewRef(r->pool == NULL ? Py_None : r->pool);
}
