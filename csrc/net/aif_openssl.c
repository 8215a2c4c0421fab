/* aif_openssl -- records by OpenSSL, called as it is found in the process.
 *
 * The SSL object reads from and writes to one BIO of ours. It reads what the
 * stage was fed, in place, without a copy; it writes to a block that the loop
 * lends, so that a silent connection has no memory here at all.
 *
 * OpenSSL reads a header and then the rest of that record, never ahead. So
 * what stands in front is always the beginning of a record, and whether it is
 * whole can be seen without asking OpenSSL.
 */
#include "net/aif_openssl.h"

#include <dlfcn.h>
#include <pthread.h>
#include <string.h>

#include "base/aif_mem.h"
#include "net/aif_tls_records.h"

/* Constants of OpenSSL's interface, the same in all versions. */
#define BIO_TYPE_MEM_ 1025 /* 1 | BIO_TYPE_SOURCE_SINK */
#define BIO_TYPE_SOURCE_SINK_ 0x0400
#define BIO_CTRL_EOF_ 2
#define BIO_CTRL_PENDING_ 10
#define BIO_CTRL_FLUSH_ 11
#define BIO_CTRL_WPENDING_ 13
#define BIO_FLAGS_READ_ 0x01
#define BIO_FLAGS_WRITE_ 0x02
#define BIO_FLAGS_RWS_ 0x07
#define BIO_FLAGS_SHOULD_RETRY_ 0x08
#define SSL_ERROR_WANT_READ_ 2
#define SSL_ERROR_WANT_WRITE_ 3
#define SSL_ERROR_ZERO_RETURN_ 6
#define SSL_RECEIVED_SHUTDOWN_ 2

/* What is used of OpenSSL. An SSL is a void * here, and so is a BIO. */
typedef struct openssl {
    unsigned long (*OpenSSL_version_num)(void);
    unsigned long (*ERR_peek_error)(void);
    void (*ERR_clear_error)(void);
    void *(*SSL_get_ex_data)(const void *ssl, int index);
    void *(*SSL_get_rbio)(const void *ssl);
    void *(*SSL_get_wbio)(const void *ssl);
    void (*SSL_set_bio)(void *ssl, void *rbio, void *wbio);
    int (*SSL_get_read_ahead)(const void *ssl);
    int (*SSL_read_ex)(void *ssl, void *buf, size_t len, size_t *done);
    int (*SSL_write_ex)(void *ssl, const void *buf, size_t len, size_t *done);
    int (*SSL_get_error)(const void *ssl, int rc);
    int (*SSL_pending)(const void *ssl);
    int (*SSL_shutdown)(void *ssl);
    int (*SSL_get_shutdown)(const void *ssl);
    void *(*BIO_new)(const void *method);
    int (*BIO_free)(void *bio);
    int (*BIO_up_ref)(void *bio);
    int (*BIO_method_type)(const void *bio);
    void (*BIO_set_data)(void *bio, void *data);
    void *(*BIO_get_data)(void *bio);
    void (*BIO_set_init)(void *bio, int init);
    void (*BIO_set_flags)(void *bio, int flags);
    void (*BIO_clear_flags)(void *bio, int flags);
    int (*BIO_get_new_index)(void);
    void *(*BIO_meth_new)(int type, const char *name);
    int (*BIO_meth_set_read)(void *m, int (*fn)(void *, char *, int));
    int (*BIO_meth_set_write)(void *m, int (*fn)(void *, const char *, int));
    int (*BIO_meth_set_ctrl)(void *m, long (*fn)(void *, int, long, void *));
} openssl;

/* One for the process: there is one library that ssl is linked with, and a BIO
 * of ours may outlive whoever made it. */
static pthread_mutex_t load_lock = PTHREAD_MUTEX_INITIALIZER;
static openssl lib;
static void *method; /* BIO_METHOD of ours; never freed */
static int loaded;   /* 0: not yet; 1; or UV_ENOTSUP */

/* -- The BIO ------------------------------------------------------------ */

static aif_openssl *
openssl_of(aif_tls_engine *e)
{
    return (aif_openssl *)(void *)e;
}

static size_t
available(const aif_openssl *o)
{
    return o->held.len - o->held_at + o->fresh.len;
}

static void
use_fresh(aif_openssl *o, size_t n)
{
    o->fresh.ptr += n;
    o->fresh.len -= n;
}

