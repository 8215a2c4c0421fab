/* py_parser.c -- HttpRequestParser and HttpResponseParser at work.
 *
 * The core judges; this turns its upcalls into calls of the protocol's
 * methods, which are looked up once. The core may not be entered from an
 * upcall, so what a callback feeds waits until the data at hand is through.
 */
#include "py/py_parser.h"

#include <string.h>

#define NAME_BYTES 64 /* of a name that is kept */

/* --- Upcalls ------------------------------------------------------------ */

/* Calls with args[1] to args[n]; args[0] is room for the protocol, which a
 * function is called with as a method would be, without one. */
static int
call(ParserObject *self, parser_event event, PyObject **args, size_t n)
{
    PyObject *fn = Py_NewRef(self->on[event]);
    PyObject *result;

    if (self->bound & (1u << event)) {
        args[0] = Py_NewRef(self->owner);
        result = PyObject_Vectorcall(fn, args, n + 1, NULL);
        Py_DECREF(args[0]);
    }
    else {
        result = PyObject_Vectorcall(fn, args + 1,
                                     n | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
    }
    Py_DECREF(fn);
    if (result != NULL) {
        Py_DECREF(result);
        return 0;
    }
    self->failed = event;
    self->raised = compat_take_exception();
    return AIF_ECALLBACK;
}

static int
call_plain(ParserObject *self, parser_event event)
{
    PyObject *args[1] = {NULL};

    return self->on[event] != NULL ? call(self, event, args, 0) : 0;
}

/* |data| may be taken from the bytes that are fed. */
static int
call_bytes(ParserObject *self, parser_event event, const char *data,
           size_t len)
{
    PyObject *args[2] = {NULL, NULL};
    int rc;

    if (self->on[event] == NULL) {
        return 0;
    }
    args[1] = PyBytes_FromStringAndSize(data, (Py_ssize_t)len);
    if (args[1] == NULL) {
        PyErr_Clear();
        return AIF_ENOMEM;
    }
    rc = call(self, event, args, 1);
    Py_DECREF(args[1]);
    return rc;
}

/* A field's name, the one that was last in its place if it is the same: the
 * fields of one message are mostly those of another. */
static PyObject *
name_of(ParserObject *self, aif_slice name)
{
    const unsigned char last = (unsigned char)name.ptr[name.len - 1];
    PyObject **slot =
        &self->st->field_names[(name.len * 7 + last) % STATE_FIELD_NAMES];
    PyObject *old = *slot;
    PyObject *made;

    if (old != NULL && (size_t)PyBytes_GET_SIZE(old) == name.len
        && memcmp(PyBytes_AS_STRING(old), name.ptr, name.len) == 0)
    {
        return Py_NewRef(old);
    }
    made = PyBytes_FromStringAndSize(name.ptr, (Py_ssize_t)name.len);
    if (made != NULL && name.len <= NAME_BYTES) {
        *slot = Py_NewRef(made);
        Py_XDECREF(old);
    }
    return made;
}

static int
on_begin(void *user, aif_h1parse *Py_UNUSED(p))
{
    return call_plain(user, PARSER_BEGIN);
}

static int
on_request_line(void *user, aif_h1parse *p)
{
    const aif_slice target = aif_h1parse_target(p);

    return call_bytes(user, PARSER_URL, target.ptr, target.len);
}

static int
on_status_line(void *user, aif_h1parse *p)
{
    const aif_slice reason = aif_h1parse_reason(p);

    return call_bytes(user, PARSER_STATUS, reason.ptr, reason.len);
}

static int
on_field(void *user, aif_slice name, aif_slice value)
{
    ParserObject *self = user;
    PyObject *args[3] = {NULL, NULL, NULL};
    int rc = AIF_ENOMEM;

    args[1] = name_of(self, name);
    args[2] = PyBytes_FromStringAndSize(value.ptr, (Py_ssize_t)value.len);
    if (args[1] != NULL && args[2] != NULL) {
        rc = call(self, PARSER_HEADER, args, 2);
    }
    else {
        PyErr_Clear();
    }
    Py_XDECREF(args[1]);
    Py_XDECREF(args[2]);
    return rc;
}

static int
on_head(void *user, aif_h1parse *Py_UNUSED(p))
{
    return call_plain(user, PARSER_HEAD);
}

static int
on_body(void *user, const char *data, size_t len)
{
    return call_bytes(user, PARSER_BODY, data, len);
}

static int
on_size(void *user, aif_h1parse *Py_UNUSED(p))
{
    return call_plain(user, PARSER_CHUNK);
}

static int
on_chunk_end(void *user, aif_h1parse *Py_UNUSED(p))
{
    return call_plain(user, PARSER_CHUNK_END);
}

static int
on_message(void *user, aif_h1parse *Py_UNUSED(p))
{
    return call_plain(user, PARSER_MESSAGE);
}

#define UPCALLS(start, field)                                                 \
    {                                                                         \
        .on_begin = on_begin,                                                 \
        .on_start = start,                                                    \
        .on_field = field,                                                    \
        .on_head = on_head,                                                   \
        .on_body = on_body,                                                   \
        .on_size = on_size,                                                   \
        .on_chunk_end = on_chunk_end,                                         \
        .on_message = on_message,                                             \
    }

const aif_h1parse_cbs *
parser_upcalls(aif_h1_kind kind, int fields)
{
    static const aif_h1parse_cbs upcalls[2][2] = {
        {UPCALLS(on_status_line, NULL), UPCALLS(on_status_line, on_field)},
        {UPCALLS(on_request_line, NULL), UPCALLS(on_request_line, on_field)},
    };

    return &upcalls[kind == AIF_H1_REQUEST][fields != 0];
}

/* --- Feeding ------------------------------------------------------------ */

/* Bytes behind the last message of a connection: line ends are passed over
 * (RFC 9112 2.2), and all others if the user wants so. 0, or -1. */
static int
feed_closed(ParserObject *self, const char *data, size_t len)
{
    size_t i;

    if (self->discard) {
        return 0;
    }
    for (i = 0; i < len; i++) {
        if (data[i] != '\r' && data[i] != '\n') {
            parser_error_after_close(self->st);
            return -1;
        }
    }
    return 0;
}

/* All messages in |data|, the first and the last of which may be cut. 0, or -1
 * with an exception. */
static int
feed_messages(ParserObject *self, const char *data, size_t len)
{
    aif_h1parse *core = self->core;
    PyObject *raised;
    size_t at = 0;
    size_t used;

    while (at < len) {
        if (self->closed) {
            return feed_closed(self, data + at, len - at);
        }
        /* As late as this, so that the getters tell of a whole message. */
        if (aif_h1parse_is_done(core) && aif_h1parse_error(core)->code == 0) {
            aif_h1parse_reset(core, 0);
        }
        if (aif_h1parse_feed(core, data + at, len - at, &used) != 0) {
            raised = self->raised;
            self->raised = NULL;
            parser_error_raise(self->st, core, self->failed, raised);
            return -1;
        }
        at += used;
        if (!aif_h1parse_is_done(core)) {
            continue;
        }
        if (aif_h1parse_upgrade(core)) {
            parser_error_upgrade(self->st, (Py_ssize_t)at);
            return -1;
        }
        self->closed = !aif_h1parse_keep_alive(core) && !self->go_on;
    }
    return 0;
}

/* Puts data aside that a callback feeds. */
static PyObject *
feed_later(ParserObject *self, PyObject *data)
{
    Py_buffer view;
    PyObject *copy;
    int rc;

    if (PyObject_GetBuffer(data, &view, PyBUF_SIMPLE) < 0) {
        return NULL;
    }
    copy = PyBytes_FromStringAndSize(view.buf, view.len);
    PyBuffer_Release(&view);
    if (copy == NULL) {
        return NULL;
    }
    if (self->queue == NULL) {
        self->queue = PyList_New(0);
    }
    rc = self->queue == NULL ? -1 : PyList_Append(self->queue, copy);
    Py_DECREF(copy);
    if (rc < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static int
feed_queue(ParserObject *self)
{
    PyObject *data;
    int rc = 0;

    while (rc == 0 && self->queue != NULL && PyList_GET_SIZE(self->queue) > 0)
    {
        data = Py_NewRef(PyList_GET_ITEM(self->queue, 0));
        rc = PyList_SetSlice(self->queue, 0, 1, NULL);
        if (rc == 0) {
            rc = feed_messages(self, PyBytes_AS_STRING(data),
                               (size_t)PyBytes_GET_SIZE(data));
        }
        Py_DECREF(data);
    }
    Py_CLEAR(self->queue);
    return rc;
}

/* |data| stays where it is during the call. 0, or -1 with an exception. */
static int
feed_now(ParserObject *self, const char *data, size_t len)
{
    int rc;

    Py_INCREF((PyObject *)self);
    self->feeding = 1;
    rc = feed_messages(self, data, len);
    if (rc == 0 && self->queue != NULL) {
        rc = feed_queue(self);
    }
    else if (rc != 0) {
        Py_CLEAR(self->queue);
    }
    self->feeding = 0;
    Py_DECREF((PyObject *)self);
    return rc;
}

PyObject *
parser_feed_data(PyObject *op, PyObject *data)
{
    ParserObject *self = (ParserObject *)op;
    Py_buffer view;
    int rc;

    if (self->core == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "the parser has no protocol");
        return NULL;
    }
    if (self->feeding) {
        return feed_later(self, data);
    }
    if (PyBytes_CheckExact(data)) {
        Py_INCREF(data);
        rc = feed_now(self, PyBytes_AS_STRING(data),
                      (size_t)PyBytes_GET_SIZE(data));
        Py_DECREF(data);
    }
    else {
        if (PyObject_GetBuffer(data, &view, PyBUF_SIMPLE) < 0) {
            return NULL;
        }
        rc = feed_now(self, view.buf, (size_t)view.len);
        PyBuffer_Release(&view);
    }
    if (rc < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}
