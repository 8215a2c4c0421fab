/* py_response.c -- aiofast._core.ResponseBase. */
#include "py/py_response.h"

#include <string.h>

#include "py/py_headers.h"

/* Bodies of known length get their memory at once up to this; a larger one
 * grows, so that an announced length alone costs nothing. */
#define EXACT_MAX (64u * 1024u * 1024u)

/* ---- the head ----------------------------------------------------------- */

static PyObject *
reason_of(core_state *st, aif_slice s)
{
    if (s.len == 2 && memcmp(s.ptr, "OK", 2) == 0) {
        return Py_NewRef(st->str_ok);
    }
    return headers_text(s);
}

ResponseObject *
response_new(HostObject *host, OptionsObject *options, aif_fetch *f,
             aif_h1parse *p)
{
    core_state *st = host->st;
    PyTypeObject *type = options->response_class;
    int64_t length = aif_h1parse_length(p);
    ResponseObject *r = (ResponseObject *)type->tp_alloc(type, 0);

    if (r == NULL) {
        return NULL;
    }
    r->st = st;
    r->options = (OptionsObject *)Py_NewRef(options);
    aif_header_take(&r->header, aif_h1parse_header(p));
    aif_header_init(&r->trailer, AIF_MAX_TRAILER, AIF_MAX_FIELDS);
    aif_buf_init(&r->request_head, AIF_MAX_REQUEST_HEAD);
    aif_buf_init(&r->ends, 2 * RESPONSE_MAX_ENDS);
    r->status = aif_h1parse_status(p);
    r->minor = aif_h1parse_minor(p);
    r->reused = f->reused;
    memcpy(r->peer, f->peer, sizeof(r->peer));
    r->reason = reason_of(st, aif_h1parse_reason(p));
    if (r->reason == NULL) {
        Py_DECREF(r);
        return NULL;
    }
    r->length = aif_header_find(&r->header, "content-encoding", 0) < 0
                        && length > 0 && length <= EXACT_MAX
                    ? (size_t)length
                    : 0;
    if (r->length > 0
        && (!options->stream || r->length <= RESPONSE_HIGH_WATER))
    {
        r->body = response_room(host, r->length);
        if (r->body == NULL) {
            Py_DECREF(r);
            return NULL;
        }
    }
    return r;
}

/* ---- methods ------------------------------------------------------------ */

static PyObject *
Response_read_all(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    return response_read((ResponseObject *)self, 1);
}

static PyObject *
Response_read_some(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    return response_read((ResponseObject *)self, 0);
}

static PyObject *
Response_read_into(PyObject *self, PyObject *view)
{
    return response_read_into((ResponseObject *)self, view);
}

static PyObject *
Response_release(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    response_release((ResponseObject *)self, 0);
    Py_RETURN_NONE;
}

static PyObject *
Response_close(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    response_release((ResponseObject *)self, 1);
    Py_RETURN_NONE;
}

static PyObject *
Response_header(PyObject *self, PyObject *name)
{
    ResponseObject *r = (ResponseObject *)self;
    const char *text = PyUnicode_AsUTF8(name);
    int i;

    if (text == NULL) {
        return NULL;
    }
    i = aif_header_find(&r->header, text, 0);
    if (i < 0) {
        Py_RETURN_NONE;
    }
    return headers_text(aif_header_value(&r->header, (unsigned)i));
}

/* ---- attributes --------------------------------------------------------- */

static PyObject *
cached(PyObject **slot, PyObject *fresh)
{
    if (fresh != NULL) {
        *slot = fresh;
        Py_INCREF(fresh);
    }
    return fresh;
}

static PyObject *
Response_get_headers(PyObject *self, void *Py_UNUSED(closure))
{
    ResponseObject *r = (ResponseObject *)self;

    return r->headers != NULL
               ? Py_NewRef(r->headers)
               : cached(&r->headers, headers_proxy(r->st, &r->header));
}

static PyObject *
Response_get_trailers(PyObject *self, void *Py_UNUSED(closure))
{
    ResponseObject *r = (ResponseObject *)self;

    return headers_proxy(r->st, &r->trailer);
}

static PyObject *
Response_get_informational(PyObject *self, void *Py_UNUSED(closure))
{
    ResponseObject *r = (ResponseObject *)self;

    return interim_tuple(r->st, r->interims);
}

