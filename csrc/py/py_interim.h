/* py_interim -- informational responses: 100, 102, 103 and other 1xx heads
 * that came in front of a response (RFC 9110 15.2, RFC 8297).
 */
#ifndef PY_INTERIM_H
#define PY_INTERIM_H

#include "http/aif_h1parse.h"
#include "py/py_wait.h"

/* One of them, in the order in which they came. */
typedef struct interim interim;

/* Appends the head in |p|, whose fields it takes. 0 or AIF_ENOMEM. May be
 * called inside the core. */
int interim_add(interim **list, aif_h1parse *p);

/* Frees the list; NULL is allowed. */
void interim_free(interim *list);

/* Calls |function| with (status, headers) for those of |list| that it has not
 * seen. What it raises is reported to the loop of |w|. In the drain. */
void interim_tell(interim *list, WaitObject *w, PyObject *function);

/* A tuple of (status, headers). NULL with an exception. */
PyObject *interim_tuple(core_state *st, const interim *list);

#endif