static int
bio_read(void *bio, char *buf, int len)
{
    aif_openssl *o = lib.BIO_get_data(bio);
    size_t n = len > 0 ? (size_t)len : 0;
    size_t held;

    lib.BIO_clear_flags(bio, BIO_FLAGS_RWS_ | BIO_FLAGS_SHOULD_RETRY_);
    if (o == NULL || (available(o) == 0 && !o->eof)) {
        lib.BIO_set_flags(bio, BIO_FLAGS_READ_ | BIO_FLAGS_SHOULD_RETRY_);
        return -1;
    }
    held = o->held.len - o->held_at;
    if (held > 0) {
        n = n < held ? n : held;
        memcpy(buf, o->held.data + o->held_at, n);
        o->held_at += n;
        if (o->held_at == o->held.len) {
            aif_buf_reset(&o->held, 0);
            o->held_at = 0;
        }
    }
    else {
        n = n < o->fresh.len ? n : o->fresh.len;
        if (n > 0) {
            memcpy(buf, o->fresh.ptr, n);
        }
        use_fresh(o, n);
    }
    return (int)n;
}

/* The first bytes of a flight take a block of the loop's. */
static int
bio_write(void *bio, const char *buf, int len)
{
    aif_openssl *o = lib.BIO_get_data(bio);

    lib.BIO_clear_flags(bio, BIO_FLAGS_RWS_ | BIO_FLAGS_SHOULD_RETRY_);
    if (o == NULL) {
        lib.BIO_set_flags(bio, BIO_FLAGS_WRITE_ | BIO_FLAGS_SHOULD_RETRY_);
        return -1;
    }
    if (o->out.data == NULL) {
        o->out.data = aif_loop_take_block(o->engine.loop);
        o->out.cap = o->out.data != NULL ? AIF_BLOCK_SIZE : 0;
    }
    if (len <= 0 || aif_buf_add(&o->out, buf, (size_t)len) < 0) {
        return -1;
    }
    return len;
}

static long
bio_ctrl(void *bio, int command, long number, void *pointer)
{
    aif_openssl *o = lib.BIO_get_data(bio);

    (void)number;
    (void)pointer;
    switch (command) {
    case BIO_CTRL_FLUSH_:
        return 1;
    case BIO_CTRL_EOF_:
        return o != NULL && o->eof && available(o) == 0;
    case BIO_CTRL_PENDING_:
        return o == NULL ? 0 : (long)available(o);
    case BIO_CTRL_WPENDING_:
        return o == NULL ? 0 : (long)o->out.len;
    default:
        return 0;
    }
}

/* -- The library -------------------------------------------------------- */

typedef void (*any_function)(void);

static int
look_up(void *handle, const char *name, any_function *out)
{
    void *found = dlsym(handle, name);

    /* C has no cast from an object's pointer to a function's; POSIX says that
     * they have the same representation. */
    memcpy(out, &found, sizeof(found));
    return found == NULL ? UV_ENOTSUP : 0;
}

