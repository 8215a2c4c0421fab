/* py_host_fork.c -- what becomes of the hosts in the child of a fork.
 *
 * The child has the parent's sockets, and for each libuv loop the very same
 * epoll: to take a socket out of it here would make the parent deaf, and to
 * say goodbye on one would end the parent's connection. So each loop gets a
 * watch of its own and falls silent. What belonged to it can be dropped or
 * closed like anything else; a loop of the parent's is not served any more.
 */
#include "net/aif_loop.h"
#include "py/py_host.h"

static PyObject *
after_fork(PyObject *reference, PyObject *Py_UNUSED(ignored))
{
    PyObject *module = PyObject_CallNoArgs(reference);
    core_state *st;
    aif_list *node;

    if (module == NULL || module == Py_None) {
        return module;
    }
    st = state_of_module(module);
    for (node = st->hosts.next; node != &st->hosts; node = node->next) {
        HostObject *h = AIF_LIST_ENTRY(node, HostObject, link);

        h->forked = 1;
        if (h->core != NULL) {
            aif_loop_after_fork(h->core);
        }
    }
    st->last = NULL;
    /* They wait for threads that are not in this process, with a watch that is
     * the parent's. */
    aif_list_init(&st->orphans);
    Py_DECREF(module);
    Py_RETURN_NONE;
}

static PyMethodDef after_fork_method = {"after_fork", after_fork, METH_NOARGS,
                                        NULL};

/* What is registered stays so for ever: it may not keep the module. */
int
host_watch_forks(core_state *st)
{
    PyObject *os = PyImport_ImportModule("os");
    PyObject *add = NULL, *reference = NULL, *hook = NULL;
    PyObject *args = NULL, *names = NULL, *res = NULL;

    if (os == NULL) {
        return -1;
    }
    add = PyObject_GetAttrString(os, "register_at_fork");
    Py_DECREF(os);
    if (add == NULL) { /* a system without fork */
        PyErr_Clear();
        return 0;
    }
    reference = PyWeakref_NewRef(st->module, NULL);
    if (reference != NULL) {
        hook = PyCFunction_New(&after_fork_method, reference);
    }
    args = PyTuple_New(0);
    if (hook != NULL && args != NULL) {
        names = Py_BuildValue("{s:O}", "after_in_child", hook);
    }
    if (names != NULL) {
        res = PyObject_Call(add, args, names);
    }
    Py_DECREF(add);
    Py_XDECREF(reference);
    Py_XDECREF(hook);
    Py_XDECREF(args);
    Py_XDECREF(names);
    Py_XDECREF(res);
    return res == NULL ? -1 : 0;
}
