/* py_error -- failures of the core as Python exceptions; the one place where
 * codes become objects. What kind and what words is policy: errors.py. */
#ifndef PY_ERROR_H
#define PY_ERROR_H

#include "client/aif_fetch.h"
#include "http/aif_url.h"
#include "py/py_options.h"

typedef struct error_facts {
    const aif_err *err;
    const char *phase; /* "queued", "dns", ...; NULL: before all */
    const char *limit; /* "total", "max_body", ...; or NULL */
    double limit_value;
    double elapsed;         /* seconds */
    PyObject *method, *url; /* str; borrowed */
    PyObject *cause;        /* exception or NULL; borrowed */
    PyObject *history;      /* tuple; borrowed */
    PyObject *partial;      /* bytes or NULL; borrowed */
    PyObject *context;      /* of TLS, or what makes it; or NULL; borrowed */
    PyObject *face;         /* the class of responses, or NULL; borrowed */
    const char *peer;       /* "" if there was none */
    const char *unix_path;  /* instead of host and port, or NULL */
    int reused;
    int status; /* 0: no head yet */
} error_facts;

/* The exception for |facts|, a new reference; never NULL without an exception
 * being set instead. */
PyObject *error_new(core_state *st, const error_facts *facts);

/* Fills the facts that an ended fetch can tell. */
void error_of_fetch(error_facts *facts, const aif_fetch *f,
                    const OptionsObject *o);

/* Raises for a URL that does not parse. Always NULL. */
PyObject *error_raise_url(core_state *st, PyObject *url, const aif_err *err);

#endif
