/* py_pread.c -- aiofast._core.read_file(): part of a file, read in libuv's
 * threads.
 *
 * The Wait is the reading: the host holds it while a thread works, and a
 * cancelled one only gives the reader up.
 */
#include "py/py_pread.h"

#include "base/aif_err.h"
#include "net/aif_pread.h"
#include "py/py_host.h"

typedef struct PreadObject {
    WaitObject wait;
    aif_pread *reader; /* owned while under way */
    int fd;
    unsigned long long offset;
    size_t len;
    PyObject *bytes; /* what came; NULL with |code| */
    int code;
} PreadObject;

static PreadObject *
pread_of(WaitObject *w)
{
    return (PreadObject *)(void *)w;
}

static void
on_read(void *user, const char *data, ssize_t n)
{
    PreadObject *self = user;

    if (n >= 0) {
        self->bytes = PyBytes_FromStringAndSize(data, n);
        PyErr_Clear();
    }
    self->code = n < 0 ? (int)n : 0;
    aif_pread_close(self->reader);
    self->reader = NULL;
    wait_finish(&self->wait);
    host_drop(&self->wait);
}

static int
pread_start(WaitObject *w)
{
    PreadObject *self = pread_of(w);
    HostObject *h = w->host;
    int rc = 0;

    self->reader =
        aif_pread_new(h->core, self->fd, self->len, on_read, self, &rc);
    if (self->reader != NULL) {
        host_enter(h);
        rc = aif_pread_start(self->reader, self->offset, self->len);
        host_leave(h);
    }
    if (rc < 0) {
        aif_pread_close(self->reader);
        self->reader = NULL;
        if (rc > AIF_ERR_FIRST) {
            errno = -rc;
            PyErr_SetFromErrno(PyExc_OSError);
        }
        else {
            PyErr_NoMemory();
        }
        return -1;
    }
    host_hold(h, w);
    return 0;
}

static void
pread_stop(WaitObject *w)
{
    PreadObject *self = pread_of(w);

    aif_pread_close(self->reader);
    self->reader = NULL;
    host_drop(w);
}

static int
pread_ready(WaitObject *w)
{
    PreadObject *self = pread_of(w);

    if (self->bytes != NULL) {
        wait_set_result(w, self->bytes);
        Py_CLEAR(self->bytes);
        return 1;
    }
    if (self->code < 0) {
        errno = -self->code;
        PyErr_SetFromErrno(PyExc_OSError);
    }
    else {
        PyErr_NoMemory();
    }
    wait_fail(w);
    return 1;
}

static const wait_ops pread_ops = {
    .start = pread_start,
    .stop = pread_stop,
    .ready = pread_ready,
};

/* ---- the type ----------------------------------------------------------- */

static int
Pread_traverse(PyObject *op, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(op));
    return wait_traverse((WaitObject *)op, visit, arg);
}

static int
Pread_clear(PyObject *op)
{
    PreadObject *self = (PreadObject *)op;

    aif_pread_close(self->reader);
    self->reader = NULL;
    Py_CLEAR(self->bytes);
    wait_clear(&self->wait);
    return 0;
}

static void
Pread_dealloc(PyObject *op)
{
    PyTypeObject *type = Py_TYPE(op);

    PyObject_GC_UnTrack(op);
    if (((WaitObject *)op)->weakrefs != NULL) {
        PyObject_ClearWeakRefs(op);
    }
    (void)Pread_clear(op);
    type->tp_free(op);
    Py_DECREF(type);
}

static PyType_Slot Pread_slots[] = {
    {Py_tp_doc, (void *)PyDoc_STR("A part of a file to come.")},
     {Py_tp_traverse, Pread_traverse}, {Py_tp_clear, Pread_clear},
     {Py_tp_dealloc, Pread_dealloc}, {0, NULL},
};

static PyType_Spec Pread_spec = {
    .name = "aiofast._core.FileRead",
    .basicsize = sizeof(PreadObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE
             | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = Pread_slots,
};

int
pread_type_init(core_state *st)
{
    st->pread_type = (PyTypeObject *)PyType_FromModuleAndSpec(
        st->module, &Pread_spec, (PyObject *)st->wait_type);
    return st->pread_type == NULL
               ? -1
               : PyModule_AddType(st->module, st->pread_type);
}

PyObject *
core_read_file(PyObject *module, PyObject *args)
{
    core_state *st = state_of_module(module);
    unsigned long long offset;
    Py_ssize_t len;
    PreadObject *self;
    int fd;

    if (!PyArg_ParseTuple(args, "iKn:read_file", &fd, &offset, &len)) {
        return NULL;
    }
    if (len <= 0 || len > 1 << 30) {
        PyErr_SetString(PyExc_ValueError, "length must be from 1 to 2**30");
        return NULL;
    }
    self = (PreadObject *)st->pread_type->tp_alloc(st->pread_type, 0);
    if (self != NULL) {
        wait_setup(&self->wait, st, &pread_ops);
        self->fd = fd;
        self->offset = offset;
        self->len = (size_t)len;
    }
    return (PyObject *)self;
}
