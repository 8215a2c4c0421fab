/* py_pread -- reading files without holding the loop up. */
#ifndef PY_PREAD_H
#define PY_PREAD_H

#include "py/state.h"

/* The function that reads; signature in _core.pyi. */
PyObject *core_read_file(PyObject *module, PyObject *args);

#endif
