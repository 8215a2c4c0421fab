/* py_options.c -- aiofast._core.Options. */
#include "py/py_options.h"

#include "py/py_headers.h"

#define NS 1e9

PyObject *
options_context(OptionsObject *o)
{
    if (o->tls_context == NULL) {
        PyErr_SetString(PyExc_RuntimeError,
                        "no TLS context was given for https");
        return NULL;
    }
    if (PyCallable_Check(o->tls_context)) {
        PyObject *context = PyObject_CallNoArgs(o->tls_context);

        if (context == NULL) {
            return NULL;
        }
        Py_SETREF(o->tls_context, context);
    }
    return o->tls_context;
}

double
options_limit(const OptionsObject *o, aif_limit limit)
{
    switch (limit) {
    case AIF_LIMIT_TOTAL:
        return (double)o->limits.total_due / NS;
    case AIF_LIMIT_ACQUIRE:
        return (double)o->limits.acquire / NS;
    case AIF_LIMIT_DIAL:
        return (double)o->limits.dial / NS;
    case AIF_LIMIT_TLS:
        return (double)o->limits.tls / NS;
    case AIF_LIMIT_WAIT:
        return (double)o->limits.wait / NS;
    case AIF_LIMIT_READ:
        return (double)o->limits.read / NS;
    case AIF_LIMIT_NONE:
        break;
    }
    return 0;
}

/* Each of the readers below leaves the setting alone when |value| is NULL, the
 * sign that the caller did not name it. */

static int
read_limit(PyObject *value, uint64_t *out)
{
    double seconds;

    if (value == NULL) {
        return 0;
    }
    seconds = value == Py_None ? 0 : PyFloat_AsDouble(value);
    if (seconds == -1.0 && PyErr_Occurred()) {
        return -1;
    }
    /* 0 and None mean no limit, as with aiohttp; a year is as good as one. */
    if (!(seconds > 0) || seconds > 3.2e7) {
        *out = 0;
    }
    else {
        *out = (uint64_t)(seconds * NS) + 1;
    }
    return 0;
}

static int
read_flag(PyObject *value, int *flag)
{
    if (value != NULL) {
        *flag = PyObject_IsTrue(value);
    }
    return *flag < 0 ? -1 : 0;
}

static int
read_size(PyObject *value, size_t *out)
{
    if (value == NULL) {
        return 0;
    }
    *out = PyLong_AsSize_t(value);
    return *out == (size_t)-1 && PyErr_Occurred() ? -1 : 0;
}

static int
read_class(OptionsObject *o, PyObject *value)
{
    if (value == NULL) {
        return 0;
    }
    if (!PyType_Check(value)
        || !PyType_IsSubtype((PyTypeObject *)value, o->st->response_type))
    {
        PyErr_SetString(PyExc_TypeError,
                        "response_class must be a subclass of ResponseBase");
        return -1;
    }
    Py_XSETREF(o->response_class, (PyTypeObject *)Py_NewRef(value));
    return 0;
}

static void
read_object(PyObject **slot, PyObject *value)
{
    if (value != NULL) {
        Py_XSETREF(*slot, value == Py_None ? NULL : Py_NewRef(value));
    }
}

static int
copy_header(aif_header *to, const aif_header *from)
{
    for (unsigned i = 0; i < from->count; i++) {
        aif_slice n = aif_header_name(from, i);
        aif_slice v = aif_header_value(from, i);

        if (aif_header_add(to, n.ptr, n.len, v.ptr, v.len) < 0) {
            PyErr_NoMemory();
            return -1;
        }
    }
    return 0;
}

/* The settings of |base|, or those of the stub if it is NULL. */
static int
start_from(OptionsObject *o, const OptionsObject *base, int with_defaults)
{
    if (base == NULL) {
        o->response_class = (PyTypeObject *)Py_NewRef(o->st->response_type);
        o->limits.total_due = (uint64_t)(300 * NS);
        o->limits.dial = (uint64_t)(30 * NS);
        o->max_body = UINT64_MAX;
        o->decompress = 1;
        return 0;
    }
    o->response_class = (PyTypeObject *)Py_NewRef(base->response_class);
    o->policy = Py_XNewRef(base->policy);
    o->tls_context = Py_XNewRef(base->tls_context);
    o->server_hostname = Py_XNewRef(base->server_hostname);
    o->informational = Py_XNewRef(base->informational);
    o->dialer = Py_XNewRef(base->dialer);
    o->limits = base->limits;
    o->parse = base->parse;
    o->max_body = base->max_body;
    o->max_ratio = base->max_ratio;
    o->high_water = base->high_water;
    o->stream = base->stream;
    o->decompress = base->decompress;
    o->on_cookies = base->on_cookies;
    o->on_status = base->on_status;
    o->public_only = base->public_only;
    o->http10 = base->http10;
    return with_defaults ? copy_header(&o->defaults, &base->defaults) : 0;
}

