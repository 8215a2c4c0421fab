/* py_fetch.c -- aiofast._core.Fetch: one request and its redirects, awaited.
 *
 * The upcalls of the core only note what happened and queue the Fetch; policy,
 * traces and exceptions are run in the drain (fetch_ready), outside of libuv.
 *
 * A reference to the Fetch is held while a hop is under way: taken in
 * start_hop(), dropped in hop_over().
 */
#include "py/py_fetch.h"

#include <string.h>

#include "base/aif_mem.h"
#include "py/py_error.h"
#include "py/py_headers.h"
#include "py/py_pool.h"
#include "py/py_response.h"
#include "py/py_url.h"
#include "py/py_wait.h"

/* Phases that ended since the last drain; a hop has at most this many. */
#define MAX_EVENTS (AIF_PHASE_DONE + 4)

typedef struct FetchObject {
    WaitObject wait;
    OptionsObject *options;
    PoolObject *pool; /* NULL: the loop's own, filled in at the start */
    PyObject *method, *url, *query, *headers, *body;
    Py_buffer view;    /* of |body| */
    PyObject *history; /* tuple */
    PyObject *trace;   /* callable or NULL */
    PyObject *cause;   /* what TLS said when it failed */
    aif_fetch *fetch;  /* owned; the present hop, or the failed one */
    ResponseObject *response;
    uint64_t started; /* ns; 0 before the first hop */
    uint64_t total_due;
    long redirects;
    int code;           /* of the end */
    unsigned ended : 1; /* the hop is over, see |code| and |response| */
    unsigned ask : 1;   /* policy has a say */
    unsigned running : 1;
    unsigned event_count;
    struct {
        aif_phase phase;
        uint64_t at;
    } events[MAX_EVENTS];
} FetchObject;

/* ---- what the core says ------------------------------------------------- */

static void
hop_over(FetchObject *self, int code)
{
    self->code = code;
    self->ended = 1;
    self->running = 0;
    self->wait.host->fetches--;
    wait_finish(&self->wait);
    Py_DECREF(self);
}

static int
is_redirect(int status)
{
    return status == 301 || status == 302 || status == 303 || status == 307
           || status == 308;
}

static int
fetch_on_head(void *user, aif_fetch *f, aif_h1parse *p)
{
    FetchObject *self = user;
    OptionsObject *o = self->options;
    aif_header *h = aif_h1parse_header(p);
    int status = aif_h1parse_status(p);
    int follow = self->redirects >= 0 && o->policy != NULL
                 && is_redirect(status)
                 && aif_header_find(h, "location", 0) >= 0;
    ResponseObject *r;

    self->ask = follow || (o->on_status && status >= 400)
                || (o->on_cookies && aif_header_find(h, "set-cookie", 0) >= 0);
    r = response_new(self->wait.st, o, f, p);
    if (r == NULL) {
        PyErr_Clear();
        return AIF_ENOMEM;
    }
    r->method = Py_NewRef(self->method);
    r->url_text = Py_NewRef(self->url);
    r->history = Py_NewRef(self->history);
    Py_XSETREF(self->response, r);
    if (follow) {
        return AIF_FETCH_DISCARD;
    }
    if (o->stream) {
        /* From here on the response owns the exchange. */
        self->fetch = NULL;
        response_stream(r, f, self->wait.host, (PyObject *)self->pool,
                        &self->view);
        hop_over(self, 0);
    }
    return 0;
}

static char *
fetch_on_space(void *user, aif_fetch *f, size_t *len)
{
    FetchObject *self = user;

    (void)f;
    return self->response == NULL ? NULL : response_space(self->response, len);
}

static int
fetch_on_body(void *user, aif_fetch *f, const char *data, size_t len)
{
    FetchObject *self = user;

    (void)f;
    return response_add(self->response, data, len);
}

static int
fetch_on_trailer(void *user, aif_fetch *f, aif_header *trailer)
{
    FetchObject *self = user;

    (void)f;
    aif_header_take(&self->response->trailer, trailer);
    return 0;
}

