/* py_tls -- TLS stages (net/aif_tls.h) of the user's ssl.SSLContext. The
 * loop's |user| is the HostObject.
 */
#ifndef PY_TLS_H
#define PY_TLS_H

#include "net/aif_stage.h"
#include "py/state.h"

/* A TLS stage over |below|, of which it takes possession on success. |context|
 * is an ssl.SSLContext, |server_name| may be NULL, |session| an ssl.SSLSession
 * to resume or NULL. NULL with |err| set and the exception parked at the host.
 */
aif_stage *tls_new(core_state *st, aif_stage *below, PyObject *context,
                   const char *server_name, PyObject *session, aif_err *err);

/* The same for the server's side. */
aif_stage *tls_new_server(core_state *st, aif_stage *below, PyObject *context,
                          aif_err *err);

/* The ssl.SSLObject of |stage|; borrowed. */
PyObject *tls_object(aif_stage *stage);

/* What became of the session that tls_new() was given: 1 resumed, -1 not, 0
 * if there was none. */
int tls_resumption(aif_stage *stage);

/* The session of |object|, which is an ssl.SSLObject: a new reference, NULL if
 * there is none. Many versions of CPython leak some 5 KiB at each call
 * (gh-116810): not to be called before there is a use for it. */
PyObject *tls_session_of(core_state *st, PyObject *object);

#endif
