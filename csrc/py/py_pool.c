/* py_pool.c -- aiofast._core.Pool. */
#include "py/py_pool.h"

#include <arpa/inet.h>
#include <string.h>
#include <sys/un.h>

#include "base/aif_mem.h"
#include "py/py_dial.h"
#include "py/py_tls.h"

/* |user| of the hooks is the core_state, not the PoolObject: an aif_pool may
 * have to outlive that for a moment. */

static void
pool_hook_open(void *user, aif_origin *o)
{
    (void)user;
    Py_XINCREF((PyObject *)o->tls);
}

static void
pool_hook_close(void *user, aif_origin *o)
{
    (void)user;
    Py_XDECREF((PyObject *)o->tls);
    Py_XDECREF((PyObject *)o->session);
    o->session = NULL;
}

/* What an origin keeps is at first the SSLObject of a connection; its session
 * is read when a second connection wants to resume it, and not before: see
 * tls_session_of(). Who is contacted once costs no session. */
static PyObject *
session_to_resume(core_state *st, aif_origin *o)
{
    PyObject *kept = o->session;

    if (kept != NULL && PyObject_HasAttr(kept, st->str_do_handshake)) {
        o->session = tls_session_of(st, kept);
        Py_DECREF(kept);
    }
    return o->session;
}

static aif_stage *
pool_hook_tls(void *user, aif_stage *below, aif_origin *o, aif_err *err)
{
    core_state *st = user;

    return tls_new(st, below, o->tls, o->server_name, session_to_resume(st, o),
                   err);
}

/* A server that does not resume what it was offered is offered it twice. */
#define MAX_IN_VAIN 2u

static void
pool_hook_tls_used(void *user, aif_stage *tls, aif_origin *o)
{
    int resumption = tls_resumption(tls);

    (void)user;
    if (resumption > 0) {
        o->in_vain = 0;
        return;
    }
    if (resumption < 0) {
        o->in_vain++;
        Py_CLEAR(o->session);
    }
    if (o->session == NULL && o->in_vain < MAX_IN_VAIN) {
        o->session = Py_NewRef(tls_object(tls));
    }
}

static const aif_pool_hooks hooks = {
    .dial = dial_begin,
    .dial_cancel = dial_stop,
    .tls_new = pool_hook_tls,
    .tls_used = pool_hook_tls_used,
    .origin_open = pool_hook_open,
    .origin_close = pool_hook_close,
};

void
pool_detach(PoolObject *p)
{
    aif_pool *pool = p->pool;
    HostObject *h = p->host;

    aif_list_unlink(&p->link);
    p->pool = NULL;
    p->host = NULL;
    host_enter(h);
    aif_pool_free(pool);
    host_leave(h);
}

static void
close_now(void *arg)
{
    PoolObject *p = arg;

    if (p->pool != NULL) {
        aif_pool_close(p->pool);
    }
    Py_DECREF(p);
}

/* The rest of a Pool that was dropped while the core was inside: no fetch is
 * left, but connections may be. */
typedef struct leftover {
    aif_pool *pool;
    char *unix_path;
} leftover;

static void
free_leftover(void *arg)
{
    leftover *l = arg;

    aif_pool_free(l->pool);
    aif_mem_free(l->unix_path);
    aif_mem_free(l);
}

/* 1 if it is done later. */
static int
leave_over(PoolObject *p)
{
    leftover *l;

    if (p->host->depth == 0) {
        return 0;
    }
    l = aif_mem_alloc(sizeof(*l));
    if (l == NULL) {
        return 0;
    }
    l->pool = p->pool;
    l->unix_path = p->unix_path;
    if (!host_defer(p->host, free_leftover, l)) {
        aif_mem_free(l);
        return 0;
    }
    /* Nobody dials any more, so that this address is not needed. */
    p->pool->settings.local_addr = NULL;
    aif_list_unlink(&p->link);
    p->unix_path = NULL;
    p->pool = NULL;
    p->host = NULL;
    return 1;
}

