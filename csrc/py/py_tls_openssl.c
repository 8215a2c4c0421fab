/* py_tls_openssl.c -- the direct engine: an SSLObject's own SSL.
 *
 * ssl has no way to ask for the SSL of its object, so this file reads it out
 * of the object's memory. What it takes for granted, and how it makes sure, in
 * this order; where anything is not so, Python's engine serves, silently:
 *
 * 1. This is CPython 3.11 to 3.14, _ssl is a shared object with a __file__, it
 *    is linked with OpenSSL 1.1.1 or 3 dynamically, and all functions are
 *    found through its own handle: other copies of OpenSSL in the process are
 *    not looked at. The library's version is ssl.OPENSSL_VERSION_NUMBER. (Once
 *    for the process.)
 * 2. The connection is exactly an ssl.SSLObject, and the thing inside is
 *    exactly an _ssl._SSLSocket. A program's own class has a say in each byte.
 * 3. That begins with: the object's head, a weak reference to a socket (NULL
 *    here), the SSL, the context. The context beside the SSL has to be the one
 *    that the object itself names.
 * 4. The SSL names the object as its application data, and has two memory BIOs
 *    as its transport: is it and none other (aif_openssl_is_ours).
 *
 * A context with a message callback is left to Python's engine: what that
 * raises, only _ssl's own methods can raise.
 */
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include "py/py_tls_engine.h"

/* The beginning of PySSLSocket in CPython's Modules/_ssl.c. */
typedef struct sslsocket_head {
    PyObject_HEAD
    PyObject *socket;
    void *ssl;
    PyObject *context;
} sslsocket_head;

/* ---- the library -------------------------------------------------------- */

/* The handle of the module |file|, which is loaded: never closed, as ssl never
 * goes either. */
static void *
handle_of(PyObject *file)
{
    PyObject *path = NULL;
    void *handle = NULL;

    if (PyUnicode_FSConverter(file, &path)) {
        handle = dlopen(PyBytes_AS_STRING(path), RTLD_NOLOAD | RTLD_LAZY);
        Py_DECREF(path);
    }
    return handle;
}

/* |name| of module |from|; NULL without an exception. */
static PyObject *
attribute(PyObject *from, const char *name)
{
    PyObject *value = from == NULL ? NULL : PyObject_GetAttrString(from, name);

    if (value == NULL) {
        PyErr_Clear();
    }
    return value;
}

static int
load(PyObject *module)
{
    PyObject *file = attribute(module, "__file__");
    PyObject *number = attribute(module, "OPENSSL_VERSION_NUMBER");
    PyObject *name = attribute(module, "OPENSSL_VERSION");
    int ok = 0;

    if (file != NULL && number != NULL && name != NULL
        && PyUnicode_Check(name))
    {
        const char *text = PyUnicode_AsUTF8(name);
        unsigned long version = PyLong_AsUnsignedLong(number);
        void *handle = NULL;

        if (text != NULL && strncmp(text, "OpenSSL ", 8) == 0) {
            handle = handle_of(file);
        }
        ok = handle != NULL && !PyErr_Occurred()
             && aif_openssl_load(handle, version) == 0;
    }
    PyErr_Clear();
    Py_XDECREF(file);
    Py_XDECREF(number);
    Py_XDECREF(name);
    return ok;
}

static void
find_out(core_state *st)
{
    const char *wish = getenv("AIOFAST_TLS");
    PyObject *module = NULL, *name = NULL;

    st->tls_direct = -1;
    if (!compat_knows_sslsocket()
        || state_import(&st->ssl_object, "ssl", "SSLObject") < 0)
    {
        PyErr_Clear();
        return;
    }
    name = PyUnicode_FromString("_ssl");
    module = name == NULL ? NULL : PyImport_Import(name);
    Py_XDECREF(name);
    if (module != NULL && load(module)) {
        st->ssl_socket = attribute(module, "_SSLSocket");
    }
    PyErr_Clear();
    Py_XDECREF(module);
    if (st->ssl_socket != NULL) {
        st->tls_direct = wish == NULL || strcmp(wish, "ssl") != 0 ? 1 : -1;
    }
}

/* ---- the object --------------------------------------------------------- */

