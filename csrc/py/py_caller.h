/* py_caller -- the short way from a call's arguments to a Fetch.
 *
 * A Caller holds what is the same for each call of fetch() or of a session:
 * options, pool, credentials, what writes JSON. It takes arguments of the
 * plain kinds (text, bytes, dicts of text, settings that were seen before) and
 * makes the Fetch without a frame of Python. Whatever else there is, a mistake
 * too, it leaves to the long way in aiofast/fetch.py and session_request.py by
 * giving None: what an argument means, and what is wrong with one, is said
 * there alone. Both ways put the same bytes on the wire.
 */
#ifndef PY_CALLER_H
#define PY_CALLER_H

#include "py/py_options.h"
#include "py/py_pool.h"

/* Settings of single calls that are remembered, by identity. */
#define CALLER_KEPT 4

/* Options for a call that names a timeout, an ssl or both. */
typedef struct caller_derived {
    PyObject *timeout, *ssl; /* NULL where it was not named */
    OptionsObject *options;
} caller_derived;

typedef struct CallerObject {
    PyObject_HEAD
    core_state *st;
    OptionsObject *options;
    PoolObject *pool;  /* NULL: the loop's own */
    PyObject *derive;  /* gives Options for changes; NULL: none here */
    PyObject *dumps;   /* gives JSON as str or bytes; NULL: none here */
    PyObject *secret;  /* tuple of pairs that go along, unless named */
    PyObject *base;    /* str, absolute: what URLs are relative to; NULL */
    PyObject *kept;    /* true if there may be cookies to send; NULL */
    PyObject *cookies; /* gives the headers with them, or None, for a URL */
    caller_derived derived[CALLER_KEPT];
    unsigned next;      /* ... of which this is replaced next */
    unsigned types : 1; /* a body's Content-Type is added if not named */
} CallerObject;

#endif
