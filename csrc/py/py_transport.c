/* py_transport.c -- the Transport type: its life and its methods. */
#include "py/py_transport.h"

#include "base/aif_mem.h"
#include "py/py_transport_tls.h"

#define HIGH_WATER ((size_t)64 * 1024)
#define LOW_FRACTION 4

/* ---- life --------------------------------------------------------------- */

void
transport_hold(TransportObject *t)
{
    int hold = t->host != NULL && t->stage != NULL
               && ((t->begun && !t->closing && !t->paused) || t->count > 0
                   || t->state == TRANSPORT_SHAKING || (t->closing && t->tls));

    if (hold && !t->held) {
        t->held = 1;
        Py_INCREF(t);
    }
    else if (!hold && t->held) {
        t->held = 0;
        Py_DECREF(t);
    }
}

/* Without the socket object's own close: it outlives its descriptor, and will
 * still be told of as unclosed. */
static void
let_go(TransportObject *t)
{
    aif_stage *stage = t->stage;

    t->stage = NULL;
    t->tcp = NULL;
    if (stage != NULL && t->sock != NULL) {
        PyObject *res = PyObject_CallMethod(t->sock, "detach", NULL);

        if (res == NULL) {
            PyErr_WriteUnraisable(t->sock);
        }
        Py_XDECREF(res);
    }
    if (stage != NULL) {
        transport_tls_abandon(t, stage);
        aif_stage_close(stage);
    }
    t->host = NULL;
    transport_drop_space(t);
    transport_drop_queue(t);
}

void
transport_detach(TransportObject *t)
{
    Py_INCREF(t);
    aif_list_unlink(&t->link);
    let_go(t);
    transport_hold(t);
    Py_DECREF(t);
}

TransportObject *
transport_alloc(core_state *st, HostObject *h, PyObject *loop, int tls)
{
    PyTypeObject *type = tls ? st->ssl_transport_type : st->transport_type;
    TransportObject *t = (TransportObject *)type->tp_alloc(type, 0);

    if (t == NULL) {
        return NULL;
    }
    aif_list_init(&t->link);
    t->st = st;
    t->loop = Py_NewRef(loop);
    t->fd = -1;
    t->tls = tls ? 1 : 0;
    t->high = HIGH_WATER;
    t->low = HIGH_WATER / LOW_FRACTION;
    t->context = PyContext_CopyCurrent();
    if (t->context == NULL) {
        Py_DECREF(t);
        return NULL;
    }
    t->host = h;
    aif_list_push_tail(&h->transports, &t->link);
    return t;
}

int
transport_set_protocol(TransportObject *t, PyObject *protocol)
{
    int buffered;

    if (state_import(&t->st->buffered_protocol, "asyncio.protocols",
                     "BufferedProtocol")
        < 0)
    {
        return -1;
    }
    buffered = PyObject_IsInstance(protocol, t->st->buffered_protocol);
    if (buffered < 0) {
        return -1;
    }
    /* uvloop looks at the methods alone; protocols written for it work too. */
    if (!buffered && PyObject_HasAttrString(protocol, "get_buffer")) {
        buffered = !PyObject_HasAttrString(protocol, "data_received");
    }
    t->buffered = buffered ? 1 : 0;
    Py_XSETREF(t->protocol, Py_NewRef(protocol));
    return 0;
}

int
transport_call_soon(TransportObject *t, const char *method, PyObject *arg)
{
    PyObject *bound = PyObject_GetAttrString((PyObject *)t, method);
    PyObject *res = NULL;

    if (bound != NULL && t->loop != NULL) {
        PyObject *args[] = {t->loop, bound, arg};

        res = PyObject_VectorcallMethod(t->st->str_call_soon, args,
                                        arg == NULL ? 2 : 3, NULL);
    }
    Py_XDECREF(bound);
    Py_XDECREF(res);
    return res == NULL ? -1 : 0;
}

static int
fileno_and_family(PyObject *sock, int *fd, int *family)
{
    PyObject *number = PyObject_CallMethod(sock, "fileno", NULL);
    PyObject *kind = NULL;

    if (number != NULL) {
        *fd = (int)PyLong_AsLong(number);
        Py_DECREF(number);
        kind = PyObject_GetAttrString(sock, "family");
    }
    if (kind != NULL) {
        *family = (int)PyLong_AsLong(kind);
        Py_DECREF(kind);
    }
    return PyErr_Occurred() ? -1 : 0;
}