static void
fetch_on_phase(void *user, aif_fetch *f, aif_phase ended)
{
    FetchObject *self = user;

    (void)f;
    if (self->trace != NULL && self->event_count < MAX_EVENTS) {
        self->events[self->event_count].phase = ended;
        self->events[self->event_count].at = f->trace.at;
        self->event_count++;
        wait_finish(&self->wait);
    }
}

static void
fetch_on_done(void *user, aif_fetch *f, int code)
{
    FetchObject *self = user;

    (void)f;
    if (code < 0) {
        Py_XSETREF(self->cause, self->wait.st->parked);
        self->wait.st->parked = NULL;
    }
    hop_over(self, code);
}

static const aif_fetch_cbs fetch_cbs = {
    .on_head = fetch_on_head,
    .on_space = fetch_on_space,
    .on_body = fetch_on_body,
    .on_trailer = fetch_on_trailer,
    .on_phase = fetch_on_phase,
    .on_done = fetch_on_done,
};

/* ---- a hop -------------------------------------------------------------- */

/* Raises what is known about a failure before or in the present hop. */
static void
raise_failure(FetchObject *self, const aif_err *err)
{
    error_facts facts = {.err = err};
    PyObject *exc, *partial = NULL;

    if (self->fetch != NULL && self->fetch->state != AIF_FETCH_NEW) {
        error_of_fetch(&facts, self->fetch, self->options);
    }
    if (self->response != NULL && self->response->body != NULL
        && self->response->body_len > 0)
    {
        partial =
            PyBytes_FromStringAndSize(PyBytes_AS_STRING(self->response->body),
                                      (Py_ssize_t)self->response->body_len);
        PyErr_Clear();
    }
    facts.elapsed =
        self->started == 0 ? 0 : (double)(uv_hrtime() - self->started) / 1e9;
    facts.method = self->method;
    facts.url = self->url;
    facts.cause = self->cause;
    facts.unix_path = self->pool == NULL ? NULL : self->pool->unix_path;
    facts.history = self->history;
    facts.partial = partial;
    exc = error_new(self->wait.st, &facts);
    Py_XDECREF(partial);
    if (exc != NULL) {
        PyErr_SetObject((PyObject *)Py_TYPE(exc), exc);
        Py_DECREF(exc);
    }
}

static int
take_body(FetchObject *self)
{
    if (self->view.obj != NULL) {
        PyBuffer_Release(&self->view);
    }
    self->view.buf = NULL;
    self->view.len = 0;
    if (self->body == NULL || self->body == Py_None) {
        return 0;
    }
    return PyObject_GetBuffer(self->body, &self->view, PyBUF_SIMPLE);
}

static int
method_is(aif_slice m, const char *text)
{
    return m.len == strlen(text) && memcmp(m.ptr, text, m.len) == 0;
}

static void
describe(FetchObject *self, aif_fetch *f, aif_slice method,
         const aif_header *fields)
{
    OptionsObject *o = self->options;

    f->limits = o->limits;
    f->limits.total_due = self->total_due;
    f->max_body = o->max_body;
    f->decode_body = o->decompress;
    f->head_request = !!method_is(method, "HEAD");
    f->idempotent = method_is(method, "GET") || f->head_request
                    || method_is(method, "PUT") || method_is(method, "DELETE")
                    || method_is(method, "OPTIONS")
                    || method_is(method, "TRACE");
    f->close_after = !!aif_header_has_token(fields, "connection", "close");
    f->body = self->view.buf;
    f->body_len = (size_t)self->view.len;
}

/* The TLS part of the target. 0 or -1 with an exception. */
static int
describe_tls(FetchObject *self, aif_target *t)
{
    OptionsObject *o = self->options;
    Py_ssize_t len;

    t->tls = options_context(o);
    if (t->tls == NULL) {
        return -1;
    }
    if (o->server_hostname != NULL) {
        t->server_name.ptr = PyUnicode_AsUTF8AndSize(o->server_hostname, &len);
        if (t->server_name.ptr == NULL) {
            return -1;
        }
        t->server_name.len = (size_t)len;
    }
    return 0;
}

