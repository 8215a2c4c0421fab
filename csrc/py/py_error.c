/* py_error.c -- gathers what is known about a failure for errors.from_core. */
#include "py/py_error.h"

#include <uv.h>

static const char *
limit_name(aif_limit limit)
{
    switch (limit) {
    case AIF_LIMIT_TOTAL:
        return "total";
    case AIF_LIMIT_ACQUIRE:
        return "acquire";
    case AIF_LIMIT_DIAL:
        return "dial";
    case AIF_LIMIT_TLS:
        return "tls";
    case AIF_LIMIT_WAIT:
        return "wait";
    case AIF_LIMIT_READ:
        return "read";
    case AIF_LIMIT_NONE:
        break;
    }
    return NULL;
}

void
error_of_fetch(error_facts *facts, const aif_fetch *f, const OptionsObject *o)
{
    facts->err = &f->err;
    facts->phase = aif_trace_name(f->trace.phase);
    facts->elapsed = (double)(uv_hrtime() - f->trace.start) / 1e9;
    facts->limit = limit_name(f->limit);
    facts->limit_value = options_limit(o, f->limit);
    if (f->excessive) {
        facts->limit = "max_ratio";
        facts->limit_value = f->max_ratio;
    }
    else if (f->err.code == AIF_ETOOBIG && f->status != 0
             && f->received <= o->max_body && o->max_body != UINT64_MAX)
    {
        facts->limit = "max_body";
        facts->limit_value = (double)o->max_body;
    }
    facts->context = o->tls_context;
    facts->face = (PyObject *)o->response_class;
    facts->peer = f->peer;
    facts->reused = f->reused;
    facts->status = f->status;
}

/* host, port and ssl of the URL, for the message. */
static int
add_place(PyObject *d, PyObject *url)
{
    Py_ssize_t len;
    const char *text = url == NULL ? NULL : PyUnicode_AsUTF8AndSize(url, &len);
    aif_url u;
    aif_slice host = {"", 0};
    PyObject *name, *number;
    int rc = -1;

    aif_url_init(&u);
    if (text != NULL) {
        int code = aif_url_parse(&u, text, (size_t)len, NULL);

        if (code == 0 || code == AIF_EIDNA) {
            host = aif_url_host(&u);
        }
    }
    PyErr_Clear();
    name = PyUnicode_DecodeUTF8(host.ptr, (Py_ssize_t)host.len, "replace");
    number = PyLong_FromLong(host.len > 0 ? u.port : 0);
    if (name != NULL && number != NULL
        && PyDict_SetItemString(d, "host", name) == 0
        && PyDict_SetItemString(d, "port", number) == 0
        && PyDict_SetItemString(d, "ssl",
                                host.len > 0 && u.secure ? Py_True : Py_False)
               == 0)
    {
        rc = 0;
    }
    Py_XDECREF(name);
    Py_XDECREF(number);
    aif_url_fini(&u);
    return rc;
}

PyObject *
error_new(core_state *st, const error_facts *f)
{
    int code = f->err->code;
    PyObject *none = Py_None;
    PyObject *limit_value, *status, *d, *exc = NULL;

    if (state_import(&st->from_core, "aiofast.errors", "from_core") < 0) {
        return NULL;
    }
    limit_value = f->limit == NULL ? Py_NewRef(none)
                                   : PyFloat_FromDouble(f->limit_value);
    status = f->status == 0 ? Py_NewRef(none) : PyLong_FromLong(f->status);
    if (limit_value == NULL || status == NULL) {
        Py_XDECREF(limit_value);
        Py_XDECREF(status);
        return NULL;
    }
    d = Py_BuildValue(
        "{s:s,s:i,s:s,s:s,s:z,s:O,s:d,s:O,s:O,s:O,s:O,s:O,s:z,s:z,s:O,s:O,"
        "s:O,s:O,s:O}",
        "code", code > AIF_ERR_FIRST ? "UV" : aif_err_name(code), "sys",
        f->err->sys != 0 ? f->err->sys : (code > AIF_ERR_FIRST ? code : 0),
        "text", f->err->text, "phase", f->phase == NULL ? "queued" : f->phase,
        "limit", f->limit, "limit_value", limit_value, "elapsed", f->elapsed,
        "method", f->method == NULL ? none : f->method, "url",
        f->url == NULL ? none : f->url, "cause",
        f->cause == NULL ? none : f->cause, "history",
        f->history == NULL ? st->empty_tuple : f->history, "partial",
        f->partial == NULL ? none : f->partial, "peer",
        f->peer == NULL || f->peer[0] == '\0' ? NULL : f->peer, "unix_path",
        f->unix_path, "reused", f->reused ? Py_True : Py_False, "status",
        status, "headers", none, "context",
        f->context == NULL ? none : f->context, "face",
        f->face == NULL ? none : f->face);
    Py_DECREF(limit_value);
    Py_DECREF(status);
    if (d != NULL && add_place(d, f->url) == 0) {
        exc = PyObject_CallOneArg(st->from_core, d);
    }
    Py_XDECREF(d);
    if (exc != NULL && !PyExceptionInstance_Check(exc)) {
        Py_DECREF(exc);
        PyErr_SetString(PyExc_SystemError,
                        "errors.from_core() gave no exception");
        return NULL;
    }
    return exc;
}

PyObject *
error_raise_url(core_state *st, PyObject *url, const aif_err *err)
{
    error_facts facts = {.err = err, .url = url, .limit = "url"};
    PyObject *exc = error_new(st, &facts);

    if (exc != NULL) {
        PyErr_SetObject((PyObject *)Py_TYPE(exc), exc);
        Py_DECREF(exc);
    }
    return NULL;
}
