/* py_wait -- a result to come: asyncio's future protocol and the coroutine
 * protocol in one object, without a task, a frame or a call_soon. The type is
 * in py_wait.c, who is told in py_wait_callbacks.c.
 *
 *     NEW --start--> PENDING --> DONE | FAILED | CANCELLED
 *
 * Whoever works for a Wait ends it by wait_finish(), which queues it at the
 * host; the host's drain calls its callbacks outside of every libuv callback,
 * in the context that each was given with. cancel() never calls back at once.
 */
#ifndef PY_WAIT_H
#define PY_WAIT_H

#include "py/state.h"

struct HostObject;
typedef struct WaitObject WaitObject;

typedef enum wait_state {
    WAIT_NEW,
    WAIT_PENDING,
    WAIT_DONE,
    WAIT_FAILED,
    WAIT_CANCELLED
} wait_state;

/* What kind of work a Wait stands for. */
typedef struct wait_ops {
    /* Starts the work; |w->host| and |w->loop| are set. 0, or -1 with an
     * exception: the Wait fails with it. What Python does in there may have
     * cancelled the Wait, or closed the host. NULL: nothing to start. */
    int (*start)(WaitObject *w);
    /* Ends the work silently, as soon as the core allows. */
    void (*stop)(WaitObject *w);
    /* Called in the drain before the callbacks. 1: finished, call them; 0: not
     * after all, wait_finish() will come again. NULL: always finished. */
    int (*ready)(WaitObject *w);
} wait_ops;

struct WaitObject {
    PyObject_HEAD
    core_state *st;
    const wait_ops *ops;
    struct HostObject *host; /* borrowed; set while PENDING or queued */
    PyObject *loop;          /* set at the start */
    PyObject *callback;      /* the first one, and its context */
    PyObject *context;
    PyObject *more;  /* list of (callback, context), or NULL */
    PyObject *value; /* result, exception or cancel message */
    PyObject *owner; /* what must live while this waits, or NULL */
    PyObject *weakrefs;
    aif_list link; /* in host->ready; holds a reference */
    aif_list work; /* in host->work; the same */
    wait_state state;
    char blocking; /* _asyncio_future_blocking */
    unsigned queued : 1;
};

/* Fills the WaitObject part of a new object of any type. */
void wait_setup(WaitObject *w, core_state *st, const wait_ops *ops);

/* A plain Wait that is PENDING on |host|. */
WaitObject *wait_new(core_state *st, struct HostObject *host,
                     const wait_ops *ops, PyObject *owner);

/* A plain Wait that is DONE with |value|. */
PyObject *wait_new_done(core_state *st, PyObject *value);

/* A plain Wait that has FAILED with |exc|. */
PyObject *wait_new_failed(core_state *st, PyObject *exc);

/* Starts a NEW one; its failure to start is its result. -1 only if there is no
 * running loop. */
int wait_begin(WaitObject *w);

/* The outcome; |value| is borrowed. Does nothing unless NEW or PENDING. */
void wait_set_result(WaitObject *w, PyObject *value);
void wait_set_exception(WaitObject *w, PyObject *exc);

/* The same with the exception that is set. */
void wait_fail(WaitObject *w);

/* Queues |w| at its host, which will see to its callbacks. */
void wait_finish(WaitObject *w);

/* The drain: |ready|, then the callbacks. -1 with KeyboardInterrupt or
 * SystemExit set if one of them raised it. */
int wait_wake(WaitObject *w);

/* Instead of the drain, when the host goes: the callbacks of |w|, which is
 * finished, are left to call_soon of the asyncio loop. */
void wait_schedule(WaitObject *w);

/* ---- between the two files of the Wait ---------------------------------- */

PyObject *wait_add_done_callback(PyObject *self, PyObject *const *args,
                                 Py_ssize_t nargs, PyObject *kwnames);
PyObject *wait_remove_done_callback(PyObject *self, PyObject *callback);

/* For the types that build on WaitObject. */
int wait_traverse(WaitObject *w, visitproc visit, void *arg);
void wait_clear(WaitObject *w);
extern PyMethodDef wait_methods[];

#endif