static PyObject *
Response_get_raw_headers(PyObject *self, void *Py_UNUSED(closure))
{
    ResponseObject *r = (ResponseObject *)self;

    return r->raw_headers != NULL
               ? Py_NewRef(r->raw_headers)
               : cached(&r->raw_headers, headers_raw(&r->header));
}

/* The fields of the request, read back from the head as it was sent. */
static PyObject *
Response_get_request_headers(PyObject *self, void *Py_UNUSED(closure))
{
    ResponseObject *r = (ResponseObject *)self;
    const aif_buf *sent = &r->request_head;
    aif_header h;
    const char *at, *end, *colon, *stop;
    int rc = 0;

    if (r->request_headers != NULL) {
        return Py_NewRef(r->request_headers);
    }
    if (r->fetch != NULL && sent->len == 0) {
        sent = &r->fetch->head;
    }
    aif_header_init(&h, AIF_MAX_REQUEST_HEAD, 100000);
    at = sent->data;
    stop = at == NULL ? NULL : at + sent->len;
    for (int line = 0; at != NULL && at < stop && rc == 0; line++) {
        end = memchr(at, '\r', (size_t)(stop - at));
        if (end == NULL) {
            break;
        }
        colon = memchr(at, ':', (size_t)(end - at));
        if (line > 0 && colon != NULL && colon + 2 <= end) {
            rc = aif_header_add(&h, at, (size_t)(colon - at), colon + 2,
                                (size_t)(end - colon - 2));
        }
        at = end + 2;
    }
    if (rc == 0) {
        r->request_headers = headers_proxy(r->st, &h);
    }
    aif_header_fini(&h);
    return rc < 0 ? PyErr_NoMemory() : Py_XNewRef(r->request_headers);
}

static PyObject *
Response_get_url(PyObject *self, void *Py_UNUSED(closure))
{
    ResponseObject *r = (ResponseObject *)self;
    PyObject *args, *kwargs;

    if (r->url != NULL) {
        return Py_NewRef(r->url);
    }
    if (state_import(&r->st->yarl_url, "yarl", "URL") < 0) {
        return NULL;
    }
    args = PyTuple_Pack(1, r->url_text);
    kwargs = Py_BuildValue("{s:O}", "encoded", Py_True);
    if (args != NULL && kwargs != NULL) {
        r->url = PyObject_Call(r->st->yarl_url, args, kwargs);
    }
    Py_XDECREF(args);
    Py_XDECREF(kwargs);
    return Py_XNewRef(r->url);
}

static PyObject *
Response_get_body(PyObject *self, void *Py_UNUSED(closure))
{
    ResponseObject *r = (ResponseObject *)self;

    if (response_check_kept(r) < 0) {
        return NULL;
    }
    if (!r->whole || r->taken) {
        PyErr_SetString(PyExc_RuntimeError,
                        r->taken ? "the body was read in parts"
                                 : "the body is not there: await read()");
        return NULL;
    }
    return response_trim(r) < 0 ? NULL : Py_NewRef(r->body);
}

static PyObject *
Response_get_complete(PyObject *self, void *Py_UNUSED(closure))
{
    ResponseObject *r = (ResponseObject *)self;

    return PyBool_FromLong(r->whole || r->failed || r->released);
}

static PyObject *
Response_get_timings(PyObject *self, void *Py_UNUSED(closure))
{
    ResponseObject *r = (ResponseObject *)self;
    aif_trace t =
        r->fetch != NULL && r->host != NULL ? r->fetch->trace : r->trace;
    PyObject *d = PyDict_New();
    uint64_t total = 0;

    if (t.phase != AIF_PHASE_DONE) {
        aif_trace_enter(&t, t.phase, uv_hrtime());
    }
    for (int i = 0; d != NULL && i <= AIF_PHASE_DONE; i++) {
        uint64_t ns = i == AIF_PHASE_DONE ? total : t.spent[i];
        PyObject *seconds = PyFloat_FromDouble((double)ns / 1e9);

        total += ns;
        if (seconds == NULL
            || PyDict_SetItemString(d,
                                    i == AIF_PHASE_DONE
                                        ? "total"
                                        : aif_trace_name((aif_phase)i),
                                    seconds)
                   < 0)
        {
            Py_CLEAR(d);
        }
        Py_XDECREF(seconds);
    }
    return d;
}

static PyObject *
Response_get_peer(PyObject *self, void *Py_UNUSED(closure))
{
    return PyUnicode_FromString(((ResponseObject *)self)->peer);
}

