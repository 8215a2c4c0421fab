/* py_upload.c -- aiofast._core.Upload: takes the pieces of a body.
 *
 * The core's upcalls only note what happened; the task is started, woken and
 * cancelled in the drain, outside of the core.
 */
#include "py/py_upload.h"

#include <string.h>

#include "base/aif_mem.h"
#include "py/py_headers.h"

/* A source that always has more, before a peer that always takes it, may send
 * this much before others have a turn. Each piece counts for its cost. */
#define BURST (256u * 1024u)
#define PIECE_COST 4096u

static UploadObject *
upload_of(WaitObject *w)
{
    return (UploadObject *)(void *)w;
}

/* ---- what the core says ------------------------------------------------- */

static void
wake_writer(UploadObject *self)
{
    wait_finish(self->writer != NULL ? self->writer : &self->wait);
}

static void
upload_on_start(void *user, aif_upload *u)
{
    UploadObject *self = user;

    (void)u;
    self->begin = 1;
    wait_finish(&self->wait);
}

static void
upload_on_taken(void *user, aif_upload *u, int code)
{
    UploadObject *self = user;

    (void)u;
    self->taken_code = code;
    wake_writer(self);
}

static void
upload_on_stop(void *user, aif_upload *u)
{
    UploadObject *self = user;

    (void)u;
    if (self->begin) {
        self->begin = 0; /* The drain has not seen this attempt. */
        return;
    }
    self->stop = 1;
    wait_finish(&self->wait);
}

static void
upload_on_end(void *user, aif_upload *u)
{
    UploadObject *self = user;

    (void)u;
    self->ended = 1;
    wait_finish(&self->wait);
}

static const aif_upload_cbs upload_cbs = {
    .on_start = upload_on_start,
    .on_taken = upload_on_taken,
    .on_stop = upload_on_stop,
    .on_end = upload_on_end,
};

/* ---- failures ----------------------------------------------------------- */

/* Sets the exception for what a give has refused. */
static PyObject *
refuse(UploadObject *self, int code, const aif_err *err)
{
    core_state *st = self->wait.st;

    if (code == AIF_EINVAL) {
        PyErr_SetString(PyExc_ValueError, err->text);
    }
    else if (code == AIF_ENOMEM) {
        PyErr_NoMemory();
    }
    else if (code == AIF_ETRUNCATED) {
        PyErr_SetString(PyExc_EOFError,
                        "the file is shorter than it was when the request "
                        "began");
    }
    else if (code > AIF_ERR_FIRST) {
        errno = -code;
        PyErr_SetFromErrno(PyExc_OSError);
    }
    else if (state_import(&st->reset_error, "aiofast.errors",
                          "ClientConnectionResetError")
             == 0)
    {
        PyErr_SetString(st->reset_error, "Cannot write to closing transport");
    }
    return NULL;
}

/* Ends the fetch with the exception that is set. */
static void
fail_with_exception(UploadObject *self)
{
    HostObject *h = self->wait.host;
    aif_err err = {.code = AIF_ECALLBACK,
                   .text = "the body of the request could not be sent"};

    if (h == NULL || h->closed) {
        PyErr_Clear();
        return;
    }
    Py_INCREF(h);
    host_enter(h);
    host_park(h, AIF_ECALLBACK);
    aif_upload_fail(&self->core, AIF_ECALLBACK, &err);
    host_leave(h);
    Py_DECREF(h);
}

/* ---- in the drain ------------------------------------------------------- */

static void
drop_view(UploadObject *self)
{
    if (self->view.obj != NULL) {
        PyBuffer_Release(&self->view);
    }
}

static void
cancel_task(UploadObject *self)
{
    PyObject *task = self->task, *res;

    self->task = NULL;
    if (task == NULL) {
        return;
    }
    res = PyObject_CallMethodNoArgs(task, self->wait.st->str_cancel);
    if (res == NULL) {
        host_swallow(self->wait.host); /* Its loop is closed. */
    }
    Py_XDECREF(res);
    Py_DECREF(task);
}

static void
start_task(UploadObject *self)
{
    PyObject *task;

    /* One that has given all of it may still be about its own end. */
    cancel_task(self);
    task =
        PyObject_CallMethod(self->source, "start", "OO", self, self->context);
    if (task == NULL) {
        fail_with_exception(self);
    }
    else if (self->ended || self->stop) {
        self->task = task;
        cancel_task(self);
    }
    else {
        self->task = task;
    }
}

