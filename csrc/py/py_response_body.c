/* py_response_body.c -- the body of a response: its memory, its streaming.
 *
 * The upcalls run inside the core and only note what came; readers get it in
 * the drain.
 */
#include "py/py_response.h"

#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include "base/aif_mem.h"
#include "py/py_error.h"

#define FIRST_ROOM (16u * 1024u)

/* Bodies from here on are worth a word to the kernel. */
#define HUGE_MIN (4u * 1024u * 1024u)

/* ---- the body's memory -------------------------------------------------- */

/* Fresh pages are most of what a large body costs: with huge ones, where the
 * system has them on request, a fault brings 2 MiB instead of 4 KiB. */
static void
advise(PyObject *bytes)
{
#ifdef MADV_HUGEPAGE
    const uintptr_t page = 4096;
    uintptr_t at = (uintptr_t)PyBytes_AS_STRING(bytes);
    uintptr_t end = at + (uintptr_t)PyBytes_GET_SIZE(bytes);

    at = (at + page - 1) & ~(page - 1);
    end &= ~(page - 1);
    (void)madvise((void *)at, end - at, MADV_HUGEPAGE);
#else
    (void)bytes;
#endif
}

PyObject *
response_room(HostObject *host, size_t len)
{
    PyObject *bytes = len < SPARE_MIN ? NULL : spare_take(&host->spares, len);

    if (bytes != NULL) {
        return bytes;
    }
    bytes = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)len);
    if (bytes != NULL && len >= HUGE_MIN) {
        advise(bytes);
    }
    return bytes;
}

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

/* Room for all of a body whose length is known, once all of it is wanted.
 * Unlike in reserve(), what is there stays if there is no memory: the body
 * then grows as it comes, which may fail later. */
static void
make_whole_room(ResponseObject *r)
{
    PyObject *all;

    if (r->taken || r->length <= r->body_len + room(r)) {
        return;
    }
    all = response_room(r->host, r->length);
    if (all == NULL) {
        PyErr_Clear();
        return;
    }
    if (r->body != NULL) {
        memcpy(PyBytes_AS_STRING(all), PyBytes_AS_STRING(r->body),
               r->body_len);
    }
    Py_XSETREF(r->body, all);
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
        assert(r->body != NULL);
        memcpy(PyBytes_AS_STRING(r->body) + r->body_len, data, len);
        r->body_len += len;
    }
    return rc;
}

int
response_trim(ResponseObject *r)
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

    if (response_trim(r) < 0) {
        return NULL;
    }
    bytes = r->body;
    r->body = NULL;
    r->body_len = 0;
    response_given(r);
    return bytes;
}

void
response_given(ResponseObject *r)
{
    response_pass_chunks(r, r->given);
    r->given = r->received - r->body_len;
    r->taken = 1;
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
response_complete(ResponseObject *r, HostObject *host, aif_fetch *f)
{
    int rc;

    keep_facts(r, f);
    r->whole = 1;
    rc = response_trim(r);
    if (rc == 0) {
        spare_keep(&host->spares, r->body);
    }
    return rc;
}

/* ---- streaming ---------------------------------------------------------- */

PyObject *
response_failure(ResponseObject *r)
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
    else {
        uint64_t start =
            r->fetch != NULL ? r->fetch->trace.start : r->trace.start;

        facts.elapsed = start == 0 ? 0 : (double)(uv_hrtime() - start) / 1e9;
    }
    facts.method = r->method;
    facts.url = r->url_text;
    facts.history = r->history;
    facts.status = r->status;
    facts.cause = r->cause;
    if (response_trim(r) == 0) {
        facts.partial = r->body;
        r->failure = error_new(r->st, &facts);
    }
    return r->failure;
}

int
response_check_kept(const ResponseObject *r)
{
    if (r->bodiless) {
        PyErr_SetString(PyExc_RuntimeError,
                        "the body of a redirect that was followed is not "
                        "kept");
        return -1;
    }
    return 0;
}

/* What a reader gets when there is no waiting: a new reference, or NULL with
 * an exception; *|none| is set if it has to wait. */
