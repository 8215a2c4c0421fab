/* py_tls.c -- the TLS stage of a context: its SSLObject, and the engine.
 *
 * The SSLObject is always made by the context, and always does the handshake:
 * names, certificates, callbacks, sessions and errors are those of ssl.
 */
#include "py/py_tls.h"

#include "base/aif_mem.h"
#include "net/aif_tls.h"
#include "py/py_tls_engine.h"

/* ---- what both engines do ----------------------------------------------- */

static HostObject *
host_of(const tls_engine *e)
{
    return e->direct.engine.loop->user;
}

int
tls_engine_failed(tls_engine *e)
{
    if (!host_keep_interrupt(host_of(e))) {
        Py_XSETREF(e->failure, compat_take_exception());
    }
    return AIF_ETLS;
}

int
tls_engine_is_want_read(tls_engine *e)
{
    if (PyErr_ExceptionMatches(e->st->want_read)) {
        PyErr_Clear();
        return 1;
    }
    return 0;
}

int
tls_engine_handshake(aif_tls_engine *base)
{
    tls_engine *e = tls_engine_of(base);
    PyObject *res = PyObject_CallMethodNoArgs(e->ssl, e->st->str_do_handshake);

    if (res == NULL) {
        return tls_engine_is_want_read(e) ? 0 : tls_engine_failed(e);
    }
    Py_DECREF(res);
    return 1;
}

/* Parked while the failure goes up, so that whoever ends the work can take it.
 */
void
tls_engine_blame(aif_tls_engine *base, int code)
{
    tls_engine *e = tls_engine_of(base);

    if (e->failure != NULL) {
        compat_set_exception(e->failure);
        e->failure = NULL;
    }
    host_park(host_of(e), code);
}

void
tls_engine_free(aif_tls_engine *base)
{
    tls_engine *e = tls_engine_of(base);
    PyObject *raised = compat_take_exception();

    if (e->direct.bio != NULL) {
        aif_openssl_detach(&e->direct);
    }
    Py_XDECREF(e->failure);
    Py_XDECREF(e->sending);
    Py_XDECREF(e->inner);
    Py_XDECREF(e->ssl);
    Py_XDECREF(e->incoming);
    Py_XDECREF(e->outgoing);
    aif_mem_free(e);
    if (raised != NULL) {
        compat_set_exception(raised);
    }
}

/* ---- the beginning ------------------------------------------------------ */

/* context.wrap_bio(incoming, outgoing, server_side, server_hostname=,
 * session=) */
static PyObject *
wrap(tls_engine *e, PyObject *context, int server_side,
     const char *server_name, PyObject *session)
{
    PyObject *name = server_name == NULL ? Py_NewRef(Py_None)
                                         : PyUnicode_FromString(server_name);
    PyObject *ssl = NULL;

    if (name != NULL) {
        PyObject *args[] = {context,     e->incoming,
                            e->outgoing, server_side ? Py_True : Py_False,
                            name,        session == NULL ? Py_None : session};

        ssl = PyObject_VectorcallMethod(e->st->str_wrap_bio, args, 4,
                                        e->st->kw_wrap);
        Py_DECREF(name);
    }
    return ssl;
}

static tls_engine *
engine_new(core_state *st, aif_loop *loop, PyObject *context, int server_side,
           const char *server_name, PyObject *session)
{
    tls_engine *e = aif_mem_zalloc(sizeof(*e));

    if (e == NULL) {
        return NULL;
    }
    e->st = st;
    e->direct.engine.loop = loop;
    e->direct.engine.ops = &tls_object_ops;
    e->offered = session != NULL;
    if (state_import(&st->memory_bio, "ssl", "MemoryBIO") == 0
        && state_import(&st->want_read, "ssl", "SSLWantReadError") == 0)
    {
        e->incoming = PyObject_CallNoArgs(st->memory_bio);
        e->outgoing = PyObject_CallNoArgs(st->memory_bio);
    }
    if (e->incoming != NULL && e->outgoing != NULL) {
        e->ssl = wrap(e, context, server_side, server_name, session);
    }
    if (e->ssl == NULL) {
        (void)tls_engine_failed(e);
        tls_engine_blame(&e->direct.engine, AIF_ETLS);
        tls_engine_free(&e->direct.engine);
        return NULL;
    }
    return e;
}

static aif_stage *
stage_new(core_state *st, aif_stage *below, PyObject *context, int server_side,
          const char *server_name, PyObject *session, aif_err *err)
{
    tls_engine *e = engine_new(st, below->loop, context, server_side,
                               server_name, session);
    aif_stage *stage = NULL;

    if (e != NULL && tls_openssl_try(e, below->loop) >= 0) {
        stage = aif_tls_new(below, &e->direct.engine);
    }
    if (e != NULL && stage == NULL) {
        tls_engine_free(&e->direct.engine);
    }
    if (stage == NULL) {
        aif_err_set(err, e == NULL ? AIF_ETLS : AIF_ENOMEM,
                    e == NULL ? "TLS could not be set up" : "out of memory");
    }
    return stage;
}

aif_stage *
tls_new(core_state *st, aif_stage *below, PyObject *context,
        const char *server_name, PyObject *session, aif_err *err)
{
    return stage_new(st, below, context, 0, server_name, session, err);
}

aif_stage *
tls_new_server(core_state *st, aif_stage *below, PyObject *context,
               aif_err *err)
{
    return stage_new(st, below, context, 1, NULL, NULL, err);
}

/* ---- what is known of it ------------------------------------------------ */

static tls_engine *
engine_of(aif_stage *stage)
{
    return tls_engine_of(aif_tls_engine_of(stage));
}

PyObject *
tls_object(aif_stage *stage)
{
    return engine_of(stage)->ssl;
}

int
tls_resumption(aif_stage *stage)
{
    tls_engine *e = engine_of(stage);
    PyObject *resumed;
    int is;

    if (!e->offered) {
        return 0;
    }
    resumed = PyObject_GetAttrString(e->ssl, "session_reused");
    if (resumed == NULL) {
        host_swallow(host_of(e));
    }
    is = resumed == Py_True;
    Py_XDECREF(resumed);
    return is ? 1 : -1;
}

PyObject *
tls_session_of(core_state *st, PyObject *object)
{
    PyObject *session = PyObject_GetAttr(object, st->str_session);

    if (session == NULL) {
        PyErr_Clear();
    }
    else if (session == Py_None) {
        Py_CLEAR(session);
    }
    return session;
}