static PyObject *
Response_get_reused(PyObject *self, void *Py_UNUSED(closure))
{
    return PyBool_FromLong(((ResponseObject *)self)->reused);
}

static PyObject *
Response_get_in_context(PyObject *self, void *Py_UNUSED(closure))
{
    return PyBool_FromLong(((ResponseObject *)self)->entered);
}

/* ---- the type ----------------------------------------------------------- */

static int
Response_traverse(PyObject *self, visitproc visit, void *arg)
{
    ResponseObject *r = (ResponseObject *)self;

    Py_VISIT(Py_TYPE(self));
    Py_VISIT(r->options);
    Py_VISIT(r->history);
    Py_VISIT(r->headers);
    Py_VISIT(r->raw_headers);
    Py_VISIT(r->request_headers);
    Py_VISIT(r->url);
    Py_VISIT(r->pool);
    Py_VISIT(r->reader);
    Py_VISIT(r->ending);
    Py_VISIT(r->into.obj);
    Py_VISIT(r->cause);
    Py_VISIT(r->place);
    Py_VISIT(r->failure);
    if (r->upload != NULL) {
        Py_VISIT(r->upload->obj);
    }
    return 0;
}

static int
Response_clear(PyObject *self)
{
    ResponseObject *r = (ResponseObject *)self;

    /* The host holds who reads, so it is garbage as well. */
    if (r->reader != NULL && r->host != NULL) {
        host_close(r->host);
    }
    Py_CLEAR(r->method);
    Py_CLEAR(r->url_text);
    Py_CLEAR(r->history);
    Py_CLEAR(r->reason);
    Py_CLEAR(r->url);
    Py_CLEAR(r->headers);
    Py_CLEAR(r->raw_headers);
    Py_CLEAR(r->request_headers);
    Py_CLEAR(r->body);
    Py_CLEAR(r->reader);
    PyBuffer_Release(&r->into);
    if (r->ending != NULL) {
        host_drop(r->ending);
        Py_CLEAR(r->ending);
    }
    Py_CLEAR(r->cause);
    Py_CLEAR(r->place);
    Py_CLEAR(r->failure);
    return 0;
}

/* In debug mode the loop's handler hears of it too, with the place. */
static void
tell_handler(ResponseObject *r)
{
    PyObject *facts, *res = NULL;

    if (r->place == NULL) {
        return;
    }
    facts = Py_BuildValue("{s:O,s:s,s:O}", "client_response", r, "message",
                          "Unclosed response", "source_traceback", r->place);
    if (facts != NULL) {
        res = PyObject_CallMethod(r->host->loop, "call_exception_handler", "O",
                                  facts);
    }
    Py_XDECREF(facts);
    if (res == NULL) {
        PyErr_WriteUnraisable((PyObject *)r);
    }
    Py_XDECREF(res);
}

/* A body that nobody has read, left or closed holds its connection until the
 * collector comes along. */
static void
Response_finalize(PyObject *self)
{
    ResponseObject *r = (ResponseObject *)self;
    PyObject *raised;

    if (r->host == NULL || r->released || r->host->closed) {
        return;
    }
    raised = compat_take_exception();
    if (PyErr_ResourceWarning(self, 1, "Unclosed response %R", self) < 0) {
        PyErr_WriteUnraisable(self);
    }
    if (r->host != NULL && !r->host->closed) { /* The warning ran Python. */
        tell_handler(r);
    }
    response_release(r, 0); /* Whoever keeps what was told keeps |r| alone. */
    if (raised != NULL) {
        compat_set_exception(raised);
    }
}

static void
Response_dealloc(PyObject *self)
{
    ResponseObject *r = (ResponseObject *)self;
    PyTypeObject *type = Py_TYPE(self);

    if (r->host != NULL && PyObject_CallFinalizerFromDealloc(self) < 0) {
        return;
    }
    PyObject_GC_UnTrack(self);
    if (r->weakrefs != NULL) {
        PyObject_ClearWeakRefs(self);
    }
    if (r->fetch != NULL) {
        PyObject *raised = compat_take_exception();

        response_drop(r);
        if (raised != NULL) {
            compat_set_exception(raised);
        }
    }
    (void)Response_clear(self);
    Py_CLEAR(r->pool);
    Py_CLEAR(r->options);
    aif_header_fini(&r->header);
    aif_header_fini(&r->trailer);
    interim_free(r->interims);
    aif_buf_fini(&r->ends);
    aif_buf_fini(&r->request_head);
    type->tp_free(self);
    Py_DECREF(type);
}