/* Whether the core still looks at the piece that was given last. */
static int
is_under_way(const UploadObject *self)
{
    return self->core.state == AIF_UPLOAD_BUSY && self->taken_code == 0;
}

static int
is_stopped(const UploadObject *self)
{
    return self->core.state == AIF_UPLOAD_IDLE
           || self->core.state == AIF_UPLOAD_STOPPED;
}

static int
upload_ready(WaitObject *w)
{
    UploadObject *self = upload_of(w);

    if (self->stop || self->ended) {
        self->stop = 0;
        self->told = 1;
        drop_view(self);
        cancel_task(self);
        if (self->writer != NULL) {
            wait_finish(self->writer); /* It was not the task that waited. */
        }
    }
    if (self->ended) {
        w->state = WAIT_DONE;
        Py_CLEAR(self->source);
        Py_CLEAR(self->context);
        host_drop(w);
        return 1;
    }
    if (!is_under_way(self)) {
        drop_view(self);
    }
    if (self->begin) {
        self->begin = 0;
        self->told = 0;
        start_task(self);
    }
    return 0;
}

static const wait_ops upload_ops = {
    .ready = upload_ready,
};

/* ---- the wait for a piece ----------------------------------------------- */

static int
piece_ready(WaitObject *w)
{
    UploadObject *self = (UploadObject *)Py_NewRef(w->owner);
    int code = self->taken_code;
    aif_err err = {0};

    if (is_under_way(self) || (is_stopped(self) && !self->told)) {
        /* A task that is about to be cancelled hears of nothing else before,
         * or the cancellation would come in the middle of its clean-up. */
        Py_DECREF(self);
        return 0;
    }
    drop_view(self);
    self->taken_code = 0;
    if (self->writer == w) {
        self->writer = NULL;
        Py_DECREF(w); /* The drain holds its own reference. */
    }
    if (code == 0 && is_stopped(self)) {
        code = AIF_ECLOSED;
    }
    if (code == 0) {
        wait_set_result(w, Py_None);
    }
    else {
        (void)refuse(self, code, &err);
        wait_fail(w);
    }
    Py_DECREF(self);
    return 1;
}

/* The piece goes on: nobody knows how much of it has left. */
static void
piece_stop(WaitObject *w)
{
    UploadObject *self = (UploadObject *)w->owner;

    if (self->writer == w) {
        self->writer = NULL;
        Py_DECREF(w); /* Whoever cancels holds a reference. */
    }
}

static const wait_ops piece_ops = {
    .stop = piece_stop,
    .ready = piece_ready,
};

static PyObject *
new_writer(UploadObject *self)
{
    WaitObject *w =
        wait_new(self->wait.st, self->wait.host, &piece_ops, (PyObject *)self);

    if (w != NULL) {
        self->writer = (WaitObject *)Py_NewRef(w);
        self->burst = 0;
    }
    return (PyObject *)w;
}

/* The result of a give that has come to |rc|, for |len| bytes. */
static PyObject *
given(UploadObject *self, int rc, size_t len, const aif_err *err)
{
    core_state *st = self->wait.st;
    PyObject *w;

    if (rc == AIF_ECLOSED && is_stopped(self) && !self->told) {
        drop_view(self);
        return new_writer(self); /* The task is about to be cancelled. */
    }
    if (rc < 0) {
        drop_view(self);
        return refuse(self, rc, err);
    }
    if (rc == 0) {
        return new_writer(self);
    }
    drop_view(self);
    self->burst += len > PIECE_COST ? len : PIECE_COST;
    if (self->burst >= BURST && self->core.state == AIF_UPLOAD_OPEN) {
        w = new_writer(self);
        if (w != NULL) {
            wait_finish((WaitObject *)w);
        }
        return w;
    }
    if (st->done_none == NULL) {
        st->done_none = wait_new_done(st, Py_None);
    }
    return Py_XNewRef(st->done_none);
}

/* Whether the core may be called at all. 0, or -1 with an exception. */
static int
check_open(UploadObject *self)
{
    HostObject *h = self->wait.host;

    if (h == NULL || h->closed || self->told) {
        (void)refuse(self, AIF_ECLOSED, NULL);
        return -1;
    }
    if (h->depth > 0 || self->writer != NULL || self->view.obj != NULL) {
        PyErr_SetString(PyExc_RuntimeError,
                        "another piece of the body is on its way");
        return -1;
    }
    return 0;
}

