/* py_response.c -- aiofast._core.ResponseBase. */
#include "py/py_response.h"

#include <string.h>

#include "py/py_error.h"
#include "py/py_headers.h"

/* Bodies of known length get their memory at once up to this; a larger one
 * grows, so that an announced length alone costs nothing. */
#define EXACT_MAX (64u * 1024u * 1024u)
#define FIRST_ROOM (16u * 1024u)

static const aif_fetch_cbs silent_cbs;

/* ---- the body's memory -------------------------------------------------- */

static size_t
room(const ResponseObject *r)
{
    return r->body == NULL ? 0
                           : (size_t)PyBytes_GET_SIZE(r->body) - r->body_len;
}

static int
reserve(ResponseObject *r, size_t extra)
{
    size_t cap = r->body == NULL ? 0 : (size_t)PyBytes_GET_SIZE(r->body);

    if (cap - r->body_len >= extra) {
        return 0;
    }
    if (extra > (size_t)PY_SSIZE_T_MAX / 4 - cap) {
        return AIF_ETOOBIG;
    }
    cap = cap * 2 > r->body_len + extra ? cap * 2 : r->body_len + extra;
    if (r->length > 0 && cap > r->length && r->body_len + extra <= r->length) {
        cap = r->length;
    }
    if (r->body == NULL) {
        cap = cap < FIRST_ROOM ? FIRST_ROOM : cap;
        r->body = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)cap);
    }
    else if (_PyBytes_Resize(&r->body, (Py_ssize_t)cap) < 0) {
        r->body_len = 0;
    }
    if (r->body == NULL) {
        PyErr_Clear();
        return AIF_ENOMEM;
    }
    return 0;
}

char *
response_space(ResponseObject *r, size_t *len)
{
    size_t have = room(r);

    if (have == 0) {
        return NULL;
    }
    *len = have < *len ? have : *len;
    return PyBytes_AS_STRING(r->body) + r->body_len;
}

int
response_add(ResponseObject *r, const char *data, size_t len)
{
    int rc;

    if (r->body != NULL && data == PyBytes_AS_STRING(r->body) + r->body_len) {
        r->body_len += len; /* It was read right to its place. */
        return 0;
    }
    rc = reserve(r, len);
    if (rc == 0) {
        memcpy(PyBytes_AS_STRING(r->body) + r->body_len, data, len);
        r->body_len += len;
    }
    return rc;
}

/* |body| becomes exactly the bytes that came. */
static int
trim(ResponseObject *r)
{
    if (r->body_len == 0) {
        Py_XSETREF(r->body, Py_NewRef(r->st->empty_bytes));
    }
    else if (room(r) > 0
             && _PyBytes_Resize(&r->body, (Py_ssize_t)r->body_len) < 0)
    {
        r->body_len = 0;
        return -1;
    }
    return 0;
}

/* Hands out what is there and starts anew. */
static PyObject *
take(ResponseObject *r)
{
    PyObject *bytes;

    if (trim(r) < 0) {
        return NULL;
    }
    bytes = r->body;
    r->body = NULL;
    r->body_len = 0;
    r->taken = 1;
    return bytes;
}

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
response_new(core_state *st, OptionsObject *options, aif_fetch *f,
             aif_h1parse *p)
{
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
        r->body = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)r->length);
        if (r->body == NULL) {
            Py_DECREF(r);
            return NULL;
        }
    }
    return r;
}

/* Keeps what the fetch knows beyond its own life. */
static void
keep_facts(ResponseObject *r, aif_fetch *f)
{
    r->trace = f->trace;
    aif_buf_fini(&r->request_head);
    r->request_head = f->head;
    aif_buf_init(&f->head, AIF_MAX_REQUEST_HEAD);
}

int
response_complete(ResponseObject *r, aif_fetch *f)
{
    keep_facts(r, f);
    r->whole = 1;
    return trim(r);
}

/* ---- streaming ---------------------------------------------------------- */

static PyObject *
get_failure(ResponseObject *r)
{
    aif_err closed = {.code = AIF_ECLOSED,
                      .text = "the response was released"};
    error_facts facts = {.err = &closed, .phase = "receive", .peer = r->peer};

    if (r->failure != NULL) {
        return r->failure;
    }
    if (r->fetch != NULL && r->failed) {
        error_of_fetch(&facts, r->fetch, r->options);
    }
    facts.method = r->method;
    facts.url = r->url_text;
    facts.history = r->history;
    facts.status = r->status;
    facts.cause = r->cause;
    if (trim(r) == 0) {
        facts.partial = r->body;
        r->failure = error_new(r->st, &facts);
    }
    return r->failure;
}

/* What a reader gets when there is no waiting: a new reference, or NULL with
 * an exception; *|none| is set if it has to wait. */
static PyObject *
read_now(ResponseObject *r, int all, int *none)
{
    PyObject *failure;

    *none = 0;
    if (!all && r->body_len > 0 && !r->released && !r->whole) {
        return take(r);
    }
    if (r->whole) {
        if (trim(r) < 0) {
            return NULL;
        }
        if (all) {
            return Py_NewRef(r->body);
        }
        return r->body_len > 0 ? take(r) : Py_NewRef(r->st->empty_bytes);
    }
    if (r->failed || r->released) {
        failure = get_failure(r);
        if (failure != NULL) {
            PyErr_SetObject((PyObject *)Py_TYPE(failure), failure);
        }
        return NULL;
    }
    *none = 1;
    return NULL;
}

