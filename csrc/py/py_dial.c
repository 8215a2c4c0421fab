/* py_dial.c -- aiofast._core.Dial: a connection that the program makes.
 *
 * The core's upcalls only note what happened; the task is started and
 * cancelled in the drain, outside of the core.
 */
#include "py/py_dial.h"

#include "py/py_fetch.h"

static DialObject *
dial_of(WaitObject *w)
{
    return (DialObject *)(void *)w;
}

/* The host of a connection that is still wanted; NULL if it is not. */
static HostObject *
open_host(DialObject *self)
{
    HostObject *h = self->wait.host;

    return self->conn == NULL || h == NULL || h->closed ? NULL : h;
}

/* Lets go of the connection, and gives it: once. */
static aif_conn *
take_conn(DialObject *self)
{
    aif_conn *c = self->conn;

    self->conn = NULL;
    wait_finish(&self->wait);
    return c;
}

/* Ends the fetch with the exception that is set. */
static void
fail_with_exception(DialObject *self)
{
    HostObject *h = open_host(self);
    aif_err err = {.code = AIF_ECALLBACK,
                   .text = "the connection could not be made"};

    if (h == NULL) {
        PyErr_Clear();
        return;
    }
    Py_INCREF(h);
    host_enter(h);
    host_park(h, AIF_ECALLBACK);
    aif_conn_fail(take_conn(self), AIF_ECALLBACK, &err);
    host_leave(h);
    Py_DECREF(h);
}

/* ---- in the drain ------------------------------------------------------- */

static void
cancel_task(DialObject *self)
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
start_task(DialObject *self)
{
    PyObject *dialer = self->dialer, *task;

    self->dialer = NULL;
    task = PyObject_CallOneArg(dialer, (PyObject *)self);
    Py_DECREF(dialer);
    if (task == NULL) {
        fail_with_exception(self);
    }
    else {
        Py_XSETREF(self->task, task);
    }
}

static int
dial_ready(WaitObject *w)
{
    DialObject *self = dial_of(w);

    if (self->begin && self->conn != NULL) {
        self->begin = 0;
        start_task(self);
    }
    if (self->conn != NULL) {
        return 0;
    }
    if (self->stop) {
        cancel_task(self);
    }
    Py_CLEAR(self->task);
    Py_CLEAR(self->dialer);
    w->state = WAIT_DONE;
    host_drop(w);
    return 1;
}

static const wait_ops dial_ops = {
    .ready = dial_ready,
};

/* ---- what the core says ------------------------------------------------- */

int
dial_begin(void *user, aif_fetch *f, aif_conn *c, void **out, aif_err *err)
{
    core_state *st = user;
    const FetchObject *fetch = f->user;
    PyTypeObject *type = st->dial_type;
    DialObject *self = (DialObject *)type->tp_alloc(type, 0);

    if (self == NULL) {
        PyErr_Clear();
        return aif_err_set(err, AIF_ENOMEM, "out of memory");
    }
    wait_setup(&self->wait, st, &dial_ops);
    self->wait.host = fetch->wait.host;
    self->wait.state = WAIT_PENDING;
    self->conn = c;
    self->dialer = Py_NewRef((PyObject *)f->dialer);
    self->begin = 1;
    host_hold(self->wait.host, &self->wait);
    wait_finish(&self->wait);
    *out = self;
    Py_DECREF(self); /* The host has it. */
    return 0;
}

void
dial_stop(void *user, void *errand)
{
    DialObject *self = errand;

    (void)user;
    self->stop = 1;
    (void)take_conn(self);
}

/* ---- methods ------------------------------------------------------------ */

