/* py_fetch.c -- aiofast._core.Fetch: the type, and what makes them. */
#include "py/py_fetch.h"

/* ---- methods ------------------------------------------------------------ */

static PyObject *
Fetch_aenter(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    ((FetchObject *)self)->entered = 1;
    return Py_NewRef(self);
}

static PyObject *
Fetch_aexit(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    WaitObject *w = (WaitObject *)self;
    core_state *st = w->st;

    (void)args;
    (void)nargs;
    if (w->state == WAIT_DONE
        && PyObject_TypeCheck(w->value, st->response_type))
    {
        response_release((ResponseObject *)w->value, 0);
    }
    if (st->done_none == NULL) {
        st->done_none = wait_new_done(st, Py_None);
    }
    return Py_XNewRef(st->done_none);
}

static PyObject *
Fetch_get_elapsed(PyObject *self, void *Py_UNUSED(closure))
{
    uint64_t started = ((FetchObject *)self)->started;

    return PyFloat_FromDouble(
        started == 0 ? 0 : (double)(uv_hrtime() - started) / 1e9);
}

/* The phase that is under way; "done" once the head of the response is
 * there. */
static PyObject *
Fetch_get_phase(PyObject *self, void *Py_UNUSED(closure))
{
    const aif_fetch *f = ((FetchObject *)self)->fetch;

    return PyUnicode_FromString(
        aif_trace_name(f == NULL ? AIF_PHASE_DONE : f->trace.phase));
}

static PyObject *
Fetch_get_dns_cached(PyObject *self, void *Py_UNUSED(closure))
{
    return PyBool_FromLong(((FetchObject *)self)->dns_cached);
}

static PyObject *
Fetch_repr(PyObject *self)
{
    static const char *const names[] = {"not started", "pending", "done",
                                        "failed", "cancelled"};
    FetchObject *f = (FetchObject *)self;

    return PyUnicode_FromFormat("<Fetch %U %U %s>", f->method, f->url,
                                names[f->wait.state]);
}

/* ---- the type ----------------------------------------------------------- */

static int
Fetch_traverse(PyObject *op, visitproc visit, void *arg)
{
    FetchObject *self = (FetchObject *)op;

    Py_VISIT(Py_TYPE(op));
    Py_VISIT(self->options);
    Py_VISIT(self->headers);
    Py_VISIT(self->body);
    Py_VISIT(self->view.obj);
    Py_VISIT(self->upload);
    Py_VISIT(self->context);
    Py_VISIT(self->history);
    Py_VISIT(self->trace);
    Py_VISIT(self->cause);
    Py_VISIT(self->place);
    Py_VISIT(self->response);
    return wait_traverse(&self->wait, visit, arg);
}

static int
Fetch_clear(PyObject *op)
{
    FetchObject *self = (FetchObject *)op;

    /* The host holds what is under way, so it is garbage as well. */
    if (self->running) {
        host_close(self->wait.host);
    }
    if (self->view.obj != NULL) {
        PyBuffer_Release(&self->view);
    }
    aif_fetch_free(self->fetch);
    self->fetch = NULL;
    Py_CLEAR(self->upload);
    Py_CLEAR(self->context);
    Py_CLEAR(self->headers);
    Py_CLEAR(self->body);
    Py_CLEAR(self->history);
    Py_CLEAR(self->trace);
    Py_CLEAR(self->cause);
    Py_CLEAR(self->place);
    Py_CLEAR(self->response);
    wait_clear(&self->wait);
    return 0;
}

/* The same warning as for a coroutine that nobody awaited. */
static void
warn_unused(FetchObject *self)
{
    PyObject *raised = compat_take_exception();

    if (PyErr_WarnFormat(PyExc_RuntimeWarning, 1, "%U %U was never awaited",
                         self->method, self->url)
        < 0)
    {
        PyErr_WriteUnraisable(self->method);
    }
    if (raised != NULL) {
        compat_set_exception(raised);
    }
}

static void
Fetch_dealloc(PyObject *op)
{
    FetchObject *self = (FetchObject *)op;
    PyTypeObject *type = Py_TYPE(op);

    PyObject_GC_UnTrack(op);
    if (self->wait.weakrefs != NULL) {
        PyObject_ClearWeakRefs(op);
    }
    if (self->wait.state == WAIT_NEW && self->url != NULL) {
        warn_unused(self);
    }
    (void)Fetch_clear(op);
    interim_free(self->interims);
    Py_CLEAR(self->method);
    Py_CLEAR(self->url);
    Py_CLEAR(self->query);
    Py_CLEAR(self->pool);
    Py_CLEAR(self->options);
    type->tp_free(op);
    Py_DECREF(type);
}

