/* py_tls_engine -- the two engines of aif_tls that the binding has: what both
 * keep of Python, and who does what.
 *
 * py_tls.c          makes the SSLObject, chooses; the handshake, and failures
 * py_tls_object.c   Python's engine: the SSLObject between two memory BIOs
 * py_tls_openssl.c  the direct one: the SSLObject's own SSL, by aif_openssl
 *
 * In both the handshake is SSLObject.do_handshake(), and what fails is told by
 * the exception that ssl raises. A failure is kept in |failure| until the
 * stage tells of it; one that ends the program goes to the host at once.
 */
#ifndef PY_TLS_ENGINE_H
#define PY_TLS_ENGINE_H

#include "net/aif_openssl.h"
#include "net/aif_tls_records.h"
#include "py/py_host.h"

typedef struct tls_engine {
    aif_openssl direct; /* first: its |engine| is what the stage has */
    core_state *st;
    PyObject *ssl;      /* ssl.SSLObject */
    PyObject *inner;    /* its _ssl._SSLSocket, if the engine is direct */
    PyObject *failure;  /* an exception, or NULL */
    PyObject *incoming; /* ssl.MemoryBIO, ciphertext of the peer */
    PyObject *outgoing; /* ssl.MemoryBIO, ciphertext of ours */
    PyObject *sending;  /* bytes of |outgoing| that are being written */
    aif_tls_records seen;
    unsigned offered : 1; /* a session, to resume */
} tls_engine;

static inline tls_engine *
tls_engine_of(aif_tls_engine *e)
{
    return (tls_engine *)(void *)e;
}

/* ---- py_tls.c ----------------------------------------------------------- */

/* Keeps the exception that is set. AIF_ETLS. */
int tls_engine_failed(tls_engine *e);

/* 1 if the exception that is set is SSLWantReadError, which is cleared. */
int tls_engine_is_want_read(tls_engine *e);

int tls_engine_handshake(aif_tls_engine *base);
void tls_engine_blame(aif_tls_engine *base, int code);
void tls_engine_free(aif_tls_engine *base);

/* ---- py_tls_object.c ---------------------------------------------------- */

extern const aif_tls_ops tls_object_ops;

/* ---- py_tls_openssl.c --------------------------------------------------- */

/* Makes |e| direct if all that this takes is as it must be: 1. 0: it is not;
 * -1: there is no memory. Never with an exception. */
int tls_openssl_try(tls_engine *e, aif_loop *loop);

/* tls_engine(name=None): which engine connections get from here on, "openssl"
 * or "ssl"; |name| chooses, where there is a choice. */
PyObject *core_tls_engine(PyObject *module, PyObject *args);

#endif
