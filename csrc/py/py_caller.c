/* py_caller.c -- aiofast._core.Caller. */
#include "py/py_caller.h"

#include "base/aif_ascii.h"
#include "http/aif_query.h"
#include "py/py_fetch.h"
#include "py/py_url.h"

/* What the steps below say beside 0. */
#define LONG_WAY 1

/* A call, as far as it is understood. Borrowed, unless said otherwise. */
typedef struct call {
    PyObject *method, *headers, *data, *json, *params, *timeout, *ssl;
    PyObject *url;          /* owned */
    PyObject *query;        /* owned; NULL without one */
    PyObject *pairs;        /* owned list; NULL without any */
    PyObject *body;         /* owned bytes; NULL without one */
    const char *kind;       /* of the body */
    OptionsObject *options; /* owned */
    long redirects;
    int typed; /* the caller names a Content-Type */
} call;

/* ---- fields ------------------------------------------------------------- */

/* The bytes of a str that is ASCII; |ptr| is NULL for others. */
static aif_slice
ascii_of(PyObject *text)
{
    aif_slice s = {NULL, 0};

    if (PyUnicode_CheckExact(text) && PyUnicode_IS_ASCII(text)) {
        s.ptr = (const char *)PyUnicode_1BYTE_DATA(text);
        s.len = (size_t)PyUnicode_GET_LENGTH(text);
    }
    return s;
}

static int
is_named(aif_slice name, const char *lower, size_t len)
{
    return name.len == len && aif_ascii_equal(name.ptr, lower, len);
}

/* 1 for names on which more hangs than that they are sent: cookies go through
 * the jar, framing has to fit the body. */
static int
is_special(aif_slice name)
{
    return is_named(name, "cookie", 6) || is_named(name, "expect", 6)
           || is_named(name, "content-length", 14)
           || is_named(name, "transfer-encoding", 17);
}

static int
add_pair(call *c, PyObject *name, PyObject *value)
{
    PyObject *pair;
    int rc;

    if (c->pairs == NULL) {
        c->pairs = PyList_New(0);
        if (c->pairs == NULL) {
            return -1;
        }
    }
    pair = PyTuple_Pack(2, name, value);
    if (pair == NULL) {
        return -1;
    }
    rc = PyList_Append(c->pairs, pair);
    Py_DECREF(pair);
    return rc;
}

static int
add_text(call *c, const char *name, const char *value)
{
    PyObject *n = PyUnicode_FromString(name);
    PyObject *v = PyUnicode_FromString(value);
    int rc = n == NULL || v == NULL ? -1 : add_pair(c, n, v);

    Py_XDECREF(n);
    Py_XDECREF(v);
    return rc;
}

static int
take_headers(call *c)
{
    PyObject *name, *value;
    Py_ssize_t at = 0;
    int rc;

    if (c->headers == NULL || c->headers == Py_None) {
        return 0;
    }
    if (!PyDict_CheckExact(c->headers)) {
        return LONG_WAY;
    }
    while (PyDict_Next(c->headers, &at, &name, &value)) {
        aif_slice n = ascii_of(name);

        if (n.ptr == NULL || !PyUnicode_CheckExact(value) || is_special(n)) {
            return LONG_WAY;
        }
        c->typed |= is_named(n, "content-type", 12);
        Py_INCREF(name); /* The collector may run where a pair is made. */
        Py_INCREF(value);
        rc = add_pair(c, name, value);
        Py_DECREF(name);
        Py_DECREF(value);
        if (rc < 0) {
            return -1;
        }
    }
    return 0;
}

/* 1 if one of the first |count| fields of |c| has this name. */
static int
has_field(const call *c, Py_ssize_t count, aif_slice name)
{
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *pair = PyList_GET_ITEM(c->pairs, i);
        aif_slice n = ascii_of(PyTuple_GET_ITEM(pair, 0));

        if (n.len == name.len && aif_ascii_equal(n.ptr, name.ptr, n.len)) {
            return 1;
        }
    }
    return 0;
}