/* ---- methods ------------------------------------------------------------ */

static PyObject *
Upload_write(PyObject *op, PyObject *data)
{
    UploadObject *self = (UploadObject *)op;
    HostObject *h = self->wait.host;
    Py_buffer view;
    aif_err err = {0};
    size_t len;
    int rc;

    if (check_open(self) < 0
        || PyObject_GetBuffer(data, &view, PyBUF_SIMPLE) < 0)
    {
        return NULL;
    }
    /* A buffer written in Python may have done anything meanwhile. */
    if (check_open(self) < 0) {
        PyBuffer_Release(&view);
        return NULL;
    }
    self->view = view;
    len = (size_t)view.len;
    Py_INCREF(h);
    host_enter(h);
    rc = aif_upload_give(&self->core, self->view.buf, len, &err);
    host_leave(h);
    Py_DECREF(h);
    return given(self, rc, len, &err);
}

static PyObject *
Upload_send_file(PyObject *op, PyObject *args)
{
    UploadObject *self = (UploadObject *)op;
    HostObject *h = self->wait.host;
    aif_err err = {0};
    unsigned long long offset, len;
    int fd, rc;

    if (!PyArg_ParseTuple(args, "iKK:send_file", &fd, &offset, &len)
        || check_open(self) < 0)
    {
        return NULL;
    }
    Py_INCREF(h);
    host_enter(h);
    rc = aif_upload_give_file(&self->core, fd, offset, len, &err);
    host_leave(h);
    Py_DECREF(h);
    if (rc < 0 && err.sys != 0) {
        rc = err.sys;
    }
    return given(self, rc, 0, &err);
}

static PyObject *
Upload_end(PyObject *op, PyObject *trailers)
{
    UploadObject *self = (UploadObject *)op;
    HostObject *h = self->wait.host;
    aif_header fields;
    aif_err err = {0};
    PyObject *result = NULL;
    int rc;

    aif_header_init(&fields, AIF_MAX_TRAILER, AIF_MAX_FIELDS);
    if (check_open(self) == 0
        && headers_read(self->wait.st, &fields, trailers) == 0
        && check_open(self) == 0)
    {
        Py_INCREF(h);
        host_enter(h);
        rc = aif_upload_end(&self->core, &fields, &err);
        host_leave(h);
        Py_DECREF(h);
        result = given(self, rc, 0, &err);
    }
    aif_header_fini(&fields);
    return result;
}

static PyObject *
Upload_fail(PyObject *op, PyObject *exc)
{
    if (!PyExceptionInstance_Check(exc)) {
        PyErr_SetString(PyExc_TypeError, "fail() takes an exception");
        return NULL;
    }
    PyErr_SetObject((PyObject *)Py_TYPE(exc), exc);
    fail_with_exception((UploadObject *)op);
    Py_RETURN_NONE;
}

/* ---- the type ----------------------------------------------------------- */

static PyObject *
Upload_get_sent(PyObject *op, void *Py_UNUSED(closure))
{
    return PyLong_FromUnsignedLongLong(((UploadObject *)op)->core.sent);
}

static PyObject *
Upload_get_attempt(PyObject *op, void *Py_UNUSED(closure))
{
    return PyLong_FromUnsignedLong(((UploadObject *)op)->core.attempts);
}

static int
Upload_traverse(PyObject *op, visitproc visit, void *arg)
{
    UploadObject *self = (UploadObject *)op;

    Py_VISIT(Py_TYPE(op));
    Py_VISIT(self->source);
    Py_VISIT(self->context);
    Py_VISIT(self->task);
    Py_VISIT(self->writer);
    Py_VISIT(self->view.obj);
    return wait_traverse(&self->wait, visit, arg);
}

/* While the core knows it the host holds it, so that host is garbage too and
 * has to go first. */
static int
Upload_clear(PyObject *op)
{
    UploadObject *self = (UploadObject *)op;

    if (self->core.fetch != NULL && self->wait.host != NULL) {
        host_close(self->wait.host);
    }
    drop_view(self);
    Py_CLEAR(self->source);
    Py_CLEAR(self->context);
    Py_CLEAR(self->task);
    Py_CLEAR(self->writer);
    wait_clear(&self->wait);
    return 0;
}