#define LOOK_UP(name)                                                         \
    do {                                                                      \
        any_function found;                                                   \
        if (look_up(handle, #name, &found) < 0) {                             \
            return UV_ENOTSUP;                                                \
        }                                                                     \
        memcpy(&lib.name, &found, sizeof(found));                             \
    } while (0)

static int
look_up_ssl(void *handle)
{
    LOOK_UP(OpenSSL_version_num);
    LOOK_UP(ERR_peek_error);
    LOOK_UP(ERR_clear_error);
    LOOK_UP(SSL_get_ex_data);
    LOOK_UP(SSL_get_rbio);
    LOOK_UP(SSL_get_wbio);
    LOOK_UP(SSL_set_bio);
    LOOK_UP(SSL_get_read_ahead);
    LOOK_UP(SSL_read_ex);
    LOOK_UP(SSL_write_ex);
    LOOK_UP(SSL_get_error);
    LOOK_UP(SSL_pending);
    LOOK_UP(SSL_shutdown);
    LOOK_UP(SSL_get_shutdown);
    return 0;
}

static int
look_up_bio(void *handle)
{
    LOOK_UP(BIO_new);
    LOOK_UP(BIO_free);
    LOOK_UP(BIO_up_ref);
    LOOK_UP(BIO_method_type);
    LOOK_UP(BIO_set_data);
    LOOK_UP(BIO_get_data);
    LOOK_UP(BIO_set_init);
    LOOK_UP(BIO_set_flags);
    LOOK_UP(BIO_clear_flags);
    LOOK_UP(BIO_get_new_index);
    LOOK_UP(BIO_meth_new);
    LOOK_UP(BIO_meth_set_read);
    LOOK_UP(BIO_meth_set_write);
    LOOK_UP(BIO_meth_set_ctrl);
    return 0;
}

/* LibreSSL calls itself 2.0.0, others call themselves 1.1.1 and lack
 * something; what has proved to behave as this file needs is in the list. */
static int
is_known(unsigned long version)
{
    return (version >> 12) == 0x10101 || (version >> 28) == 3;
}

static int
load(void *handle, unsigned long version)
{
    if (look_up_ssl(handle) < 0 || look_up_bio(handle) < 0
        || lib.OpenSSL_version_num() != version || !is_known(version))
    {
        return UV_ENOTSUP;
    }
    method = lib.BIO_meth_new(lib.BIO_get_new_index() | BIO_TYPE_SOURCE_SINK_,
                              "aiofast");
    if (method == NULL || !lib.BIO_meth_set_read(method, bio_read)
        || !lib.BIO_meth_set_write(method, bio_write)
        || !lib.BIO_meth_set_ctrl(method, bio_ctrl))
    {
        return UV_ENOTSUP;
    }
    return 1;
}

int
aif_openssl_load(void *handle, unsigned long version)
{
    int result;

    (void)pthread_mutex_lock(&load_lock);
    if (loaded == 0) {
        loaded = load(handle, version);
    }
    result = loaded;
    (void)pthread_mutex_unlock(&load_lock);
    return result < 0 ? result : 0;
}

void
aif_openssl_forget(void)
{
    lib.ERR_clear_error();
}

/* Errors of others in this thread would be taken for those of a call of ours.
 */
static void
clear_errors(void)
{
    if (lib.ERR_peek_error() != 0) {
        lib.ERR_clear_error();
    }
}

/* -- Life --------------------------------------------------------------- */

static int
is_memory(void *bio)
{
    return bio != NULL && lib.BIO_method_type(bio) == BIO_TYPE_MEM_;
}

int
aif_openssl_is_ours(void *ssl, const void *owner)
{
    return lib.SSL_get_ex_data(ssl, 0) == owner
           && is_memory(lib.SSL_get_rbio(ssl))
           && is_memory(lib.SSL_get_wbio(ssl))
           && lib.SSL_get_read_ahead(ssl) == 0;
}

int
aif_openssl_attach(aif_openssl *o, aif_loop *loop, void *ssl)
{
    void *bio = lib.BIO_new(method);

    if (bio == NULL) {
        lib.ERR_clear_error();
        return AIF_ENOMEM;
    }
    if (!lib.BIO_up_ref(bio)) {
        (void)lib.BIO_free(bio);
        return AIF_ENOMEM;
    }
    aif_buf_init(&o->held, AIF_MAX_CIPHER);
    aif_buf_init(&o->out, AIF_MAX_CIPHER);
    aif_buf_init(&o->sending, AIF_MAX_CIPHER);
    o->engine.loop = loop;
    o->ssl = ssl;
    o->bio = bio;
    lib.BIO_set_data(bio, o);
    lib.BIO_set_init(bio, 1);
    lib.SSL_set_bio(ssl, bio, bio); /* It takes one reference for both. */
    return 0;
}

/* Gives the memory of |b| to the loop if it is one of its blocks. */
static void
give_back(aif_openssl *o, aif_buf *b)
{
    if (b->cap == AIF_BLOCK_SIZE) {
        aif_loop_give_block(o->engine.loop, b->data);
        b->data = NULL;
    }
    aif_buf_fini(b);
}

void
aif_openssl_detach(aif_openssl *o)
{
    lib.BIO_set_data(o->bio, NULL);
    (void)lib.BIO_free(o->bio);
    o->bio = NULL;
    o->ssl = NULL;
    aif_openssl_spare(&o->engine);
    aif_buf_fini(&o->held);
    give_back(o, &o->out);
    give_back(o, &o->sending);
}

/* -- Ciphertext in ------------------------------------------------------ */

/* Data goes to the slab, so what it is made of has to be elsewhere. */
void
aif_openssl_space(aif_tls_engine *e, char **buf, size_t *len)
{
    aif_openssl *o = openssl_of(e);

    if (o->block == NULL) {
        o->block = aif_loop_take_block(e->loop);
    }
    if (o->block != NULL) {
        *buf = o->block;
        *len = AIF_BLOCK_SIZE;
    }
}

void
aif_openssl_spare(aif_tls_engine *e)
{
    aif_openssl *o = openssl_of(e);

    if (o->block != NULL) {
        aif_loop_give_block(e->loop, o->block);
        o->block = NULL;
    }
}

/* What is used is dropped before more is kept: a buffer that is never quite
 * empty would grow for ever. */
static int
hold(aif_openssl *o, size_t n)
{
    int rc;

    if (o->held_at > 0) {
        o->held.len -= o->held_at;
        memmove(o->held.data, o->held.data + o->held_at, o->held.len);
        o->held_at = 0;
    }
    rc = aif_buf_add(&o->held, o->fresh.ptr, n);
    if (rc == 0) {
        use_fresh(o, n);
    }
    return rc;
}

int
aif_openssl_feed(aif_tls_engine *e, const char *data, size_t len)
{
    aif_openssl *o = openssl_of(e);

    o->fresh.ptr = data;
    o->fresh.len = len;
    /* The slab is where data will go to. */
    return data == e->loop->slab ? hold(o, len) : 0;
}

int
aif_openssl_settle(aif_tls_engine *e)
{
    aif_openssl *o = openssl_of(e);

    return o->fresh.len > 0 ? hold(o, o->fresh.len) : 0;
}

int
aif_openssl_feed_eof(aif_tls_engine *e)
{
    openssl_of(e)->eof = 1;
    return 0;
}

/* Where |len| bytes at |data| begin a record: how many lack of it, 0 if it is
 * whole. */
static size_t
lacks(const char *data, size_t len)
{
    size_t size = AIF_TLS_HEADER;

    if (len >= AIF_TLS_HEADER) {
        size_t body = aif_tls_record_length((const unsigned char *)data);

        size = body == 0 ? 0 : size + body;
    }
    return len < size ? size - len : 0;
}

/* A record that began in what was held is made whole there. */
static int
has_whole(aif_openssl *o)
{
    for (;;) {
        size_t held = o->held.len - o->held_at;
        size_t more = held > 0 ? lacks(o->held.data + o->held_at, held)
                               : lacks(o->fresh.ptr, o->fresh.len);

        if (more == 0) {
            return available(o) > 0;
        }
        if (held == 0 || o->fresh.len == 0) {
            return 0;
        }
        if (hold(o, more < o->fresh.len ? more : o->fresh.len) < 0) {
            return 1; /* Without memory OpenSSL shall have what is there. */
        }
    }
}

int
aif_openssl_has_record(aif_tls_engine *e)
{
    aif_openssl *o = openssl_of(e);

    if (o->rest) {
        o->rest = lib.SSL_pending(o->ssl) > 0;
    }
    return o->rest || has_whole(o);
}

int
aif_openssl_has_part(aif_tls_engine *e)
{
    aif_openssl *o = openssl_of(e);

    return available(o) > 0 && !has_whole(o);
}

/* -- Records ------------------------------------------------------------ */

/* What |rc|, a failure, of the last call stands for. */
static int
failure_of(aif_openssl *o, int rc)
{
    switch (lib.SSL_get_error(o->ssl, rc)) {
    case SSL_ERROR_WANT_READ_:
    case SSL_ERROR_WANT_WRITE_:
        return UV_EAGAIN;
    case SSL_ERROR_ZERO_RETURN_:
        return 0;
    default:
        return AIF_ETLS;
    }
}

ptrdiff_t
aif_openssl_decrypt(aif_tls_engine *e, char *buf, size_t len)
{
    aif_openssl *o = openssl_of(e);
    size_t done = 0;
    int rc;

    clear_errors();
    rc = lib.SSL_read_ex(o->ssl, buf, len, &done);
    if (rc <= 0) {
        o->rest = 0;
        return failure_of(o, rc);
    }
    o->rest = done == len;
    return (ptrdiff_t)done;
}

ptrdiff_t
aif_openssl_encrypt(aif_tls_engine *e, const char *data, size_t len)
{
    aif_openssl *o = openssl_of(e);
    size_t done = 0;
    int rc;

    clear_errors();
    rc = lib.SSL_write_ex(o->ssl, data, len, &done);
    if (rc <= 0) {
        rc = failure_of(o, rc);
        return rc == 0 ? AIF_ETLS : rc;
    }
    return (ptrdiff_t)done;
}

int
aif_openssl_goodbye(aif_tls_engine *e)
{
    aif_openssl *o = openssl_of(e);
    int rc;

    clear_errors();
    rc = lib.SSL_shutdown(o->ssl);
    if (rc < 0) {
        lib.ERR_clear_error();
        return AIF_ETLS;
    }
    return (lib.SSL_get_shutdown(o->ssl) & SSL_RECEIVED_SHUTDOWN_) != 0;
}

/* -- Ciphertext out ----------------------------------------------------- */

int
aif_openssl_collect(aif_tls_engine *e, uv_buf_t *out)
{
    aif_openssl *o = openssl_of(e);

    if (o->out.len == 0) {
        return 0;
    }
    o->sending = o->out;
    aif_buf_init(&o->out, AIF_MAX_CIPHER);
    *out = uv_buf_init(o->sending.data, (unsigned)o->sending.len);
    return 1;
}

void
aif_openssl_sent(aif_tls_engine *e)
{
    give_back(openssl_of(e), &openssl_of(e)->sending);
}
