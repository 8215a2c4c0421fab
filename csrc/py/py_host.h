/* py_host -- one asyncio loop as host of one aif_loop.
 *
 * asyncio watches the backend descriptor of the libuv loop and calls run();
 * one call_later stands for all deadlines; what was started from Python asks
 * for one coalesced call_soon. The reader registration of the asyncio loop is
 * what owns the host: closing or collecting that loop ends it, and with it
 * every socket.
 */
#ifndef PY_HOST_H
#define PY_HOST_H

#include "net/aif_loop.h"
#include "py/py_wait.h"

typedef struct HostObject {
    PyObject_HEAD
    core_state *st;
    aif_list link;  /* in st->hosts */
    PyObject *loop; /* the asyncio loop */
    aif_loop *core; /* owned; lives on as an orphan if it must */
    PyObject *weakrefs;
    PyObject *on_timer;     /* calls run() through a weak reference: a timer of
                              the loop is held by us and must not hold us */
    PyObject *timer;        /* asyncio.TimerHandle, or NULL */
    uint64_t timer_due;     /* ns */
    PyObject *default_pool; /* PoolObject or NULL */
    aif_list pools;         /* PoolObject, borrowed */
    aif_list ready;         /* WaitObject, each with a reference */
    unsigned active : 1;    /* inside run() */
    unsigned closed : 1;
    unsigned fetches; /* under way, no result yet */
    unsigned bodies;  /* streamed bodies under way */
} HostObject;

/* The host of the running loop, made if need be; borrowed. NULL with an
 * exception set. |*loop| (may be NULL) gets a new reference to the loop. */
HostObject *host_current(core_state *st, PyObject **loop);

/* The host of the running loop if it has one; NULL without exception
 * otherwise. */
HostObject *host_find(core_state *st);

/* Ends the engine of this loop. */
void host_close(HostObject *h);

/* Calls the loop's exception handler with the exception that is set. */
void host_report(PyObject *loop, const char *message, PyObject *subject);

/* Tries again to end what could not be ended before. */
void host_reap(core_state *st);

#endif
