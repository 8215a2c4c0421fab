/* py_transport_tls.c -- handshake, close_notify and the facts of TLS.
 *
 * asyncio's rules: close() sends what is queued, then close_notify, and waits
 * for the peer's, all within the shutdown timeout; what the peer still says is
 * dropped. The peer's close_notify is answered. A peer that ends without one
 * is an end like any other.
 */
#include "py/py_transport_tls.h"

#include "net/aif_tls.h"
#include "py/py_tls.h"

/* ---- the timer ---------------------------------------------------------- */

void
transport_tls_disarm(TransportObject *t)
{
    PyObject *timer = t->timer, *res;

    t->timer = NULL;
    if (timer == NULL) {
        return;
    }
    res = PyObject_CallMethodNoArgs(timer, t->st->str_cancel);
    if (res == NULL) {
        transport_report(t, "a timer could not be cancelled");
    }
    Py_XDECREF(res);
    Py_DECREF(timer);
}

int
transport_tls_arm(TransportObject *t, PyObject *seconds)
{
    PyObject *method;

    transport_tls_disarm(t);
    method = PyObject_GetAttrString((PyObject *)t, "_tls_timeout");
    if (method == NULL) {
        return -1;
    }
    {
        PyObject *args[] = {t->loop, seconds, method};

        t->timer =
            PyObject_VectorcallMethod(t->st->str_call_later, args, 3, NULL);
    }
    Py_DECREF(method);
    return t->timer == NULL ? -1 : 0;
}

PyObject *
transport_tls_timeout(PyObject *self, PyObject *ignored)
{
    TransportObject *t = (TransportObject *)self;
    PyObject *exc;

    (void)ignored;
    Py_CLEAR(t->timer);
    if (t->state == TRANSPORT_NEW || t->state == TRANSPORT_SHAKING) {
        PyObject *text = PyUnicode_FromFormat(
            "SSL handshake is taking longer than %S seconds: aborting the "
            "connection",
            t->handshake_timeout);

        exc = text == NULL
                  ? NULL
                  : PyObject_CallOneArg(PyExc_ConnectionAbortedError, text);
        Py_XDECREF(text);
    }
    else if (t->state != TRANSPORT_LOST && t->closing) {
        exc = PyObject_CallFunction(PyExc_TimeoutError, "s",
                                    "SSL shutdown timed out");
    }
    else {
        Py_RETURN_NONE;
    }
    if (exc == NULL) {
        return NULL;
    }
    transport_fatal(t, exc, "Fatal error on transport");
    Py_RETURN_NONE;
}

/* ---- the handshake ------------------------------------------------------ */

static void
set_waiter(TransportObject *t, const char *how, PyObject *what)
{
    PyObject *waiter = t->waiter, *res;
    int done;

    t->waiter = NULL;
    if (waiter == NULL) {
        return;
    }
    res = PyObject_CallMethod(waiter, "done", NULL);
    done = res == NULL ? -1 : PyObject_IsTrue(res);
    Py_XDECREF(res);
    if (done == 0) {
        res = PyObject_CallMethod(waiter, how, "O", what);
        done = res == NULL ? -1 : 0;
        Py_XDECREF(res);
    }
    if (done < 0) {
        transport_report(t, "a connection could not be reported");
    }
    Py_DECREF(waiter);
}

void
transport_tls_wake(TransportObject *t, PyObject *exc)
{
    PyObject *made = NULL;

    if (t->waiter == NULL) {
        return;
    }
    if (exc == NULL) {
        exc = made = PyObject_CallNoArgs(PyExc_ConnectionResetError);
    }
    if (exc == NULL) {
        transport_report(t, "a connection could not be reported");
        return;
    }
    set_waiter(t, "set_exception", exc);
    Py_XDECREF(made);
}

static int
note(TransportObject *t, PyObject *ssl, const char *name, const char *method)
{
    PyObject *value = PyObject_CallMethod(ssl, method, NULL);
    int rc = value == NULL ? -1 : PyDict_SetItemString(t->extra, name, value);

    Py_XDECREF(value);
    return rc;
}

