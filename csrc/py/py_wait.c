/* py_wait.c -- the awaitable.
 *
 * A Wait is its own iterator: awaiting it yields itself to the task, which
 * adds its wake-up as a callback, as it does with a future of asyncio.
 */
#include "py/py_wait.h"

#include "py/py_host.h"

void
wait_setup(WaitObject *w, core_state *st, const wait_ops *ops)
{
    w->st = st;
    w->ops = ops;
    aif_list_init(&w->link);
    aif_list_init(&w->work);
}

static WaitObject *
wait_alloc(core_state *st, const wait_ops *ops)
{
    PyTypeObject *type = st->wait_type;
    WaitObject *w = (WaitObject *)type->tp_alloc(type, 0);

    if (w != NULL) {
        wait_setup(w, st, ops);
    }
    return w;
}

static const wait_ops no_ops = {0};

WaitObject *
wait_new(core_state *st, HostObject *host, const wait_ops *ops,
         PyObject *owner)
{
    WaitObject *w = wait_alloc(st, ops);

    if (w != NULL) {
        w->host = host;
        w->loop = Py_NewRef(host->loop);
        w->owner = Py_XNewRef(owner);
        w->state = WAIT_PENDING;
    }
    return w;
}

PyObject *
wait_new_done(core_state *st, PyObject *value)
{
    WaitObject *w = wait_alloc(st, &no_ops);

    if (w != NULL) {
        w->state = WAIT_DONE;
        w->value = Py_NewRef(value);
    }
    return (PyObject *)w;
}

PyObject *
wait_new_failed(core_state *st, PyObject *exc)
{
    WaitObject *w = wait_alloc(st, &no_ops);

    if (w != NULL) {
        w->state = WAIT_FAILED;
        w->value = Py_NewRef(exc);
    }
    return (PyObject *)w;
}

/* ---- outcome ------------------------------------------------------------ */

static void
set_outcome(WaitObject *w, wait_state state, PyObject *value)
{
    if (w->state == WAIT_NEW || w->state == WAIT_PENDING) {
        w->state = state;
        Py_XSETREF(w->value, Py_XNewRef(value));
        Py_CLEAR(w->owner);
    }
}

void
wait_set_result(WaitObject *w, PyObject *value)
{
    set_outcome(w, WAIT_DONE, value);
}

void
wait_set_exception(WaitObject *w, PyObject *exc)
{
    set_outcome(w, WAIT_FAILED, exc);
}

void
wait_fail(WaitObject *w)
{
    PyObject *exc = compat_take_exception();

    wait_set_exception(w, exc);
    Py_XDECREF(exc);
}

void
wait_finish(WaitObject *w)
{
    HostObject *h = w->host;

    if (h == NULL || w->queued) {
        return;
    }
    if (h->core == NULL) {
        wait_schedule(w); /* It was closed by what runs just now. */
        return;
    }
    w->queued = 1;
    Py_INCREF(w);
    aif_list_push_tail(&h->ready, &w->link);
    h->ready_count++;
    if (!h->core->running) {
        aif_loop_want(h->core);
    }
}

/* The start that was put off; unlike at once, somebody waits by now. */
static void
start_later(void *arg)
{
    WaitObject *w = arg;

    if (w->state == WAIT_PENDING && w->ops->start(w) < 0) {
        wait_fail(w);
        wait_finish(w);
    }
    Py_DECREF(w);
}

int
wait_begin(WaitObject *w)
{
    HostObject *h;
    PyObject *loop;

    if (w->state != WAIT_NEW) {
        return 0;
    }
    h = host_current(w->st, &loop);
    if (h == NULL) {
        return -1;
    }
    if (w->state != WAIT_NEW) { /* Python may run to make a host. */
        Py_DECREF(loop);
        return 0;
    }
    Py_INCREF(h); /* The start runs Python, which may close it. */
    w->host = h;
    w->loop = loop;
    w->state = WAIT_PENDING;
    Py_INCREF(w);
    if (w->ops->start == NULL || !host_defer(h, start_later, w)) {
        if (w->ops->start != NULL && w->ops->start(w) < 0) {
            wait_fail(w);
        }
        if (w->state != WAIT_PENDING && !w->queued && aif_list_empty(&w->work))
        {
            w->host = NULL;
        }
        Py_DECREF(w);
    }
    Py_DECREF(h);
    return 0;
}