static int
read_max_body(OptionsObject *o, PyObject *value)
{
    if (value == NULL) {
        return 0;
    }
    if (value == Py_None) {
        o->max_body = UINT64_MAX;
        return 0;
    }
    if (!PyLong_Check(value)) {
        PyErr_Format(PyExc_TypeError,
                     "max_body must be an int or None, not %R", value);
        return -1;
    }
    o->max_body = PyLong_AsUnsignedLongLong(value);
    if (o->max_body == UINT64_MAX && PyErr_Occurred()) {
        PyErr_Format(PyExc_ValueError,
                     "max_body must be from 0 to 2**64 - 1, not %R", value);
        return -1;
    }
    return 0;
}

static int
read_max_ratio(OptionsObject *o, PyObject *value)
{
    unsigned long ratio;

    if (value == NULL) {
        return 0;
    }
    if (value != Py_None && !PyLong_Check(value)) {
        PyErr_Format(PyExc_TypeError,
                     "max_ratio must be an int or None, not %R", value);
        return -1;
    }
    ratio = value == Py_None ? 0 : PyLong_AsUnsignedLong(value);
    if ((ratio == (unsigned long)-1 && PyErr_Occurred())
        || (value != Py_None && ratio == 0))
    {
        PyErr_Format(PyExc_ValueError, "max_ratio must be at least 1, not %R",
                     value);
        return -1;
    }
    o->max_ratio = ratio > UINT32_MAX ? UINT32_MAX : (unsigned)ratio;
    return 0;
}

/* Everything that was named, in the order of the stub. */
typedef struct named {
    PyObject *base, *response_class, *stream, *defaults, *decompress, *policy;
    PyObject *on_cookies, *on_status, *total, *acquire, *dial, *tls, *wait;
    PyObject *read, *max_body, *max_head, *max_line, *max_fields;
    PyObject *tls_context, *server_hostname, *allow_private;
    PyObject *max_ratio, *informational, *dialer, *http10, *high_water;
} named;

static int
apply_flags(OptionsObject *o, const named *n)
{
    int stream = o->stream, decompress = o->decompress;
    int cookies = o->on_cookies, status = o->on_status;
    int allow_private = !o->public_only, http10 = o->http10;

    if (read_flag(n->stream, &stream) < 0
        || read_flag(n->decompress, &decompress) < 0
        || read_flag(n->on_cookies, &cookies) < 0
        || read_flag(n->on_status, &status) < 0
        || read_flag(n->allow_private, &allow_private) < 0
        || read_flag(n->http10, &http10) < 0)
    {
        return -1;
    }
    o->stream = stream ? 1 : 0;
    o->decompress = decompress ? 1 : 0;
    o->on_cookies = cookies ? 1 : 0;
    o->on_status = status ? 1 : 0;
    o->public_only = allow_private ? 0 : 1;
    o->http10 = http10 ? 1 : 0;
    return 0;
}

static int
apply_limits(OptionsObject *o, const named *n)
{
    size_t fields = o->parse.fields;

    if (read_limit(n->total, &o->limits.total_due) < 0
        || read_limit(n->acquire, &o->limits.acquire) < 0
        || read_limit(n->dial, &o->limits.dial) < 0
        || read_limit(n->tls, &o->limits.tls) < 0
        || read_limit(n->wait, &o->limits.wait) < 0
        || read_limit(n->read, &o->limits.read) < 0
        || read_max_body(o, n->max_body) < 0
        || read_max_ratio(o, n->max_ratio) < 0
        || read_size(n->high_water, &o->high_water) < 0
        || read_size(n->max_head, &o->parse.head) < 0
        || read_size(n->max_line, &o->parse.line) < 0
        || read_size(n->max_fields, &fields) < 0)
    {
        return -1;
    }
    o->parse.fields = fields > 1000000 ? 1000000 : (unsigned)fields;
    return 0;
}

/* ssl takes a name for what stands before a NUL. */
static int
check_name(PyObject *name)
{
    Py_ssize_t nul;

    if (name == NULL || name == Py_None) {
        return 0;
    }
    if (!PyUnicode_Check(name)) {
        PyErr_SetString(PyExc_TypeError, "server_hostname must be str");
        return -1;
    }
    nul = PyUnicode_FindChar(name, 0, 0, PyUnicode_GET_LENGTH(name), 1);
    if (nul >= 0) {
        PyErr_SetString(PyExc_ValueError, "server_hostname holds a NUL");
    }
    return nul == -1 ? 0 : -1;
}

static int
apply_objects(OptionsObject *o, const named *n)
{
    if (n->informational != NULL && n->informational != Py_None
        && !PyCallable_Check(n->informational))
    {
        PyErr_SetString(PyExc_TypeError, "informational must be callable");
        return -1;
    }
    if (n->dialer != NULL && n->dialer != Py_None
        && !PyCallable_Check(n->dialer))
    {
        PyErr_SetString(PyExc_TypeError, "dialer must be callable");
        return -1;
    }
    if (check_name(n->server_hostname) < 0) {
        return -1;
    }
    read_object(&o->policy, n->policy);
    read_object(&o->tls_context, n->tls_context);
    read_object(&o->server_hostname, n->server_hostname);
    read_object(&o->informational, n->informational);
    read_object(&o->dialer, n->dialer);
    if (n->defaults != NULL
        && headers_read(o->st, &o->defaults, n->defaults) < 0)
    {
        return -1;
    }
    return read_class(o, n->response_class);
}

