/* py_parser_type.c -- HttpRequestParser and HttpResponseParser: birth,
 * getters, leniencies, death. */
#include <string.h>

#include "http/aif_h1scan.h"
#include "py/py_parser.h"

/* Ceilings. Nothing of a head is kept here but a line that is cut, and a
 * server has limits of its own, so they are far above the client's. */
static const aif_h1parse_limits limits = {
    .head = 1024u * 1024u,
    .line = 256u * 1024u,
    .fields = 4096,
};

#define RULES                                                                 \
    (AIF_H1_CODINGS | AIF_H1_METHODS | AIF_H1_SIMPLE | AIF_H1_UPGRADES        \
     | AIF_H1_EACH_HEAD | AIF_H1_BARE_SIZES | AIF_H1_NO_FIELDS)

/* --- Getters ------------------------------------------------------------ */

static PyObject *
parser_get_http_version(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    const ParserObject *self = (ParserObject *)op;
    const int known = self->core != NULL;

    return PyUnicode_FromFormat("%d.%d",
                                known ? aif_h1parse_major(self->core) : 0,
                                known ? aif_h1parse_minor(self->core) : 0);
}

static PyObject *
parser_should_keep_alive(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    const ParserObject *self = (ParserObject *)op;

    return PyBool_FromLong(self->core != NULL
                           && aif_h1parse_keep_alive(self->core));
}

static PyObject *
parser_should_upgrade(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    const ParserObject *self = (ParserObject *)op;

    return PyBool_FromLong(self->core != NULL
                           && aif_h1parse_upgrade(self->core));
}

static PyObject *
request_get_method(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    const ParserObject *self = (ParserObject *)op;
    aif_slice method = {"", 0};

    if (self->core != NULL) {
        method = aif_h1parse_method(self->core);
    }
    return PyBytes_FromStringAndSize(method.ptr, (Py_ssize_t)method.len);
}

static PyObject *
response_get_status_code(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    const ParserObject *self = (ParserObject *)op;

    return PyLong_FromLong(self->core != NULL ? aif_h1parse_status(self->core)
                                              : 0);
}

/* --- Leniencies --------------------------------------------------------- */

static const char *const leniency_names[] = {
    "lenient_headers",
    "lenient_chunked_length",
    "lenient_keep_alive",
    "lenient_transfer_encoding",
    "lenient_version",
    "lenient_data_after_close",
    "lenient_optional_lf_after_cr",
    "lenient_optional_cr_before_lf",
    "lenient_optional_crlf_after_chunk",
    "lenient_spaces_after_chunk_size",
    NULL,
};

#define LENIENCIES 10
#define KEEP_ALIVE 2
#define DATA_AFTER_CLOSE 5
#define SPACES_AFTER_SIZE 9

/* What each sets; the last one clears its rule. The two without one concern
 * what comes between messages. */
static const unsigned leniency_rules[LENIENCIES] = {
    AIF_H1_FOLDS,      AIF_H1_LENGTH_TOO, 0,
    AIF_H1_ANY_CODING, AIF_H1_VERSIONS,   0,
    AIF_H1_LONE_CR,    AIF_H1_LONE_LF,    AIF_H1_NO_CHUNK_END,
    AIF_H1_BARE_SIZES,
};

static PyObject *
parser_set_dangerous_leniencies(PyObject *op, PyObject *args, PyObject *kwargs)
{
    ParserObject *self = (ParserObject *)op;
    PyObject *v[LENIENCIES] = {NULL};
    char *names[LENIENCIES + 1];
    int i, on;

    memcpy(names, leniency_names, sizeof(names));
    if (!PyArg_ParseTupleAndKeywords(
            args, kwargs, "|OOOOOOOOOO:set_dangerous_leniencies", names, &v[0],
            &v[1], &v[2], &v[3], &v[4], &v[5], &v[6], &v[7], &v[8], &v[9]))
    {
        return NULL;
    }
    for (i = 0; i < LENIENCIES; i++) {
        if (v[i] == NULL || v[i] == Py_None) {
            continue;
        }
        on = PyObject_IsTrue(v[i]);
        if (on < 0) {
            return NULL;
        }
        self->rules = on != (i == SPACES_AFTER_SIZE)
                          ? self->rules | leniency_rules[i]
                          : self->rules & ~leniency_rules[i];
        if (i == KEEP_ALIVE) {
            self->go_on = on != 0;
        }
        else if (i == DATA_AFTER_CLOSE) {
            self->discard = on != 0;
        }
    }
    if (self->core != NULL) {
        aif_h1parse_set_rules(self->core, self->rules);
    }
    Py_RETURN_NONE;
}