static int
add_secret(const CallerObject *self, call *c)
{
    Py_ssize_t count =
        self->secret == NULL ? 0 : PyTuple_GET_SIZE(self->secret);
    Py_ssize_t own = c->pairs == NULL ? 0 : PyList_GET_SIZE(c->pairs);

    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *pair = PyTuple_GET_ITEM(self->secret, i);
        PyObject *name = PyTuple_GET_ITEM(pair, 0);
        aif_slice n = ascii_of(name);

        if (n.ptr == NULL) {
            return LONG_WAY;
        }
        if (!has_field(c, own, n)
            && add_pair(c, name, PyTuple_GET_ITEM(pair, 1)) < 0)
        {
            return -1;
        }
    }
    return 0;
}

/* The jar's, in a list of a kind of its own; what |c| has goes before them. */
static int
add_cookies(const CallerObject *self, call *c)
{
    int some = self->kept == NULL ? 0 : PyObject_IsTrue(self->kept);
    PyObject *list;

    if (some <= 0) {
        return some;
    }
    list = PyObject_CallOneArg(self->cookies, c->url);
    if (list == NULL) {
        return -1;
    }
    if (list == Py_None) {
        Py_DECREF(list);
        return 0;
    }
    if (!PyList_Check(list)
        || (c->pairs != NULL && PyList_SetSlice(list, 0, 0, c->pairs) < 0))
    {
        Py_DECREF(list);
        return PyErr_Occurred() ? -1 : LONG_WAY;
    }
    Py_XSETREF(c->pairs, list);
    return 0;
}

/* ---- body and query ----------------------------------------------------- */

static int
take_json(const CallerObject *self, call *c)
{
    PyObject *text;

    if (self->dumps == NULL || c->json == Py_None) {
        return LONG_WAY;
    }
    c->kind = "application/json";
    text = PyObject_CallOneArg(self->dumps, c->json);
    if (text == NULL) {
        return -1;
    }
    if (PyBytes_CheckExact(text)) {
        c->body = text;
        return 0;
    }
    c->body = PyUnicode_Check(text) ? PyUnicode_AsUTF8String(text) : NULL;
    Py_DECREF(text);
    if (c->body == NULL) {
        return PyErr_Occurred() ? -1 : LONG_WAY;
    }
    return 0;
}

static int
take_body(const CallerObject *self, call *c)
{
    int none = c->data == NULL || c->data == Py_None;

    if (c->json != NULL) {
        return none ? take_json(self, c) : LONG_WAY;
    }
    if (none) {
        return 0;
    }
    if (self->st->data_registered) {
        return LONG_WAY;
    }
    if (PyBytes_CheckExact(c->data)) {
        c->kind = "application/octet-stream";
        c->body = Py_NewRef(c->data);
        return 0;
    }
    if (PyUnicode_CheckExact(c->data)) {
        c->kind = "text/plain; charset=utf-8";
        c->body = PyUnicode_AsUTF8String(c->data);
        return c->body == NULL ? -1 : 0;
    }
    return LONG_WAY;
}

static int
add_param(aif_buf *query, PyObject *name, PyObject *value)
{
    Py_ssize_t name_len, value_len;
    const char *n = PyUnicode_AsUTF8AndSize(name, &name_len);
    const char *v = PyUnicode_AsUTF8AndSize(value, &value_len);

    if (n == NULL || v == NULL) {
        return -1;
    }
    return aif_query_add(query, (aif_slice){n, (size_t)name_len},
                         (aif_slice){v, (size_t)value_len})
                   < 0
               ? LONG_WAY
               : 0;
}

/* A dict of str to str or int. */
static int
fill_query(aif_buf *query, PyObject *params)
{
    PyObject *name, *value;
    Py_ssize_t at = 0;
    int rc = 0;

    while (rc == 0 && PyDict_Next(params, &at, &name, &value)) {
        if (!PyUnicode_CheckExact(name)) {
            return LONG_WAY;
        }
        if (PyUnicode_CheckExact(value)) {
            rc = add_param(query, name, value);
        }
        else if (PyLong_CheckExact(value)) {
            PyObject *text = PyObject_Str(value);

            rc = text == NULL ? -1 : add_param(query, name, text);
            Py_XDECREF(text);
        }
        else {
            rc = LONG_WAY;
        }
    }
    return rc;
}

