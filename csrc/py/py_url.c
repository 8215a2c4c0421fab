/* py_url.c -- aif_url for Python text: IDNA, the plain form, the module's
 * functions. */
#include "py/py_url.h"

#include <string.h>

#include "http/aif_query.h"
#include "py/py_error.h"

/* Replaces the host of |u|, which is not ASCII, by its IDNA form (RFC 5891,
 * UTS 46). 0; a code with |err|; -1 with an exception. */
static int
encode_host(core_state *st, aif_url *u, aif_err *err)
{
    aif_slice host = aif_url_host(u);
    PyObject *args, *kwargs, *ascii = NULL;
    aif_buf text;
    int rc = -1;

    if (state_import(&st->idna_encode, "idna", "encode") < 0) {
        return -1;
    }
    args = Py_BuildValue("(s#)", host.ptr, (Py_ssize_t)host.len);
    kwargs = Py_BuildValue("{s:O}", "uts46", Py_True);
    if (args != NULL && kwargs != NULL) {
        ascii = PyObject_Call(st->idna_encode, args, kwargs);
    }
    Py_XDECREF(args);
    Py_XDECREF(kwargs);
    if (ascii == NULL || !PyBytes_Check(ascii)) {
        Py_XDECREF(ascii);
        if (!PyErr_ExceptionMatches(PyExc_UnicodeError)) {
            return -1;
        }
        PyErr_Clear();
        return aif_err_set(err, AIF_EINVAL,
                           "the host is not a valid internationalized name");
    }
    aif_buf_init(&text, AIF_MAX_URL);
    rc = aif_buf_add(&text, u->text.data, u->host_off);
    if (rc == 0) {
        rc = aif_buf_add(&text, PyBytes_AS_STRING(ascii),
                         (size_t)PyBytes_GET_SIZE(ascii));
    }
    if (rc == 0) {
        rc = aif_buf_add(&text, u->text.data + u->host_off + u->host_len,
                         u->text.len - u->host_off - u->host_len);
    }
    if (rc == 0) {
        rc = aif_url_parse(u, text.data, text.len, err);
    }
    else {
        aif_err_set(err, rc, "the URL is too long");
    }
    aif_buf_fini(&text);
    Py_DECREF(ascii);
    return rc;
}

int
url_parse(core_state *st, aif_url *u, PyObject *text, PyObject *query,
          aif_err *err)
{
    Py_ssize_t len;
    const char *data;
    int rc;

    if (!PyUnicode_Check(text)) {
        PyErr_Format(PyExc_TypeError, "url must be str, not %.80s",
                     Py_TYPE(text)->tp_name);
        return -1;
    }
    data = PyUnicode_AsUTF8AndSize(text, &len);
    if (data == NULL) {
        PyErr_Clear(); /* lone surrogates */
        return aif_err_set(err, AIF_EINVAL, "the URL is not valid text");
    }
    rc = aif_url_parse(u, data, (size_t)len, err);
    if (rc == AIF_EIDNA) {
        rc = encode_host(st, u, err);
    }
    if (rc == 0 && query != NULL) {
        data = PyUnicode_AsUTF8AndSize(query, &len);
        if (data == NULL) {
            return -1;
        }
        if (len > 0) {
            rc = aif_url_add_query(u, data, (size_t)len, err);
        }
    }
    return rc;
}

PyObject *
url_text(const aif_url *u, PyObject *given)
{
    Py_ssize_t len;
    const char *data = PyUnicode_AsUTF8AndSize(given, &len);
    aif_slice scheme = aif_url_scheme(u), authority = aif_url_authority(u);
    aif_slice target = aif_url_target(u), fragment = aif_url_fragment(u);
    PyObject *text;
    char *at;
    size_t size;

    if (!u->has_userinfo && data != NULL && PyUnicode_CheckExact(given)
        && (size_t)len == u->text.len
        && memcmp(data, u->text.data, u->text.len) == 0)
    {
        return Py_NewRef(given);
    }
    size = scheme.len + 3 + authority.len + target.len
           + (u->has_fragment ? 1 + fragment.len : 0);
    text = PyUnicode_New((Py_ssize_t)size, 127);
    if (text == NULL) {
        return NULL;
    }
    at = (char *)PyUnicode_1BYTE_DATA(text);
    memcpy(at, scheme.ptr, scheme.len);
    at += scheme.len;
    memcpy(at, "://", 3);
    at += 3;
    memcpy(at, authority.ptr, authority.len);
    at += authority.len;
    memcpy(at, target.ptr, target.len);
    at += target.len;
    if (u->has_fragment) {
        *at++ = '#';
        memcpy(at, fragment.ptr, fragment.len);
    }
    return text;
}

PyObject *
url_join(core_state *st, PyObject *base_text, PyObject *ref_text)
{
    aif_url base, joined;
    aif_err err = {0};
    PyObject *ref, *result = NULL;
    int rc;

    /* A field's bytes that are no UTF-8 came as surrogates, and go back. */
    ref = PyUnicode_AsEncodedString(ref_text, "utf-8", "surrogateescape");
    if (ref == NULL) {
        return NULL;
    }
    aif_url_init(&base);
    aif_url_init(&joined);
    rc = url_parse(st, &base, base_text, NULL, &err);
    if (rc == 0) {
        rc = aif_url_resolve(&joined, &base, PyBytes_AS_STRING(ref),
                             (size_t)PyBytes_GET_SIZE(ref), &err);
        if (rc == AIF_EIDNA) {
            rc = encode_host(st, &joined, &err);
        }
    }
    if (rc == 0) {
        result = PyUnicode_FromStringAndSize(joined.text.data,
                                             (Py_ssize_t)joined.text.len);
    }
    else if (rc != -1) {
        (void)error_raise_url(st, ref_text, &err);
    }
    aif_url_fini(&base);
    aif_url_fini(&joined);
    Py_DECREF(ref);
    return result;
}

/* ---- module functions --------------------------------------------------- */

PyObject *
core_url_join(PyObject *module, PyObject *const *args, Py_ssize_t nargs)
{
    if (nargs != 2 || !PyUnicode_Check(args[0]) || !PyUnicode_Check(args[1])) {
        PyErr_SetString(PyExc_TypeError, "url_join(base, reference)");
        return NULL;
    }
    return url_join(state_of_module(module), args[0], args[1]);
}

PyObject *
core_quote_query(PyObject *Py_UNUSED(module), PyObject *text)
{
    Py_ssize_t len;
    const char *data = PyUnicode_AsUTF8AndSize(text, &len);
    PyObject *quoted;
    size_t size;

    if (data == NULL) {
        return NULL;
    }
    size = aif_query_size(data, (size_t)len);
    quoted = PyUnicode_New((Py_ssize_t)size, 127);
    if (quoted != NULL) {
        (void)aif_query_put((char *)PyUnicode_1BYTE_DATA(quoted), data,
                            (size_t)len);
    }
    return quoted;
}

PyObject *
core_url_origin(PyObject *module, PyObject *text)
{
    core_state *st = state_of_module(module);
    aif_url u;
    aif_err err = {0};
    PyObject *result = NULL;
    int rc;

    aif_url_init(&u);
    rc = url_parse(st, &u, text, NULL, &err);
    if (rc == 0) {
        aif_slice s = aif_url_scheme(&u), h = aif_url_host(&u);

        result = Py_BuildValue("(s#s#i)", s.ptr, (Py_ssize_t)s.len, h.ptr,
                               (Py_ssize_t)h.len, (int)u.port);
    }
    else if (rc != -1) {
        (void)error_raise_url(st, text, &err);
    }
    aif_url_fini(&u);
    return result;
}