static int
adopt(TransportObject *t)
{
    int fd = -1, family = AF_UNIX, code = 0;

    if (fileno_and_family(t->sock, &fd, &family) < 0) {
        return -1;
    }
    if (family != AF_INET && family != AF_INET6) {
        family = AF_UNIX; /* any other stream: nothing of TCP is done to it */
    }
    host_enter(t->host);
    t->tcp = aif_tcp_adopt(t->host->core, fd, family, &code);
    host_leave(t->host);
    if (t->tcp == NULL) {
        PyObject *exc = transport_os_error(code);

        if (exc != NULL) {
            compat_set_exception(exc);
        }
        return -1;
    }
    t->fd = fd;
    t->stage = &t->tcp->stage;
    aif_stage_set_user(t->stage, &transport_cbs, t);
    return 0;
}

PyObject *
core_transport_new(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    core_state *st = state_of_module(module);
    PyObject *loop = NULL;
    TransportObject *t;
    HostObject *h;

    if (count != 3 || !PyDict_Check(args[2])) {
        PyErr_SetString(PyExc_TypeError,
                        "transport_new(sock, protocol, extra)");
        return NULL;
    }
    h = host_current(st, &loop);
    if (h == NULL) {
        return NULL;
    }
    t = transport_alloc(st, h, loop, 0);
    Py_DECREF(loop);
    if (t == NULL) {
        return NULL;
    }
    t->extra = Py_NewRef(args[2]);
    t->sock = Py_NewRef(args[0]);
    if (transport_set_protocol(t, args[1]) < 0 || adopt(t) < 0) {
        Py_CLEAR(t->sock); /* It stays the caller's. */
        Py_DECREF(t);
        return NULL;
    }
    t->state = TRANSPORT_OPEN;
    t->connected = 1;
    return (PyObject *)t;
}

/* ---- methods ------------------------------------------------------------ */

