/* py_upload -- the body of one hop, as the coroutine that sends it sees it.
 *
 * The source is a Python object with `length` (None: chunked), `replayable`,
 * `expect` (seconds to wait for 100 (Continue), 0 not to) and
 * `start(upload, context)`, which gives the task that sends the body. It is
 * called in the drain, each time the body is wanted from its beginning, and
 * the task cancelled when nobody takes any more.
 */
#ifndef PY_UPLOAD_H
#define PY_UPLOAD_H

#include "client/aif_upload.h"
#include "py/py_host.h"

typedef struct UploadObject {
    WaitObject wait; /* work of the host; nobody awaits it */
    aif_upload core;
    PyObject *source;
    PyObject *context;  /* of who started the request */
    PyObject *task;     /* the sending coroutine, or NULL */
    WaitObject *writer; /* who waits for the piece to leave, or NULL */
    Py_buffer view;     /* the piece */
    size_t burst;       /* sent without a pause */
    int taken_code;     /* why a file could not be sent; 0 */
    unsigned begin : 1; /* the drain is to start the task */
    unsigned stop : 1;  /* ... to cancel it */
    unsigned ended : 1; /* ... and to let go of all */
    unsigned told : 1;  /* the task knows that nobody takes more */
} UploadObject;

/* For |source|, which is no buffer. NULL with an exception. */
UploadObject *upload_new(core_state *st, PyObject *source, PyObject *context);

/* From here on |host| holds |u|, until the fetch is over; upload_disown() says
 * that the fetch was not started after all. */
void upload_own(UploadObject *u, HostObject *host);
void upload_disown(UploadObject *u);

#endif
