/* py_fetch_hop.c -- the way of a Fetch: from one request to the next.
 *
 * The upcalls of the core only note what happened and queue the Fetch; policy,
 * traces and exceptions are run in the drain (fetch_ready), outside of libuv.
 *
 * The host holds the Fetch while a hop is under way: from start_hop_at() to
 * hop_over().
 */
#include "py/py_fetch.h"

#include <string.h>

#include "base/aif_mem.h"
#include "py/py_error.h"
#include "py/py_headers.h"
#include "py/py_url.h"

/* ---- what the core says ------------------------------------------------- */

static void
hop_over(FetchObject *self, int code)
{
    self->code = code;
    self->ended = 1;
    self->running = 0;
    self->wait.host->fetches--;
    wait_finish(&self->wait);
    host_drop(&self->wait);
}

static int
is_redirect(int status)
{
    return status == 301 || status == 302 || status == 303 || status == 307
           || status == 308;
}

/* From here on the response owns the exchange, and with it the body of the
 * request, which may still be on its way. */
static int
hand_over(FetchObject *self, aif_fetch *f)
{
    Py_buffer *upload = NULL;

    if (self->view.obj != NULL) {
        upload = aif_mem_alloc(sizeof(*upload));
        if (upload == NULL) {
            return AIF_ENOMEM;
        }
        *upload = self->view;
        self->view.obj = NULL;
    }
    self->fetch = NULL;
    response_stream(self->response, f, self->wait.host, (PyObject *)self->pool,
                    upload);
    hop_over(self, 0);
    return 0;
}

/* A Location that says where to. */
static int
has_location(const aif_header *h)
{
    int i = aif_header_find(h, "location", 0);

    return i >= 0 && aif_header_value(h, (unsigned)i).len > 0;
}

static int
fetch_on_informational(void *user, aif_fetch *f, aif_h1parse *p)
{
    FetchObject *self = user;
    int rc = interim_add(&self->interims, p);

    (void)f;
    if (rc == 0 && self->options->informational != NULL) {
        wait_finish(&self->wait);
    }
    return rc;
}

static int
fetch_on_head(void *user, aif_fetch *f, aif_h1parse *p)
{
    FetchObject *self = user;
    OptionsObject *o = self->options;
    aif_header *h = aif_h1parse_header(p);
    int status = aif_h1parse_status(p);
    int follow = self->redirects >= 0 && o->policy != NULL
                 && is_redirect(status) && has_location(h);
    ResponseObject *r;

    self->ask = follow || (o->on_status && status >= 400)
                || (o->on_cookies && aif_header_find(h, "set-cookie", 0) >= 0)
                || (status == 417 && o->policy != NULL && f->upload != NULL
                    && f->upload->unexpected);
    r = response_new(self->wait.host, o, f, p);
    if (r == NULL) {
        PyErr_Clear();
        return AIF_ENOMEM;
    }
    r->method = Py_NewRef(self->method);
    r->url_text = Py_NewRef(self->url);
    r->history = Py_NewRef(self->history);
    r->place = Py_XNewRef(self->place);
    r->interims = self->interims;
    self->interims = NULL;
    Py_XSETREF(self->response, r);
    if (follow) {
        r->bodiless = 1;
        return AIF_FETCH_DISCARD;
    }
    return o->stream ? hand_over(self, f) : 0;
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

    self->dns_cached = f->dns_cached;
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
        Py_XSETREF(self->cause, host_unpark(self->wait.host, code));
    }
    hop_over(self, code);
}

static const aif_fetch_cbs fetch_cbs = {
    .on_informational = fetch_on_informational,
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
    Py_CLEAR(self->upload);
    if (self->body == NULL || self->body == Py_None) {
        return 0;
    }
    if (PyObject_CheckBuffer(self->body)) {
        return PyObject_GetBuffer(self->body, &self->view, PyBUF_SIMPLE);
    }
    if (self->context == NULL) {
        self->context = PyContext_CopyCurrent();
        if (self->context == NULL) {
            return -1;
        }
    }
    self->upload = upload_new(self->wait.st, self->body, self->context);
    return self->upload == NULL ? -1 : 0;
}

