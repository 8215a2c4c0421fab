/* py_wait_callbacks.c -- who is told that a Wait is over, and how: directly
 * from the drain, in the context that each callback was given with.
 */
#include "py/py_host.h"
#include "py/py_wait.h"

/* Calls |cb|(|w|) in |context|. What it raises is reported, as a Handle of
 * asyncio does; only the two that end the program pass. */
static int
call_back(WaitObject *w, PyObject *cb, PyObject *context)
{
    PyObject *res = NULL;

    if (PyContext_Enter(context) == 0) {
        res = PyObject_CallOneArg(cb, (PyObject *)w);
        if (PyContext_Exit(context) < 0) {
            Py_CLEAR(res);
        }
    }
    if (res != NULL) {
        Py_DECREF(res);
        return 0;
    }
    if (PyErr_ExceptionMatches(PyExc_KeyboardInterrupt)
        || PyErr_ExceptionMatches(PyExc_SystemExit))
    {
        return -1;
    }
    host_report(w->loop, "Exception in a callback of an aiofast awaitable",
                cb);
    return 0;
}

/* loop.call_soon(cb, w, context=context), for a Wait that is finished. */
static int
call_soon(WaitObject *w, PyObject *cb, PyObject *context)
{
    PyObject *loop = w->loop;
    PyObject *res;

    if (loop != NULL) {
        Py_INCREF(loop);
    }
    else {
        loop = PyObject_CallNoArgs(w->st->get_running_loop);
        if (loop == NULL) {
            return -1;
        }
    }
    {
        PyObject *args[] = {loop, cb, (PyObject *)w, context};

        res = PyObject_VectorcallMethod(w->st->str_call_soon, args, 3,
                                        w->st->kw_context);
    }
    Py_DECREF(loop);
    Py_XDECREF(res);
    return res == NULL ? -1 : 0;
}

/* The pairs of |more| from |i| on are left to the asyncio loop; what cannot be
 * told any more is lost. Keeps the exception that is set. */
static void
call_rest_soon(WaitObject *w, PyObject *more, Py_ssize_t i)
{
    PyObject *raised = compat_take_exception();

    for (; more != NULL && i < PyList_GET_SIZE(more); i++) {
        PyObject *pair = PyList_GET_ITEM(more, i);

        if (call_soon(w, PyTuple_GET_ITEM(pair, 0), PyTuple_GET_ITEM(pair, 1))
            < 0)
        {
            PyErr_Clear();
        }
    }
    if (raised != NULL) {
        compat_set_exception(raised);
    }
}

int
wait_wake(WaitObject *w)
{
    PyObject *cb, *context, *more;
    int rc = 0;

    if (w->ops->ready != NULL && w->state == WAIT_PENDING && !w->ops->ready(w))
    {
        return 0;
    }
    if (!w->queued && aif_list_empty(&w->work)) {
        w->host = NULL;
    }
    cb = w->callback;
    context = w->context;
    more = w->more;
    w->callback = w->context = w->more = NULL;
    if (cb != NULL) {
        rc = call_back(w, cb, context);
        Py_DECREF(cb);
        Py_XDECREF(context);
    }
    for (Py_ssize_t i = 0; more != NULL && i < PyList_GET_SIZE(more); i++) {
        PyObject *pair = PyList_GET_ITEM(more, i);

        if (rc < 0) {
            call_rest_soon(w, more, i);
            break;
        }
        rc =
            call_back(w, PyTuple_GET_ITEM(pair, 0), PyTuple_GET_ITEM(pair, 1));
    }
    Py_XDECREF(more);
    return rc;
}

void
wait_schedule(WaitObject *w)
{
    PyObject *cb = w->callback, *context = w->context, *more = w->more;

    w->host = NULL;
    w->callback = w->context = w->more = NULL;
    if (cb != NULL && call_soon(w, cb, context) < 0) {
        PyErr_Clear();
    }
    Py_XDECREF(cb);
    Py_XDECREF(context);
    call_rest_soon(w, more, 0);
    Py_XDECREF(more);
}

PyObject *
wait_add_done_callback(PyObject *self, PyObject *const *args, Py_ssize_t nargs,
                       PyObject *kwnames)
{
    WaitObject *w = (WaitObject *)self;
    PyObject *context = NULL;

    if (nargs != 1
        || (kwnames != NULL
            && (PyTuple_GET_SIZE(kwnames) != 1
                || PyUnicode_CompareWithASCIIString(
                       PyTuple_GET_ITEM(kwnames, 0), "context")
                       != 0)))
    {
        PyErr_SetString(PyExc_TypeError,
                        "add_done_callback(fn, *, context=None)");
        return NULL;
    }
    if (kwnames != NULL && args[1] != Py_None) {
        context = Py_NewRef(args[1]);
    }
    else {
        context = PyContext_CopyCurrent();
        if (context == NULL) {
            return NULL;
        }
    }
    if (wait_begin(w) < 0) {
        goto fail;
    }
    if (w->state != WAIT_PENDING && !w->queued) {
        if (call_soon(w, args[0], context) < 0) {
            goto fail;
        }
        Py_DECREF(context);
    }
    else if (w->callback == NULL && w->more == NULL) {
        w->callback = Py_NewRef(args[0]);
        w->context = context;
    }
    else {
        PyObject *pair = PyTuple_Pack(2, args[0], context);

        if (pair == NULL
            || (w->more == NULL && (w->more = PyList_New(0)) == NULL)
            || PyList_Append(w->more, pair) < 0)
        {
            Py_XDECREF(pair);
            goto fail;
        }
        Py_DECREF(pair);
        Py_DECREF(context);
    }
    Py_RETURN_NONE;

fail:
    Py_DECREF(context);
    return NULL;
}

PyObject *
wait_remove_done_callback(PyObject *self, PyObject *cb)
{
    WaitObject *w = (WaitObject *)self;
    PyObject *first = Py_XNewRef(w->callback); /* Comparing runs Python. */
    long removed = 0;
    int same;

    if (first != NULL) {
        same = PyObject_RichCompareBool(first, cb, Py_EQ);
        Py_DECREF(first);
        if (same < 0) {
            return NULL;
        }
        if (same && w->callback == first) {
            Py_CLEAR(w->callback);
            Py_CLEAR(w->context);
            removed++;
        }
    }
    for (Py_ssize_t i = 0; w->more != NULL && i < PyList_GET_SIZE(w->more);) {
        PyObject *pair = Py_NewRef(PyList_GET_ITEM(w->more, i));

        same = PyObject_RichCompareBool(PyTuple_GET_ITEM(pair, 0), cb, Py_EQ);
        Py_DECREF(pair);
        if (same < 0 || (same && PySequence_DelItem(w->more, i) < 0)) {
            return NULL;
        }
        removed += same;
        i += !same;
    }
    return PyLong_FromLong(removed);
}