/* ---- the result --------------------------------------------------------- */

/* gather() of asyncio asks its futures for it by this name. */
static PyObject *
Wait_make_cancelled_error(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    WaitObject *w = (WaitObject *)self;

    if (w->state != WAIT_CANCELLED || w->value == NULL || w->value == Py_None)
    {
        return PyObject_CallNoArgs(w->st->cancelled_error);
    }
    return PyObject_CallOneArg(w->st->cancelled_error, w->value);
}

static void
raise_cancelled(WaitObject *w)
{
    PyObject *exc = Wait_make_cancelled_error((PyObject *)w, NULL);

    if (exc != NULL) {
        PyErr_SetObject((PyObject *)Py_TYPE(exc), exc);
        Py_DECREF(exc);
    }
}

static PyObject *
get_result(WaitObject *w)
{
    switch (w->state) {
    case WAIT_DONE:
        return Py_NewRef(w->value);
    case WAIT_FAILED:
        if (w->value == NULL) {
            PyErr_NoMemory();
        }
        else {
            PyErr_SetObject((PyObject *)Py_TYPE(w->value), w->value);
        }
        return NULL;
    case WAIT_CANCELLED:
        raise_cancelled(w);
        return NULL;
    case WAIT_NEW:
    case WAIT_PENDING:
        break;
    }
    PyErr_SetString(w->st->invalid_state_error, "Result is not set.");
    return NULL;
}

static PyObject *
Wait_result(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    return get_result((WaitObject *)self);
}

static PyObject *
Wait_exception(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    WaitObject *w = (WaitObject *)self;

    if (w->state == WAIT_DONE) {
        Py_RETURN_NONE;
    }
    if (w->state == WAIT_FAILED && w->value != NULL) {
        return Py_NewRef(w->value);
    }
    if (w->state == WAIT_CANCELLED) {
        raise_cancelled(w);
        return NULL;
    }
    PyErr_SetString(w->st->invalid_state_error, "Exception is not set.");
    return NULL;
}

static PyObject *
Wait_done(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    WaitObject *w = (WaitObject *)self;

    return PyBool_FromLong(w->state != WAIT_NEW && w->state != WAIT_PENDING);
}

static PyObject *
Wait_cancelled(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    return PyBool_FromLong(((WaitObject *)self)->state == WAIT_CANCELLED);
}

static PyObject *
Wait_get_loop(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    WaitObject *w = (WaitObject *)self;

    if (w->loop != NULL) {
        return Py_NewRef(w->loop);
    }
    return PyObject_CallNoArgs(w->st->get_running_loop);
}

/* Ends the work and marks |w| cancelled; callbacks come from the drain. */
static void
cancel_wait(WaitObject *w, PyObject *msg)
{
    PyObject *owner = Py_XNewRef(w->owner);

    if (w->state == WAIT_PENDING && w->ops->stop != NULL) {
        w->ops->stop(w);
    }
    set_outcome(w, WAIT_CANCELLED, msg);
    wait_finish(w);
    Py_XDECREF(owner);
}

static PyObject *
Wait_cancel(PyObject *self, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"msg", NULL};
    WaitObject *w = (WaitObject *)self;
    PyObject *msg = Py_None;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|O:cancel", names, &msg)) {
        return NULL;
    }
    if (w->state != WAIT_NEW && w->state != WAIT_PENDING) {
        Py_RETURN_FALSE;
    }
    cancel_wait(w, msg);
    Py_RETURN_TRUE;
}

/* ---- the coroutine ------------------------------------------------------ */

static PySendResult
Wait_am_send(PyObject *self, PyObject *Py_UNUSED(arg), PyObject **result)
{
    WaitObject *w = (WaitObject *)self;

    if (w->state == WAIT_NEW && wait_begin(w) < 0) {
        *result = NULL;
        return PYGEN_ERROR;
    }
    if (w->state == WAIT_PENDING) {
        w->blocking = 1;
        *result = Py_NewRef(self);
        return PYGEN_NEXT;
    }
    *result = get_result(w);
    return *result == NULL ? PYGEN_ERROR : PYGEN_RETURN;
}