/* Hands the hop over to the core. As url_parse(). */
static int
start_hop_at(FetchObject *self, const aif_url *u, const aif_header *fields,
             aif_err *err)
{
    Py_ssize_t len;
    aif_slice method = {PyUnicode_AsUTF8AndSize(self->method, &len), 0};
    aif_target target = {
        .host = aif_url_host(u), .port = u->port, .secure = u->secure};
    aif_h1head head = {
        .target = aif_url_target(u),
        .authority = aif_url_authority(u),
        .fields = fields,
        .defaults = &self->options->defaults,
    };
    aif_fetch *f;
    int rc;

    if (method.ptr == NULL || take_body(self) < 0
        || (u->secure && describe_tls(self, &target) < 0))
    {
        return -1;
    }
    method.len = (size_t)len;
    head.method = method;
    head.body =
        self->view.obj == NULL ? AIF_H1_NO_BODY : (int64_t)self->view.len;
    f = aif_fetch_new(&fetch_cbs, self);
    if (f == NULL) {
        return aif_err_set(err, AIF_ENOMEM, "out of memory");
    }
    describe(self, f, method, fields);
    aif_fetch_free(self->fetch);
    self->fetch = f;
    self->ended = 0;
    self->ask = 0;
    self->running = 1;
    self->wait.host->fetches++;
    Py_INCREF(self);
    rc = aif_fetch_start(f, self->pool->pool, &target, &head);
    if (rc < 0) {
        *err = f->err;
        self->running = 0;
        self->wait.host->fetches--;
        Py_DECREF(self);
    }
    return rc;
}

/* Begins the hop that method, url, headers and body describe. 0, or -1 with
 * an exception. */
static int
start_hop(FetchObject *self)
{
    core_state *st = self->wait.st;
    aif_url u;
    aif_header fields;
    aif_err err = {0};
    PyObject *text;
    int rc;

    aif_url_init(&u);
    aif_header_init(&fields, AIF_MAX_REQUEST_HEAD, 10000);
    rc = url_parse(st, &u, self->url, self->query, &err);
    if (rc < 0) {
        if (rc != -1) {
            (void)error_raise_url(st, self->url, &err);
        }
        rc = -1;
        goto done;
    }
    text = url_text(&u, self->url);
    if (text == NULL || headers_read(st, &fields, self->headers) < 0) {
        Py_XDECREF(text);
        rc = -1;
        goto done;
    }
    Py_SETREF(self->url, text);
    Py_CLEAR(self->query);
    rc = start_hop_at(self, &u, &fields, &err);
    if (rc < 0 && rc != -1) {
        raise_failure(self, &err);
    }

done:
    aif_header_fini(&fields);
    aif_url_fini(&u);
    return rc < 0 ? -1 : 0;
}

static int
fetch_start(WaitObject *w)
{
    FetchObject *self = (FetchObject *)w;
    uint64_t now = uv_hrtime();

    if (self->pool == NULL) {
        self->pool = (PoolObject *)Py_XNewRef(pool_default(w->host));
        if (self->pool == NULL) {
            return -1;
        }
    }
    if (pool_bind(self->pool, w->host, &self->options->parse) < 0) {
        return -1;
    }
    self->started = now;
    if (self->options->limits.total_due != 0) {
        self->total_due = now + self->options->limits.total_due;
    }
    return start_hop(self);
}

static void
fetch_stop(WaitObject *w)
{
    FetchObject *self = (FetchObject *)w;

    if (self->running) {
        aif_fetch_cancel(self->fetch);
    }
    else if (self->response != NULL) {
        response_release(self->response, 1);
    }
    Py_CLEAR(self->response);
}

/* ---- in the drain ------------------------------------------------------- */

