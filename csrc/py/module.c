/* module.c -- aiofast._core: its functions and its initialisation. */
#include <stdlib.h>
#include <uv.h>

#include "base/aif_mem.h"
#include "http/aif_decode.h"
#include "http/aif_h1parse.h"
#include "py/py_fetch.h"
#include "py/py_host.h"
#include "py/py_pread.h"
#include "py/py_transport.h"
#include "py/py_transport_tls.h"
#include "py/py_pwrite.h"
#include "py/py_tls_engine.h"
#include "py/py_url.h"
#include "py/py_wait.h"

static PyObject *
core_done(PyObject *module, PyObject *value)
{
    return wait_new_done(state_of_module(module), value);
}

static PyObject *
core_stats(PyObject *module, PyObject *Py_UNUSED(ignored))
{
    HostObject *h = host_find(state_of_module(module));
    unsigned handles = 0, lookups = 0, fetches = 0, bodies = 0;

    if (h != NULL) {
        handles = h->core->handles;
        lookups = h->core->lookups;
        fetches = h->fetches;
        bodies = h->bodies;
    }
    return Py_BuildValue("{s:I,s:I,s:I,s:I,s:l}", "handles", handles,
                         "lookups", lookups, "fetches", fetches, "bodies",
                         bodies, "allocations", aif_mem_live());
}

/* See PayloadRegistry.register(). */
static PyObject *
core_data_registered(PyObject *module, PyObject *Py_UNUSED(ignored))
{
    state_of_module(module)->data_registered = 1;
    Py_RETURN_NONE;
}

static PyObject *
core_close_loop(PyObject *module, PyObject *Py_UNUSED(ignored))
{
    HostObject *h = host_find(state_of_module(module));

    if (h != NULL && host_end(h) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

/* clang-format off */
static PyMethodDef core_methods[] = {
    {"fetch", (PyCFunction)(void (*)(void))core_fetch, METH_FASTCALL,
     PyDoc_STR("Make a Fetch.")},
    {"read_file", core_read_file, METH_VARARGS,
     PyDoc_STR("Read part of a file off the loop's thread.")},
    {"write_file", core_write_file, METH_VARARGS,
     PyDoc_STR("Write to a file off the loop's thread.")},
    {"done", core_done, METH_O, PyDoc_STR("A Wait that is done.")},
    {"transport_new", (PyCFunction)(void (*)(void))core_transport_new,
     METH_FASTCALL, PyDoc_STR("A transport over a connected socket.")},
    {"transport_tls", (PyCFunction)(void (*)(void))core_transport_tls,
     METH_FASTCALL, PyDoc_STR("A transport with TLS over another's.")},
    {"url_join", (PyCFunction)(void (*)(void))core_url_join,
     METH_FASTCALL,
     PyDoc_STR("Resolve a reference against a URL (RFC 3986 5.2).")},
    {"url_origin", core_url_origin, METH_O,
     PyDoc_STR("(scheme, host, port) of a URL.")},
    {"quote_query", core_quote_query, METH_O,
     PyDoc_STR("A key or a value of a query, escaped.")},
    {"data_registered", core_data_registered, METH_NOARGS,
     PyDoc_STR("Leave data to Python from now on.")},
    {"stats", core_stats, METH_NOARGS,
     PyDoc_STR("Counters of the running loop's engine.")},
    {"parse_url", core_parse_url, METH_O,
     PyDoc_STR("parse_url($module, url, /)\n--\n\nSplit a URL.")},
    {"tls_engine", core_tls_engine, METH_VARARGS,
     PyDoc_STR("Which TLS engine connections get from here on.")},
    {"close_loop", core_close_loop, METH_NOARGS,
     PyDoc_STR("End the running loop's engine.")},
    {NULL, NULL, 0, NULL},
};
/* clang-format on */

/* libuv looks names up in half of its threads, by default two: too few for who
 * asks a hundred hosts. It reads the number once, at the first lookup of the
 * process; a number that the user has set stands. */
static void
allow_lookups(void)
{
    (void)setenv("UV_THREADPOOL_SIZE", "32", 0);
}

/* The GNU C library gives the end of its heap back to the kernel as soon as
 * 128 KiB are free there, and maps larger blocks one by one: then each body of
 * 100 KiB is paid once more in page faults, which were more than half of its
 * cost. Both limits follow the largest block that was ever mapped and freed,
 * so one is; nobody touches it. */
#define REUSED ((size_t)2 * 1024 * 1024)

static void
allow_reuse(void)
{
    aif_mem_free(aif_mem_alloc(REUSED));
}

static int
core_exec(PyObject *module)
{
    core_state *st = state_of_module(module);
    PyObject *versions;
    int rc;

    allow_lookups();
    allow_reuse();
    if (state_init(st, module) < 0 || host_watch_forks(st) < 0) {
        return -1;
    }
    if (PyModule_AddStringConstant(module, "ACCEPT_ENCODING",
                                   aif_decode_accept())
        < 0)
    {
        return -1;
    }
    versions = Py_BuildValue("{s:s,s:s}", "libuv", uv_version_string(),
                             "llhttp", aif_h1parse_version());
    if (versions == NULL) {
        return -1;
    }
    rc = PyModule_AddObjectRef(module, "VERSIONS", versions);
    Py_DECREF(versions);
    return rc;
}

static int
core_traverse(PyObject *module, visitproc visit, void *arg)
{
    return state_traverse(state_of_module(module), visit, arg);
}

static int
core_clear(PyObject *module)
{
    state_clear(state_of_module(module));
    return 0;
}

static void
core_free(void *module)
{
    core_state *st = state_of_module(module);

    if (st->hosts.next != NULL) {
        host_reap(st);
    }
    (void)core_clear(module);
}

static PyModuleDef_Slot core_slots[] = {
    {Py_mod_exec, core_exec},
    COMPAT_INTERPRETERS,
    {0, NULL},
};

PyModuleDef aiofast_core_module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "aiofast._core",
    .m_doc = PyDoc_STR("The C engine of aiofast; private."),
                       .m_size = sizeof(core_state), .m_methods = core_methods,
                       .m_slots = core_slots, .m_traverse = core_traverse,
                       .m_clear = core_clear, .m_free = core_free,
    };

PyMODINIT_FUNC
PyInit__core(void)
{
    return PyModuleDef_Init(&aiofast_core_module);
}
