/* py_fetch -- the function that makes requests; signature in _core.pyi. */
#ifndef PY_FETCH_H
#define PY_FETCH_H

#include "py/state.h"

PyObject *core_fetch(PyObject *module, PyObject *const *args,
                     Py_ssize_t nargs);

#endif