static PyMethodDef Fetch_methods[] = {
    {"__aenter__", Fetch_aenter, METH_NOARGS, NULL},
    {"__aexit__", (PyCFunction)(void (*)(void))Fetch_aexit, METH_FASTCALL,
     NULL},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef Fetch_members[] = {
    {"method", T_OBJECT, offsetof(FetchObject, method), READONLY, NULL},
    {"url", T_OBJECT, offsetof(FetchObject, url), READONLY, NULL},
    {"headers", T_OBJECT, offsetof(FetchObject, headers), READONLY, NULL},
    {"body", T_OBJECT, offsetof(FetchObject, body), READONLY, NULL},
    {"history", T_OBJECT, offsetof(FetchObject, history), READONLY, NULL},
    {"options", T_OBJECT, offsetof(FetchObject, options), READONLY, NULL},
    {"redirects", T_LONG, offsetof(FetchObject, redirects), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyGetSetDef Fetch_getset[] = {
    {"elapsed", Fetch_get_elapsed, NULL, NULL, NULL},
    {"phase", Fetch_get_phase, NULL, NULL, NULL},
    {"dns_cached", Fetch_get_dns_cached, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot Fetch_slots[] = {
    {Py_tp_doc,
     (void *)PyDoc_STR("One request with its redirects; awaiting it gives "
                       "the response.")},
     {Py_tp_traverse, Fetch_traverse}, {Py_tp_clear, Fetch_clear},
     {Py_tp_dealloc, Fetch_dealloc}, {Py_tp_repr, Fetch_repr},
     {Py_tp_methods, Fetch_methods}, {Py_tp_members, Fetch_members},
     {Py_tp_getset, Fetch_getset}, {0, NULL},
};

static PyType_Spec Fetch_spec = {
    .name = "aiofast._core.Fetch",
    .basicsize = sizeof(FetchObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE
             | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = Fetch_slots,
};

int
fetch_type_init(core_state *st)
{
    st->fetch_type = (PyTypeObject *)PyType_FromModuleAndSpec(
        st->module, &Fetch_spec, (PyObject *)st->wait_type);
    return st->fetch_type == NULL
               ? -1
               : PyModule_AddType(st->module, st->fetch_type);
}

/* ---- module functions --------------------------------------------------- */

PyObject *
fetch_new(core_state *st, const fetch_call *call)
{
    FetchObject *self =
        (FetchObject *)st->fetch_type->tp_alloc(st->fetch_type, 0);

    if (self == NULL) {
        return NULL;
    }
    wait_setup(&self->wait, st, &fetch_ops);
    self->options = (OptionsObject *)Py_NewRef(call->options);
    self->pool = (PoolObject *)Py_XNewRef(call->pool);
    self->method = Py_NewRef(call->method);
    self->url = Py_NewRef(call->url);
    self->query = Py_XNewRef(call->query);
    self->headers = Py_NewRef(call->headers == NULL ? Py_None : call->headers);
    self->body = Py_NewRef(call->body == NULL ? Py_None : call->body);
    self->redirects = call->redirects;
    self->trace = Py_XNewRef(call->trace);
    self->history = Py_NewRef(st->empty_tuple);
    return (PyObject *)self;
}

static PyObject *
unless_none(PyObject *value)
{
    return value == Py_None ? NULL : value;
}

PyObject *
core_fetch(PyObject *module, PyObject *const *args, Py_ssize_t nargs)
{
    core_state *st = state_of_module(module);
    fetch_call call;

    if (nargs != 9) {
        PyErr_SetString(PyExc_TypeError, "fetch() takes 9 arguments");
        return NULL;
    }
    if (!Py_IS_TYPE(args[0], st->options_type)
        || (args[1] != Py_None && !Py_IS_TYPE(args[1], st->pool_type))
        || !PyUnicode_Check(args[2]) || !PyUnicode_Check(args[3])
        || (args[4] != Py_None && !PyUnicode_Check(args[4])))
    {
        PyErr_SetString(PyExc_TypeError,
                        "fetch(Options, Pool | None, str, str, str | None, "
                        "headers, body, int, trace)");
        return NULL;
    }
    call = (fetch_call){
        .options = (OptionsObject *)args[0],
        .pool = (PoolObject *)unless_none(args[1]),
        .method = args[2],
        .url = args[3],
        .query = unless_none(args[4]),
        .headers = args[5],
        .body = args[6],
        .redirects = PyLong_AsLong(args[7]),
        .trace = unless_none(args[8]),
    };
    if (call.redirects == -1 && PyErr_Occurred()) {
        return NULL;
    }
    return fetch_new(st, &call);
}
