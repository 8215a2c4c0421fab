/* py_pwrite.c -- aiofast._core.write_file(): bytes to a file, written in
 * libuv's threads.
 *
 * The thread works with the caller's bytes, so the job outlives the Wait's
 * interest: one that is cancelled, or whose host is gone, is left to it.
 */
#include "py/py_pwrite.h"

#include "base/aif_err.h"
#include "base/aif_mem.h"
#include "net/aif_pwrite.h"
#include "py/py_host.h"

typedef struct job {
    Py_buffer view;
    WaitObject *wait; /* a reference */
} job;

static void
fail_with(WaitObject *w, int code)
{
    if (code > AIF_ERR_FIRST) {
        errno = -code;
        PyErr_SetFromErrno(PyExc_OSError);
        wait_fail(w);
    }
    else {
        PyErr_NoMemory();
        wait_fail(w);
    }
}

/* Inside the core. The outcome is noted; who waits is told in the drain. */
static void
on_written(void *user, int code)
{
    job *j = user;
    WaitObject *w = j->wait;

    if (w->state == WAIT_PENDING && code == 0) {
        wait_set_result(w, Py_None);
        wait_finish(w);
    }
    else if (w->state == WAIT_PENDING) {
        fail_with(w, code);
        wait_finish(w);
    }
    host_drop(w);
    Py_DECREF(w);
    PyBuffer_Release(&j->view);
    aif_mem_free(j);
}

static void
write_stop(WaitObject *w)
{
    host_drop(w); /* The job has its own reference. */
}

static const wait_ops write_ops = {.stop = write_stop};

static int
start(HostObject *h, job *j, int fd, unsigned long long offset)
{
    int rc;

    host_enter(h);
    rc = aif_pwrite(h->core, fd, offset, j->view.buf, (size_t)j->view.len,
                    on_written, j);
    host_leave(h);
    return rc;
}

PyObject *
core_write_file(PyObject *module, PyObject *args)
{
    core_state *st = state_of_module(module);
    unsigned long long offset;
    Py_buffer view;
    WaitObject *w;
    HostObject *h;
    job *j;
    int fd, rc;

    if (!PyArg_ParseTuple(args, "iKy*:write_file", &fd, &offset, &view)) {
        return NULL;
    }
    h = host_current(st, NULL);
    if (h == NULL || view.len == 0) {
        PyBuffer_Release(&view);
        return h == NULL ? NULL : (PyObject *)wait_new_done(st, Py_None);
    }
    w = wait_new(st, h, &write_ops, NULL);
    j = w == NULL ? NULL : aif_mem_alloc(sizeof(*j));
    if (j == NULL) {
        Py_XDECREF(w);
        PyBuffer_Release(&view);
        return w == NULL ? NULL : PyErr_NoMemory();
    }
    *j = (job){.view = view, .wait = (WaitObject *)Py_NewRef(w)};
    host_hold(h, w);
    rc = start(h, j, fd, offset);
    if (rc < 0) {
        host_drop(w);
        fail_with(w, rc);
        Py_DECREF(w);
        PyBuffer_Release(&view);
        aif_mem_free(j);
    }
    return (PyObject *)w;
}