/* StopIteration(value), also where the value is a tuple or an exception. */
static void
set_stop_iteration(PyObject *value)
{
    PyObject *exc = PyObject_CallOneArg(PyExc_StopIteration, value);

    if (exc != NULL) {
        PyErr_SetObject(PyExc_StopIteration, exc);
        Py_DECREF(exc);
    }
}

static PyObject *
Wait_iternext(PyObject *self)
{
    PyObject *result;

    switch (Wait_am_send(self, Py_None, &result)) {
    case PYGEN_NEXT:
        return result;
    case PYGEN_RETURN:
        set_stop_iteration(result);
        Py_DECREF(result);
        return NULL;
    case PYGEN_ERROR:
        break;
    }
    return NULL;
}

static PyObject *
Wait_send(PyObject *self, PyObject *Py_UNUSED(value))
{
    return Wait_iternext(self);
}

/* Whoever awaited does not any more. If nobody else does, the work ends. The
 * callback of who has left may still be there, so that one alone says nothing;
 * and a task of another loop, which was told that it may not wait here, had
 * no share in it. */
static void
abandon(WaitObject *w)
{
    PyObject *running;
    int foreign;

    if (w->state != WAIT_NEW && w->state != WAIT_PENDING) {
        return;
    }
    if (w->callback != NULL && w->more != NULL && PyList_GET_SIZE(w->more) > 0)
    {
        return;
    }
    running = PyObject_CallNoArgs(w->st->get_running_loop);
    if (running == NULL) {
        PyErr_Clear();
    }
    foreign = running != NULL && w->loop != NULL && running != w->loop;
    Py_XDECREF(running);
    if (!foreign) {
        cancel_wait(w, Py_None);
    }
}

/* Something is thrown in at the await: the wait is over for whoever awaits. */
static PyObject *
Wait_throw(PyObject *self, PyObject *args)
{
    WaitObject *w = (WaitObject *)self;
    PyObject *type, *value = NULL, *tb = NULL;

    if (!PyArg_UnpackTuple(args, "throw", 1, 3, &type, &value, &tb)) {
        return NULL;
    }
    if (tb == Py_None) {
        tb = NULL;
    }
    if (tb != NULL && !PyTraceBack_Check(tb)) {
        PyErr_SetString(PyExc_TypeError,
                        "throw() third argument must be a traceback");
        return NULL;
    }
    abandon(w);
    if (PyExceptionInstance_Check(type)) {
        PyErr_SetObject((PyObject *)Py_TYPE(type), type);
    }
    else if (PyExceptionClass_Check(type)) {
        PyErr_SetObject(type, value == Py_None ? NULL : value);
    }
    else {
        PyErr_SetString(PyExc_TypeError,
                        "exceptions must derive from BaseException");
    }
    return NULL;
}

static PyObject *
Wait_close(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    abandon((WaitObject *)self);
    Py_RETURN_NONE;
}

/* ---- the type ----------------------------------------------------------- */

int
wait_traverse(WaitObject *w, visitproc visit, void *arg)
{
    Py_VISIT(w->loop);
    Py_VISIT(w->callback);
    Py_VISIT(w->context);
    Py_VISIT(w->more);
    Py_VISIT(w->value);
    Py_VISIT(w->owner);
    return 0;
}

void
wait_clear(WaitObject *w)
{
    Py_CLEAR(w->loop);
    Py_CLEAR(w->callback);
    Py_CLEAR(w->context);
    Py_CLEAR(w->more);
    Py_CLEAR(w->value);
    Py_CLEAR(w->owner);
}

static int
Wait_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    return wait_traverse((WaitObject *)self, visit, arg);
}

static int
Wait_clear(PyObject *self)
{
    wait_clear((WaitObject *)self);
    return 0;
}

static void
Wait_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);

    PyObject_GC_UnTrack(self);
    if (((WaitObject *)self)->weakrefs != NULL) {
        PyObject_ClearWeakRefs(self);
    }
    wait_clear((WaitObject *)self);
    type->tp_free(self);
    Py_DECREF(type);
}

