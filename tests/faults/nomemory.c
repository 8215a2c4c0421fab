/* nomemory -- a module for tests: the n-th allocation of Python's that one
 * extension asks for fails, and no other.
 *
 * _testcapi.set_nomemory() fails what the interpreter asks for as well, and
 * some versions of it do not survive that. Here the stack says who asks: going
 * outwards, the extension comes before any frame of the interpreter's loop and
 * before any other shared object than Python's own.
 *
 * watch(path)  whose allocations: the extension at |path|, which is loaded
 * arm(n)       the n-th of them from now on fails; 0 for none: they are counted
 * disarm()     (how many were asked for, the code address that asked for the
 *              one that failed, relative to the extension, or None)
 */
#define _GNU_SOURCE
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <dlfcn.h>
#include <link.h>
#include <stdint.h>
#include <unwind.h>

typedef struct range {
    uintptr_t begin, end;
} range;

/* A process has one set of allocators, so this is of the process too. */
static PyMemAllocatorEx under[3];
static range watched, own, python, loops[2];
static unsigned long fail_at, count;
static uintptr_t failed_for;
static int armed, looking;

static int
in(const range *r, uintptr_t pc)
{
    return pc >= r->begin && pc < r->end;
}

/* ---- who is where ------------------------------------------------------- */

/* One of the two is given. */
typedef struct wanted {
    const char *path;
    uintptr_t address;
    range *found;
} wanted;

static int
each_object(struct dl_phdr_info *info, size_t size, void *arg)
{
    wanted *w = arg;
    range r = {UINTPTR_MAX, 0};

    (void)size;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &info->dlpi_phdr[i];
        uintptr_t begin = info->dlpi_addr + part->p_vaddr;

        if (part->p_type != PT_LOAD) {
            continue;
        }
        r.begin = begin < r.begin ? begin : r.begin;
        r.end = begin + part->p_memsz > r.end ? begin + part->p_memsz : r.end;
    }
    if (w->path != NULL ? strcmp(info->dlpi_name, w->path) != 0
                        : !in(&r, w->address))
    {
        return 0;
    }
    *w->found = r;
    return 1;
}

/* The shared object at |path|, or else the one that |address| lies in: 0, or
 * -1 if there is none. */
static int
find_object(const char *path, uintptr_t address, range *found)
{
    wanted w = {path, address, found};

    return dl_iterate_phdr(each_object, &w) == 1 ? 0 : -1;
}

static int
find_function(const char *name, range *found)
{
    void *address = dlsym(RTLD_DEFAULT, name);
    ElfW(Sym) *symbol = NULL;
    Dl_info info;

    if (address == NULL
        || !dladdr1(address, &info, (void **)&symbol, RTLD_DL_SYMENT)
        || symbol == NULL)
    {
        return -1;
    }
    found->begin = (uintptr_t)info.dli_saddr;
    found->end = found->begin + symbol->st_size;
    return 0;
}

/* ---- who asks ----------------------------------------------------------- */

static _Unwind_Reason_Code
each_frame(struct _Unwind_Context *context, void *arg)
{
    uintptr_t pc = (uintptr_t)_Unwind_GetIP(context) - 1;
    uintptr_t *asks = arg;

    if (in(&watched, pc)) {
        *asks = pc;
        return _URC_END_OF_STACK;
    }
    if (in(&loops[0], pc) || in(&loops[1], pc)) {
        return _URC_END_OF_STACK;
    }
    if (in(&own, pc) || in(&python, pc)) {
        return _URC_NO_REASON;
    }
    return _URC_END_OF_STACK;
}

static int
must_fail(void)
{
    uintptr_t asks = 0;

    if (!armed || looking) {
        return 0;
    }
    looking = 1; /* Unwinding may allocate. */
    (void)_Unwind_Backtrace(each_frame, &asks);
    looking = 0;
    if (asks == 0) {
        return 0;
    }
    count++;
    if (count != fail_at) {
        return 0;
    }
    failed_for = asks - watched.begin;
    return 1;
}

static void *
fail_malloc(void *ctx, size_t size)
{
    PyMemAllocatorEx *a = ctx;

    return must_fail() ? NULL : a->malloc(a->ctx, size);
}

static void *
fail_calloc(void *ctx, size_t n, size_t size)
{
    PyMemAllocatorEx *a = ctx;

    return must_fail() ? NULL : a->calloc(a->ctx, n, size);
}

static void *
fail_realloc(void *ctx, void *ptr, size_t size)
{
    PyMemAllocatorEx *a = ctx;

    return must_fail() ? NULL : a->realloc(a->ctx, ptr, size);
}

static void
pass_free(void *ctx, void *ptr)
{
    PyMemAllocatorEx *a = ctx;

    a->free(a->ctx, ptr);
}

/* ---- the module --------------------------------------------------------- */

static PyObject *
nomemory_watch(PyObject *Py_UNUSED(module), PyObject *arg)
{
    const char *path = PyUnicode_AsUTF8(arg);

    if (path == NULL) {
        return NULL;
    }
    if (find_object(path, 0, &watched) < 0
        || find_object(NULL, (uintptr_t)nomemory_watch, &own) < 0
        || find_object(NULL, (uintptr_t)PyObject_Malloc, &python) < 0
        || find_function("_PyEval_EvalFrameDefault", &loops[0]) < 0)
    {
        PyErr_SetString(PyExc_RuntimeError, "this process is not understood");
        return NULL;
    }
    (void)find_function("_PyEval_Vector", &loops[1]);
    Py_RETURN_NONE;
}

static PyObject *
nomemory_arm(PyObject *Py_UNUSED(module), PyObject *arg)
{
    unsigned long n = PyLong_AsUnsignedLong(arg);

    if (n == (unsigned long)-1 && PyErr_Occurred()) {
        return NULL;
    }
    for (int i = 0; i < 3 && under[i].malloc == NULL; i++) {
        PyMemAllocatorEx over = {&under[i], fail_malloc, fail_calloc,
                                 fail_realloc, pass_free};

        PyMem_GetAllocator((PyMemAllocatorDomain)i, &under[i]);
        PyMem_SetAllocator((PyMemAllocatorDomain)i, &over);
    }
    fail_at = n;
    count = 0;
    failed_for = 0;
    armed = 1;
    Py_RETURN_NONE;
}

static PyObject *
nomemory_disarm(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    armed = 0;
    if (failed_for == 0) {
        return Py_BuildValue("kO", count, Py_None);
    }
    return Py_BuildValue("kK", count, (unsigned long long)failed_for);
}

static PyMethodDef nomemory_methods[] = {
    {"watch", nomemory_watch, METH_O, NULL},
    {"arm", nomemory_arm, METH_O, NULL},
    {"disarm", nomemory_disarm, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef nomemory_module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "nomemory",
    .m_methods = nomemory_methods,
};

PyMODINIT_FUNC
PyInit_nomemory(void)
{
    return PyModule_Create(&nomemory_module);
}