static PyObject *
read_now(ResponseObject *r, int all, int *none)
{
    PyObject *failure;

    *none = 0;
    if (response_check_kept(r) < 0) {
        return NULL;
    }
    if (!all && r->body_len > 0 && !r->released && !r->whole) {
        return take(r);
    }
    if (r->whole) {
        if (response_trim(r) < 0) {
            return NULL;
        }
        if (all) {
            return Py_NewRef(r->body);
        }
        return r->body_len > 0 ? take(r) : Py_NewRef(r->st->empty_bytes);
    }
    if (r->failed || r->released) {
        failure = response_failure(r);
        if (failure != NULL) {
            PyErr_SetObject((PyObject *)Py_TYPE(failure), failure);
        }
        return NULL;
    }
    *none = 1;
    return NULL;
}

static void
resume_later(void *arg)
{
    ResponseObject *r = arg;

    if (r->host != NULL) {
        aif_fetch_resume(r->fetch);
    }
    Py_DECREF(r);
}

/* Somebody wants what is not there yet. What is handed out alone does not
 * resume: its reader may be slow, and still have it. */
void
response_resume(ResponseObject *r)
{
    HostObject *h = r->host;

    if (h == NULL || !r->fetch->paused) {
        return;
    }
    Py_INCREF(r);
    if (!host_defer(h, resume_later, r)) {
        host_enter(h);
        aif_fetch_resume(r->fetch);
        host_leave(h);
        Py_DECREF(r);
    }
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
    host_drop(w);
    if (bytes != NULL) {
        wait_set_result(w, bytes);
        Py_DECREF(bytes);
    }
    else {
        PyObject *exc = compat_take_exception();

        wait_set_exception(w, exc);
        Py_XDECREF(exc);
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
        host_drop(w);
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
    size_t into = r->into.obj != NULL ? response_into_add(r, data, len) : 0;
    int rc = 0;

    if (into < len) {
        rc = response_add(r, data + into, len - into);
    }
    if (rc < 0) {
        return rc;
    }
    r->received += len;
    if (!r->reader_all || r->reader == NULL) {
        if (r->body_len >= r->high_water || into > 0) {
            aif_fetch_pause(f);
        }
        wake_reader(r);
    }
    return 0;
}

static void
stream_on_chunk(void *user, aif_fetch *f)
{
    (void)f;
    response_chunk(user);
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
    if (r->into.obj != NULL) {
        return response_into_space(r, len);
    }
    if (r->reader != NULL && !r->reader_all && r->body == NULL) {
        size_t most = r->high_water > RESPONSE_MIN_READ ? r->high_water
                                                        : RESPONSE_MIN_READ;

        most = most < RESPONSE_MAX_PIECE ? most : RESPONSE_MAX_PIECE;
        /* The next piece, right to where it is handed out from. */
        r->body = response_room(r->host, *len < most ? *len : most);
        if (r->body == NULL) {
            PyErr_Clear();
        }
    }
    return r->reader != NULL ? response_space(r, len) : NULL;
}

/* The connection is done with the body of the request. */
static void
drop_upload(Py_buffer **upload)
{
    Py_buffer *view = *upload;

    *upload = NULL;
    if (view != NULL) {
        PyBuffer_Release(view);
        aif_mem_free(view);
    }
}

static void
stream_on_done(void *user, aif_fetch *f, int code)
{
    ResponseObject *r = user;

    keep_facts(r, f);
    if (code == 0 && !r->released) {
        r->whole = 1;
        if (r->body != NULL && room(r) == 0 && !r->taken) {
            spare_keep(&r->host->spares, r->body);
        }
    }
    else {
        r->failed = code != 0 && !r->released;
        Py_XSETREF(r->cause, host_unpark(r->host, code));
    }
    r->host->bodies--;
    r->coded = f->coded;
    wake_reader(r);
    response_ended(r);
    r->host = NULL;
    drop_upload(&r->upload);
}

static const aif_fetch_cbs stream_cbs = {
    .on_space = stream_on_space,
    .on_body = stream_on_body,
    .on_chunk = stream_on_chunk,
    .on_trailer = stream_on_trailer,
    .on_done = stream_on_done,
};

void
response_stream(ResponseObject *r, aif_fetch *f, HostObject *host,
                PyObject *pool, Py_buffer *upload)
{
    r->upload = upload;
    r->fetch = f;
    r->host = host;
    r->high_water = r->options->high_water > 0 ? r->options->high_water
                                               : RESPONSE_HIGH_WATER;
    r->pool = Py_NewRef(pool);
    host->bodies++;
    f->cbs = &stream_cbs;
    f->user = r;
}

static void
end_exchange(ResponseObject *r)
{
    if (r->host == NULL) {
        return; /* It has ended meanwhile. */
    }
    if (r->cutting) {
        aif_fetch_cancel(r->fetch);
    }
    else {
        aif_fetch_discard(r->fetch);
    }
}

static void
end_exchange_later(void *arg)
{
    end_exchange(arg);
    Py_DECREF((PyObject *)arg);
}

void
response_release(ResponseObject *r, int close)
{
    HostObject *h = r->host;

    if (r->whole || r->failed || r->released) {
        return;
    }
    r->released = 1;
    r->cutting = close ? 1 : 0;
    if (h != NULL) {
        Py_INCREF(r);
        if (!host_defer(h, end_exchange_later, r)) {
            host_enter(h);
            end_exchange(r);
            host_leave(h);
            Py_DECREF(r);
        }
    }
}

/* ---- dropped while it streams ------------------------------------------- */

/* What is left of a response that nobody has any more. */
typedef struct leftover {
    aif_fetch *fetch;
    PyObject *pool;
    Py_buffer *upload;
} leftover;

static int
refuse_body(void *user, aif_fetch *f, const char *data, size_t len)
{
    (void)user;
    (void)f;
    (void)data;
    (void)len;
    return AIF_ECANCELLED;
}

static const aif_fetch_cbs silent_cbs = {.on_body = refuse_body};

static void
end_leftover(leftover *l)
{
    aif_fetch_discard(l->fetch);
    aif_fetch_free(l->fetch);
    drop_upload(&l->upload);
    Py_XDECREF(l->pool);
}

static void
end_leftover_later(void *arg)
{
    end_leftover(arg);
    aif_mem_free(arg);
}

/* Ends an exchange that is under way, now or once the core has been left. */
static void
leave_over(HostObject *h, leftover *l)
{
    leftover *copy = h->depth == 0 ? NULL : aif_mem_alloc(sizeof(*copy));

    if (copy != NULL) {
        *copy = *l;
        if (host_defer(h, end_leftover_later, copy)) {
            return;
        }
        aif_mem_free(copy);
    }
    host_enter(h);
    end_leftover(l);
    host_leave(h);
}

void
response_drop(ResponseObject *r)
{
    leftover l = {r->fetch, r->pool, r->upload};
    HostObject *h = r->host;

    r->fetch = NULL;
    r->pool = NULL;
    r->upload = NULL;
    r->host = NULL;
    if (h != NULL) {
        h->bodies--;
        l.fetch->cbs = &silent_cbs;
        l.fetch->user = NULL;
        leave_over(h, &l);
    }
    else {
        aif_fetch_free(l.fetch);
        drop_upload(&l.upload);
        Py_XDECREF(l.pool);
    }
}

/* ---- reading ------------------------------------------------------------ */

PyObject *
response_take(ResponseObject *r)
{
    if (r->released || r->reader != NULL) {
        return Py_NewRef(r->st->empty_bytes);
    }
    if (r->body_len == 0) {
        response_resume(r);
        return Py_NewRef(r->st->empty_bytes);
    }
    return take(r);
}

PyObject *
response_read(ResponseObject *r, int all)
{
    int none;
    PyObject *bytes = read_now(r, all, &none);
    PyObject *result, *exc;
    WaitObject *w;

    r->all_read |= all != 0;
    if (bytes != NULL) {
        result = wait_new_done(r->st, bytes);
        Py_DECREF(bytes);
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
    if (all) {
        r->fetch->whole = 1;
        make_whole_room(r);
    }
    host_hold(r->host, w);
    response_resume(r);
    return (PyObject *)w;
}