PyMethodDef wait_methods[] = {
    {"send", Wait_send, METH_O, NULL},
    {"throw", Wait_throw, METH_VARARGS, NULL},
    {"close", Wait_close, METH_NOARGS, NULL},
    {"get_loop", Wait_get_loop, METH_NOARGS, NULL},
    {"add_done_callback", (PyCFunction)(void (*)(void))wait_add_done_callback,
     METH_FASTCALL | METH_KEYWORDS, NULL},
    {"remove_done_callback", wait_remove_done_callback, METH_O, NULL},
    {"cancel", (PyCFunction)(void (*)(void))Wait_cancel,
     METH_VARARGS | METH_KEYWORDS, NULL},
    {"cancelled", Wait_cancelled, METH_NOARGS, NULL},
    {"done", Wait_done, METH_NOARGS, NULL},
    {"result", Wait_result, METH_NOARGS, NULL},
    {"exception", Wait_exception, METH_NOARGS, NULL},
    {"_make_cancelled_error", Wait_make_cancelled_error, METH_NOARGS, NULL},
    {"__class_getitem__", Py_GenericAlias, METH_O | METH_CLASS, NULL},
    {NULL, NULL, 0, NULL},
};

/* None before the start: to asyncio that is no future but a coroutine, which
 * ensure_future() and gather() run in a task, so that it does start. */
static PyObject *
Wait_get_blocking(PyObject *self, void *Py_UNUSED(closure))
{
    WaitObject *w = (WaitObject *)self;

    if (w->state == WAIT_NEW) {
        Py_RETURN_NONE;
    }
    return PyBool_FromLong(w->blocking);
}

static int
Wait_set_blocking(PyObject *self, PyObject *value, void *Py_UNUSED(closure))
{
    int blocking = value == NULL ? 0 : PyObject_IsTrue(value);

    if (blocking < 0) {
        return -1;
    }
    ((WaitObject *)self)->blocking = (char)blocking;
    return 0;
}

/* For gather() too, which takes it where it collects exceptions. */
static PyObject *
Wait_get_cancel_message(PyObject *self, void *Py_UNUSED(closure))
{
    WaitObject *w = (WaitObject *)self;

    if (w->state != WAIT_CANCELLED || w->value == NULL) {
        Py_RETURN_NONE;
    }
    return Py_NewRef(w->value);
}

static PyGetSetDef Wait_getset[] = {
    {"_cancel_message", Wait_get_cancel_message, NULL, NULL, NULL},
    {"_asyncio_future_blocking", Wait_get_blocking, Wait_set_blocking, NULL,
     NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMemberDef Wait_members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(WaitObject, weakrefs),
     READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

PyDoc_STRVAR(Wait_doc,
             "A result to come: awaitable, usable as a coroutine and as a "
             "future of asyncio.");

static PyType_Slot Wait_slots[] = {
    {Py_tp_doc, (void *)Wait_doc},   {Py_tp_traverse, Wait_traverse},
    {Py_tp_clear, Wait_clear},       {Py_tp_dealloc, Wait_dealloc},
    {Py_tp_methods, wait_methods},   {Py_tp_members, Wait_members},
    {Py_tp_getset, Wait_getset},     {Py_tp_iter, PyObject_SelfIter},
    {Py_tp_iternext, Wait_iternext}, {Py_am_await, PyObject_SelfIter},
    {Py_am_send, Wait_am_send},      {0, NULL},
};

static PyType_Spec Wait_spec = {
    .name = "aiofast._core.Wait",
    .basicsize = sizeof(WaitObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE
             | Py_TPFLAGS_IMMUTABLETYPE | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = Wait_slots,
};

/* isinstance(w, collections.abc.Coroutine) is what create_task() asks. */
static int
register_coroutine(PyObject *type)
{
    PyObject *abc = PyImport_ImportModule("collections.abc");
    PyObject *coroutine = NULL, *res = NULL;

    if (abc != NULL) {
        coroutine = PyObject_GetAttrString(abc, "Coroutine");
    }
    if (coroutine != NULL) {
        res = PyObject_CallMethod(coroutine, "register", "O", type);
    }
    Py_XDECREF(abc);
    Py_XDECREF(coroutine);
    Py_XDECREF(res);
    return res == NULL ? -1 : 0;
}

int
wait_type_init(core_state *st)
{
    st->wait_type =
        (PyTypeObject *)PyType_FromModuleAndSpec(st->module, &Wait_spec, NULL);
    if (st->wait_type == NULL
        || PyModule_AddType(st->module, st->wait_type) < 0)
    {
        return -1;
    }
    return register_coroutine((PyObject *)st->wait_type);
}
