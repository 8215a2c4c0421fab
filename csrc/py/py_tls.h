/* py_tls -- the TLS stage: the user's ssl.SSLContext over memory BIOs.
 *
 * Contract and rules: net/aif_stage.h. The handshake starts when reading is
 * first turned on.
 */
#ifndef PY_TLS_H
#define PY_TLS_H

#include "net/aif_stage.h"
#include "py/state.h"

/* A TLS stage over |below|, of which it takes possession on success. |context|
 * is an ssl.SSLContext, |session| an ssl.SSLSession to resume or NULL. NULL
 * with |err| set and the exception parked in |st|. */
aif_stage *tls_new(core_state *st, aif_stage *below, PyObject *context,
                   const char *server_name, PyObject *session, aif_err *err);

/* The session as it is now, a new reference; NULL if there is none. */
PyObject *tls_session(aif_stage *stage);

#endif