static void
Upload_dealloc(PyObject *op)
{
    PyTypeObject *type = Py_TYPE(op);

    PyObject_GC_UnTrack(op);
    (void)Upload_clear(op);
    aif_upload_fini(&((UploadObject *)op)->core);
    type->tp_free(op);
    Py_DECREF(type);
}

static PyMethodDef Upload_methods[] = {
    {"write", Upload_write, METH_O, NULL},
    {"send_file", Upload_send_file, METH_VARARGS, NULL},
    {"end", Upload_end, METH_O, NULL},
    {"fail", Upload_fail, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef Upload_getset[] = {
    {"sent", Upload_get_sent, NULL, NULL, NULL},
    {"attempt", Upload_get_attempt, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot Upload_slots[] = {
    {Py_tp_doc,
     (void *)PyDoc_STR("The body of one request on its way, piece by piece.")},
     {Py_tp_traverse, Upload_traverse}, {Py_tp_clear, Upload_clear},
     {Py_tp_dealloc, Upload_dealloc}, {Py_tp_methods, Upload_methods},
     {Py_tp_getset, Upload_getset}, {0, NULL},
};

static PyType_Spec Upload_spec = {
    .name = "aiofast._core.Upload",
    .basicsize = sizeof(UploadObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE
             | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = Upload_slots,
};

int
upload_type_init(core_state *st)
{
    st->upload_type = (PyTypeObject *)PyType_FromModuleAndSpec(
        st->module, &Upload_spec, NULL);
    return st->upload_type == NULL
               ? -1
               : PyModule_AddType(st->module, st->upload_type);
}

/* ---- making ------------------------------------------------------------- */

/* What the source says of its length: 0, or -1 with an exception. */
static int
read_length(UploadObject *self)
{
    PyObject *length = PyObject_GetAttrString(self->source, "length");
    long long n = AIF_H1_CHUNKED;

    if (length == NULL) {
        return -1;
    }
    if (length != Py_None) {
        n = PyLong_AsLongLong(length);
        if (n < 0 && !PyErr_Occurred()) {
            PyErr_SetString(PyExc_ValueError, "the body's length is negative");
        }
    }
    Py_DECREF(length);
    self->core.length = n;
    return PyErr_Occurred() ? -1 : 0;
}

/* Reads what the source says of itself, one thing after the other: nothing may
 * be asked of Python while an exception is set. 0 or -1. */
static int
read_source(UploadObject *self)
{
    PyObject *found;
    double seconds;
    int again;

    if (read_length(self) < 0) {
        return -1;
    }
    found = PyObject_GetAttrString(self->source, "replayable");
    again = found == NULL ? -1 : PyObject_IsTrue(found);
    Py_XDECREF(found);
    if (again < 0) {
        return -1;
    }
    self->core.replayable = again > 0;
    found = PyObject_GetAttrString(self->source, "expect");
    seconds = found == NULL ? -1.0 : PyFloat_AsDouble(found);
    Py_XDECREF(found);
    if (seconds == -1.0 && PyErr_Occurred()) {
        return -1;
    }
    self->core.expect =
        seconds > 0 ? (uint64_t)((seconds < 1e6 ? seconds : 1e6) * 1e9) : 0;
    return 0;
}

UploadObject *
upload_new(core_state *st, PyObject *source, PyObject *context)
{
    PyTypeObject *type = st->upload_type;
    UploadObject *self = (UploadObject *)type->tp_alloc(type, 0);

    if (self == NULL) {
        return NULL;
    }
    wait_setup(&self->wait, st, &upload_ops);
    aif_upload_init(&self->core, &upload_cbs, self, AIF_H1_CHUNKED);
    self->source = Py_NewRef(source);
    self->context = Py_NewRef(context);
    if (read_source(self) < 0) {
        Py_DECREF(self);
        return NULL;
    }
    return self;
}

void
upload_own(UploadObject *u, HostObject *host)
{
    u->wait.host = host;
    u->wait.state = WAIT_PENDING;
    host_hold(host, &u->wait);
}

void
upload_disown(UploadObject *u)
{
    u->wait.state = WAIT_DONE;
    u->wait.host = NULL;
    host_drop(&u->wait);
}