static void
tell_trace(FetchObject *self)
{
    for (unsigned i = 0; i < self->event_count; i++) {
        PyObject *res = PyObject_CallFunction(
            self->trace, "sd", aif_trace_name(self->events[i].phase),
            (double)(self->events[i].at - self->started) / 1e9);

        if (res == NULL) {
            host_report(self->wait.loop, "Exception in a trace function",
                        self->trace);
        }
        Py_XDECREF(res);
    }
    self->event_count = 0;
}

/* Takes over (method, url, headers, body) for the next hop; |r|, which led
 * there, goes to the history. */
static int
take_next(FetchObject *self, PyObject *next, ResponseObject *r)
{
    Py_ssize_t n = PyTuple_GET_SIZE(self->history);
    PyObject *history = PyTuple_New(n + 1);

    if (history == NULL) {
        return -1;
    }
    for (Py_ssize_t i = 0; i < n; i++) {
        PyTuple_SET_ITEM(history, i,
                         Py_NewRef(PyTuple_GET_ITEM(self->history, i)));
    }
    PyTuple_SET_ITEM(history, n, Py_NewRef((PyObject *)r));
    Py_SETREF(self->history, history);
    Py_SETREF(self->method, Py_NewRef(PyTuple_GET_ITEM(next, 0)));
    Py_SETREF(self->url, Py_NewRef(PyTuple_GET_ITEM(next, 1)));
    Py_SETREF(self->headers, Py_NewRef(PyTuple_GET_ITEM(next, 2)));
    if (self->view.obj != NULL) {
        PyBuffer_Release(&self->view);
    }
    Py_XSETREF(self->body, Py_NewRef(PyTuple_GET_ITEM(next, 3)));
    self->redirects--;
    return 0;
}

/* Asks policy what |r| means. 1: it is the result; 0: the next hop is under
 * way; -1 with an exception. */
static int
ask_policy(FetchObject *self, ResponseObject *r)
{
    PyObject *args[] = {(PyObject *)self, (PyObject *)r};
    PyObject *next = PyObject_Vectorcall(self->options->policy, args, 2, NULL);
    int rc;

    if (next == NULL) {
        return -1;
    }
    if (next == Py_None) {
        Py_DECREF(next);
        return 1;
    }
    if (self->wait.state != WAIT_PENDING) {
        Py_DECREF(next);
        return 0; /* Policy has cancelled it. */
    }
    if (!PyTuple_Check(next) || PyTuple_GET_SIZE(next) != 4) {
        PyErr_SetString(PyExc_TypeError,
                        "policy must return None or (method, url, headers, "
                        "body)");
        Py_DECREF(next);
        return -1;
    }
    response_release(r, 0);
    rc = take_next(self, next, r);
    Py_DECREF(next);
    if (rc == 0) {
        rc = start_hop(self);
    }
    return rc;
}

/* What is not needed any more once there is a result. */
static void
forget_request(FetchObject *self)
{
    if (self->view.obj != NULL) {
        PyBuffer_Release(&self->view);
    }
    aif_fetch_free(self->fetch);
    self->fetch = NULL;
    Py_CLEAR(self->response);
    Py_CLEAR(self->cause);
}

static int
conclude(FetchObject *self, ResponseObject *r)
{
    int rc;

    if (self->code < 0) {
        raise_failure(self, &self->fetch->err);
        return -1;
    }
    if (self->fetch != NULL && response_complete(r, self->fetch) < 0) {
        return -1;
    }
    rc = self->ask && self->options->policy != NULL ? ask_policy(self, r) : 1;
    if (rc == 1) {
        wait_set_result(&self->wait, (PyObject *)r);
    }
    return rc;
}

static int
fetch_ready(WaitObject *w)
{
    FetchObject *self = (FetchObject *)w;
    ResponseObject *r;
    int rc;

    if (self->event_count > 0) {
        tell_trace(self);
    }
    if (!self->ended || w->state != WAIT_PENDING) {
        return w->state != WAIT_PENDING;
    }
    self->ended = 0;
    r = self->response;
    if (self->code == 0) {
        self->response = NULL;
    }
    rc = conclude(self, r);
    if (rc < 0) {
        PyObject *exc = compat_take_exception();

        if (self->code == 0) {
            response_release(r, 0);
        }
        wait_set_exception(w, exc);
        Py_XDECREF(exc);
    }
    if (self->code == 0) {
        Py_DECREF(r);
    }
    if (rc == 0) {
        return w->state != WAIT_PENDING;
    }
    forget_request(self);
    return 1;
}

