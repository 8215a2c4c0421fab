/* py_headers.c -- fields in and out; multidict through its C API, which is
 * loaded when a program first looks at headers. */
#include "py/py_headers.h"

#include <multidict_capi.h>

#include "base/aif_err.h"

PyObject *
headers_text(aif_slice s)
{
    return PyUnicode_DecodeUTF8(s.ptr, (Py_ssize_t)s.len, "surrogateescape");
}

/* ---- in ----------------------------------------------------------------- */

/* The bytes of a str, or of bytes; borrowed from |obj|. */
static int
text_of(PyObject *obj, const char *what, aif_slice *out)
{
    Py_ssize_t len;

    if (PyUnicode_Check(obj)) {
        out->ptr = PyUnicode_AsUTF8AndSize(obj, &len);
        if (out->ptr == NULL) {
            return -1;
        }
        out->len = (size_t)len;
        return 0;
    }
    if (PyBytes_Check(obj)) {
        out->ptr = PyBytes_AS_STRING(obj);
        out->len = (size_t)PyBytes_GET_SIZE(obj);
        return 0;
    }
    PyErr_Format(PyExc_TypeError, "header %s must be str, not %.80s", what,
                 Py_TYPE(obj)->tp_name);
    return -1;
}

static int
add_field(aif_header *h, PyObject *name, PyObject *value)
{
    aif_slice n, v;
    int rc;

    if (text_of(name, "name", &n) < 0 || text_of(value, "value", &v) < 0) {
        return -1;
    }
    rc = aif_header_add(h, n.ptr, n.len, v.ptr, v.len);
    if (rc == AIF_ENOMEM) {
        PyErr_NoMemory();
    }
    else if (rc < 0) {
        PyErr_SetString(PyExc_ValueError, "too many or too long headers");
    }
    return rc < 0 ? -1 : 0;
}

static int
read_pairs(aif_header *h, PyObject *pairs)
{
    PyObject *it = PyObject_GetIter(pairs);
    PyObject *pair, *fast;
    int rc = 0;

    if (it == NULL) {
        return -1;
    }
    while (rc == 0 && (pair = PyIter_Next(it)) != NULL) {
        fast = PySequence_Fast(pair, "headers must be pairs of str");
        if (fast == NULL) {
            rc = -1;
        }
        else if (PySequence_Fast_GET_SIZE(fast) != 2) {
            PyErr_SetString(PyExc_ValueError,
                            "headers must be (name, value) pairs");
            rc = -1;
        }
        else {
            rc = add_field(h, PySequence_Fast_GET_ITEM(fast, 0),
                           PySequence_Fast_GET_ITEM(fast, 1));
        }
        Py_XDECREF(fast);
        Py_DECREF(pair);
    }
    Py_DECREF(it);
    return rc < 0 || PyErr_Occurred() ? -1 : 0;
}

int
headers_read(core_state *st, aif_header *h, PyObject *source)
{
    PyObject *items, *name, *value;
    Py_ssize_t at = 0;
    int rc;

    if (source == Py_None) {
        return 0;
    }
    if (PyDict_CheckExact(source)) {
        while (PyDict_Next(source, &at, &name, &value)) {
            if (add_field(h, name, value) < 0) {
                return -1;
            }
        }
        return 0;
    }
    if (PyList_Check(source) || PyTuple_Check(source)) {
        return read_pairs(h, source);
    }
    items = PyObject_GetAttr(source, st->str_items);
    if (items == NULL) {
        if (!PyErr_ExceptionMatches(PyExc_AttributeError)) {
            return -1;
        }
        PyErr_Clear();
        return read_pairs(h, source);
    }
    Py_SETREF(items, PyObject_CallNoArgs(items));
    if (items == NULL) {
        return -1;
    }
    rc = read_pairs(h, items);
    Py_DECREF(items);
    return rc;
}

/* ---- out ---------------------------------------------------------------- */

static MultiDict_CAPI *
get_api(core_state *st)
{
    if (st->multidict == NULL) {
        PyObject *module = PyImport_ImportModule("multidict._multidict");

        if (module == NULL) {
            return NULL;
        }
        Py_XSETREF(st->multidict_module, module);
        st->multidict = MultiDict_GetCAPI();
    }
    return st->multidict;
}

PyObject *
headers_proxy(core_state *st, const aif_header *h)
{
    MultiDict_CAPI *api = get_api(st);
    PyObject *md, *proxy;

    if (api == NULL) {
        return NULL;
    }
    md = CIMultiDict_New(api, (Py_ssize_t)h->count);
    for (unsigned i = 0; md != NULL && i < h->count; i++) {
        PyObject *name = headers_text(aif_header_name(h, i));
        PyObject *value = headers_text(aif_header_value(h, i));

        if (name == NULL || value == NULL
            || MultiDict_Add(api, md, name, value) < 0)
        {
            Py_CLEAR(md);
        }
        Py_XDECREF(name);
        Py_XDECREF(value);
    }
    if (md == NULL) {
        return NULL;
    }
    proxy = CIMultiDictProxy_New(api, md);
    Py_DECREF(md);
    return proxy;
}

PyObject *
headers_raw(const aif_header *h)
{
    PyObject *all = PyTuple_New((Py_ssize_t)h->count);

    for (unsigned i = 0; all != NULL && i < h->count; i++) {
        aif_slice n = aif_header_name(h, i);
        aif_slice v = aif_header_value(h, i);
        PyObject *pair = Py_BuildValue("(y#y#)", n.ptr, (Py_ssize_t)n.len,
                                       v.ptr, (Py_ssize_t)v.len);

        if (pair == NULL) {
            Py_CLEAR(all);
            break;
        }
        PyTuple_SET_ITEM(all, (Py_ssize_t)i, pair);
    }
    return all;
}