/* What the head announces. */
static int64_t
body_length(const FetchObject *self)
{
    if (self->upload != NULL) {
        return self->upload->core.length;
    }
    return self->view.obj == NULL ? AIF_H1_NO_BODY : (int64_t)self->view.len;
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
    f->parse = o->parse;
    f->max_body = o->max_body;
    f->max_ratio = o->max_ratio;
    f->dialer = o->dialer;
    f->decode_body = o->decompress;
    f->head_request = !!method_is(method, "HEAD");
    f->idempotent = method_is(method, "GET") || f->head_request
                    || method_is(method, "PUT") || method_is(method, "DELETE")
                    || method_is(method, "OPTIONS")
                    || method_is(method, "TRACE");
    f->close_after =
        aif_header_has_token(fields, "connection", "close")
        || (o->http10
            && !aif_header_has_token(fields, "connection", "keep-alive"));
    f->body = self->view.buf;
    f->body_len = (size_t)self->view.len;
    f->upload = self->upload == NULL ? NULL : &self->upload->core;
    f->whole = !o->stream;
    f->read_most = o->stream ? response_read_most(o->high_water) : 0;
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
enter_core(FetchObject *self, aif_fetch *f, const aif_target *target,
           const aif_h1head *head, aif_err *err)
{
    HostObject *h = self->wait.host;
    int rc;

    aif_fetch_free(self->fetch);
    self->fetch = f;
    self->ended = 0;
    self->ask = 0;
    self->running = 1;
    h->fetches++;
    host_hold(h, &self->wait);
    if (self->upload != NULL) {
        upload_own(self->upload, h);
    }
    Py_INCREF(h);
    host_enter(h);
    rc = aif_fetch_start(f, self->pool->pool, target, head);
    if (rc < 0) {
        *err = f->err;
        self->running = 0;
        h->fetches--;
        host_drop(&self->wait);
        if (self->upload != NULL) {
            f->upload = NULL;
            upload_disown(self->upload);
        }
    }
    host_leave(h);
    Py_DECREF(h);
    return rc;
}

/* Whether the hop may start: headers, body and TLS context of the caller may
 * run Python, which may have cancelled the fetch or closed what it needs. 1 or
 * 0; or a code with |err|. */
static int
may_start(FetchObject *self, aif_err *err)
{
    if (self->wait.state != WAIT_PENDING) {
        return 0;
    }
    if (self->pool->pool == NULL || self->pool->host != self->wait.host) {
        return aif_err_set(err, AIF_ECLOSED, "the engine was closed");
    }
    return 1;
}

/* Prepares the hop and starts it. As url_parse(). */
static int
start_hop_at(FetchObject *self, const aif_url *u, const aif_header *fields,
             aif_err *err)
{
    Py_ssize_t len;
    aif_slice method = {PyUnicode_AsUTF8AndSize(self->method, &len), 0};
    aif_target target = {.host = aif_url_host(u),
                         .port = u->port,
                         .secure = u->secure,
                         .public_only = self->options->public_only};
    aif_h1head head = {
        .target = aif_url_target(u),
        .authority = aif_url_authority(u),
        .fields = fields,
        .defaults = &self->options->defaults,
        .old = self->options->http10,
        .lines =
            aif_buf_slice(&self->options->lines, 0, self->options->lines.len),
    };
    aif_fetch *f;
    int rc;

    if (method.ptr == NULL || take_body(self) < 0
        || (u->secure && describe_tls(self, &target) < 0))
    {
        return -1;
    }
    rc = may_start(self, err);
    if (rc <= 0) {
        return rc;
    }
    method.len = (size_t)len;
    head.method = method;
    head.body = body_length(self);
    f = aif_fetch_new(&fetch_cbs, self);
    if (f == NULL) {
        return aif_err_set(err, AIF_ENOMEM, "out of memory");
    }
    describe(self, f, method, fields);
    return enter_core(self, f, &target, &head, err);
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

/* A response that streams may be forgotten: in debug mode it is told where it
 * came from. */
static int
note_place(FetchObject *self)
{
    core_state *st = self->wait.st;

    if (!self->wait.host->debug || !self->options->stream) {
        return 0;
    }
    if (state_import(&st->extract_stack, "traceback", "extract_stack") < 0) {
        return -1;
    }
    Py_XSETREF(self->place, PyObject_CallNoArgs(st->extract_stack));
    return self->place == NULL ? -1 : 0;
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
    if (pool_bind(self->pool, w->host) < 0 || note_place(self) < 0) {
        return -1;
    }
    self->started = now;
    if (self->options->limits.total_due != 0) {
        self->total_due = now + self->options->limits.total_due;
    }
    return start_hop(self);
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
    Py_CLEAR(self->upload);
    Py_CLEAR(self->response);
    Py_CLEAR(self->cause);
}

static void
stop_now(void *arg)
{
    FetchObject *self = arg;

    if (self->running) {
        aif_fetch_cancel(self->fetch);
    }
    if (self->response != NULL) {
        response_release(self->response, 1);
    }
    forget_request(self);
    Py_DECREF(self);
}

static void
fetch_stop(WaitObject *w)
{
    Py_INCREF(w);
    if (!host_defer(w->host, stop_now, w)) {
        host_enter(w->host);
        stop_now(w);
        host_leave(w->host);
    }
}

/* ---- in the drain ------------------------------------------------------- */

static void
tell_trace(FetchObject *self)
{
    for (unsigned i = 0; i < self->event_count; i++) {
        PyObject *res = PyObject_CallFunction(
            self->trace, "sd", aif_trace_name(self->events[i].phase),
            (double)(self->events[i].at - self->started) / 1e9);

        if (res == NULL
            && (PyErr_ExceptionMatches(PyExc_KeyboardInterrupt)
                || PyErr_ExceptionMatches(PyExc_SystemExit)))
        {
            host_swallow(self->wait.host); /* run() raises it. */
        }
        else if (res == NULL) {
            host_report(self->wait.loop, "Exception in a trace function",
                        self->trace);
        }
        Py_XDECREF(res);
    }
    self->event_count = 0;
}

/* Those of a hop that is over are its response's. The function may cancel the
 * Fetch, which gives that up. */
static void
tell_interims(FetchObject *self)
{
    PyObject *function = self->options->informational;
    ResponseObject *r = self->response;

    interim_tell(self->interims, &self->wait, function);
    if (r != NULL) {
        Py_INCREF(r);
        interim_tell(r->interims, &self->wait, function);
        Py_DECREF(r);
    }
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
    self->redirects -= is_redirect(r->status);
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

static int
conclude(FetchObject *self, ResponseObject *r)
{
    int rc;

    if (self->code < 0) {
        raise_failure(self, &self->fetch->err);
        return -1;
    }
    if (self->fetch != NULL
        && response_complete(r, self->wait.host, self->fetch) < 0)
    {
        return -1;
    }
    rc = self->ask && self->options->policy != NULL ? ask_policy(self, r) : 1;
    if (rc == 1) {
        r->entered = self->entered;
        wait_set_result(&self->wait, (PyObject *)r);
    }
    return rc;
}

static int
fetch_ready(WaitObject *w)
{
    FetchObject *self = (FetchObject *)w;
    ResponseObject *r;
    int rc, code;

    if (self->event_count > 0) {
        tell_trace(self);
    }
    if (self->options->informational != NULL) {
        tell_interims(self);
    }
    if (!self->ended || w->state != WAIT_PENDING) {
        return w->state != WAIT_PENDING;
    }
    self->ended = 0;
    code = self->code; /* The next hop may be over at once. */
    r = self->response;
    if (code == 0) {
        self->response = NULL;
    }
    rc = conclude(self, r);
    if (rc < 0) {
        PyObject *exc = compat_take_exception();

        if (code == 0) {
            response_release(r, 0);
        }
        wait_set_exception(w, exc);
        Py_XDECREF(exc);
    }
    if (code == 0) {
        Py_DECREF(r);
    }
    if (rc == 0) {
        return w->state != WAIT_PENDING;
    }
    forget_request(self);
    return 1;
}

const wait_ops fetch_ops = {
    .start = fetch_start,
    .stop = fetch_stop,
    .ready = fetch_ready,
};