static char *option_names[] = {"base",
                               "response_class",
                               "stream",
                               "defaults",
                               "decompress",
                               "policy",
                               "on_cookies",
                               "on_status",
                               "total",
                               "acquire",
                               "dial",
                               "tls",
                               "wait",
                               "read",
                               "max_body",
                               "max_head",
                               "max_line",
                               "max_fields",
                               "tls_context",
                               "server_hostname",
                               "allow_private",
                               "max_ratio",
                               "informational",
                               "dialer",
                               "http10",
                               "high_water",
                               NULL};

static PyObject *
Options_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    core_state *st = state_of_type(type);
    named n = {0};
    aif_err err = {0};
    OptionsObject *o;

    if (st == NULL
        || !PyArg_ParseTupleAndKeywords(
            args, kwargs, "|O$OOOOOOOOOOOOOOOOOOOOOOOOO:Options", option_names,
            &n.base, &n.response_class, &n.stream, &n.defaults, &n.decompress,
            &n.policy, &n.on_cookies, &n.on_status, &n.total, &n.acquire,
            &n.dial, &n.tls, &n.wait, &n.read, &n.max_body, &n.max_head,
            &n.max_line, &n.max_fields, &n.tls_context, &n.server_hostname,
            &n.allow_private, &n.max_ratio, &n.informational, &n.dialer,
            &n.http10, &n.high_water))
    {
        return NULL;
    }
    if (n.base == Py_None) {
        n.base = NULL;
    }
    if (n.base != NULL && Py_TYPE(n.base) != type) {
        PyErr_SetString(PyExc_TypeError, "base must be Options or None");
        return NULL;
    }
    o = (OptionsObject *)type->tp_alloc(type, 0);
    if (o == NULL) {
        return NULL;
    }
    o->st = st;
    aif_header_init(&o->defaults, AIF_MAX_REQUEST_HEAD, 1000);
    aif_buf_init(&o->lines, AIF_MAX_REQUEST_HEAD);
    if (start_from(o, (OptionsObject *)n.base, n.defaults == NULL) < 0
        || apply_objects(o, &n) < 0 || apply_flags(o, &n) < 0
        || apply_limits(o, &n) < 0)
    {
        Py_DECREF(o);
        return NULL;
    }
    /* Where it fails, each request says what is wrong. */
    (void)aif_h1write_lines(&o->lines, &o->defaults, &err);
    return (PyObject *)o;
}

static int
Options_traverse(PyObject *self, visitproc visit, void *arg)
{
    OptionsObject *o = (OptionsObject *)self;

    Py_VISIT(Py_TYPE(self));
    Py_VISIT(o->response_class);
    Py_VISIT(o->policy);
    Py_VISIT(o->tls_context);
    Py_VISIT(o->informational);
    Py_VISIT(o->dialer);
    return 0;
}

static int
Options_clear(PyObject *self)
{
    OptionsObject *o = (OptionsObject *)self;

    Py_CLEAR(o->policy);
    Py_CLEAR(o->tls_context);
    Py_CLEAR(o->server_hostname);
    Py_CLEAR(o->informational);
    Py_CLEAR(o->dialer);
    return 0;
}

static void
Options_dealloc(PyObject *self)
{
    OptionsObject *o = (OptionsObject *)self;
    PyTypeObject *type = Py_TYPE(self);

    PyObject_GC_UnTrack(self);
    (void)Options_clear(self);
    Py_CLEAR(o->response_class);
    aif_buf_fini(&o->lines);
    aif_header_fini(&o->defaults);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyObject *
Options_get_defaults(PyObject *self, void *Py_UNUSED(closure))
{
    OptionsObject *o = (OptionsObject *)self;

    return headers_proxy(o->st, &o->defaults);
}

static PyGetSetDef Options_getset[] = {
    {"defaults", Options_get_defaults, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot Options_slots[] = {
    {Py_tp_doc, (void *)PyDoc_STR("How requests are made; immutable.")},
     {Py_tp_new, Options_new}, {Py_tp_traverse, Options_traverse},
     {Py_tp_clear, Options_clear}, {Py_tp_dealloc, Options_dealloc},
     {Py_tp_getset, Options_getset}, {0, NULL},
};

static PyType_Spec Options_spec = {
    .name = "aiofast._core.Options",
    .basicsize = sizeof(OptionsObject),
    .flags =
        Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = Options_slots,
};

int
options_type_init(core_state *st)
{
    st->options_type = (PyTypeObject *)PyType_FromModuleAndSpec(
        st->module, &Options_spec, NULL);
    return st->options_type == NULL
               ? -1
               : PyModule_AddType(st->module, st->options_type);
}
