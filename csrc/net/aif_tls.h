/* aif_tls -- the TLS stage, over any engine that makes records of bytes and
 * bytes of records.
 *
 * The stage has the order of writes, the states, the ceilings and the ends; an
 * engine has the cryptography and knows nothing of sockets. There are two:
 * OpenSSL's functions (aif_openssl.h), and Python's ssl.SSLObject (py).
 *
 * Contract and rules of the stage: aif_stage.h. The handshake starts when
 * reading is first turned on.
 */
#ifndef AIF_TLS_H
#define AIF_TLS_H

#include "net/aif_stage.h"

typedef struct aif_tls_engine aif_tls_engine;

/* What an engine does. None of these calls the stage, and none is called from
 * inside another. AIF_ETLS stands for a failure whose reason the engine keeps
 * until blame(). "Ciphertext" is what the peer sees, "data" what the user. */
typedef struct aif_tls_ops {
    /* Goes on with it. 1: over; 0: the peer has to speak; AIF_ETLS. */
    int (*handshake)(aif_tls_engine *e);
    /* Where the next ciphertext should be read to; may leave both. NULL: it
     * does not care. */
    void (*space)(aif_tls_engine *e, char **buf, size_t *len);
    /* What space() gave is not needed, or not any more. NULL with space. */
    void (*spare)(aif_tls_engine *e);
    /* Ciphertext of the peer, borrowed until settle(). 0 or a code. */
    int (*feed)(aif_tls_engine *e, const char *data, size_t len);
    /* Keeps what of it was not used. NULL: feed() copies. 0 or a code. */
    int (*settle)(aif_tls_engine *e);
    /* No more will come. 0 or a code. */
    int (*feed_eof)(aif_tls_engine *e);
    /* 1 if decrypt() has a whole record, or a rest of one, to work on. */
    int (*has_record)(aif_tls_engine *e);
    /* 1 if a record has begun to come and is not whole. */
    int (*has_part)(aif_tls_engine *e);
    /* Data into |buf|, at most that of one record. > 0 bytes; 0 the peer's
     * close_notify; UV_EAGAIN no data in what has come; AIF_ETLS. */
    ptrdiff_t (*decrypt)(aif_tls_engine *e, char *buf, size_t len);
    /* Makes ciphertext of |len| > 0 bytes. How many it took; UV_EAGAIN if the
     * peer has to speak first (renegotiation), and then it wants the same
     * bytes, or more, again; AIF_ETLS. */
    ptrdiff_t (*encrypt)(aif_tls_engine *e, const char *data, size_t len);
    /* Makes our close_notify. 1: the peer's was there; 0: not; AIF_ETLS. */
    int (*goodbye)(aif_tls_engine *e);
    /* Takes the ciphertext that was made: 1 and *|out|, which stays until
     * sent(); 0 if there is none; a code. */
    int (*collect)(aif_tls_engine *e, uv_buf_t *out);
    void (*sent)(aif_tls_engine *e);
    /* The last failure is about to be told, as |code|. */
    void (*blame)(aif_tls_engine *e, int code);
    void (*release)(aif_tls_engine *e); /* with all that it keeps */
} aif_tls_ops;

struct aif_tls_engine {
    const aif_tls_ops *ops;
    aif_loop *loop;
};

/* A stage over |below| with |engine|, both of which it takes on success. NULL
 * if there is no memory. */
aif_stage *aif_tls_new(aif_stage *below, aif_tls_engine *engine);

/* Borrowed. */
aif_tls_engine *aif_tls_engine_of(aif_stage *stage);

/* 1 if the peer will say no more: by close_notify, or by its end alone. */
int aif_tls_is_ended(aif_stage *stage);

/* From here on an end without close_notify, which is still told by on_fail and
 * AIF_ETRUNCATED, leaves the stage open for writing, as a half close does. */
void aif_tls_be_mild(aif_stage *stage);

/* From here on nothing is said any more, close_notify neither, by |stage| and
 * TLS stages below it: for one that is about to be closed as an abort. Any
 * stage, or NULL. */
void aif_tls_abandon(aif_stage *stage);

#endif
