/* py_dial -- a connection that the program makes, for the core.
 *
 * The `dialer` of the options is called with a Dial in the drain, each time
 * that a request needs a new connection; it gives the task that makes one.
 * This ends by connected(), aim() or fail(), and is cancelled when nobody
 * wants the connection any more.
 */
#ifndef PY_DIAL_H
#define PY_DIAL_H

#include "client/aif_conn.h"
#include "py/py_host.h"

typedef struct DialObject {
    WaitObject wait;    /* work of the host; nobody awaits it */
    aif_conn *conn;     /* NULL: it has gone on, or nobody wants it */
    PyObject *dialer;   /* to be called; NULL then */
    PyObject *task;     /* that makes the connection; or NULL */
    unsigned begin : 1; /* the drain is to call the dialer */
    unsigned stop : 1;  /* ... to cancel the task */
} DialObject;

/* hooks->dial and ->dial_cancel of a pool. The fetch is one of a FetchObject,
 * its |dialer| a callable. */
int dial_begin(void *user, aif_fetch *f, aif_conn *c, void **out,
               aif_err *err);
void dial_stop(void *user, void *errand);

#endif
