/* py_transport_tls -- what a transport does about TLS. All but arm() and
 * say_bye() do nothing for one without. */
#ifndef PY_TRANSPORT_TLS_H
#define PY_TRANSPORT_TLS_H

#include "py/py_transport.h"

/* transport_tls_over(transport, protocol, context, server_side,
 * server_hostname, handshake_timeout, shutdown_timeout, waiter, connected): a
 * transport that takes over the stage of |transport| for TLS. |connected|: the
 * protocol has had its connection_made(). */
PyObject *core_transport_tls(PyObject *module, PyObject *const *args,
                             Py_ssize_t count);

/* What the stage says. */
void transport_tls_open(TransportObject *t);
void transport_tls_eof(TransportObject *t);
void transport_tls_fail(TransportObject *t, const aif_err *err);

/* Tells who waits for the handshake that it has failed with |exc|; NULL: that
 * the connection was closed. */
void transport_tls_wake(TransportObject *t, PyObject *exc);

/* Sends close_notify and waits for the peer's. 0 or -1 with an exception. */
int transport_tls_say_bye(TransportObject *t);

/* The one timer: handshake or shutdown, after |seconds|. 0 or -1. */
int transport_tls_arm(TransportObject *t, PyObject *seconds);
void transport_tls_disarm(TransportObject *t);
PyObject *transport_tls_timeout(PyObject *self, PyObject *ignored);

/* Before the stage is closed: no close_notify on the way. */
void transport_tls_abandon(TransportObject *t, aif_stage *stage);

#endif
