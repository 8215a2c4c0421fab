/* py_compat.h -- Python.h, and the few differences between its versions. The
 * only file that looks at PY_VERSION_HEX. */
#ifndef PY_COMPAT_H
#define PY_COMPAT_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <structmember.h>

#if PY_VERSION_HEX >= 0x030d0000
/* What |ref| refers to, a new reference; NULL if it is gone. */
static inline PyObject *
compat_weakref_get(PyObject *ref)
{
    PyObject *obj = NULL;

    (void)PyWeakref_GetRef(ref, &obj);
    return obj;
}
#else
static inline PyObject *
compat_weakref_get(PyObject *ref)
{
    PyObject *obj = PyWeakref_GetObject(ref);

    return obj == Py_None ? NULL : Py_NewRef(obj);
}
#endif

#if PY_VERSION_HEX >= 0x030c0000
/* The exception that is set, normalized, as one owned reference; or NULL. */
#    define compat_take_exception() PyErr_GetRaisedException()
/* Sets |exc|, which is taken over. */
#    define compat_set_exception(exc) PyErr_SetRaisedException(exc)
#else
static inline PyObject *
compat_take_exception(void)
{
    PyObject *type, *value, *tb;

    PyErr_Fetch(&type, &value, &tb);
    if (type == NULL) {
        return NULL;
    }
    PyErr_NormalizeException(&type, &value, &tb);
    if (tb != NULL) {
        (void)PyException_SetTraceback(value, tb);
        Py_DECREF(tb);
    }
    Py_DECREF(type);
    return value;
}

static inline void
compat_set_exception(PyObject *exc)
{
    PyErr_Restore(Py_NewRef((PyObject *)Py_TYPE(exc)), exc,
                  PyException_GetTraceback(exc));
}
#endif

/* Nothing here is the process's but counters, so that each interpreter may
 * have a GIL of its own. That there need be none is not declared: a
 * free-threaded build turns its lock on for this module. */
#if PY_VERSION_HEX >= 0x030c0000
#    define COMPAT_INTERPRETERS                                               \
        {Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED}
#else
#    define COMPAT_INTERPRETERS {0, NULL} /* the end of the list */
#endif

/* Whether a reference count of 1 says that nobody else has an object. */
#ifdef Py_GIL_DISABLED
#    define COMPAT_SOLE_OWNER 0
#else
#    define COMPAT_SOLE_OWNER 1
#endif

/* |bytes|, which nobody else has, will get other content: its hash goes. The
 * member is deprecated, but there is no function for it. */
static inline void
compat_bytes_forget(PyObject *bytes)
{
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
    ((PyBytesObject *)bytes)->ob_shash = -1;
#pragma GCC diagnostic pop
}

/* 1 if _ssl._SSLSocket begins in the way that py_tls_openssl.c describes: so
 * it does in these versions, as their source shows. */
static inline int
compat_knows_sslsocket(void)
{
#if PY_VERSION_HEX < 0x030f0000 && !defined(PYPY_VERSION)                     \
    && !defined(Py_GIL_DISABLED)
    return 1;
#else
    return 0;
#endif
}

/* The context that the calling thread is in, borrowed; NULL for none. There is
 * no function for it; the member has this name in all versions from 3.7 on. */
static inline PyObject *
compat_context(void)
{
    return PyThreadState_Get()->context;
}

#endif
