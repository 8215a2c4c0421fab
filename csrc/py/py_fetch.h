/* py_fetch -- one request and its redirects, awaited. py_fetch.c has the type,
 * py_fetch_hop.c what it does.
 */
#ifndef PY_FETCH_H
#define PY_FETCH_H

#include "py/py_interim.h"
#include "py/py_pool.h"
#include "py/py_response.h"
#include "py/py_upload.h"
#include "py/py_wait.h"

/* Phases that ended since the last drain; a hop has at most this many. */
#define MAX_EVENTS (AIF_PHASE_DONE + 4)

typedef struct FetchObject {
    WaitObject wait;
    OptionsObject *options;
    PoolObject *pool; /* NULL: the loop's own, filled in at the start */
    PyObject *method, *url, *query, *headers, *body;
    Py_buffer view;       /* of |body| */
    UploadObject *upload; /* or what sends it in pieces; of the present hop */
    PyObject *context;    /* for that, of who started; NULL before */
    PyObject *history;    /* tuple */
    PyObject *trace;      /* callable or NULL */
    PyObject *cause;      /* what TLS said when it failed */
    PyObject *place;   /* the stack of who started it, in debug mode; NULL */
    interim *interims; /* owned; of the present hop */
    aif_fetch *fetch;  /* owned; the present hop, or the failed one */
    ResponseObject *response;
    uint64_t started; /* ns; 0 before the first hop */
    uint64_t total_due;
    long redirects;
    int code;           /* of the end */
    unsigned ended : 1; /* the hop is over, see |code| and |response| */
    unsigned ask : 1;   /* policy has a say */
    unsigned running : 1;
    unsigned entered : 1; /* by `async with` */
    unsigned dns_cached : 1;
    unsigned event_count;
    struct {
        aif_phase phase;
        uint64_t at;
    } events[MAX_EVENTS];
} FetchObject;

/* What a Fetch does as a Wait. */
extern const wait_ops fetch_ops;

/* What a Fetch is made of; borrowed. All but the first three may be
 * NULL. */
typedef struct fetch_call {
    OptionsObject *options;
    PyObject *method, *url; /* str */
    PoolObject *pool;
    PyObject *query, *headers, *body, *trace;
    long redirects;
} fetch_call;

/* NULL with an exception. */
PyObject *fetch_new(core_state *st, const fetch_call *call);

/* The function that makes requests; signature in _core.pyi. */
PyObject *core_fetch(PyObject *module, PyObject *const *args,
                     Py_ssize_t nargs);

#endif
