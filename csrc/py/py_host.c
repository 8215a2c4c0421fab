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
#include "py/py_transport.h"

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
    else if (exc != NULL) {
        compat_set_exception(Py_NewRef(exc));
    }
    if (res == NULL) {
        PyErr_WriteUnraisable(subject);
    }
    Py_XDECREF(facts);
    Py_XDECREF(res);
    Py_XDECREF(exc);
}

/* ---- asking the asyncio loop -------------------------------------------- */

/* loop.call_soon(h.run_soon), once until it comes: 0 or -1 with an exception.
 * A collector may have come here in the thread of another loop. */
static int
ask_for_run(HostObject *h)
{
    PyObject *run, *res = NULL;

    if (h->asked) {
        return 0;
    }
    h->asked = 1;
    run = PyObject_GetAttrString((PyObject *)h, "run_soon");
    if (run != NULL) {
        PyObject *args[] = {h->loop, run};
        PyObject *name = PyThread_get_thread_ident() == h->thread
                             ? h->st->str_call_soon
                             : h->st->str_call_soon_threadsafe;

        res = PyObject_VectorcallMethod(name, args, 2, NULL);
        Py_DECREF(run);
    }
    Py_XDECREF(res);
    if (res == NULL) {
        h->asked = 0;
    }
    return res == NULL ? -1 : 0;
}