/* --- The types ---------------------------------------------------------- */

/* What a protocol has for each event. */
typedef struct callbacks {
    PyObject *on[PARSER_EVENTS];
    PyObject *owner;
    unsigned bound;
} callbacks;

/* Takes the protocol's own methods apart, which saves a step at each call. */
static void
unbind(callbacks *found, PyObject *protocol, int event)
{
    PyObject *method = found->on[event];

    if (PyMethod_Check(method) && PyMethod_GET_SELF(method) == protocol) {
        found->on[event] = Py_NewRef(PyMethod_GET_FUNCTION(method));
        found->bound |= 1u << event;
        Py_DECREF(method);
    }
}

/* An attribute, a new reference; NULL if there is none, or with an exception.
 * Hardly anyone listens to chunks: for these the builtin function is asked,
 * which makes no exception for what is not there. */
static PyObject *
attribute(core_state *st, PyObject *protocol, int event)
{
    PyObject *args[3] = {protocol, st->parser_names[event], Py_None};
    PyObject *found;

    if (event == PARSER_CHUNK || event == PARSER_CHUNK_END) {
        found = PyObject_Vectorcall(st->getattr, args, 3, NULL);
    }
    else {
        found = PyObject_GetAttr(protocol, args[1]);
        if (found == NULL && PyErr_ExceptionMatches(PyExc_AttributeError)) {
            PyErr_Clear();
        }
    }
    if (found == Py_None) {
        Py_CLEAR(found);
    }
    return found;
}

/* The protocol's methods, as they are now. */
static int
look_up(core_state *st, PyObject *protocol, parser_event skipped,
        callbacks *found)
{
    int i;

    for (i = 0; i < PARSER_EVENTS; i++) {
        if (i == (int)skipped) {
            continue;
        }
        found->on[i] = attribute(st, protocol, i);
        if (found->on[i] != NULL) {
            unbind(found, protocol, i);
        }
        else if (PyErr_Occurred()) {
            return -1;
        }
    }
    if (found->bound != 0) {
        found->owner = Py_NewRef(protocol);
    }
    return 0;
}

/* A core for |self|: one that another parser has left, which spares a server a
 * few allocations for each connection, or a new one. */
static aif_h1parse *
take_core(ParserObject *self, aif_h1_kind kind, const aif_h1parse_cbs *cbs)
{
    aif_h1parse *core = self->st->spare_cores[kind];

    if (core == NULL) {
        return aif_h1parse_new(kind, &limits, cbs, self);
    }
    self->st->spare_cores[kind] = NULL;
    aif_h1parse_renew(core, cbs, self);
    return core;
}

static void
leave_core(ParserObject *self)
{
    aif_h1parse *core = self->core;

    self->core = NULL;
    if (core != NULL && self->st->spare_cores[self->kind] == NULL) {
        self->st->spare_cores[self->kind] = core;
        return;
    }
    aif_h1parse_free(core);
}

/* What is called from now on; |found| gets what was called before. */
static void
swap_callbacks(ParserObject *self, callbacks *found)
{
    callbacks was;

    memcpy(was.on, self->on, sizeof(was.on));
    was.owner = self->owner;
    was.bound = self->bound;
    memcpy(self->on, found->on, sizeof(found->on));
    self->owner = found->owner;
    self->bound = found->bound;
    *found = was;
}

