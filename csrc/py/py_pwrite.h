/* py_pwrite -- writing files without holding the loop up. */
#ifndef PY_PWRITE_H
#define PY_PWRITE_H

#include "py/state.h"

/* The function that writes; signature in _core.pyi. */
PyObject *core_write_file(PyObject *module, PyObject *args);

#endif
