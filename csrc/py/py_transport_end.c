/* py_transport_end.c -- failures of a transport, closing it, its end.
 *
 * connection_lost() is always scheduled, never called from where the end was
 * found; the socket is closed after it, as asyncio does.
 */
#include "py/py_transport.h"
#include "py/py_transport_tls.h"

/* ---- what went wrong ---------------------------------------------------- */

PyObject *
transport_os_error(int code)
{
    if (code <= AIF_ERR_FIRST) {
        if (code == AIF_ENOMEM) {
            return PyObject_CallNoArgs(PyExc_MemoryError);
        }
        return PyObject_CallFunction(PyExc_ConnectionError, "s",
                                     aif_err_name(code));
    }
    {
        PyObject *number = PyLong_FromLong(-code);
        PyObject *text = number == NULL
                             ? NULL
                             : PyUnicode_DecodeLocale(strerror(-code), NULL);
        PyObject *exc = text == NULL ? NULL
                                     : PyObject_CallFunctionObjArgs(
                                           PyExc_OSError, number, text, NULL);

        Py_XDECREF(number);
        Py_XDECREF(text);
        return exc;
    }
}

static void
call_exception_handler(TransportObject *t, PyObject *exc, const char *message)
{
    PyObject *facts = NULL, *res = NULL;

    if (t->loop != NULL) {
        facts = Py_BuildValue("{s:s,s:O,s:O,s:O}", "message", message,
                              "exception", exc, "transport", t, "protocol",
                              t->protocol == NULL ? Py_None : t->protocol);
    }
    if (facts != NULL) {
        res =
            PyObject_CallMethod(t->loop, "call_exception_handler", "O", facts);
        Py_DECREF(facts);
    }
    if (res == NULL) {
        PyErr_WriteUnraisable((PyObject *)t);
    }
    Py_XDECREF(res);
}

void
transport_report(TransportObject *t, const char *message)
{
    PyObject *exc;

    if (t->host != NULL && host_keep_interrupt(t->host)) {
        return;
    }
    exc = compat_take_exception();
    call_exception_handler(t, exc, message);
    Py_DECREF(exc);
}

void
transport_fatal(TransportObject *t, PyObject *exc, const char *message)
{
    Py_INCREF(t);
    if (!PyErr_GivenExceptionMatches(exc, PyExc_OSError)) {
        call_exception_handler(t, exc, message);
    }
    if (transport_force_close(t, exc) < 0) {
        host_report(t->loop, "aiofast could not end a transport",
                    (PyObject *)t);
    }
    Py_DECREF(exc);
    Py_DECREF(t);
}

void
transport_fatal_raised(TransportObject *t, const char *message)
{
    if (t->host != NULL && host_keep_interrupt(t->host)) {
        return;
    }
    transport_fatal(t, compat_take_exception(), message);
}

/* ---- closing ------------------------------------------------------------ */

static int
schedule_lost(TransportObject *t, PyObject *exc)
{
    t->state = TRANSPORT_LOST;
    t->closing = 1;
    transport_tls_disarm(t);
    (void)transport_read_as_due(t);
    return transport_call_soon(t, "_call_connection_lost",
                               exc == NULL ? Py_None : exc);
}

int
transport_force_close(TransportObject *t, PyObject *exc)
{
    int rc;

    if (t->state == TRANSPORT_LOST) {
        return 0;
    }
    if (t->successor != NULL) {
        t->closing = 1;
        return transport_force_close((TransportObject *)t->successor, exc);
    }
    transport_drop_queue(t);
    rc = schedule_lost(t, exc);
    transport_tls_wake(t, exc);
    return rc;
}

int
transport_begin_close(TransportObject *t)
{
    if (t->closing) {
        return 0;
    }
    if (t->successor != NULL || (t->tls && t->state != TRANSPORT_OPEN)) {
        return transport_force_close(t, NULL);
    }
    t->closing = 1;
    if (t->tls && transport_tls_arm(t, t->shutdown_timeout) < 0) {
        return -1;
    }
    (void)transport_read_as_due(t);
    if (t->count == 0 && !t->busy) {
        return transport_drained(t);
    }
    transport_pump(t);
    return 0;
}

static int
set_future(PyObject *future, const char *how, PyObject *what)
{
    PyObject *res = PyObject_CallMethod(future, "done", NULL);
    int done = res == NULL ? -1 : PyObject_IsTrue(res);

    Py_XDECREF(res);
    if (done == 0) {
        res = PyObject_CallMethod(future, how, "O", what);
        done = res == NULL ? -1 : 0;
        Py_XDECREF(res);
    }
    return done < 0 ? -1 : 0;
}

int
transport_drained(TransportObject *t)
{
    int rc = 0;

    if (t->state != TRANSPORT_OPEN || t->stage == NULL) {
        return 0;
    }
    if (t->empty_waiter != NULL) {
        rc = set_future(t->empty_waiter, "set_result", Py_None);
    }
    if (rc == 0 && t->closing) {
        rc = t->tls ? transport_tls_say_bye(t) : schedule_lost(t, NULL);
    }
    else if (rc == 0 && t->eof) {
        HostObject *h = (HostObject *)Py_NewRef(t->host);

        host_enter(h);
        (void)aif_stage_shutdown(t->stage);
        host_leave(h);
        Py_DECREF(h);
    }
    return rc;
}