/* The one argument of __init__, borrowed. */
static PyObject *
protocol_of(PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"protocol", NULL};
    PyObject *protocol;

    if (kwargs == NULL && PyTuple_GET_SIZE(args) == 1) {
        return PyTuple_GET_ITEM(args, 0);
    }
    return PyArg_ParseTupleAndKeywords(args, kwargs, "O", names, &protocol)
               ? protocol
               : NULL;
}

static int
parser_setup(ParserObject *self, PyObject *args, PyObject *kwargs,
             aif_h1_kind kind)
{
    callbacks found = {{NULL}, NULL, 0};
    PyObject *protocol = protocol_of(args, kwargs);
    aif_h1parse *core;
    int i, rc = -1;

    if (protocol == NULL || parser_error_import(self->st) < 0
        || look_up(self->st, protocol,
                   kind == AIF_H1_REQUEST ? PARSER_STATUS : PARSER_URL, &found)
               < 0)
    {
        goto done;
    }
    if (self->feeding) {
        PyErr_SetString(PyExc_RuntimeError, "the parser is at work");
        goto done;
    }
    core = take_core(self, kind,
                     parser_upcalls(kind, found.on[PARSER_HEADER] != NULL));
    if (core == NULL) {
        (void)PyErr_NoMemory();
        goto done;
    }
    leave_core(self);
    self->core = core;
    self->kind = kind;
    self->rules = RULES;
    self->closed = 0;
    self->go_on = 0;
    self->discard = 0;
    aif_h1parse_set_rules(core, RULES);
    swap_callbacks(self, &found);
    rc = 0;

done:
    for (i = 0; i < PARSER_EVENTS; i++) {
        Py_XDECREF(found.on[i]);
    }
    Py_XDECREF(found.owner);
    return rc;
}

static int
request_init(PyObject *op, PyObject *args, PyObject *kwargs)
{
    return parser_setup((ParserObject *)op, args, kwargs, AIF_H1_REQUEST);
}

static int
response_init(PyObject *op, PyObject *args, PyObject *kwargs)
{
    return parser_setup((ParserObject *)op, args, kwargs, AIF_H1_RESPONSE);
}

static PyObject *
parser_new(PyTypeObject *type, PyObject *Py_UNUSED(args),
           PyObject *Py_UNUSED(kwargs))
{
    core_state *st = state_of_type(type);
    ParserObject *self;

    if (st == NULL) {
        return NULL;
    }
    self = (ParserObject *)type->tp_alloc(type, 0);
    if (self != NULL) {
        self->st = st;
    }
    return (PyObject *)self;
}

static int
parser_traverse(PyObject *op, visitproc visit, void *arg)
{
    ParserObject *self = (ParserObject *)op;
    int i;

    Py_VISIT(Py_TYPE(op));
    for (i = 0; i < PARSER_EVENTS; i++) {
        Py_VISIT(self->on[i]);
    }
    Py_VISIT(self->owner);
    Py_VISIT(self->queue);
    Py_VISIT(self->raised);
    return 0;
}

static int
parser_clear(PyObject *op)
{
    ParserObject *self = (ParserObject *)op;
    int i;

    for (i = 0; i < PARSER_EVENTS; i++) {
        Py_CLEAR(self->on[i]);
    }
    self->bound = 0;
    Py_CLEAR(self->owner);
    Py_CLEAR(self->queue);
    Py_CLEAR(self->raised);
    return 0;
}

static void
parser_dealloc(PyObject *op)
{
    PyTypeObject *type = Py_TYPE(op);

    PyObject_GC_UnTrack(op);
    (void)parser_clear(op);
    leave_core((ParserObject *)op);
    type->tp_free(op);
    Py_DECREF(type);
}

PyDoc_STRVAR(feed_doc, "feed_data($self, data, /)\n--\n\n"
                       "Read bytes and call the protocol's methods.");
PyDoc_STRVAR(version_doc, "get_http_version($self, /)\n--\n\n\"1.1\".");
PyDoc_STRVAR(method_doc, "get_method($self, /)\n--\n\nb\"GET\".");
PyDoc_STRVAR(status_doc, "get_status_code($self, /)\n--\n\n200.");
PyDoc_STRVAR(keep_doc, "should_keep_alive($self, /)\n--\n\n"
                       "Whether another message may follow.");