/* Rules 2 to 4: the SSL of |inner|, or NULL. */
static void *
ssl_of(tls_engine *e, PyObject *inner)
{
    const sslsocket_head *head = (const sslsocket_head *)inner;
    PyObject *context, *callback;
    void *ssl = NULL;

    if ((PyObject *)Py_TYPE(e->ssl) != e->st->ssl_object
        || (PyObject *)Py_TYPE(inner) != e->st->ssl_socket
        || Py_TYPE(inner)->tp_basicsize < (Py_ssize_t)sizeof(*head))
    {
        return NULL;
    }
    context = attribute(inner, "context");
    callback = attribute(context, "_msg_callback");
    if (callback == Py_None && head->socket == NULL && head->context == context
        && head->ssl != NULL && aif_openssl_is_ours(head->ssl, inner))
    {
        ssl = head->ssl;
    }
    Py_XDECREF(callback);
    Py_XDECREF(context);
    return ssl;
}

/* ---- failures ----------------------------------------------------------- */

/* OpenSSL's error queue tells why the last call failed, and |method|, which
 * fails at once for the same reason, raises that. */
static void
explain(tls_engine *e, const char *method, PyObject *arg)
{
    PyObject *res = NULL, *kind = NULL;

    if (arg != NULL) {
        res = PyObject_CallMethod(e->inner, method, "O", arg);
    }
    if (res != NULL || PyErr_ExceptionMatches(e->st->want_read)) {
        PyErr_Clear();
        if (state_import(&kind, "ssl", "SSLError") == 0) {
            PyErr_SetString(kind, "TLS failed");
        }
        Py_XDECREF(kind);
    }
    Py_XDECREF(res);
    aif_openssl_forget();
    (void)tls_engine_failed(e);
}

static ptrdiff_t
openssl_decrypt(aif_tls_engine *base, char *buf, size_t len)
{
    ptrdiff_t n = aif_openssl_decrypt(base, buf, len);

    if (n == AIF_ETLS) {
        PyObject *one = PyLong_FromLong(1);

        explain(tls_engine_of(base), "read", one);
        Py_XDECREF(one);
    }
    return n;
}

/* With no bytes: nothing may be sent by it. */
static ptrdiff_t
openssl_encrypt(aif_tls_engine *base, const char *data, size_t len)
{
    ptrdiff_t n = aif_openssl_encrypt(base, data, len);

    if (n == AIF_ETLS) {
        explain(tls_engine_of(base), "write",
                tls_engine_of(base)->st->empty_bytes);
    }
    return n;
}

static const aif_tls_ops openssl_ops = {
    .handshake = tls_engine_handshake,
    .space = aif_openssl_space,
    .spare = aif_openssl_spare,
    .feed = aif_openssl_feed,
    .settle = aif_openssl_settle,
    .feed_eof = aif_openssl_feed_eof,
    .has_record = aif_openssl_has_record,
    .has_part = aif_openssl_has_part,
    .decrypt = openssl_decrypt,
    .encrypt = openssl_encrypt,
    .goodbye = aif_openssl_goodbye,
    .collect = aif_openssl_collect,
    .sent = aif_openssl_sent,
    .blame = tls_engine_blame,
    .release = tls_engine_free,
};

/* ---- the choice --------------------------------------------------------- */

int
tls_openssl_try(tls_engine *e, aif_loop *loop)
{
    PyObject *inner;
    void *ssl;

    if (e->st->tls_direct == 0) {
        find_out(e->st);
    }
    if (e->st->tls_direct < 0 || e->st->tls_python) {
        return 0;
    }
    inner = attribute(e->ssl, "_sslobj");
    ssl = inner == NULL ? NULL : ssl_of(e, inner);
    if (ssl == NULL) {
        Py_XDECREF(inner);
        return 0;
    }
    e->inner = inner;
    if (aif_openssl_attach(&e->direct, loop, ssl) < 0) {
        return -1;
    }
    e->direct.engine.ops = &openssl_ops;
    /* The SSL has let go of them. */
    Py_CLEAR(e->incoming);
    Py_CLEAR(e->outgoing);
    return 1;
}

PyObject *
core_tls_engine(PyObject *module, PyObject *args)
{
    core_state *st = state_of_module(module);
    const char *name = NULL;

    if (!PyArg_ParseTuple(args, "|z:tls_engine", &name)) {
        return NULL;
    }
    if (st->tls_direct == 0) {
        find_out(st);
    }
    if (name != NULL) {
        st->tls_python = strcmp(name, "ssl") == 0;
    }
    return PyUnicode_FromString(
        st->tls_direct > 0 && !st->tls_python ? "openssl" : "ssl");
}