static PyObject *
Dial_connected(PyObject *op, PyObject *args)
{
    DialObject *self = (DialObject *)op;
    HostObject *h = open_host(self);
    int fd, family, veiled, rc;

    if (!PyArg_ParseTuple(args, "iip:connected", &fd, &family, &veiled)) {
        return NULL;
    }
    if (h == NULL) {
        Py_RETURN_FALSE;
    }
    if (h->depth > 0) {
        PyErr_SetString(PyExc_RuntimeError, "not from inside the engine");
        return NULL;
    }
    Py_INCREF(h);
    host_enter(h);
    rc = aif_conn_adopt(take_conn(self), fd, family, veiled);
    host_leave(h);
    Py_DECREF(h);
    return PyBool_FromLong(rc == 0);
}

static PyObject *
Dial_aim(PyObject *op, PyObject *args)
{
    DialObject *self = (DialObject *)op;
    HostObject *h = open_host(self);
    const char *addresses;
    unsigned short port;

    if (!PyArg_ParseTuple(args, "sH:aim", &addresses, &port)) {
        return NULL;
    }
    if (h == NULL) {
        Py_RETURN_FALSE;
    }
    if (h->depth > 0) {
        PyErr_SetString(PyExc_RuntimeError, "not from inside the engine");
        return NULL;
    }
    Py_INCREF(h);
    host_enter(h);
    aif_conn_aim(take_conn(self), addresses, port);
    host_leave(h);
    Py_DECREF(h);
    Py_RETURN_TRUE;
}

static PyObject *
Dial_fail(PyObject *op, PyObject *exc)
{
    if (!PyExceptionInstance_Check(exc)) {
        PyErr_SetString(PyExc_TypeError, "fail() takes an exception");
        return NULL;
    }
    PyErr_SetObject((PyObject *)Py_TYPE(exc), exc);
    fail_with_exception((DialObject *)op);
    Py_RETURN_NONE;
}

/* ---- the type ----------------------------------------------------------- */

static PyObject *
Dial_get_wanted(PyObject *op, void *Py_UNUSED(closure))
{
    return PyBool_FromLong(open_host((DialObject *)op) != NULL);
}

static int
Dial_traverse(PyObject *op, visitproc visit, void *arg)
{
    DialObject *self = (DialObject *)op;

    Py_VISIT(Py_TYPE(op));
    Py_VISIT(self->dialer);
    Py_VISIT(self->task);
    return wait_traverse(&self->wait, visit, arg);
}

/* While the core knows it the host holds it, so that host is garbage too and
 * has to go first. */
static int
Dial_clear(PyObject *op)
{
    DialObject *self = (DialObject *)op;

    if (self->conn != NULL && self->wait.host != NULL) {
        host_close(self->wait.host);
    }
    Py_CLEAR(self->dialer);
    Py_CLEAR(self->task);
    wait_clear(&self->wait);
    return 0;
}

static void
Dial_dealloc(PyObject *op)
{
    PyTypeObject *type = Py_TYPE(op);

    PyObject_GC_UnTrack(op);
    (void)Dial_clear(op);
    type->tp_free(op);
    Py_DECREF(type);
}

static PyMethodDef Dial_methods[] = {
    {"connected", Dial_connected, METH_VARARGS, NULL},
    {"aim", Dial_aim, METH_VARARGS, NULL},
    {"fail", Dial_fail, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef Dial_getset[] = {
    {"wanted", Dial_get_wanted, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot Dial_slots[] = {
    {Py_tp_doc, (void *)PyDoc_STR("A connection that the program makes.")},
     {Py_tp_traverse, Dial_traverse}, {Py_tp_clear, Dial_clear},
     {Py_tp_dealloc, Dial_dealloc}, {Py_tp_methods, Dial_methods},
     {Py_tp_getset, Dial_getset}, {0, NULL},
};

static PyType_Spec Dial_spec = {
    .name = "aiofast._core.Dial",
    .basicsize = sizeof(DialObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE
             | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = Dial_slots,
};

int
dial_type_init(core_state *st)
{
    st->dial_type =
        (PyTypeObject *)PyType_FromModuleAndSpec(st->module, &Dial_spec, NULL);
    return st->dial_type == NULL ? -1
                                 : PyModule_AddType(st->module, st->dial_type);
}
