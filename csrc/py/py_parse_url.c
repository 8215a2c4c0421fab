/* py_parse_url.c -- parse_url() and URL: httptools' view of a target, each
 * part as bytes or None. */
#include "py/py_url.h"

#include "http/aif_url_split.h"

#define MAX_LENGTH 65535

enum { SCHEMA, HOST, PORT, PATH, QUERY, FRAGMENT, USERINFO, PARTS };

typedef struct UrlObject {
    PyObject_HEAD
    PyObject *part[PARTS]; /* bytes, an int for the port, or None */
} UrlObject;

static PyObject *
url_get(PyObject *op, void *closure)
{
    return Py_NewRef(((UrlObject *)op)->part[(size_t)closure]);
}

static PyObject *
url_repr(PyObject *op)
{
    PyObject **part = ((UrlObject *)op)->part;

    return PyUnicode_FromFormat(
        "<URL schema: %R, host: %R, port: %R, path: %R, query: %R, "
        "fragment: %R, userinfo: %R>",
        part[SCHEMA], part[HOST], part[PORT], part[PATH], part[QUERY],
        part[FRAGMENT], part[USERINFO]);
}

static PyObject *
url_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"schema", "host",     "port",     "path",
                            "query",  "fragment", "userinfo", NULL};
    PyObject *part[PARTS];
    UrlObject *self;
    int i;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOOOOOO:URL", names,
                                     &part[0], &part[1], &part[2], &part[3],
                                     &part[4], &part[5], &part[6]))
    {
        return NULL;
    }
    for (i = 0; i < PARTS; i++) {
        if (i != PORT && part[i] != Py_None && !PyBytes_Check(part[i])) {
            PyErr_Format(PyExc_TypeError,
                         "%s must be bytes or None, not %.80s", names[i],
                         Py_TYPE(part[i])->tp_name);
            return NULL;
        }
    }
    self = (UrlObject *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    for (i = 0; i < PARTS; i++) {
        self->part[i] = Py_NewRef(part[i]);
    }
    return (PyObject *)self;
}

static void
url_dealloc(PyObject *op)
{
    PyTypeObject *type = Py_TYPE(op);
    int i;

    for (i = 0; i < PARTS; i++) {
        Py_XDECREF(((UrlObject *)op)->part[i]);
    }
    type->tp_free(op);
    Py_DECREF(type);
}

#define GETTER(name, index, doc)                                              \
    {name, url_get, NULL, PyDoc_STR(doc), (void *)(size_t)(index)}

static PyGetSetDef url_getters[] = {
    GETTER("schema", SCHEMA, "The scheme, without \"://\"."),
    GETTER("host", HOST, "The host, an IP literal without brackets."),
    GETTER("port", PORT, "The port that was written, an int."),
    GETTER("path", PATH, "The path as it was sent."),
    GETTER("query", QUERY, "The query, without '?'."),
    GETTER("fragment", FRAGMENT, "The fragment, without '#'."),
    GETTER("userinfo", USERINFO, "The userinfo, without '@'."),
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot url_slots[] = {
    {Py_tp_new, url_new},
    {Py_tp_dealloc, url_dealloc},
    {Py_tp_repr, url_repr},
    {Py_tp_getset, url_getters},
    {0, NULL},
};

static PyType_Spec url_spec = {
    .name = "aiofast._core.URL",
    .basicsize = sizeof(UrlObject),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = url_slots,
};

int
parsed_url_type_init(core_state *st)
{
    st->parsed_url_type =
        (PyTypeObject *)PyType_FromModuleAndSpec(st->module, &url_spec, NULL);
    if (st->parsed_url_type == NULL) {
        return -1;
    }
    return PyModule_AddType(st->module, st->parsed_url_type);
}

static PyObject *
bytes_or_none(aif_slice s)
{
    return s.ptr == NULL ? Py_NewRef(Py_None)
                         : PyBytes_FromStringAndSize(s.ptr, (Py_ssize_t)s.len);
}

static PyObject *
make_url(core_state *st, const aif_url_parts *parts)
{
    PyTypeObject *type = st->parsed_url_type;
    UrlObject *self = (UrlObject *)type->tp_alloc(type, 0);
    int i;

    if (self == NULL) {
        return NULL;
    }
    self->part[SCHEMA] = bytes_or_none(parts->scheme);
    self->part[HOST] = bytes_or_none(parts->host);
    self->part[PORT] =
        parts->port < 0 ? Py_NewRef(Py_None) : PyLong_FromLong(parts->port);
    self->part[PATH] = bytes_or_none(parts->path);
    self->part[QUERY] = bytes_or_none(parts->query);
    self->part[FRAGMENT] = bytes_or_none(parts->fragment);
    self->part[USERINFO] = bytes_or_none(parts->userinfo);
    for (i = 0; i < PARTS; i++) {
        if (self->part[i] == NULL) {
            Py_DECREF(self);
            return NULL;
        }
    }
    return (PyObject *)self;
}

PyObject *
core_parse_url(PyObject *module, PyObject *url)
{
    core_state *st = state_of_module(module);
    aif_url_parts parts;
    PyObject *result = NULL;
    Py_buffer view;

    if (PyObject_GetBuffer(url, &view, PyBUF_SIMPLE) < 0) {
        return NULL;
    }
    if (state_import(&st->http_url_error, "aiofast.parser",
                     "HttpParserInvalidURLError")
        < 0)
    {
        goto done;
    }
    if (view.len > MAX_LENGTH) {
        PyErr_Format(st->http_url_error,
                     "url is too long: it has %zd bytes of at most %d",
                     view.len, MAX_LENGTH);
    }
    else if (aif_url_split(&parts, view.buf, (size_t)view.len) < 0) {
        PyErr_Format(st->http_url_error, "invalid url %R", url);
    }
    else {
        result = make_url(st, &parts);
    }

done:
    PyBuffer_Release(&view);
    return result;
}