static PyObject *
done(int rc)
{
    if (rc < 0) {
        if (!PyErr_Occurred()) {
            PyErr_SetString(PyExc_RuntimeError, "the transport failed");
        }
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *
Transport_close(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    return done(transport_begin_close((TransportObject *)self));
}

static PyObject *
Transport_abort(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    return done(transport_force_close((TransportObject *)self, NULL));
}

static PyObject *
Transport_force_close(PyObject *self, PyObject *exc)
{
    return done(transport_force_close((TransportObject *)self,
                                      exc == Py_None ? NULL : exc));
}

static PyObject *
Transport_is_closing(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    return PyBool_FromLong(((TransportObject *)self)->closing);
}

static PyObject *
Transport_is_reading(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    TransportObject *t = (TransportObject *)self;

    return PyBool_FromLong(!t->paused && (t->tls || !t->closing));
}

static PyObject *
Transport_pause_reading(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    TransportObject *t = (TransportObject *)self;

    if (!t->paused && (t->tls || !t->closing)) {
        t->paused = 1;
        (void)transport_read_as_due(t);
    }
    Py_RETURN_NONE;
}

/* What TLS has decrypted already is delivered from the loop, not from here. */
static PyObject *
Transport_resume_reading(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    TransportObject *t = (TransportObject *)self;

    if (!t->paused || (t->closing && !t->tls)) {
        Py_RETURN_NONE;
    }
    t->paused = 0;
    if (t->tls && t->stage != NULL) {
        return done(transport_call_soon(t, "_read", NULL));
    }
    (void)transport_read_as_due(t);
    Py_RETURN_NONE;
}

/* Reads if that is still wanted. */
static PyObject *
Transport_read(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    TransportObject *t = (TransportObject *)self;

    if (t->stage != NULL && t->state == TRANSPORT_NEW) {
        t->state = TRANSPORT_SHAKING;
    }
    t->begun = 1;
    (void)transport_read_as_due(t);
    Py_RETURN_NONE;
}

static PyObject *
Transport_set_protocol(PyObject *self, PyObject *protocol)
{
    return done(transport_set_protocol((TransportObject *)self, protocol));
}

static PyObject *
Transport_get_protocol(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    TransportObject *t = (TransportObject *)self;

    return Py_NewRef(t->protocol == NULL ? Py_None : t->protocol);
}

static PyObject *
Transport_can_write_eof(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    return PyBool_FromLong(!((TransportObject *)self)->tls);
}

static PyObject *
Transport_get_write_buffer_size(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    return PyLong_FromSize_t(transport_buffered((TransportObject *)self));
}

static PyObject *
Transport_get_write_buffer_limits(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    TransportObject *t = (TransportObject *)self;

    return Py_BuildValue("(nn)", (Py_ssize_t)t->low, (Py_ssize_t)t->high);
}

static int
as_limit(PyObject *value, Py_ssize_t otherwise, Py_ssize_t *out)
{
    *out = otherwise;
    if (value != NULL && value != Py_None) {
        *out = PyNumber_AsSsize_t(value, NULL);
    }
    return PyErr_Occurred() ? -1 : 0;
}

static PyObject *
Transport_set_write_buffer_limits(PyObject *self, PyObject *args,
                                  PyObject *kwargs)
{
    static char *names[] = {"high", "low", NULL};
    TransportObject *t = (TransportObject *)self;
    PyObject *first = Py_None, *second = Py_None;
    Py_ssize_t high, low, usual = t->tls ? 512 * 1024 : 64 * 1024;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|OO", names, &first,
                                     &second)
        || as_limit(second, -1, &low) < 0)
    {
        return NULL;
    }
    if (second != Py_None) {
        usual = low > PY_SSIZE_T_MAX / 4 ? PY_SSIZE_T_MAX : 4 * low;
    }
    if (as_limit(first, usual, &high) < 0) {
        return NULL;
    }
    if (second == Py_None) {
        low = high / 4;
    }
    if (high < low || low < 0) {
        return PyErr_Format(PyExc_ValueError,
                            "high (%zd) must be >= low (%zd) must be >= 0",
                            high, low);
    }
    t->high = (size_t)high;
    t->low = (size_t)low;
    transport_pause_writing(t);
    if (t->tls) {
        transport_resume_writing(t);
    }
    Py_RETURN_NONE;
}

static PyObject *
Transport_get_extra_info(PyObject *self, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"name", "default", NULL};
    TransportObject *t = (TransportObject *)self;
    PyObject *name, *otherwise = Py_None, *found;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|O", names, &name,
                                     &otherwise))
    {
        return NULL;
    }
    found = t->extra == NULL ? NULL : PyDict_GetItemWithError(t->extra, name);
    if (found == NULL && PyErr_Occurred()) {
        return NULL;
    }
    return Py_NewRef(found == NULL ? otherwise : found);
}

static PyObject *
Transport_repr(PyObject *self)
{
    TransportObject *t = (TransportObject *)self;
    const char *life = t->sock == NULL ? "closed "
                       : t->closing    ? "closing "
                                       : "";
    int reading = t->stage != NULL && t->begun && !t->paused && !t->closing;

    return PyUnicode_FromFormat(
        "<aiofast.%s %sfd=%d read=%s write=<%s, bufsize=%zu>>",
        t->tls ? "SSLTransport" : "Transport", life, t->fd,
        reading ? "polling" : "idle", t->count > 0 ? "polling" : "idle",
        transport_buffered(t));
}

/* ---- attributes --------------------------------------------------------- */

static PyObject *
get_true(PyObject *Py_UNUSED(self), void *Py_UNUSED(closure))
{
    Py_RETURN_TRUE;
}

static PyObject *
get_protocol_paused(PyObject *self, void *Py_UNUSED(closure))
{
    return PyBool_FromLong(((TransportObject *)self)->paused_writing);
}

/* asyncio.constants._SendfileMode: the system call where there is no TLS. */
static PyObject *
get_sendfile(PyObject *self, void *Py_UNUSED(closure))
{
    PyObject *mode = NULL, *kind = NULL;

    if (state_import(&mode, "asyncio.constants", "_SendfileMode") == 0) {
        kind = PyObject_GetAttrString(
            mode, ((TransportObject *)self)->tls ? "FALLBACK" : "TRY_NATIVE");
    }
    Py_XDECREF(mode);
    return kind;
}

