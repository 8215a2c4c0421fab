/* py_fetch -- the module functions that make requests and handle URLs. Their
 * signatures are in _core.pyi. */
#ifndef PY_FETCH_H
#define PY_FETCH_H

#include "py/state.h"

PyObject *core_fetch(PyObject *module, PyObject *const *args,
                     Py_ssize_t nargs);
PyObject *core_url_join(PyObject *module, PyObject *const *args,
                        Py_ssize_t nargs);
PyObject *core_url_origin(PyObject *module, PyObject *text);

#endif