/* In the drain: the reader's bytes or failure. */
static int
reader_ready(WaitObject *w)
{
    ResponseObject *r = (ResponseObject *)Py_NewRef(w->owner);
    int all = r->reader_all, none;
    PyObject *bytes = read_now(r, all, &none);

    if (none) {
        Py_DECREF(r);
        return 0;
    }
    if (r->reader == w) {
        r->reader = NULL;
        Py_DECREF(w); /* The drain holds its own reference. */
    }
    if (bytes != NULL) {
        wait_set_result(w, bytes);
        Py_DECREF(bytes);
    }
    else {
        PyObject *exc = compat_take_exception();

        wait_set_exception(w, exc);
        Py_XDECREF(exc);
    }
    if (r->fetch != NULL && !r->whole && !r->failed) {
        aif_fetch_resume(r->fetch);
    }
    Py_DECREF(r);
    return 1;
}

/* A cancelled read of the whole body ends the exchange; one of the next part
 * leaves the body where it is. */
static void
reader_stop(WaitObject *w)
{
    ResponseObject *r = (ResponseObject *)w->owner;

    if (r->reader == w) {
        int all = r->reader_all;

        r->reader = NULL;
        Py_DECREF(w); /* Whoever cancels holds a reference. */
        if (all) {
            response_release(r, 1);
        }
    }
}

static const wait_ops reader_ops = {
    .stop = reader_stop,
    .ready = reader_ready,
};

static void
wake_reader(ResponseObject *r)
{
    if (r->reader != NULL) {
        wait_finish(r->reader);
    }
}

static int
stream_on_body(void *user, aif_fetch *f, const char *data, size_t len)
{
    ResponseObject *r = user;
    int rc = response_add(r, data, len);

    if (rc < 0) {
        return rc;
    }
    if (!r->reader_all || r->reader == NULL) {
        if (r->body_len >= RESPONSE_HIGH_WATER) {
            aif_fetch_pause(f);
        }
        wake_reader(r);
    }
    return 0;
}

static int
stream_on_trailer(void *user, aif_fetch *f, aif_header *trailer)
{
    ResponseObject *r = user;

    (void)f;
    aif_header_take(&r->trailer, trailer);
    return 0;
}

static char *
stream_on_space(void *user, aif_fetch *f, size_t *len)
{
    ResponseObject *r = user;

    (void)f;
    return r->reader != NULL && r->reader_all ? response_space(r, len) : NULL;
}

static void
release_sending(ResponseObject *r)
{
    if (r->sending.obj != NULL) {
        PyBuffer_Release(&r->sending);
    }
}

static void
stream_on_done(void *user, aif_fetch *f, int code)
{
    ResponseObject *r = user;

    keep_facts(r, f);
    if (code == 0 && !r->released) {
        r->whole = 1;
    }
    else {
        r->failed = code != 0 && !r->released;
        Py_XSETREF(r->cause, r->st->parked);
        r->st->parked = NULL;
    }
    r->host->bodies--;
    wake_reader(r);
    r->host = NULL;
    release_sending(r);
}

static const aif_fetch_cbs stream_cbs = {
    .on_space = stream_on_space,
    .on_body = stream_on_body,
    .on_trailer = stream_on_trailer,
    .on_done = stream_on_done,
};

void
response_stream(ResponseObject *r, aif_fetch *f, HostObject *host,
                PyObject *pool, Py_buffer *body)
{
    r->fetch = f;
    r->host = host;
    r->pool = Py_NewRef(pool);
    host->bodies++;
    f->cbs = &stream_cbs;
    f->user = r;
    r->sending = *body;
    body->obj = NULL;
}

void
response_release(ResponseObject *r, int close)
{
    if (r->whole || r->failed || r->released) {
        return;
    }
    r->released = 1;
    if (r->fetch != NULL) {
        if (close) {
            aif_fetch_cancel(r->fetch);
        }
        else {
            aif_fetch_discard(r->fetch);
        }
    }
}

static PyObject *
read_body(ResponseObject *r, int all)
{
    int none;
    PyObject *bytes = read_now(r, all, &none);
    PyObject *result, *exc;
    WaitObject *w;

    if (bytes != NULL) {
        result = wait_new_done(r->st, bytes);
        Py_DECREF(bytes);
        if (r->fetch != NULL && !r->whole && !r->failed) {
            aif_fetch_resume(r->fetch);
        }
        return result;
    }
    if (!none) {
        exc = compat_take_exception();
        result = wait_new_failed(r->st, exc);
        Py_XDECREF(exc);
        return result;
    }
    if (r->reader != NULL || r->host == NULL) {
        PyErr_SetString(PyExc_RuntimeError,
                        "another coroutine is already reading this body");
        return NULL;
    }
    w = wait_new(r->st, r->host, &reader_ops, (PyObject *)r);
    if (w == NULL) {
        return NULL;
    }
    r->reader = (WaitObject *)Py_NewRef(w);
    r->reader_all = all ? 1 : 0;
    if (all && !r->taken && r->length > r->body_len) {
        /* All of it is wanted: the rest goes right to its place. Without
         * memory it grows as it comes, which may fail later. */
        (void)reserve(r, r->length - r->body_len);
    }
    aif_fetch_resume(r->fetch);
    return (PyObject *)w;
}

