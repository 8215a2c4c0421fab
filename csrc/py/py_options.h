/* py_options -- how requests are made: the settings many fetches share. */
#ifndef PY_OPTIONS_H
#define PY_OPTIONS_H

#include "client/aif_fetch.h"
#include "py/state.h"

typedef struct OptionsObject {
    PyObject_HEAD
    core_state *st;
    PyTypeObject *response_class; /* a subclass of ResponseBase */
    PyObject *policy;             /* callable or NULL */
    PyObject *tls_context;        /* SSLContext, a function that gives one, or
                                     NULL */
    PyObject *server_hostname;    /* str or NULL */
    PyObject *informational;      /* callable or NULL */
    PyObject *dialer;             /* callable or NULL */
    aif_header defaults;
    aif_buf lines;           /* the same as lines, if they allow it */
    aif_fetch_limits limits; /* total_due holds a duration here */
    aif_h1parse_limits parse;
    uint64_t max_body;
    unsigned max_ratio;
    size_t high_water; /* of a streamed body; 0: RESPONSE_HIGH_WATER */
    unsigned stream : 1;
    unsigned decompress : 1;
    unsigned on_cookies : 1;
    unsigned on_status : 1;
    unsigned public_only : 1;
    unsigned http10 : 1;
} OptionsObject;

/* The ssl.SSLContext, borrowed; a function is called once and replaced by what
 * it gave. NULL with an exception. */
PyObject *options_context(OptionsObject *o);

/* A limit's value in seconds for messages; 0 if there is none. */
double options_limit(const OptionsObject *o, aif_limit limit);

#endif