static const wait_ops fetch_ops = {
    .start = fetch_start,
    .stop = fetch_stop,
    .ready = fetch_ready,
};

/* ---- methods ------------------------------------------------------------ */

static PyObject *
Fetch_aenter(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    return Py_NewRef(self);
}

static PyObject *
Fetch_aexit(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    WaitObject *w = (WaitObject *)self;
    core_state *st = w->st;

    (void)args;
    (void)nargs;
    if (w->state == WAIT_DONE
        && PyObject_TypeCheck(w->value, st->response_type))
    {
        response_release((ResponseObject *)w->value, 0);
    }
    if (st->done_none == NULL) {
        st->done_none = wait_new_done(st, Py_None);
    }
    return Py_XNewRef(st->done_none);
}

static PyObject *
Fetch_get_elapsed(PyObject *self, void *Py_UNUSED(closure))
{
    uint64_t started = ((FetchObject *)self)->started;

    return PyFloat_FromDouble(
        started == 0 ? 0 : (double)(uv_hrtime() - started) / 1e9);
}

static PyObject *
Fetch_repr(PyObject *self)
{
    static const char *const names[] = {"not started", "pending", "done",
                                        "failed", "cancelled"};
    FetchObject *f = (FetchObject *)self;

    return PyUnicode_FromFormat("<Fetch %U %U %s>", f->method, f->url,
                                names[f->wait.state]);
}

/* ---- the type ----------------------------------------------------------- */

static int
Fetch_traverse(PyObject *op, visitproc visit, void *arg)
{
    FetchObject *self = (FetchObject *)op;

    Py_VISIT(Py_TYPE(op));
    Py_VISIT(self->options);
    Py_VISIT(self->headers);
    Py_VISIT(self->body);
    Py_VISIT(self->history);
    Py_VISIT(self->trace);
    Py_VISIT(self->cause);
    Py_VISIT(self->response);
    return wait_traverse(&self->wait, visit, arg);
}

static int
Fetch_clear(PyObject *op)
{
    FetchObject *self = (FetchObject *)op;

    if (self->view.obj != NULL) {
        PyBuffer_Release(&self->view);
    }
    aif_fetch_free(self->fetch);
    self->fetch = NULL;
    Py_CLEAR(self->headers);
    Py_CLEAR(self->body);
    Py_CLEAR(self->history);
    Py_CLEAR(self->trace);
    Py_CLEAR(self->cause);
    Py_CLEAR(self->response);
    wait_clear(&self->wait);
    return 0;
}

/* The same warning as for a coroutine that nobody awaited. */
static void
warn_unused(FetchObject *self)
{
    PyObject *raised = compat_take_exception();

    if (PyErr_WarnFormat(PyExc_RuntimeWarning, 1, "%U %U was never awaited",
                         self->method, self->url)
        < 0)
    {
        PyErr_WriteUnraisable(self->method);
    }
    if (raised != NULL) {
        compat_set_exception(raised);
    }
}

static void
Fetch_dealloc(PyObject *op)
{
    FetchObject *self = (FetchObject *)op;
    PyTypeObject *type = Py_TYPE(op);

    PyObject_GC_UnTrack(op);
    if (self->wait.weakrefs != NULL) {
        PyObject_ClearWeakRefs(op);
    }
    if (self->wait.state == WAIT_NEW && self->url != NULL) {
        warn_unused(self);
    }
    (void)Fetch_clear(op);
    Py_CLEAR(self->method);
    Py_CLEAR(self->url);
    Py_CLEAR(self->query);
    Py_CLEAR(self->pool);
    Py_CLEAR(self->options);
    type->tp_free(op);
    Py_DECREF(type);
}