/* clang-format off */
static PyMethodDef Response_methods[] = {
    {"read_all", Response_read_all, METH_NOARGS,
     PyDoc_STR("Wait for the whole body.")},
    {"take_some", Response_take_some, METH_NOARGS,
     PyDoc_STR("What is there of the body, without waiting.")},
    {"chunk_end", Response_chunk_end, METH_O,
     PyDoc_STR("Where the first chunk ends at or behind a byte, or -1.")},
    {"wait_end", Response_wait_end, METH_NOARGS,
     PyDoc_STR("Wait until nothing more comes, without reading.")},
    {"read_some", Response_read_some, METH_NOARGS,
     PyDoc_STR("What is there of the body, else what comes next; b'' at its "
               "end.")},
    {"read_into", Response_read_into, METH_O,
     PyDoc_STR("The next bytes into a memoryview; how many, 0 at the end.")},
    {"release", Response_release, METH_NOARGS,
     PyDoc_STR("Give up the rest of the body.")},
    {"close", Response_close, METH_NOARGS,
     PyDoc_STR("Close the connection unless the body is whole.")},
    {"header", Response_header, METH_O,
     PyDoc_STR("The first header field of that name, or None.")},
    {NULL, NULL, 0, NULL},
};
/* clang-format on */

static PyMemberDef Response_members[] = {
    {"status", T_INT, offsetof(ResponseObject, status), READONLY, NULL},
    {"minor", T_INT, offsetof(ResponseObject, minor), READONLY, NULL},
    {"reason", T_OBJECT_EX, offsetof(ResponseObject, reason), READONLY, NULL},
    {"method", T_OBJECT_EX, offsetof(ResponseObject, method), READONLY, NULL},
    {"history", T_OBJECT_EX, offsetof(ResponseObject, history), 0, NULL},
    {"url_text", T_OBJECT_EX, offsetof(ResponseObject, url_text), READONLY,
     NULL},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(ResponseObject, weakrefs),
     READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyGetSetDef Response_getset[] = {
    {"headers", Response_get_headers, NULL, NULL, NULL},
    {"trailers", Response_get_trailers, NULL, NULL, NULL},
    {"informational", Response_get_informational, NULL, NULL, NULL},
    {"raw_headers", Response_get_raw_headers, NULL, NULL, NULL},
    {"request_headers", Response_get_request_headers, NULL, NULL, NULL},
    {"url", Response_get_url, NULL, NULL, NULL},
    {"body", Response_get_body, NULL, NULL, NULL},
    {"complete", Response_get_complete, NULL, NULL, NULL},
    {"timings", Response_get_timings, NULL, NULL, NULL},
    {"peer", Response_get_peer, NULL, NULL, NULL},
    {"reused", Response_get_reused, NULL, NULL, NULL},
    {"in_context", Response_get_in_context, NULL, NULL, NULL},
    {"received", Response_get_received, NULL, NULL, NULL},
    {"coded", Response_get_coded, NULL, NULL, NULL},
    {"all_read", Response_get_all_read, NULL, NULL, NULL},
    {"ended", Response_get_ended, NULL, NULL, NULL},
    {"reading", Response_get_reading, NULL, NULL, NULL},
    {"failure", Response_get_failure, NULL, NULL, NULL},
    {"high_water", Response_get_high_water, Response_set_high_water, NULL,
     NULL},
    {"options", Response_get_options, NULL, NULL, NULL},
    {"pool", Response_get_pool, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot Response_slots[] = {
    {Py_tp_doc, (void *)PyDoc_STR("The facts of a response.")},
     {Py_tp_traverse, Response_traverse}, {Py_tp_clear, Response_clear},
     {Py_tp_dealloc, Response_dealloc}, {Py_tp_finalize, Response_finalize},
     {Py_tp_methods, Response_methods}, {Py_tp_members, Response_members},
     {Py_tp_getset, Response_getset}, {0, NULL},
};

static PyType_Spec Response_spec = {
    .name = "aiofast._core.ResponseBase",
    .basicsize = sizeof(ResponseObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE
             | Py_TPFLAGS_IMMUTABLETYPE | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = Response_slots,
};

int
response_type_init(core_state *st)
{
    st->response_type = (PyTypeObject *)PyType_FromModuleAndSpec(
        st->module, &Response_spec, NULL);
    return st->response_type == NULL
               ? -1
               : PyModule_AddType(st->module, st->response_type);
}