int
pool_bind(PoolObject *p, HostObject *h)
{
    if (p->closed) {
        PyErr_SetString(PyExc_RuntimeError, "Connector is closed.");
        return -1;
    }
    if (p->host == h) {
        return 0;
    }
    if (p->host != NULL && p->host->forked && p->host->depth == 0) {
        pool_detach(p); /* Its connections are the parent's. */
    }
    if (p->host != NULL) {
        PyErr_SetString(PyExc_RuntimeError,
                        "this connector serves another event loop that is "
                        "still open; use one session for each loop");
        return -1;
    }
    p->pool = aif_pool_new(h->core, &p->settings, &hooks, p->st);
    if (p->pool == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    p->host = h;
    aif_list_push_tail(&h->pools, &p->link);
    return 0;
}

static PoolObject *
pool_alloc(core_state *st)
{
    PyTypeObject *type = st->pool_type;
    PoolObject *p = (PoolObject *)type->tp_alloc(type, 0);

    if (p != NULL) {
        p->st = st;
        aif_list_init(&p->link);
        p->settings = (aif_pool_settings){
            .limit = 100,
            .keepalive = 15000000000ull,
            .dns_ttl_ms = AIF_RESOLVE_TTL_MS,
            .race_ms = AIF_DIAL_RACE_MS,
        };
    }
    return p;
}

PoolObject *
pool_default(HostObject *h)
{
    if (h->default_pool == NULL) {
        h->default_pool = (PyObject *)pool_alloc(h->st);
    }
    return (PoolObject *)h->default_pool;
}

/* ---- the type ----------------------------------------------------------- */

/* Seconds as a float object to units of 1/|scale| s; None and negative: 0. */
static int
read_seconds(PyObject *value, double scale, double max, uint64_t *out)
{
    double seconds = value == Py_None ? 0 : PyFloat_AsDouble(value);

    if (seconds == -1.0 && PyErr_Occurred()) {
        return -1;
    }
    if (!(seconds > 0)) {
        seconds = 0;
    }
    if (seconds > max) {
        seconds = max;
    }
    *out = (uint64_t)(seconds * scale);
    return 0;
}

/* A limit that nobody reaches is as good as the greatest there is. */
static unsigned
count_of(long long limit)
{
    if (limit < 0) {
        return 0;
    }
    return limit > INT_MAX ? INT_MAX : (unsigned)limit;
}

static int
read_local(PoolObject *p, const char *host, int port)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)&p->local;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&p->local;

    if (port < 0 || port > 65535) {
        PyErr_SetString(PyExc_OverflowError, "local port out of range");
        return -1;
    }
    if (uv_ip4_addr(host, port, v4) != 0 && uv_ip6_addr(host, port, v6) != 0) {
        PyErr_SetString(PyExc_ValueError,
                        "local_addr must be (IP address, port)");
        return -1;
    }
    p->settings.local_addr = (const struct sockaddr *)&p->local;
    return 0;
}

static int
read_unix(PoolObject *p, const char *path, Py_ssize_t len)
{
    p->unix_path = aif_mem_dup(path, (size_t)len);
    if (p->unix_path == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    p->settings.unix_path = p->unix_path;
    return 0;
}

/* Each of them may be NULL, for the default. */
static int
read_durations(aif_pool_settings *s, PyObject *keep, PyObject *ttl,
               PyObject *race)
{
    uint64_t number;

    if (keep != NULL && read_seconds(keep, 1e9, 1e9, &s->keepalive) < 0) {
        return -1;
    }
    if (ttl != NULL) {
        if (read_seconds(ttl, 1e3, 4e6, &number) < 0) {
            return -1;
        }
        s->dns_ttl_ms = (unsigned)number;
    }
    if (race != NULL) {
        if (read_seconds(race, 1e3, 4e6, &number) < 0) {
            return -1;
        }
        s->race_ms = (unsigned)number;
    }
    return 0;
}

static PyObject *
Pool_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"limit",
                            "limit_per_host",
                            "keepalive_timeout",
                            "force_close",
                            "dns_ttl",
                            "family",
                            "local_addr",
                            "unix_path",
                            "race_delay",
                            "allow_private",
                            NULL};
    core_state *st = state_of_type(type);
    long long limit = 100, per_host = 0;
    int force = 0, family = 0, local_port = 0, allow_private = 1;
    PyObject *keep = NULL, *ttl = NULL, *race = NULL, *local = Py_None;
    const char *path = NULL, *local_host = NULL;
    Py_ssize_t path_len = 0;
    PoolObject *p;

    if (st == NULL
        || !PyArg_ParseTupleAndKeywords(args, kwargs, "|$LLOpOiOz#Op:Pool",
                                        names, &limit, &per_host, &keep,
                                        &force, &ttl, &family, &local, &path,
                                        &path_len, &race, &allow_private))
    {
        return NULL;
    }
    p = pool_alloc(st);
    if (p == NULL) {
        return NULL;
    }
    p->settings.limit = count_of(limit);
    p->settings.limit_per_host = count_of(per_host);
    p->settings.force_close = force ? 1 : 0;
    p->settings.family = family;
    p->settings.public_only = allow_private ? 0 : 1;
    if (read_durations(&p->settings, keep, ttl, race) < 0) {
        goto fail;
    }
    if (local != Py_None && !PyTuple_Check(local)) {
        PyErr_SetString(PyExc_TypeError,
                        "local_addr must be a tuple (IP address, port)");
        goto fail;
    }
    if (local != Py_None
        && (!PyArg_ParseTuple(local, "si:local_addr", &local_host, &local_port)
            || read_local(p, local_host, local_port) < 0))
    {
        goto fail;
    }
    if (path != NULL && read_unix(p, path, path_len) < 0) {
        goto fail;
    }
    return (PyObject *)p;