static PyMethodDef Fetch_methods[] = {
    {"__aenter__", Fetch_aenter, METH_NOARGS, NULL},
    {"__aexit__", (PyCFunction)(void (*)(void))Fetch_aexit, METH_FASTCALL,
     NULL},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef Fetch_members[] = {
    {"method", T_OBJECT, offsetof(FetchObject, method), READONLY, NULL},
    {"url", T_OBJECT, offsetof(FetchObject, url), READONLY, NULL},
    {"headers", T_OBJECT, offsetof(FetchObject, headers), READONLY, NULL},
    {"body", T_OBJECT, offsetof(FetchObject, body), READONLY, NULL},
    {"history", T_OBJECT, offsetof(FetchObject, history), READONLY, NULL},
    {"options", T_OBJECT, offsetof(FetchObject, options), READONLY, NULL},
    {"redirects", T_LONG, offsetof(FetchObject, redirects), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyGetSetDef Fetch_getset[] = {
    {"elapsed", Fetch_get_elapsed, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot Fetch_slots[] = {
    {Py_tp_doc,
     (void *)PyDoc_STR("One request with its redirects; awaiting it gives "
                       "the response.")},
     {Py_tp_traverse, Fetch_traverse}, {Py_tp_clear, Fetch_clear},
     {Py_tp_dealloc, Fetch_dealloc}, {Py_tp_repr, Fetch_repr},
     {Py_tp_methods, Fetch_methods}, {Py_tp_members, Fetch_members},
     {Py_tp_getset, Fetch_getset}, {0, NULL},
};

static PyType_Spec Fetch_spec = {
    .name = "aiofast._core.Fetch",
    .basicsize = sizeof(FetchObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE
             | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = Fetch_slots,
};

int
fetch_type_init(core_state *st)
{
    st->fetch_type = (PyTypeObject *)PyType_FromModuleAndSpec(
        st->module, &Fetch_spec, (PyObject *)st->wait_type);
    return st->fetch_type == NULL
               ? -1
               : PyModule_AddType(st->module, st->fetch_type);
}

/* ---- module functions --------------------------------------------------- */

PyObject *
core_fetch(PyObject *module, PyObject *const *args, Py_ssize_t nargs)
{
    core_state *st = state_of_module(module);
    FetchObject *self;
    long redirects;

    if (nargs != 9) {
        PyErr_SetString(PyExc_TypeError, "fetch() takes 9 arguments");
        return NULL;
    }
    if (!Py_IS_TYPE(args[0], st->options_type)
        || (args[1] != Py_None && !Py_IS_TYPE(args[1], st->pool_type))
        || !PyUnicode_Check(args[2]) || !PyUnicode_Check(args[3])
        || (args[4] != Py_None && !PyUnicode_Check(args[4])))
    {
        PyErr_SetString(PyExc_TypeError,
                        "fetch(Options, Pool | None, str, str, str | None, "
                        "headers, body, int, trace)");
        return NULL;
    }
    redirects = PyLong_AsLong(args[7]);
    if (redirects == -1 && PyErr_Occurred()) {
        return NULL;
    }
    self = (FetchObject *)st->fetch_type->tp_alloc(st->fetch_type, 0);
    if (self == NULL) {
        return NULL;
    }
    wait_setup(&self->wait, st, &fetch_ops);
    self->options = (OptionsObject *)Py_NewRef(args[0]);
    self->pool = args[1] == Py_None ? NULL : (PoolObject *)Py_NewRef(args[1]);
    self->method = Py_NewRef(args[2]);
    self->url = Py_NewRef(args[3]);
    self->query = args[4] == Py_None ? NULL : Py_NewRef(args[4]);
    self->headers = Py_NewRef(args[5]);
    self->body = Py_NewRef(args[6]);
    self->redirects = redirects;
    self->trace = args[8] == Py_None ? NULL : Py_NewRef(args[8]);
    self->history = Py_NewRef(st->empty_tuple);
    return (PyObject *)self;
}