static int
note_facts(TransportObject *t)
{
    PyObject *ssl = Py_NewRef(tls_object(t->stage));
    int rc = 0;

    if (note(t, ssl, "peercert", "getpeercert") < 0
        || note(t, ssl, "cipher", "cipher") < 0
        || note(t, ssl, "compression", "compression") < 0
        || PyDict_SetItemString(t->extra, "ssl_object", ssl) < 0)
    {
        rc = -1;
    }
    Py_DECREF(ssl);
    return rc;
}

void
transport_tls_open(TransportObject *t)
{
    PyObject *res;

    if (t->state != TRANSPORT_SHAKING) {
        return;
    }
    transport_tls_disarm(t);
    if (note_facts(t) < 0) {
        transport_fatal_raised(t, "SSL handshake failed");
        return;
    }
    t->state = TRANSPORT_OPEN;
    (void)transport_read_as_due(t);
    if (!t->connected) {
        t->connected = 1;
        res = PyObject_CallMethod(t->protocol, "connection_made", "O", t);
        if (res == NULL) {
            transport_fatal_raised(t, "Fatal error on SSL protocol");
        }
        Py_XDECREF(res);
    }
    set_waiter(t, "set_result", Py_None);
    transport_pump(t);
}

/* ---- the end ------------------------------------------------------------ */

/* The peer has said all it will say, and so have we. */
static void
finish(TransportObject *t)
{
    if (transport_tell_eof(t) < 0 || t->state == TRANSPORT_LOST) {
        return;
    }
    if (transport_force_close(t, NULL) < 0) {
        transport_report(t, "aiofast could not end a transport");
    }
}

static void
warn_of_true(TransportObject *t)
{
    PyObject *res = NULL;

    if (state_import(&t->st->logger, "asyncio.log", "logger") == 0) {
        res = PyObject_CallMethod(t->st->logger, "warning", "s",
                                  "returning true from eof_received() has no "
                                  "effect when using ssl");
    }
    if (res == NULL) {
        transport_report(t, "a warning could not be logged");
    }
    Py_XDECREF(res);
}

void
transport_tls_eof(TransportObject *t)
{
    int keep;

    if (t->state == TRANSPORT_SAYING_BYE) {
        finish(t);
        return;
    }
    if (t->state != TRANSPORT_OPEN) {
        transport_fatal(t, PyObject_CallNoArgs(PyExc_ConnectionResetError),
                        "SSL handshake failed");
        return;
    }
    keep = transport_tell_eof(t);
    if (keep > 0) {
        warn_of_true(t);
    }
    if (keep >= 0 && t->state == TRANSPORT_OPEN
        && transport_begin_close(t) < 0)
    {
        transport_fatal_raised(t, "Fatal error on SSL protocol");
    }
}

void
transport_tls_fail(TransportObject *t, const aif_err *err)
{
    PyObject *exc;

    if (err->code == AIF_ETRUNCATED) {
        transport_tls_eof(t);
        return;
    }
    if (t->state == TRANSPORT_SAYING_BYE) {
        finish(t);
        return;
    }
    exc = host_unpark(t->host, err->code);
    if (exc == NULL) {
        exc = transport_os_error(err->code);
    }
    if (exc == NULL) {
        exc = compat_take_exception();
    }
    transport_fatal(t, exc,
                    t->state == TRANSPORT_SHAKING
                        ? "SSL handshake failed"
                        : "Fatal error on SSL protocol");
}

int
transport_tls_say_bye(TransportObject *t)
{
    HostObject *h = (HostObject *)Py_NewRef(t->host);

    t->state = TRANSPORT_SAYING_BYE;
    host_enter(h);
    (void)aif_stage_shutdown(t->stage);
    host_leave(h);
    Py_DECREF(h);
    if (aif_tls_is_ended(t->stage)) {
        finish(t); /* The peer has said it before us. */
    }
    else {
        (void)transport_read_as_due(t);
    }
    return PyErr_Occurred() ? -1 : 0;
}

void
transport_tls_abandon(TransportObject *t, aif_stage *stage)
{
    if (t->tls) {
        aif_tls_abandon(stage);
    }
}