fail:
    Py_DECREF(p);
    return NULL;
}

/* What the origins hold: a context may have callbacks of the program, which
 * lead back here. Whatever closes such a circle can be cleared, a Pool need
 * not. */
static int
Pool_traverse(PyObject *self, visitproc visit, void *arg)
{
    const aif_pool *p = ((PoolObject *)self)->pool;

    Py_VISIT(Py_TYPE(self));
    for (size_t i = 0; p != NULL && i < p->bucket_count; i++) {
        for (aif_origin *o = p->buckets[i]; o != NULL; o = o->next) {
            Py_VISIT((PyObject *)o->tls);
            Py_VISIT((PyObject *)o->session);
        }
    }
    return 0;
}

static void
Pool_dealloc(PyObject *self)
{
    PoolObject *p = (PoolObject *)self;
    PyTypeObject *type = Py_TYPE(self);

    PyObject_GC_UnTrack(self);
    if (p->pool != NULL && !leave_over(p)) {
        PyObject *raised = compat_take_exception();

        pool_detach(p);
        if (raised != NULL) {
            compat_set_exception(raised);
        }
    }
    aif_mem_free(p->unix_path);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyObject *
Pool_close(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    PoolObject *p = (PoolObject *)self;

    HostObject *h = p->host;

    p->closed = 1;
    if (h != NULL) {
        Py_INCREF(p);
        if (!host_defer(h, close_now, p)) {
            host_enter(h);
            close_now(p);
            host_leave(h);
        }
    }
    Py_RETURN_NONE;
}

static PyObject *
Pool_stats(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    static const aif_pool none = {0};
    const aif_pool *p = ((PoolObject *)self)->pool;

    if (p == NULL) {
        p = &none;
    }
    return Py_BuildValue("{s:I,s:I,s:I,s:I,s:I}", "open", p->open, "idle",
                         p->idle_count, "busy", p->busy, "dialing", p->dialing,
                         "waiting", p->waiting);
}

/* One origin: host, port, whether by TLS, its connections that wait, and those
 * that do not. */
static PyObject *
describe_origin(aif_origin *o)
{
    unsigned idle = 0;

    for (aif_list *n = o->idle.next; n != &o->idle; n = n->next) {
        idle++;
    }
    return Py_BuildValue("sHOII", o->host, o->port,
                         o->secure ? Py_True : Py_False, idle, o->open - idle);
}

static PyObject *
Pool_origins(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    const aif_pool *p = ((PoolObject *)self)->pool;
    PyObject *list = PyList_New(0);

    for (size_t i = 0; list != NULL && p != NULL && i < p->bucket_count; i++) {
        for (aif_origin *o = p->buckets[i]; o != NULL; o = o->next) {
            PyObject *row = o->open == 0 ? NULL : describe_origin(o);

            if (row != NULL && PyList_Append(list, row) < 0) {
                Py_CLEAR(list);
            }
            Py_XDECREF(row);
            if (list == NULL || PyErr_Occurred()) {
                Py_XDECREF(list);
                return NULL;
            }
        }
    }
    return list;
}

static PyObject *
Pool_get_closed(PyObject *self, void *Py_UNUSED(closure))
{
    return PyBool_FromLong(((PoolObject *)self)->closed);
}

static PyMethodDef Pool_methods[] = {
    {"close", Pool_close, METH_NOARGS,
     PyDoc_STR("End every fetch and connection now.")},
     {"origins", Pool_origins, METH_NOARGS,
      PyDoc_STR("(host, port, secure, idle, busy) of all that have "
               "connections.")},
      {"stats", Pool_stats, METH_NOARGS,
       PyDoc_STR("Numbers of connections: open, idle, busy, dialing; and of "
               "fetches waiting for one.")},
       {NULL, NULL, 0, NULL},
     };

static PyGetSetDef Pool_getset[] = {
    {"closed", Pool_get_closed, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot Pool_slots[] = {
    {Py_tp_doc,
     (void *)PyDoc_STR("Connections of one loop, kept alive per origin.")},
     {Py_tp_new, Pool_new}, {Py_tp_traverse, Pool_traverse},
     {Py_tp_dealloc, Pool_dealloc}, {Py_tp_methods, Pool_methods},
     {Py_tp_getset, Pool_getset}, {0, NULL},
};

static PyType_Spec Pool_spec = {
    .name = "aiofast._core.Pool",
    .basicsize = sizeof(PoolObject),
    .flags =
        Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = Pool_slots,
};

int
pool_type_init(core_state *st)
{
    st->pool_type =
        (PyTypeObject *)PyType_FromModuleAndSpec(st->module, &Pool_spec, NULL);
    return st->pool_type == NULL ? -1
                                 : PyModule_AddType(st->module, st->pool_type);
}
