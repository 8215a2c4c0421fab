/* py_host.c -- drives one aif_loop from one asyncio loop.
 *
 * Nothing here holds a reference to a host but the asyncio loop itself: its
 * reader registration, and for a moment a call_soon or call_later. So the host
 * goes when loop.close() drops its handles, or when a forgotten loop is
 * collected, and takes all sockets along.
 */
#include "py/py_host.h"

#include "base/aif_mem.h"
#include "py/py_pool.h"

/* A libuv loop that could not be ended because a name lookup still ran. */
typedef struct orphan {
    aif_list link;
    aif_loop *core;
} orphan;

/* ---- reports ------------------------------------------------------------ */

void
host_report(PyObject *loop, const char *message, PyObject *subject)
{
    PyObject *exc = compat_take_exception();
    PyObject *facts = NULL, *res = NULL;

    if (exc != NULL && loop != NULL) {
        facts =
            Py_BuildValue("{s:s,s:O}", "message", message, "exception", exc);
        if (facts != NULL) {
            res = PyObject_CallMethod(loop, "call_exception_handler", "O",
                                      facts);
        }
    }
    if (res == NULL) {
        PyErr_WriteUnraisable(subject);
    }
    Py_XDECREF(facts);
    Py_XDECREF(res);
    Py_XDECREF(exc);
}

/* ---- asking the asyncio loop -------------------------------------------- */

static PyObject *
bound_run(HostObject *h)
{
    return PyObject_GetAttrString((PyObject *)h, "run");
}

/* loop.call_soon(h.run): libuv takes notice of new watchers only in a run. */
static void
on_wanted(void *user)
{
    HostObject *h = user;
    PyObject *run, *res = NULL;

    if (h->closed || h->active) {
        return; /* run() looks at |wanted| before it ends. */
    }
    run = bound_run(h);
    if (run != NULL) {
        PyObject *args[] = {h->loop, run};

        res = PyObject_VectorcallMethod(h->st->str_call_soon, args, 2, NULL);
        Py_DECREF(run);
    }
    if (res == NULL) {
        host_report(h->loop, "aiofast could not schedule its engine",
                    (PyObject *)h);
    }
    Py_XDECREF(res);
}

/* One TimerHandle for all deadlines. It is moved only when something is due
 * earlier than it would fire; firing too early costs one empty run. */
static int
arm_timer(HostObject *h)
{
    int ms = aif_loop_timeout(h->core);
    uint64_t due;
    PyObject *delay, *res;

    if (ms < 0) {
        return 0;
    }
    due = uv_hrtime() + (uint64_t)ms * 1000000u;
    if (h->timer != NULL) {
        if (h->timer_due <= due) {
            return 0;
        }
        res = PyObject_CallMethodNoArgs(h->timer, h->st->str_cancel);
        Py_CLEAR(h->timer);
        if (res == NULL) {
            return -1;
        }
        Py_DECREF(res);
    }
    delay = PyFloat_FromDouble(ms / 1e3);
    if (delay == NULL) {
        return -1;
    }
    {
        PyObject *args[] = {h->loop, delay, h->on_timer};

        h->timer =
            PyObject_VectorcallMethod(h->st->str_call_later, args, 3, NULL);
    }
    h->timer_due = due;
    Py_DECREF(delay);
    return h->timer == NULL ? -1 : 0;
}

/* ---- the run ------------------------------------------------------------ */

/* Wakes what is ready. If a callback ends the program the rest is left for the
 * next run, which is asked for. */
static int
drain(HostObject *h)
{
    aif_list *node;

    while ((node = aif_list_head(&h->ready)) != NULL) {
        WaitObject *w = AIF_LIST_ENTRY(node, WaitObject, link);
        int rc;

        aif_list_unlink(&w->link);
        w->queued = 0;
        rc = wait_wake(w);
        Py_DECREF(w);
        if (rc < 0) {
            return -1;
        }
    }
    return 0;
}