/* ---- methods ------------------------------------------------------------ */

static PyObject *
Response_read_all(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    return read_body((ResponseObject *)self, 1);
}

static PyObject *
Response_read_some(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    return read_body((ResponseObject *)self, 0);
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

    if (!r->whole || r->taken) {
        PyErr_SetString(PyExc_RuntimeError,
                        r->taken ? "the body was read in parts"
                                 : "the body is not there: await read()");
        return NULL;
    }
    return trim(r) < 0 ? NULL : Py_NewRef(r->body);
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

/* ---- the type ----------------------------------------------------------- */

static int
Response_traverse(PyObject *self, visitproc visit, void *arg)
{
    ResponseObject *r = (ResponseObject *)self;

    Py_VISIT(Py_TYPE(self));
    Py_VISIT(r->options);
    Py_VISIT(r->history);
    Py_VISIT(r->headers);
    Py_VISIT(r->url);
    Py_VISIT(r->pool);
    Py_VISIT(r->reader);
    Py_VISIT(r->cause);
    Py_VISIT(r->failure);
    return 0;
}

static int
Response_clear(PyObject *self)
{
    ResponseObject *r = (ResponseObject *)self;

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
    Py_CLEAR(r->cause);
    Py_CLEAR(r->failure);
    return 0;
}

static void
Response_dealloc(PyObject *self)
{
    ResponseObject *r = (ResponseObject *)self;
    PyTypeObject *type = Py_TYPE(self);

    PyObject_GC_UnTrack(self);
    if (r->weakrefs != NULL) {
        PyObject_ClearWeakRefs(self);
    }
    if (r->fetch != NULL) {
        if (r->host != NULL) {
            r->host->bodies--;
            r->host = NULL;
        }
        r->fetch->cbs = &silent_cbs;
        aif_fetch_discard(r->fetch);
        aif_fetch_free(r->fetch);
        r->fetch = NULL;
    }
    release_sending(r);
    (void)Response_clear(self);
    Py_CLEAR(r->pool);
    Py_CLEAR(r->options);
    aif_header_fini(&r->header);
    aif_header_fini(&r->trailer);
    aif_buf_fini(&r->request_head);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMethodDef Response_methods[] = {
    {"read_all", Response_read_all, METH_NOARGS,
     PyDoc_STR("Wait for the whole body.")},
     {"read_some", Response_read_some, METH_NOARGS,
      PyDoc_STR("What is there of the body, else what comes next; b'' at its "
               "end.")},
      {"release", Response_release, METH_NOARGS,
       PyDoc_STR("Give up the rest of the body.")},
       {"close", Response_close, METH_NOARGS,
        PyDoc_STR("Close the connection unless the body is whole.")},
        {"header", Response_header, METH_O,
         PyDoc_STR("The first header field of that name, or None.")},
         {NULL, NULL, 0, NULL},
       };

static PyMemberDef Response_members[] = {
    {"status", T_INT, offsetof(ResponseObject, status), READONLY, NULL},
    {"minor", T_INT, offsetof(ResponseObject, minor), READONLY, NULL},
    {"reason", T_OBJECT_EX, offsetof(ResponseObject, reason), READONLY, NULL},
    {"method", T_OBJECT_EX, offsetof(ResponseObject, method), READONLY, NULL},
    {"history", T_OBJECT_EX, offsetof(ResponseObject, history), READONLY,
     NULL},
    {"url_text", T_OBJECT_EX, offsetof(ResponseObject, url_text), READONLY,
     NULL},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(ResponseObject, weakrefs),
     READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyGetSetDef Response_getset[] = {
    {"headers", Response_get_headers, NULL, NULL, NULL},
    {"trailers", Response_get_trailers, NULL, NULL, NULL},
    {"raw_headers", Response_get_raw_headers, NULL, NULL, NULL},
    {"request_headers", Response_get_request_headers, NULL, NULL, NULL},
    {"url", Response_get_url, NULL, NULL, NULL},
    {"body", Response_get_body, NULL, NULL, NULL},
    {"complete", Response_get_complete, NULL, NULL, NULL},
    {"timings", Response_get_timings, NULL, NULL, NULL},
    {"peer", Response_get_peer, NULL, NULL, NULL},
    {"reused", Response_get_reused, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot Response_slots[] = {
    {Py_tp_doc, (void *)PyDoc_STR("The facts of a response.")},
     {Py_tp_traverse, Response_traverse}, {Py_tp_clear, Response_clear},
     {Py_tp_dealloc, Response_dealloc}, {Py_tp_methods, Response_methods},
     {Py_tp_members, Response_members}, {Py_tp_getset, Response_getset},
     {0, NULL},
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