/* ---- the end ------------------------------------------------------------ */

/* The socket object must not close the descriptor too: it lets go of it
 * first. */
static void
release_socket(TransportObject *t)
{
    PyObject *sock = t->sock, *res;

    t->sock = NULL;
    if (sock == NULL) {
        return;
    }
    res = PyObject_CallMethod(sock, "detach", NULL);
    if (res == NULL) {
        host_report(t->loop, "aiofast could not detach a socket",
                    (PyObject *)t);
    }
    Py_XDECREF(res);
    Py_DECREF(sock);
}

void
transport_release(TransportObject *t)
{
    aif_stage *stage = t->stage;
    HostObject *h = t->host;

    transport_drop_space(t);
    release_socket(t);
    t->stage = NULL;
    t->tcp = NULL;
    if (stage != NULL && h != NULL) {
        Py_INCREF(h);
        host_enter(h);
        transport_tls_abandon(t, stage);
        aif_stage_close(stage);
        host_leave(h);
        Py_DECREF(h);
    }
    transport_drop_queue(t);
}

static void
fail_empty_waiter(TransportObject *t)
{
    PyObject *waiter = t->empty_waiter;
    PyObject *exc = PyObject_CallFunction(PyExc_ConnectionError, "s",
                                          "Connection is closed by peer");

    t->empty_waiter = NULL;
    if (exc == NULL || set_future(waiter, "set_exception", exc) < 0) {
        host_report(t->loop, "aiofast could not end a sendfile()",
                    (PyObject *)t);
    }
    Py_XDECREF(exc);
    Py_DECREF(waiter);
}

/* Those whose stages |t| has taken over are over with it. */
static void
end_lower(TransportObject *t)
{
    TransportObject *lower = (TransportObject *)t->lower;

    t->lower = NULL;
    while (lower != NULL) {
        TransportObject *next = (TransportObject *)lower->lower;

        lower->lower = NULL;
        lower->state = TRANSPORT_LOST;
        lower->closing = 1;
        Py_CLEAR(lower->successor);
        Py_CLEAR(lower->protocol);
        Py_CLEAR(lower->sock);
        transport_hold(lower);
        Py_DECREF(lower);
        lower = next;
    }
}

PyObject *
transport_call_connection_lost(PyObject *self, PyObject *exc)
{
    TransportObject *t = (TransportObject *)self;
    PyObject *res = NULL, *raised = NULL;

    Py_INCREF(t);
    if (t->connected && t->protocol != NULL) {
        t->connected = 0;
        res = PyObject_CallMethodOneArg(t->protocol,
                                        t->st->str_connection_lost, exc);
        if (res == NULL) {
            raised = compat_take_exception();
        }
        Py_XDECREF(res);
    }
    transport_release(t);
    if (t->empty_waiter != NULL) {
        fail_empty_waiter(t);
    }
    end_lower(t);
    Py_CLEAR(t->protocol);
    transport_hold(t);
    Py_DECREF(t);
    if (raised != NULL) {
        compat_set_exception(raised);
        return NULL;
    }
    Py_RETURN_NONE;
}

/* ---- sendfile ----------------------------------------------------------- */

PyObject *
transport_make_empty_waiter(PyObject *self, PyObject *ignored)
{
    TransportObject *t = (TransportObject *)self;

    (void)ignored;
    if (t->empty_waiter != NULL) {
        PyErr_SetString(PyExc_RuntimeError, "Empty waiter is already set");
        return NULL;
    }
    if (t->loop == NULL) {
        PyErr_SetString(PyExc_ConnectionError, "Connection is closed by peer");
        return NULL;
    }
    t->empty_waiter = PyObject_CallMethod(t->loop, "create_future", NULL);
    if (t->empty_waiter == NULL
        || (t->count == 0
            && set_future(t->empty_waiter, "set_result", Py_None) < 0))
    {
        return NULL;
    }
    return Py_NewRef(t->empty_waiter);
}

PyObject *
transport_reset_empty_waiter(PyObject *self, PyObject *ignored)
{
    (void)ignored;
    Py_CLEAR(((TransportObject *)self)->empty_waiter);
    Py_RETURN_NONE;
}

/* ---- forgotten ---------------------------------------------------------- */

void
transport_finalize(PyObject *self)
{
    TransportObject *t = (TransportObject *)self;
    PyObject *raised = compat_take_exception();

    if (t->sock != NULL && t->successor == NULL) {
        if (PyErr_ResourceWarning(self, 1, "unclosed transport %R", self) < 0
            && PyErr_ExceptionMatches(PyExc_Warning))
        {
            PyErr_WriteUnraisable(self);
        }
        PyErr_Clear();
        transport_release(t);
    }
    if (raised != NULL) {
        compat_set_exception(raised);
    }
}
