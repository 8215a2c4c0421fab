/* aif_openssl -- an engine of aif_tls over OpenSSL's own functions.
 *
 * Whoever makes the connection (its SSL object, with all that a context asks
 * for) hands it over and drives the handshake; from there on the bytes go
 * between it and the stage without anybody else. No header and no library of
 * OpenSSL is needed at build: the functions are looked up at run time, in the
 * very library that made the SSL object.
 *
 * Owner:    an aif_openssl is embedded in the engine of whoever attaches it.
 * Thread:   the loop's, but for aif_openssl_load(), which any may call.
 * Errors:   AIF_ETLS leaves OpenSSL's error queue as it is, so that it can be
 *           told by who knows how; other results leave it empty.
 */
#ifndef AIF_OPENSSL_H
#define AIF_OPENSSL_H

#include "base/aif_buf.h"
#include "net/aif_tls.h"

typedef struct aif_openssl {
    aif_tls_engine engine; /* first member; |ops| is the owner's to set */
    void *ssl;             /* SSL *, borrowed */
    void *bio;             /* BIO *, both ends of it; owned */
    char *block;           /* lent by the loop, to read ciphertext to */
    aif_slice fresh;       /* ciphertext fed and not used, borrowed */
    aif_buf held;          /* ciphertext before it */
    size_t held_at;        /* how much of that is used */
    aif_buf out;           /* ciphertext of ours */
    aif_buf sending;       /* and what the stage has of it */
    unsigned eof : 1;      /* the peer will send no more */
    unsigned rest : 1;     /* OpenSSL may hold a decrypted rest */
} aif_openssl;

/* Looks the functions up in |handle|, which dlopen() gave and which stays
 * open, once for the process: later calls give the first one's result. 0, or
 * UV_ENOTSUP if the library is not OpenSSL 1.1.1 or 3, is not of |version|
 * (OPENSSL_VERSION_NUMBER) or lacks something. */
int aif_openssl_load(void *handle, unsigned long version);

/* 1 if the SSL object |ssl| bears |owner| as its application data and has no
 * transport but two memory BIOs: so it is what it is taken for. Not before
 * aif_openssl_load(). */
int aif_openssl_is_ours(void *ssl, const void *owner);

/* Puts |o| (zeroed) between |ssl|, which stays until aif_openssl_detach(), and
 * the stage. 0 or AIF_ENOMEM. */
int aif_openssl_attach(aif_openssl *o, aif_loop *loop, void *ssl);

/* Takes it out again. Who reads from the SSL object later finds nothing. */
void aif_openssl_detach(aif_openssl *o);

/* Empties OpenSSL's error queue of this thread. */
void aif_openssl_forget(void);

/* The operations of aif_tls_ops that need nobody else. */
void aif_openssl_space(aif_tls_engine *e, char **buf, size_t *len);
void aif_openssl_spare(aif_tls_engine *e);
int aif_openssl_feed(aif_tls_engine *e, const char *data, size_t len);
int aif_openssl_settle(aif_tls_engine *e);
int aif_openssl_feed_eof(aif_tls_engine *e);
int aif_openssl_has_record(aif_tls_engine *e);
int aif_openssl_has_part(aif_tls_engine *e);
ptrdiff_t aif_openssl_decrypt(aif_tls_engine *e, char *buf, size_t len);
ptrdiff_t aif_openssl_encrypt(aif_tls_engine *e, const char *data, size_t len);
int aif_openssl_goodbye(aif_tls_engine *e);
int aif_openssl_collect(aif_tls_engine *e, uv_buf_t *out);
void aif_openssl_sent(aif_tls_engine *e);

#endif
