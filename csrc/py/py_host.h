/* py_host -- one asyncio loop as host of one aif_loop. py_host.c drives it,
 * py_host_door.c is the way in.
 *
 * asyncio watches the backend descriptor of the libuv loop and calls run();
 * one call_later stands for all deadlines; what was started from Python asks
 * for one coalesced call_soon. The reader registration of the asyncio loop is
 * what owns the host: closing or collecting that loop ends it, and with it
 * every socket.
 *
 * Re-entry: the core runs Python where nobody expects it: TLS is Python code,
 * so are call_soon() and the finalizers of whatever is dropped, and a signal
 * handler may run inside any of these. The core is therefore entered by one
 * door, host_enter() and host_leave(). What Python asks for while it is inside
 * (start, cancel, close) is put off by host_defer() until it has been left.
 */
#ifndef PY_HOST_H
#define PY_HOST_H

#include "net/aif_loop.h"
#include "py/py_spare.h"
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
    aif_list transports;    /* TransportObject, some with a reference */
    aif_list ready;         /* WaitObject, each with a reference */
    aif_list work;          /* WaitObject whose work is under way; likewise */
    aif_list later;         /* what host_defer() has put off */
    PyObject *parked;       /* why TLS failed with |parked_code|, or NULL */
    PyObject *interrupt;    /* to be raised by run(), or NULL */
    int parked_code;
    PyObject *run_once;     /* the asyncio loop's, as it was; or NULL */
    PyObject *loop_ready;   /* the asyncio loop's queue, or NULL */
    uint64_t linger_until;  /* ns, in this run; 0: it has not begun to */
    int selector_fd;        /* that asyncio waits on; -1: never linger */
    unsigned linger_misses; /* waits in a row that brought nothing */
    unsigned linger_skips;  /* runs until the next try */
    unsigned runs;          /* calls of run() on the stack */
    unsigned depth;         /* entries into the core */
    unsigned ready_count;   /* members of |ready| */
    unsigned long thread;   /* which one the loop ran in last */
    unsigned asked : 1;     /* a run_soon() stands in the asyncio loop */
    unsigned closed : 1;
    unsigned forked : 1; /* of the parent process */
    unsigned kept : 1;   /* by whoever is in the core */
    unsigned debug : 1;  /* asyncio's debug mode, as the engine was made */
    unsigned unasked
        : 1;          /* run_soon() was wanted and could not be asked for */
    unsigned fetches; /* under way, no result yet */
    unsigned bodies;  /* streamed bodies under way */
    spare_set spares; /* while |core| is there */
} HostObject;

/* The host of the running loop, made if need be; borrowed. NULL with an
 * exception set. |*loop| (may be NULL) gets a new reference to the loop. */
HostObject *host_current(core_state *st, PyObject **loop);

/* The host of the running loop if it has one; NULL without exception
 * otherwise. */
HostObject *host_find(core_state *st);

/* Ends the engine of this loop: everything that is under way fails. Not while
 * the core is inside. */
void host_close(HostObject *h);

/* The same on behalf of a program: takes the reader away from the asyncio loop
 * too, and waits for the core to be left. 0 or -1 with an exception. */
int host_end(HostObject *h);

/* Around every call into the core that may do more than look or free. Leaving
 * does what was put off meanwhile; what is raised there is reported. |h| is
 * kept until then, whatever Python does to its asyncio loop inside. */
void host_enter(HostObject *h);
void host_leave(HostObject *h);

/* 1 if the core is inside: |fn|(|arg|) will be called once it has been left,
 * with the core inside again. 0 if not, or if there is no memory: the caller
 * does it at once. */
int host_defer(HostObject *h, void (*fn)(void *arg), void *arg);

/* From here on |w| is kept alive by |h|, until host_drop() or the end of |h|.
 * The collector knows about it, so that what is under way does not keep a
 * forgotten loop. */
void host_hold(HostObject *h, WaitObject *w);
void host_drop(WaitObject *w);

/* Takes the exception that is set, which nobody can be given. One that ends
 * the program is raised by run(). */
void host_swallow(HostObject *h);

/* The same, but it explains the failure |code| that is about to go up.
 * host_unpark() gives it to whom that failure reached: a new reference, or
 * NULL. What nobody takes is dropped as the core is left. */
void host_park(HostObject *h, int code);
PyObject *host_unpark(HostObject *h, int code);

/* Calls the loop's exception handler with the exception that is set. */
void host_report(PyObject *loop, const char *message, PyObject *subject);

/* Keeps the exception that is set for run() if it is one of the two that end
 * the program: what it is raised in has other things to finish first. 1 if it
 * did. */
int host_keep_interrupt(HostObject *h);

/* Does what was put off, as one leaves who does not use host_leave(). */
void host_run_deferred(HostObject *h);

/* Tries again to end what could not be ended before. */
void host_reap(core_state *st);

/* ---- short waits: py_host_linger.c ------------------------------------*/

/* Looks whether |h| may linger: once, as it is made. */
void host_linger_init(HostObject *h);

/* At the end of a run, once the next one has been asked for: 1 if the core has
 * something to run again and asyncio has nothing to do, after a wait of a
 * millisecond at most without the GIL. 0: back to asyncio. Never raises. */
int host_linger(HostObject *h);

/* ---- forks: py_host_fork.c ---------------------------------------------- */

/* To be called once: has every host told when this process is the child of a
 * fork. 0 or -1 with an exception. */
int host_watch_forks(core_state *st);

#endif