static int
take_params(call *c)
{
    aif_buf query;
    int rc;

    if (c->params == NULL || c->params == Py_None) {
        return 0;
    }
    if (!PyDict_CheckExact(c->params)) {
        return LONG_WAY;
    }
    aif_buf_init(&query, AIF_MAX_URL);
    rc = fill_query(&query, c->params);
    if (rc == 0 && query.len > 0) {
        c->query =
            PyUnicode_FromStringAndSize(query.data, (Py_ssize_t)query.len);
        rc = c->query == NULL ? -1 : 0;
    }
    aif_buf_fini(&query);
    return rc;
}

/* ---- settings ----------------------------------------------------------- */

static void
remember(CallerObject *self, const call *c)
{
    caller_derived *d = &self->derived[self->next++ % CALLER_KEPT];

    /* Without options it is no entry: what goes may call back. */
    Py_CLEAR(d->options);
    Py_XSETREF(d->timeout, Py_XNewRef(c->timeout));
    Py_XSETREF(d->ssl, Py_XNewRef(c->ssl));
    Py_XSETREF(d->options, (OptionsObject *)Py_NewRef(c->options));
}

/* Asks Python for options with what |c| names. */
static int
derive(CallerObject *self, call *c)
{
    PyObject *changes = PyDict_New(), *options = NULL;

    if (changes != NULL
        && (c->timeout == NULL
            || PyDict_SetItemString(changes, "timeout", c->timeout) == 0)
        && (c->ssl == NULL
            || PyDict_SetItemString(changes, "ssl", c->ssl) == 0))
    {
        options = PyObject_Call(self->derive, self->st->empty_tuple, changes);
    }
    Py_XDECREF(changes);
    if (options == NULL) {
        return -1;
    }
    if (!Py_IS_TYPE(options, self->st->options_type)) {
        Py_DECREF(options);
        return LONG_WAY;
    }
    c->options = (OptionsObject *)options;
    remember(self, c);
    return 0;
}

static int
choose_options(CallerObject *self, call *c)
{
    if (c->ssl == Py_True) {
        c->ssl = NULL; /* as if it was not named */
    }
    if (c->timeout == NULL && c->ssl == NULL) {
        c->options = (OptionsObject *)Py_NewRef(self->options);
        return 0;
    }
    if (self->derive == NULL || c->ssl == Py_None) {
        return LONG_WAY;
    }
    for (unsigned i = 0; i < CALLER_KEPT; i++) {
        const caller_derived *d = &self->derived[i];

        if (d->options != NULL && d->timeout == c->timeout && d->ssl == c->ssl)
        {
            c->options = (OptionsObject *)Py_NewRef(d->options);
            return 0;
        }
    }
    return derive(self, c);
}

/* ---- the call ----------------------------------------------------------- */

/* The names of arguments are interned where they are written in a program. */
static int
take_named(const core_state *st, call *c, PyObject *name, PyObject *value)
{
    if (name == st->str_headers) {
        c->headers = value;
    }
    else if (name == st->str_json) {
        c->json = value;
    }
    else if (name == st->str_data && c->data == NULL) {
        c->data = value;
    }
    else if (name == st->str_params) {
        c->params = value;
    }
    else if (name == st->str_timeout) {
        c->timeout = value;
    }
    else if (name == st->str_ssl) {
        c->ssl = value;
    }
    else if (name == st->str_allow_redirects && PyBool_Check(value)) {
        c->redirects = value == Py_True ? c->redirects : -1;
    }
    else {
        return LONG_WAY;
    }
    return 0;
}

/* Letters in upper case, so that nothing has to be made of them. */
static int
is_plain_method(PyObject *method)
{
    aif_slice m = ascii_of(method);

    if (m.ptr == NULL || m.len == 0) {
        return 0;
    }
    for (size_t i = 0; i < m.len; i++) {
        if (m.ptr[i] < 'A' || m.ptr[i] > 'Z') {
            return 0;
        }
    }
    return 1;
}