PyDoc_STRVAR(upgrade_doc, "should_upgrade($self, /)\n--\n\n"
                          "Whether the message asks for another protocol.");
PyDoc_STRVAR(leniencies_doc, "Accept what the RFCs forbid.");

#define set_leniencies                                                        \
    ((PyCFunction)(void (*)(void))parser_set_dangerous_leniencies)

static PyMethodDef request_methods[] = {
    {"feed_data", parser_feed_data, METH_O, feed_doc},
    {"get_http_version", parser_get_http_version, METH_NOARGS, version_doc},
    {"get_method", request_get_method, METH_NOARGS, method_doc},
    {"should_keep_alive", parser_should_keep_alive, METH_NOARGS, keep_doc},
    {"should_upgrade", parser_should_upgrade, METH_NOARGS, upgrade_doc},
    {"set_dangerous_leniencies", set_leniencies, METH_VARARGS | METH_KEYWORDS,
     leniencies_doc},
    {NULL, NULL, 0, NULL},
};

static PyMethodDef response_methods[] = {
    {"feed_data", parser_feed_data, METH_O, feed_doc},
    {"get_http_version", parser_get_http_version, METH_NOARGS, version_doc},
    {"get_status_code", response_get_status_code, METH_NOARGS, status_doc},
    {"should_keep_alive", parser_should_keep_alive, METH_NOARGS, keep_doc},
    {"should_upgrade", parser_should_upgrade, METH_NOARGS, upgrade_doc},
    {"set_dangerous_leniencies", set_leniencies, METH_VARARGS | METH_KEYWORDS,
     leniencies_doc},
    {NULL, NULL, 0, NULL},
};

#define SLOTS(methods, init, doc)                                             \
    {                                                                         \
        {Py_tp_new, parser_new},                                              \
        {Py_tp_init, init},                                                   \
        {Py_tp_dealloc, parser_dealloc},                                      \
        {Py_tp_traverse, parser_traverse},                                    \
        {Py_tp_clear, parser_clear},                                          \
        {Py_tp_methods, methods},                                             \
        {Py_tp_doc, (void *)PyDoc_STR(doc)}, {0, NULL},                       \
        }

static PyType_Slot request_slots[] =
    SLOTS(request_methods, request_init,
          "HttpRequestParser(protocol)\n--\n\n"
          "Reads requests and calls the protocol's methods.");
static PyType_Slot response_slots[] =
    SLOTS(response_methods, response_init,
          "HttpResponseParser(protocol)\n--\n\n"
          "Reads responses and calls the protocol's methods.");

#define FLAGS (Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC)

static PyType_Spec request_spec = {
    .name = "aiofast._core.HttpRequestParser",
    .basicsize = sizeof(ParserObject),
    .flags = FLAGS,
    .slots = request_slots,
};

static PyType_Spec response_spec = {
    .name = "aiofast._core.HttpResponseParser",
    .basicsize = sizeof(ParserObject),
    .flags = FLAGS,
    .slots = response_slots,
};

static int
add_type(core_state *st, PyType_Spec *spec, PyTypeObject **slot)
{
    *slot = (PyTypeObject *)PyType_FromModuleAndSpec(st->module, spec, NULL);
    return *slot == NULL ? -1 : PyModule_AddType(st->module, *slot);
}

int
parser_type_init(core_state *st)
{
    int i;

    _Static_assert((int)PARSER_EVENTS == STATE_PARSER_NAMES,
                   "a name for each event");
    for (i = 0; i < PARSER_EVENTS; i++) {
        st->parser_names[i] =
            PyUnicode_InternFromString(parser_event_names[i]);
        if (st->parser_names[i] == NULL) {
            return -1;
        }
    }
    if (state_import(&st->getattr, "builtins", "getattr") < 0) {
        return -1;
    }
    if (add_type(st, &request_spec, &st->request_parser_type) < 0) {
        return -1;
    }
    return add_type(st, &response_spec, &st->response_parser_type);
}