static PyObject *
run(HostObject *h)
{
    int rc = 0;

    if (h->closed || h->active) {
        Py_RETURN_NONE;
    }
    Py_INCREF(h); /* A callback may close the asyncio loop. */
    h->active = 1;
    /* What the woken tasks started is handed to libuv in a second turn. */
    for (int turn = 0; turn < 2 && rc == 0 && !h->closed; turn++) {
        aif_loop_run(h->core);
        rc = drain(h);
        if (h->closed || !h->core->wanted) {
            break;
        }
    }
    h->active = 0;
    if (!h->closed) {
        if (h->core->wanted || !aif_list_empty(&h->ready)) {
            PyObject *raised = rc < 0 ? compat_take_exception() : NULL;

            h->core->wanted = 1;
            on_wanted(h);
            if (raised != NULL) {
                compat_set_exception(raised);
            }
        }
        if (rc == 0) {
            rc = arm_timer(h);
        }
    }
    Py_DECREF(h);
    if (rc < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *
Host_run(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    return run((HostObject *)self);
}

/* |self| is a weak reference to the host. */
static PyObject *
on_timer(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    HostObject *h = (HostObject *)PyWeakref_GetObject(self);
    PyObject *res;

    if ((PyObject *)h == Py_None) {
        Py_RETURN_NONE;
    }
    Py_INCREF(h);
    Py_CLEAR(h->timer);
    res = run(h);
    Py_DECREF(h);
    return res;
}

static PyMethodDef on_timer_def = {"on_timer", on_timer, METH_NOARGS, NULL};

static PyObject *
make_on_timer(HostObject *h)
{
    PyObject *weak = PyWeakref_NewRef((PyObject *)h, NULL);
    PyObject *function = NULL;

    if (weak != NULL) {
        function = PyCFunction_New(&on_timer_def, weak);
        Py_DECREF(weak);
    }
    return function;
}

/* ---- the end ------------------------------------------------------------ */

/* Frees the libuv loop now, or keeps it among the orphans until its last name
 * lookup has come back. */
static void
end_core(core_state *st, aif_loop *core)
{
    orphan *o;

    core->on_wanted = NULL;
    if (aif_loop_fini(core) == 0) {
        aif_mem_free(core);
        return;
    }
    o = aif_mem_zalloc(sizeof(*o));
    if (o != NULL) {
        o->core = core;
        aif_list_push_tail(&st->orphans, &o->link);
    }
}

void
host_reap(core_state *st)
{
    aif_list *node = st->orphans.next;

    while (node != &st->orphans) {
        orphan *o = AIF_LIST_ENTRY(node, orphan, link);

        node = node->next;
        if (aif_loop_fini(o->core) == 0) {
            aif_list_unlink(&o->link);
            aif_mem_free(o->core);
            aif_mem_free(o);
        }
    }
}

static int
loop_is_open(HostObject *h)
{
    PyObject *res = PyObject_CallMethod(h->loop, "is_closed", NULL);
    int open = res == Py_False;

    if (res == NULL) {
        PyErr_Clear();
    }
    Py_XDECREF(res);
    return open;
}

void
host_close(HostObject *h)
{
    aif_list *node;
    aif_loop *core = h->core;

    if (h->closed) {
        return;
    }
    h->closed = 1;
    aif_list_unlink(&h->link);
    if (h->st->last == h) {
        h->st->last = NULL;
    }
    while ((node = aif_list_head(&h->pools)) != NULL) {
        pool_detach(AIF_LIST_ENTRY(node, PoolObject, link));
    }
    /* Whoever still waits here has a result now. */
    while ((node = aif_list_head(&h->ready)) != NULL) {
        WaitObject *w = AIF_LIST_ENTRY(node, WaitObject, link);

        aif_list_unlink(&w->link);
        w->queued = 0;
        if (w->ops->ready != NULL && w->state == WAIT_PENDING) {
            (void)w->ops->ready(w);
        }
        if (loop_is_open(h)) {
            wait_schedule(w);
        }
        w->host = NULL;
        Py_DECREF(w);
    }
    h->core = NULL;
    if (core != NULL) {
        end_core(h->st, core);
    }
}

/* ---- the type ----------------------------------------------------------- */

static int
Host_traverse(PyObject *self, visitproc visit, void *arg)
{
    HostObject *h = (HostObject *)self;

    Py_VISIT(Py_TYPE(self));
    Py_VISIT(h->loop);
    Py_VISIT(h->timer);
    Py_VISIT(h->on_timer);
    Py_VISIT(h->default_pool);
    return 0;
}

static int
Host_clear(PyObject *self)
{
    HostObject *h = (HostObject *)self;

    host_close(h);
    Py_CLEAR(h->loop);
    Py_CLEAR(h->timer);
    Py_CLEAR(h->on_timer);
    Py_CLEAR(h->default_pool);
    return 0;
}

static void
Host_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);

    PyObject_GC_UnTrack(self);
    if (((HostObject *)self)->weakrefs != NULL) {
        PyObject_ClearWeakRefs(self);
    }
    (void)Host_clear(self);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMethodDef Host_methods[] = {
    {"run", Host_run, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef Host_members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(HostObject, weakrefs),
     READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot Host_slots[] = {
    {Py_tp_doc, (void *)PyDoc_STR("The engine of one event loop.")},
     {Py_tp_traverse, Host_traverse}, {Py_tp_clear, Host_clear},
     {Py_tp_dealloc, Host_dealloc}, {Py_tp_methods, Host_methods},
     {Py_tp_members, Host_members}, {0, NULL},
};

static PyType_Spec Host_spec = {
    .name = "aiofast._core.Host",
    .basicsize = sizeof(HostObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE
             | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = Host_slots,
};

int
host_type_init(core_state *st)
{
    st->host_type =
        (PyTypeObject *)PyType_FromModuleAndSpec(st->module, &Host_spec, NULL);
    return st->host_type == NULL ? -1 : 0;
}

/* ---- finding and making ------------------------------------------------- */

/* loop.add_reader(fd, h.run) in an empty context: the caller's must not live
 * as long as the loop does. */
static int
register_reader(HostObject *h)
{
    PyObject *context = PyContext_New();
    PyObject *reader = bound_run(h);
    PyObject *res = NULL;

    if (context != NULL && reader != NULL && PyContext_Enter(context) == 0) {
        res = PyObject_CallMethod(h->loop, "add_reader", "iO",
                                  aif_loop_fd(h->core), reader);
        if (PyContext_Exit(context) < 0) {
            Py_CLEAR(res);
        }
    }
    Py_XDECREF(context);
    Py_XDECREF(reader);
    Py_XDECREF(res);
    return res == NULL ? -1 : 0;
}

static HostObject *
host_new(core_state *st, PyObject *loop)
{
    PyTypeObject *type = st->host_type;
    HostObject *h = (HostObject *)type->tp_alloc(type, 0);
    int rc;

    host_reap(st);
    if (h == NULL) {
        return NULL;
    }
    h->st = st;
    h->loop = Py_NewRef(loop);
    aif_list_init(&h->link);
    aif_list_init(&h->pools);
    aif_list_init(&h->ready);
    h->core = aif_mem_zalloc(sizeof(*h->core));
    if (h->core == NULL) {
        PyErr_NoMemory();
        goto fail;
    }
    rc = aif_loop_init(h->core);
    if (rc < 0) {
        aif_mem_free(h->core);
        h->core = NULL;
        PyErr_Format(PyExc_OSError, "libuv could not make a loop: %s",
                     uv_strerror(rc));
        goto fail;
    }
    h->core->user = h;
    h->core->on_wanted = on_wanted;
    h->on_timer = make_on_timer(h);
    if (h->on_timer == NULL || register_reader(h) < 0) {
        goto fail;
    }
    aif_list_push_tail(&st->hosts, &h->link);
    Py_DECREF(h); /* The loop's reader owns it from here on. */
    return h;

fail:
    Py_DECREF(h);
    return NULL;
}

static HostObject *
find(core_state *st, PyObject *loop)
{
    aif_list *node;

    if (st->last != NULL && st->last->loop == loop) {
        return st->last;
    }
    for (node = st->hosts.next; node != &st->hosts; node = node->next) {
        HostObject *h = AIF_LIST_ENTRY(node, HostObject, link);

        if (h->loop == loop) {
            st->last = h;
            return h;
        }
    }
    return NULL;
}

HostObject *
host_current(core_state *st, PyObject **out)
{
    PyObject *loop = PyObject_CallNoArgs(st->get_running_loop);
    HostObject *h;

    if (loop == NULL) {
        return NULL;
    }
    h = find(st, loop);
    if (h == NULL) {
        h = host_new(st, loop);
    }
    if (h != NULL && out != NULL) {
        *out = Py_NewRef(loop);
    }
    Py_DECREF(loop);
    return h;
}

HostObject *
host_find(core_state *st)
{
    PyObject *loop = PyObject_CallNoArgs(st->get_running_loop);
    HostObject *h;

    if (loop == NULL) {
        PyErr_Clear();
        return NULL;
    }
    h = find(st, loop);
    Py_DECREF(loop);
    return h;
}