static PyObject *
get_loop(PyObject *self, void *Py_UNUSED(closure))
{
    PyObject *loop = ((TransportObject *)self)->loop;

    return Py_NewRef(loop == NULL ? Py_None : loop);
}

static PyObject *
get_sock(PyObject *self, void *Py_UNUSED(closure))
{
    PyObject *sock = ((TransportObject *)self)->sock;

    return Py_NewRef(sock == NULL ? Py_None : sock);
}

static PyGetSetDef Transport_getset[] = {
    {"_start_tls_compatible", get_true, NULL, NULL, NULL},
    {"_sendfile_compatible", get_sendfile, NULL, NULL, NULL},
    {"_protocol_paused", get_protocol_paused, NULL, NULL, NULL},
    {"_loop", get_loop, NULL, NULL, NULL},
    {"_sock", get_sock, NULL, NULL, NULL},
    {"__dict__", PyObject_GenericGetDict, PyObject_GenericSetDict, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMemberDef Transport_members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(TransportObject, weakrefs),
     READONLY, NULL},
    {"__dictoffset__", T_PYSSIZET, offsetof(TransportObject, dict), READONLY,
     NULL},
    {"_sock_fd", T_INT, offsetof(TransportObject, fd), READONLY, NULL},
    {"_extra", T_OBJECT, offsetof(TransportObject, extra), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

#define WITH_KEYWORDS(f) (PyCFunction)(void (*)(void))(f)

static PyMethodDef Transport_methods[] = {
    {"write", transport_write, METH_O, NULL},
    {"writelines", transport_writelines, METH_O, NULL},
    {"write_eof", transport_write_eof, METH_NOARGS, NULL},
    {"can_write_eof", Transport_can_write_eof, METH_NOARGS, NULL},
    {"close", Transport_close, METH_NOARGS, NULL},
    {"abort", Transport_abort, METH_NOARGS, NULL},
    {"is_closing", Transport_is_closing, METH_NOARGS, NULL},
    {"is_reading", Transport_is_reading, METH_NOARGS, NULL},
    {"pause_reading", Transport_pause_reading, METH_NOARGS, NULL},
    {"resume_reading", Transport_resume_reading, METH_NOARGS, NULL},
    {"set_protocol", Transport_set_protocol, METH_O, NULL},
    {"get_protocol", Transport_get_protocol, METH_NOARGS, NULL},
    {"get_write_buffer_size", Transport_get_write_buffer_size, METH_NOARGS,
     NULL},
    {"get_write_buffer_limits", Transport_get_write_buffer_limits, METH_NOARGS,
     NULL},
    {"set_write_buffer_limits",
     WITH_KEYWORDS(Transport_set_write_buffer_limits),
     METH_VARARGS | METH_KEYWORDS, NULL},
    {"get_extra_info", WITH_KEYWORDS(Transport_get_extra_info),
     METH_VARARGS | METH_KEYWORDS, NULL},
    {"_test__append_write_backlog", transport_append_backlog, METH_O, NULL},
    {"_force_close", Transport_force_close, METH_O, NULL},
    {"_read", Transport_read, METH_NOARGS, NULL},
    {"_tls_timeout", transport_tls_timeout, METH_NOARGS, NULL},
    {"_call_connection_lost", transport_call_connection_lost, METH_O, NULL},
    {"_make_empty_waiter", transport_make_empty_waiter, METH_NOARGS, NULL},
    {"_reset_empty_waiter", transport_reset_empty_waiter, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

/* ---- the type ----------------------------------------------------------- */

static int
Transport_traverse(PyObject *self, visitproc visit, void *arg)
{
    TransportObject *t = (TransportObject *)self;

    Py_VISIT(Py_TYPE(self));
    Py_VISIT(t->dict);
    Py_VISIT(t->loop);
    Py_VISIT(t->sock);
    Py_VISIT(t->protocol);
    Py_VISIT(t->extra);
    Py_VISIT(t->context);
    Py_VISIT(t->waiter);
    Py_VISIT(t->timer);
    Py_VISIT(t->empty_waiter);
    Py_VISIT(t->successor);
    Py_VISIT(t->lower);
    Py_VISIT(t->space);
    Py_VISIT(t->body);
    return 0;
}

static int
Transport_clear(PyObject *self)
{
    TransportObject *t = (TransportObject *)self;

    /* It may be on its way out: nothing may find it from here on. */
    aif_list_unlink(&t->link);
    if (t->host != NULL) {
        HostObject *h = (HostObject *)Py_NewRef(t->host);

        host_enter(h);
        let_go(t);
        host_leave(h);
        Py_DECREF(h);
    }
    transport_hold(t);
    Py_CLEAR(t->dict);
    Py_CLEAR(t->sock);
    Py_CLEAR(t->protocol);
    Py_CLEAR(t->extra);
    Py_CLEAR(t->context);
    Py_CLEAR(t->waiter);
    Py_CLEAR(t->timer);
    Py_CLEAR(t->empty_waiter);
    Py_CLEAR(t->successor);
    Py_CLEAR(t->lower);
    Py_CLEAR(t->body);
    Py_CLEAR(t->copied);
    Py_CLEAR(t->handshake_timeout);
    Py_CLEAR(t->shutdown_timeout);
    Py_CLEAR(t->loop);
    return 0;
}

static void
Transport_dealloc(PyObject *self)
{
    TransportObject *t = (TransportObject *)self;
    PyTypeObject *type = Py_TYPE(self);

    if (PyObject_CallFinalizerFromDealloc(self) < 0) {
        return;
    }
    PyObject_GC_UnTrack(self);
    if (t->weakrefs != NULL) {
        PyObject_ClearWeakRefs(self);
    }
    (void)Transport_clear(self);
    aif_mem_free(t->items);
    aif_mem_free(t->bufs);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyType_Slot Transport_slots[] = {
    {Py_tp_doc, (void *)PyDoc_STR("An asyncio.Transport on libuv.")},
     {Py_tp_traverse, Transport_traverse}, {Py_tp_clear, Transport_clear},
     {Py_tp_dealloc, Transport_dealloc}, {Py_tp_finalize, transport_finalize},
     {Py_tp_repr, Transport_repr}, {Py_tp_methods, Transport_methods},
     {Py_tp_members, Transport_members}, {Py_tp_getset, Transport_getset},
     {0, NULL},
};

static PyType_Spec Transport_spec = {
    .name = "aiofast._core.Transport",
    .basicsize = sizeof(TransportObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE
             | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = Transport_slots,
};

/* One with TLS shows it by its name, as asyncio's do. */
static PyType_Slot SSLTransport_slots[] = {
    {Py_tp_doc, (void *)PyDoc_STR("An asyncio.Transport on libuv, with TLS.")},
     {Py_tp_traverse, Transport_traverse}, {Py_tp_clear, Transport_clear},
     {Py_tp_dealloc, Transport_dealloc}, {0, NULL},
};

static PyType_Spec SSLTransport_spec = {
    .name = "aiofast._core.SSLTransport",
    .basicsize = sizeof(TransportObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC
             | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = SSLTransport_slots,
};

/* asyncio looks for its own flow control in a transport that it sends a file
 * over; that class is a Transport too. */
int
transport_type_init(core_state *st)
{
    const char *names[] = {"_FlowControlMixin", "Transport"};
    PyObject *base = NULL;

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        Py_CLEAR(base);
        PyErr_Clear();
        if (state_import(&base, "asyncio.transports", names[i]) == 0
            && PyType_Check(base)
            && ((PyTypeObject *)base)->tp_basicsize
                   <= (Py_ssize_t)offsetof(TransportObject, st))
        {
            break;
        }
    }
    if (base == NULL) {
        return -1;
    }
    st->transport_type = (PyTypeObject *)PyType_FromModuleAndSpec(
        st->module, &Transport_spec, base);
    Py_DECREF(base);
    if (st->transport_type == NULL) {
        return -1;
    }
    st->ssl_transport_type = (PyTypeObject *)PyType_FromModuleAndSpec(
        st->module, &SSLTransport_spec, (PyObject *)st->transport_type);
    if (st->ssl_transport_type == NULL
        || PyModule_AddType(st->module, st->transport_type) < 0)
    {
        return -1;
    }
    return PyModule_AddType(st->module, st->ssl_transport_type);
}