/* libuv takes notice of new watchers only in a run. */
static void
on_wanted(void *user)
{
    HostObject *h = user;
    PyObject *raised;
    int rc;

    /* Inside run() too, which looks at |wanted| before it ends: a task that it
     * woke may run the asyncio loop itself, and run() does not end before. */
    if (h->closed) {
        return;
    }
    raised = compat_take_exception();
    rc = ask_for_run(h);
    if (rc < 0 && host_keep_interrupt(h)) {
        /* A signal came in between; that it is raised needs the run too. */
        rc = ask_for_run(h);
    }
    if (rc < 0) {
        /* Or nobody would ever ask again: what was started would not be seen,
         * and what is cancelled would not wake up. */
        h->core->wanted = 0;
        h->unasked = 1;
        host_report(h->loop, "aiofast could not schedule its engine",
                    (PyObject *)h);
    }
    if (raised != NULL) {
        compat_set_exception(raised);
    }
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

static WaitObject *
take_ready(HostObject *h)
{
    aif_list *node = aif_list_head(&h->ready);
    WaitObject *w;

    if (node == NULL) {
        return NULL;
    }
    w = AIF_LIST_ENTRY(node, WaitObject, link);
    aif_list_unlink(&w->link);
    h->ready_count--;
    w->queued = 0;
    return w;
}

/* Wakes what is ready now; what becomes ready by it has to wait for the next
 * run, or a program that fails and tries again would have the loop to itself.
 * If a callback ends the program the rest is left for the next run too. */
static int
drain(HostObject *h)
{
    unsigned count = h->ready_count;
    WaitObject *w;
    int rc = 0;

    for (; rc == 0 && count > 0 && (w = take_ready(h)) != NULL; count--) {
        rc = wait_wake(w);
        Py_DECREF(w);
    }
    return rc;
}

/* Before control goes back to asyncio, with |rc| < 0 and an exception set or
 * not: asks for the next run, at once or in time. */
static int
prepare_next_run(HostObject *h, int rc)
{
    PyObject *raised = rc < 0 ? compat_take_exception() : NULL;

    if (h->core->wanted || !aif_list_empty(&h->ready) || h->interrupt != NULL)
    {
        h->core->wanted = 1;
        on_wanted(h);
    }
    rc = arm_timer(h);
    if (raised != NULL) {
        if (rc < 0) {
            host_report(h->loop, "aiofast could not set its timer",
                        (PyObject *)h);
        }
        compat_set_exception(raised);
        rc = -1;
    }
    return rc;
}

/* Two turns of libuv and what they woke. |lingered|: something has come, and
 * nothing else is due. */
static int
turn(HostObject *h, int lingered)
{
    int rc = 0;

    /* What the woken tasks started is handed to libuv in a second turn. */
    for (int count = 0; count < 2; count++) {
        host_enter(h);
        if (lingered && count == 0) {
            aif_loop_run_expected(h->core);
        }
        else {
            aif_loop_run(h->core);
        }
        host_leave(h);
        if (!h->closed) {
            rc = drain(h);
        }
        if (rc < 0 || h->closed || !h->core->wanted) {
            break;
        }
    }
    if (rc == 0 && h->interrupt != NULL) {
        compat_set_exception(h->interrupt);
        h->interrupt = NULL;
        rc = -1;
    }
    if (!h->closed) {
        rc = prepare_next_run(h, rc);
    }
    return rc;
}

/* A task that is woken may run the asyncio loop itself, as nest_asyncio lets
 * it, and so come here again: not inside the core, and what the outer run has
 * in hand is not in the lists any more. */
static PyObject *
run(HostObject *h)
{
    int rc, lingered = 0;

    if (h->closed || h->depth > 0) {
        Py_RETURN_NONE;
    }
    Py_INCREF(h); /* A callback may close the asyncio loop. */
    h->thread = PyThread_get_thread_ident();
    h->runs++;
    do {
        rc = turn(h, lingered);
        lingered = rc == 0 && !h->closed && host_linger(h);
    } while (lingered);
    h->runs--;
    h->linger_until = 0;
    Py_DECREF(h);
    if (rc < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

/* The reader of the asyncio loop, which enters the same context for each call
 * and cannot while it is entered: it is left meanwhile, so that a loop that a
 * woken task runs can call the reader too. */
static PyObject *
Host_run(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    PyObject *context = Py_XNewRef(compat_context());
    PyObject *res;

    if (context != NULL && PyContext_Exit(context) < 0) {
        PyErr_Clear(); /* It was not entered by whoever calls. */
        Py_CLEAR(context);
    }
    res = run((HostObject *)self);
    if (context != NULL && PyContext_Enter(context) < 0) {
        Py_CLEAR(res);
    }
    Py_XDECREF(context);
    return res;
}

static PyObject *
Host_run_soon(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    HostObject *h = (HostObject *)self;

    h->asked = 0;
    if (!h->closed && !h->core->wanted) {
        Py_RETURN_NONE; /* There was a run meanwhile. */
    }
    return run(h);
}

/* |self| is a weak reference to the host. */
static PyObject *
on_timer(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    HostObject *h = (HostObject *)compat_weakref_get(self);
    PyObject *res;

    if (h == NULL) {
        Py_RETURN_NONE;
    }
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

/* The drain of a host that goes. Callbacks are left to the asyncio loop. */
static void
flush_ready(HostObject *h)
{
    WaitObject *w;

    while ((w = take_ready(h)) != NULL) {
        if (w->ops->ready != NULL && w->state == WAIT_PENDING) {
            (void)w->ops->ready(w);
        }
        if (w->state == WAIT_PENDING) {
            PyErr_SetString(PyExc_RuntimeError, "the engine was closed");
            wait_fail(w);
        }
        if (loop_is_open(h)) {
            wait_schedule(w);
        }
        w->host = NULL;
        Py_DECREF(w);
    }
}

void
host_close(HostObject *h)
{
    aif_list *node;
    aif_loop *core = h->core;
    PyObject *raised;

    if (h->closed) {
        return;
    }
    raised = compat_take_exception(); /* It may be a finalizer that closes. */
    h->closed = 1;
    h->depth++;
    aif_list_unlink(&h->link);
    if (h->st->last == h) {
        h->st->last = NULL;
    }
    while ((node = aif_list_head(&h->pools)) != NULL) {
        pool_detach(AIF_LIST_ENTRY(node, PoolObject, link));
    }
    while ((node = aif_list_head(&h->transports)) != NULL) {
        transport_detach(AIF_LIST_ENTRY(node, TransportObject, link));
    }
    /* Whoever still waits here has a result now. */
    flush_ready(h);
    host_run_deferred(h);
    flush_ready(h);
    while ((node = aif_list_head(&h->work)) != NULL) {
        WaitObject *w = AIF_LIST_ENTRY(node, WaitObject, work);

        if (w->state == WAIT_PENDING) {
            PyErr_SetString(PyExc_RuntimeError, "the engine was closed");
            wait_fail(w);
            if (loop_is_open(h)) {
                wait_schedule(w);
            }
        }
        w->host = NULL;
        host_drop(w);
    }
    h->core = NULL;
    h->depth--;
    if (core != NULL) {
        spare_fini(&h->spares);
        end_core(h->st, core);
    }
    if (raised != NULL) {
        compat_set_exception(raised);
    }
}

/* A timer that is left would keep its place in the asyncio loop until it is
 * due. */
static int
cancel_timer(HostObject *h)
{
    PyObject *timer = h->timer, *res;

    h->timer = NULL;
    if (timer == NULL) {
        return 0;
    }
    res = PyObject_CallMethodNoArgs(timer, h->st->str_cancel);
    Py_DECREF(timer);
    Py_XDECREF(res);
    return res == NULL ? -1 : 0;
}

static void
end_later(void *arg)
{
    HostObject *h = arg;

    h->depth--; /* It is the last in the door. */
    if (host_end(h) < 0) {
        host_report(h->loop, "aiofast could not end its engine",
                    (PyObject *)h);
    }
    h->depth++;
    Py_DECREF(h);
}

int
host_end(HostObject *h)
{
    PyObject *res;
    int rc;

    if (h->closed) {
        return 0;
    }
    Py_INCREF(h); /* The reader owns it. */
    if (host_defer(h, end_later, h)) {
        return 0;
    }
    res = PyObject_CallMethod(h->loop, "remove_reader", "i",
                              aif_loop_fd(h->core));
    rc = res == NULL ? -1 : cancel_timer(h);
    Py_XDECREF(res);
    host_close(h);
    Py_DECREF(h);
    return rc;
}

/* ---- the type ----------------------------------------------------------- */

static int
Host_traverse(PyObject *self, visitproc visit, void *arg)
{
    HostObject *h = (HostObject *)self;
    aif_list *node;

    Py_VISIT(Py_TYPE(self));
    Py_VISIT(h->loop);
    Py_VISIT(h->timer);
    Py_VISIT(h->on_timer);
    Py_VISIT(h->run_once);
    Py_VISIT(h->loop_ready);
    Py_VISIT(h->default_pool);
    Py_VISIT(h->parked);
    Py_VISIT(h->interrupt);
    for (node = h->ready.next; node != &h->ready; node = node->next) {
        Py_VISIT(AIF_LIST_ENTRY(node, WaitObject, link));
    }
    for (node = h->transports.next; node != &h->transports; node = node->next)
    {
        TransportObject *t = AIF_LIST_ENTRY(node, TransportObject, link);

        if (t->held) {
            Py_VISIT(t);
        }
    }
    for (node = h->work.next; node != &h->work; node = node->next) {
        Py_VISIT(AIF_LIST_ENTRY(node, WaitObject, work));
    }
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
    Py_CLEAR(h->run_once);
    Py_CLEAR(h->loop_ready);
    Py_CLEAR(h->default_pool);
    Py_CLEAR(h->parked);
    Py_CLEAR(h->interrupt);
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
    {"run_soon", Host_run_soon, METH_NOARGS, NULL},
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
    PyObject *reader = NULL, *res = NULL;

    if (context != NULL) {
        reader = PyObject_GetAttrString((PyObject *)h, "run");
    }
    if (reader != NULL && PyContext_Enter(context) == 0) {
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

/* Whether asyncio would like to know more about everything. */
static int
wants_debug(PyObject *loop)
{
    PyObject *found = PyObject_CallMethod(loop, "get_debug", NULL);
    int debug = found == NULL ? -1 : PyObject_IsTrue(found);

    Py_XDECREF(found);
    if (debug < 0) {
        PyErr_Clear(); /* a loop that has no such mode */
    }
    return debug > 0;
}

static HostObject *
host_new(core_state *st, PyObject *loop)
{
    PyTypeObject *type = st->host_type;
    HostObject *h = (HostObject *)type->tp_alloc(type, 0);
    int rc;

    if (h == NULL) {
        return NULL;
    }
    /* Nothing may run Python before the lists can be walked. */
    aif_list_init(&h->link);
    aif_list_init(&h->pools);
    aif_list_init(&h->transports);
    aif_list_init(&h->ready);
    aif_list_init(&h->work);
    aif_list_init(&h->later);
    h->st = st;
    h->loop = Py_NewRef(loop);
    h->thread = PyThread_get_thread_ident();
    host_reap(st);
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
    spare_init(&h->spares, h->core);
    h->core->user = h;
    h->core->on_wanted = on_wanted;
    h->on_timer = make_on_timer(h);
    if (h->on_timer == NULL || register_reader(h) < 0) {
        goto fail;
    }
    h->debug = wants_debug(loop) != 0;
    host_linger_init(h);
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
    else if (h->forked) {
        PyErr_SetString(PyExc_RuntimeError,
                        "this event loop was used before the process was "
                        "forked; make a new one in the child");
        h = NULL;
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