static int
take_url(const CallerObject *self, call *c, PyObject *url)
{
    if (!PyUnicode_CheckExact(url)) {
        return LONG_WAY;
    }
    if (self->base == NULL) {
        c->url = Py_NewRef(url);
    }
    else {
        c->url = url_join(self->st, self->base, url);
        if (c->url == NULL) {
            return -1;
        }
    }
    /* Perhaps of a login. */
    return PyUnicode_FindChar(c->url, '@', 0, PyUnicode_GET_LENGTH(c->url), 1)
                   == -1
               ? 0
               : LONG_WAY;
}

/* Fills |c| from the arguments. 0, LONG_WAY, or -1 with an exception. */
static int
understand(CallerObject *self, call *c, PyObject *url, PyObject *kwargs)
{
    PyObject *name, *value;
    Py_ssize_t at = 0;
    int rc = 0;

    while (rc == 0 && PyDict_Next(kwargs, &at, &name, &value)) {
        rc = take_named(self->st, c, name, value);
    }
    if (rc != 0 || (self->pool != NULL && self->pool->closed)
        || !is_plain_method(c->method))
    {
        return LONG_WAY;
    }
    if ((rc = take_url(self, c, url)) != 0 || (rc = take_headers(c)) != 0
        || (rc = add_secret(self, c)) != 0 || (rc = take_params(c)) != 0
        || (rc = choose_options(self, c)) != 0
        || (rc = take_body(self, c)) != 0)
    {
        return rc;
    }
    if (c->body != NULL && self->types && !c->typed) {
        rc = add_text(c, "Content-Type", c->kind);
    }
    return rc == 0 ? add_cookies(self, c) : rc;
}

/* What went wrong on the short way goes wrong on the long one as well, which
 * tells it as it should be told. What is no Exception is not ours to hold. */
static PyObject *
leave(int rc)
{
    if (rc < 0) {
        if (!PyErr_ExceptionMatches(PyExc_Exception)) {
            return NULL;
        }
        PyErr_Clear();
    }
    Py_RETURN_NONE;
}

static PyObject *
Caller_fetch(PyObject *op, PyObject *const *args, Py_ssize_t nargs)
{
    CallerObject *self = (CallerObject *)op;
    PyObject *result;
    call c = {0};
    int rc;

    if (nargs != 5 || !PyDict_CheckExact(args[4])) {
        PyErr_SetString(PyExc_TypeError,
                        "fetch(method, url, redirects, data, kwargs)");
        return NULL;
    }
    c.redirects = PyLong_AsLong(args[2]);
    if (c.redirects == -1 && PyErr_Occurred()) {
        return NULL;
    }
    c.method = args[0];
    c.data = args[3] == Py_None ? NULL : args[3];
    rc = understand(self, &c, args[1], args[4]);
    if (rc == 0) {
        result = fetch_new(self->st, &(fetch_call){.options = c.options,
                                                   .method = c.method,
                                                   .url = c.url,
                                                   .pool = self->pool,
                                                   .query = c.query,
                                                   .headers = c.pairs,
                                                   .body = c.body,
                                                   .redirects = c.redirects});
    }
    else {
        result = leave(rc);
    }
    Py_XDECREF(c.options);
    Py_XDECREF(c.url);
    Py_XDECREF(c.query);
    Py_XDECREF(c.pairs);
    Py_XDECREF(c.body);
    return result;
}

/* ---- the type ----------------------------------------------------------- */

/* What is given as None is not there. */
static PyObject *
given(PyObject *value)
{
    return value == NULL || value == Py_None ? NULL : Py_NewRef(value);
}

/* Pairs, as a tuple. */
static int
check_secret(PyObject *secret)
{
    Py_ssize_t count = secret == NULL ? 0 : PyTuple_GET_SIZE(secret);

    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *pair = PyTuple_GET_ITEM(secret, i);

        if (!PyTuple_CheckExact(pair) || PyTuple_GET_SIZE(pair) != 2) {
            PyErr_SetString(PyExc_TypeError, "secret holds pairs");
            return -1;
        }
    }
    return 0;
}