/* ---- the beginning ------------------------------------------------------ */

/* A transport that its protocol knows of lives as long as |t|: a program may
 * close it, and mean |t|. */
static void
move_stage(TransportObject *t, TransportObject *from, aif_stage *stage,
           int known)
{
    t->stage = stage;
    t->tcp = from->tcp;
    t->fd = from->fd;
    t->sock = from->sock;
    from->sock = NULL;
    from->stage = NULL;
    from->tcp = NULL;
    if (known) {
        from->sock = Py_NewRef(t->sock);
        from->successor = Py_NewRef((PyObject *)t);
        t->lower = Py_NewRef((PyObject *)from);
    }
    else {
        from->state = TRANSPORT_LOST;
        from->closing = 1;
        Py_CLEAR(from->protocol);
    }
    aif_stage_set_user(stage, &transport_cbs, t);
}

/* The lower transport's stage is taken from it last: until then all is as it
 * was. */
static aif_stage *
make_stage(TransportObject *from, PyObject *context, int server_side,
           PyObject *name)
{
    HostObject *h = from->host;
    const char *text = NULL;
    aif_stage *stage;
    aif_err err;

    if (PyUnicode_Check(name) && PyUnicode_GET_LENGTH(name) > 0) {
        text = PyUnicode_AsUTF8(name);
        if (text == NULL) {
            return NULL;
        }
    }
    aif_err_reset(&err);
    host_enter(h);
    stage = server_side
                ? tls_new_server(from->st, from->stage, context, &err)
                : tls_new(from->st, from->stage, context, text, NULL, &err);
    if (stage == NULL) {
        PyObject *exc = host_unpark(h, err.code);

        if (exc == NULL) {
            PyErr_NoMemory();
        }
        else {
            compat_set_exception(exc);
        }
    }
    host_leave(h);
    return stage;
}

static TransportObject *
over(core_state *st, TransportObject *from, PyObject *const *args)
{
    TransportObject *t = transport_alloc(st, from->host, from->loop, 1);
    aif_stage *stage = NULL;

    if (t == NULL) {
        return NULL;
    }
    t->high = (size_t)512 * 1024;
    t->low = t->high / 4;
    t->connected = PyObject_IsTrue(args[8]) == 1;
    t->handshake_timeout = Py_NewRef(args[5]);
    t->shutdown_timeout = Py_NewRef(args[6]);
    t->waiter = args[7] == Py_None ? NULL : Py_NewRef(args[7]);
    t->extra = PyDict_Copy(from->extra);
    if (t->extra != NULL && transport_set_protocol(t, args[1]) == 0
        && PyDict_SetItemString(t->extra, "sslcontext", args[2]) == 0)
    {
        stage = make_stage(from, args[2], PyObject_IsTrue(args[3]), args[4]);
    }
    if (stage == NULL) {
        Py_DECREF(t);
        return NULL;
    }
    aif_tls_be_mild(stage);
    move_stage(t, from, stage, t->connected);
    return t;
}

PyObject *
core_transport_tls(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    core_state *st = state_of_module(module);
    TransportObject *t, *from;

    if (count != 9 || !PyObject_TypeCheck(args[0], st->transport_type)) {
        PyErr_SetString(PyExc_TypeError,
                        "transport_tls(transport, protocol, context, "
                        "server_side, server_hostname, handshake_timeout, "
                        "shutdown_timeout, waiter, connected)");
        return NULL;
    }
    from = (TransportObject *)args[0];
    if (from->stage == NULL || from->host == NULL || from->closing
        || from->state != TRANSPORT_OPEN)
    {
        PyErr_SetString(PyExc_ConnectionResetError, "the transport is closed");
        return NULL;
    }
    t = over(st, from, args);
    if (t == NULL) {
        return NULL;
    }
    transport_hold(from);
    if (transport_tls_arm(t, t->handshake_timeout) < 0
        || transport_call_soon(t, "_read", NULL) < 0)
    {
        Py_DECREF(t);
        return NULL;
    }
    return (PyObject *)t;
}
