/* py_host_door.c -- the one way into the core, and what has to wait outside:
 * what Python asks for in the middle of the core, exceptions that nobody can
 * be given, references to what is under way.
 */
#include "base/aif_mem.h"
#include "py/py_host.h"

/* What Python asked for while the core was inside. */
typedef struct deferred {
    aif_list link;
    void (*fn)(void *arg);
    void *arg;
} deferred;

/* ---- exceptions --------------------------------------------------------- */

int
host_keep_interrupt(HostObject *h)
{
    if (!PyErr_ExceptionMatches(PyExc_KeyboardInterrupt)
        && !PyErr_ExceptionMatches(PyExc_SystemExit))
    {
        return 0;
    }
    Py_XSETREF(h->interrupt, compat_take_exception());
    if (h->core != NULL && !h->core->running) {
        aif_loop_want(h->core);
    }
    return 1;
}

void
host_swallow(HostObject *h)
{
    if (PyErr_Occurred() && !host_keep_interrupt(h)) {
        PyErr_Clear();
    }
}

void
host_park(HostObject *h, int code)
{
    PyObject *exc = NULL;

    if (PyErr_Occurred() && !host_keep_interrupt(h)) {
        exc = compat_take_exception();
    }
    h->parked_code = code;
    Py_XSETREF(h->parked, exc);
}

PyObject *
host_unpark(HostObject *h, int code)
{
    PyObject *exc = NULL;

    if (h->parked != NULL && h->parked_code == code) {
        exc = h->parked;
        h->parked = NULL;
    }
    return exc;
}

/* ---- the door to the core ----------------------------------------------- */

void
host_run_deferred(HostObject *h)
{
    PyObject *raised = compat_take_exception();
    aif_list *node;

    while ((node = aif_list_head(&h->later)) != NULL) {
        deferred *d = AIF_LIST_ENTRY(node, deferred, link);
        void (*fn)(void *arg) = d->fn;
        void *arg = d->arg;

        aif_list_unlink(&d->link);
        aif_mem_free(d);
        fn(arg);
    }
    if (raised != NULL) {
        compat_set_exception(raised);
    }
}

void
host_enter(HostObject *h)
{
    if (h->depth++ == 0 && !h->closed) {
        Py_INCREF(h); /* One that is being closed may be on its way out. */
        h->kept = 1;
    }
}

void
host_leave(HostObject *h)
{
    if (h->depth == 1 && h->parked != NULL) {
        Py_CLEAR(h->parked);
    }
    if (h->depth == 1 && h->unasked && h->core != NULL) {
        h->unasked = 0;
        aif_loop_want(h->core); /* There may be memory again. */
    }
    if (h->depth == 1 && !aif_list_empty(&h->later)) {
        host_run_deferred(h);
    }
    h->depth--;
    if (h->depth == 0 && h->kept) {
        h->kept = 0;
        Py_DECREF(h); /* This may be its end. */
    }
}

int
host_defer(HostObject *h, void (*fn)(void *arg), void *arg)
{
    deferred *d;

    if (h->depth == 0) {
        return 0;
    }
    d = aif_mem_zalloc(sizeof(*d));
    if (d == NULL) {
        return 0;
    }
    d->fn = fn;
    d->arg = arg;
    aif_list_push_tail(&h->later, &d->link);
    return 1;
}

void
host_hold(HostObject *h, WaitObject *w)
{
    Py_INCREF(w);
    aif_list_push_tail(&h->work, &w->work);
}

void
host_drop(WaitObject *w)
{
    if (!aif_list_empty(&w->work)) {
        aif_list_unlink(&w->work);
        Py_DECREF(w);
    }
}