static PyObject *
Caller_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"options", "pool",    "derive", "dumps", "secret",
                            "base",    "cookies", "kept",   "types", NULL};
    core_state *st = state_of_type(type);
    PyObject *options, *pool = NULL, *derive_ = NULL, *dumps = NULL;
    PyObject *secret = NULL, *base = NULL, *cookies = NULL, *kept = NULL;
    CallerObject *self;
    int types = 1;

    if (st == NULL
        || !PyArg_ParseTupleAndKeywords(
            args, kwargs, "O!|O$OOO!OOOp:Caller", names, st->options_type,
            &options, &pool, &derive_, &dumps, &PyTuple_Type, &secret, &base,
            &cookies, &kept, &types))
    {
        return NULL;
    }
    if (pool != NULL && pool != Py_None && !Py_IS_TYPE(pool, st->pool_type)) {
        PyErr_SetString(PyExc_TypeError, "pool must be Pool or None");
        return NULL;
    }
    if (check_secret(secret) < 0) {
        return NULL;
    }
    self = (CallerObject *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    self->st = st;
    self->options = (OptionsObject *)Py_NewRef(options);
    self->pool = (PoolObject *)given(pool);
    self->derive = given(derive_);
    self->dumps = given(dumps);
    self->secret = given(secret);
    self->base = given(base);
    self->cookies = given(cookies);
    self->kept = given(kept);
    self->types = types ? 1 : 0;
    return (PyObject *)self;
}

static int
Caller_traverse(PyObject *op, visitproc visit, void *arg)
{
    CallerObject *self = (CallerObject *)op;

    Py_VISIT(Py_TYPE(op));
    Py_VISIT(self->options);
    Py_VISIT(self->pool);
    Py_VISIT(self->derive);
    Py_VISIT(self->dumps);
    Py_VISIT(self->secret);
    Py_VISIT(self->cookies);
    Py_VISIT(self->kept);
    for (unsigned i = 0; i < CALLER_KEPT; i++) {
        Py_VISIT(self->derived[i].timeout);
        Py_VISIT(self->derived[i].ssl);
        Py_VISIT(self->derived[i].options);
    }
    return 0;
}

static int
Caller_clear(PyObject *op)
{
    CallerObject *self = (CallerObject *)op;

    Py_CLEAR(self->derive);
    Py_CLEAR(self->dumps);
    Py_CLEAR(self->secret);
    Py_CLEAR(self->cookies);
    Py_CLEAR(self->kept);
    for (unsigned i = 0; i < CALLER_KEPT; i++) {
        Py_CLEAR(self->derived[i].timeout);
        Py_CLEAR(self->derived[i].ssl);
        Py_CLEAR(self->derived[i].options);
    }
    return 0;
}

static void
Caller_dealloc(PyObject *op)
{
    CallerObject *self = (CallerObject *)op;
    PyTypeObject *type = Py_TYPE(op);

    PyObject_GC_UnTrack(op);
    (void)Caller_clear(op);
    Py_CLEAR(self->options);
    Py_CLEAR(self->pool);
    Py_CLEAR(self->base);
    type->tp_free(op);
    Py_DECREF(type);
}

static PyMethodDef Caller_methods[] = {
    {"fetch", (PyCFunction)(void (*)(void))Caller_fetch, METH_FASTCALL,
     PyDoc_STR("The Fetch for a plain call, else None.")},
     {NULL, NULL, 0, NULL},
};

static PyMemberDef Caller_members[] = {
    {"pool", T_OBJECT, offsetof(CallerObject, pool), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot Caller_slots[] = {
    {Py_tp_doc, (void *)PyDoc_STR("The short way from a call to its Fetch.")},
     {Py_tp_new, Caller_new}, {Py_tp_traverse, Caller_traverse},
     {Py_tp_clear, Caller_clear}, {Py_tp_dealloc, Caller_dealloc},
     {Py_tp_methods, Caller_methods}, {Py_tp_members, Caller_members},
     {0, NULL},
};

static PyType_Spec Caller_spec = {
    .name = "aiofast._core.Caller",
    .basicsize = sizeof(CallerObject),
    .flags =
        Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = Caller_slots,
};

int
caller_type_init(core_state *st)
{
    st->caller_type = (PyTypeObject *)PyType_FromModuleAndSpec(
        st->module, &Caller_spec, NULL);
    return st->caller_type == NULL
               ? -1
               : PyModule_AddType(st->module, st->caller_type);
}
