/* py_host_linger.c -- waits for what comes next without a turn of asyncio.
 *
 * A turn of asyncio's own loop costs more than a request: select() and
 * _run_once() are Python. Where answers come at once and one after the other,
 * the host may as well wait for the next one itself, for a moment, on the very
 * epoll descriptor that asyncio would wait on. It does so only while asyncio
 * has nothing else to do, and gives way to whatever else turns ready: other
 * descriptors, the pipe that threads and signals wake the loop by, timers.
 *
 * What asyncio has to do stands in attributes of its loop that are not
 * documented. So this is done for asyncio's own selector loop alone, as long
 * as nobody has put another _run_once() into it; an attribute that is not as
 * expected means no; and a misjudgement costs what a callback of 20 ms would,
 * as no wait is longer (a short one is dearer: the kernel sets a timer of the
 * hardware). Where a wait brings nothing the next runs pass without one.
 */
#include "py/py_host.h"

#ifdef __linux__

#    include <sys/epoll.h>

/* No wait begins later than this in one run. */
#    define LINGER_NS UINT64_C(2000000)
#    define LINGER_WAIT_MS 20
#    define NS_PER_MS UINT64_C(1000000)
#    define NS_PER_S 1e9

/* After n waits in a row that brought nothing 2^n runs pass without one. */
#    define MAX_MISSES 8

/* |loop|.|name|, a new reference; NULL without an exception if it is not
 * there. */
static PyObject *
attribute(PyObject *loop, PyObject *name)
{
    PyObject *value = PyObject_GetAttr(loop, name);

    if (value == NULL) {
        PyErr_Clear();
    }
    return value;
}

static int
is_false(PyObject *loop, PyObject *name)
{
    PyObject *value = attribute(loop, name);

    Py_XDECREF(value);
    return value == Py_False;
}

/* _run_once() as the class of |loop| has it; NULL without an exception. */
static PyObject *
run_once_of(core_state *st, PyObject *loop)
{
    return attribute((PyObject *)Py_TYPE(loop), st->str_run_once);
}

/* The descriptor of the epoll that |loop| waits on, or -1: 1 if it is the
 * selector that asyncio chooses by itself, 0 if not. */
static int
selector_fd(core_state *st, PyObject *loop)
{
    PyObject *selector = attribute(loop, st->str_selector);
    PyObject *res = NULL;
    long fd = -1;

    if (selector != NULL
        && strcmp(Py_TYPE(selector)->tp_name, "EpollSelector") == 0)
    {
        res = PyObject_CallMethod(selector, "fileno", NULL);
    }
    if (res != NULL) {
        fd = PyLong_AsLong(res);
    }
    if (PyErr_Occurred()) {
        PyErr_Clear();
        fd = -1;
    }
    Py_XDECREF(res);
    Py_XDECREF(selector);
    return (int)fd;
}

void
host_linger_init(HostObject *h)
{
    core_state *st = h->st;
    PyObject *home = NULL;

    h->selector_fd = -1;
    if (strcmp(Py_TYPE(h->loop)->tp_name, "_UnixSelectorEventLoop") != 0) {
        return;
    }
    h->run_once = run_once_of(st, h->loop);
    if (h->run_once != NULL) {
        home = attribute(h->run_once, st->str_module);
    }
    if (home != NULL && PyUnicode_Check(home)
        && PyUnicode_CompareWithASCIIString(home, "asyncio.base_events") == 0)
    {
        h->loop_ready = attribute(h->loop, st->str_ready);
    }
    if (h->loop_ready != NULL) {
        h->selector_fd = selector_fd(st, h->loop);
    }
    Py_XDECREF(home);
}

/* 1 if asyncio would do nothing now but wait. */
static int
is_idle(HostObject *h)
{
    Py_ssize_t count = PyObject_Size(h->loop_ready);

    if (count < 0) {
        PyErr_Clear();
    }
    return count == 0 && is_false(h->loop, h->st->str_stopping);
}

/* When asyncio's first timer is due, ns; 0 if that cannot be told. */
static uint64_t
first_timer(HostObject *h)
{
    PyObject *timers = attribute(h->loop, h->st->str_scheduled);
    PyObject *when = NULL;
    uint64_t due = 0;

    if (timers != NULL && PyList_CheckExact(timers)) {
        if (PyList_GET_SIZE(timers) == 0) {
            due = UINT64_MAX;
        }
        else {
            when = attribute(PyList_GET_ITEM(timers, 0), h->st->str_when);
        }
    }
    if (when != NULL && PyFloat_CheckExact(when)) {
        double seconds = PyFloat_AS_DOUBLE(when);

        if (seconds > 0) {
            due = seconds < 1e9 ? (uint64_t)(seconds * NS_PER_S) : UINT64_MAX;
        }
    }
    Py_XDECREF(when);
    Py_XDECREF(timers);
    return due;
}

/* 1 if libuv's descriptor has turned readable, and nothing else has. */
static int
wait_for_core(HostObject *h, uint64_t ms)
{
    struct epoll_event events[2];
    int fd = aif_loop_fd(h->core);
    int n;

    Py_BEGIN_ALLOW_THREADS
    n = epoll_wait(h->selector_fd, events, 2, (int)ms);
    Py_END_ALLOW_THREADS
    return n == 1 && events[0].data.fd == fd;
}

/* Whether this run is one that may linger at all. */
static int
may_linger(HostObject *h)
{
    PyObject *run_once;

    if (h->selector_fd < 0 || h->runs != 1 || h->forked
        || (aif_list_empty(&h->work) && aif_list_empty(&h->transports)))
    {
        return 0;
    }
    if (h->linger_skips > 0) {
        h->linger_skips--;
        return 0;
    }
    if (h->linger_until != 0) {
        return 1;
    }
    run_once = run_once_of(h->st, h->loop);
    Py_XDECREF(run_once);
    return run_once == h->run_once && is_false(h->loop, h->st->str_debug);
}

int
host_linger(HostObject *h)
{
    uint64_t now, due, ms;

    if (!may_linger(h) || !is_idle(h)) {
        return 0;
    }
    now = uv_hrtime();
    if (h->linger_until == 0) {
        h->linger_until = now + LINGER_NS;
    }
    due = first_timer(h);
    if (now >= h->linger_until || due < now + NS_PER_MS || h->closed) {
        return 0;
    }
    ms = (due - now) / NS_PER_MS;
    if (wait_for_core(h, ms < LINGER_WAIT_MS ? ms : LINGER_WAIT_MS)) {
        h->linger_misses = 0;
        return !h->closed;
    }
    if (h->linger_misses < MAX_MISSES) {
        h->linger_misses++;
    }
    h->linger_skips = 1u << h->linger_misses;
    return 0;
}

#else

void
host_linger_init(HostObject *h)
{
    h->selector_fd = -1;
}

int
host_linger(HostObject *h)
{
    (void)h;
    return 0;
}

#endif
