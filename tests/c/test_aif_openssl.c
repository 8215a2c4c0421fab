/* Tests of the direct engine, with the OpenSSL that is on the machine: our
 * client against a server of OpenSSL's own with memory BIOs, no socket. TLS
 * 1.2 with anonymous keys needs no certificate; TLS 1.3 is what the tests in
 * Python use. */
#include "net/aif_openssl.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include "base/aif_mem.h"
#include "check.h"
#include "net/aif_tls_records.h"

#define RECORD 16384u

/* -- OpenSSL, for the peer ---------------------------------------------- */

static void *handle;

static void *
symbol(const char *name)
{
    void *found = dlsym(handle, name);

    if (found == NULL) {
        (void)printf("OpenSSL has no %s\n", name);
        exit(1);
    }
    return found;
}

typedef void *(*give_pointer)(void);
typedef void *(*pointer_of)(const void *);
typedef int (*number_of)(void *);
typedef unsigned long (*version_of)(void);

static void
take(void *out, const char *name)
{
    void *found = symbol(name);

    memcpy(out, &found, sizeof(found));
}

static struct {
    give_pointer client_method, server_method, memory;
    pointer_of ctx_new, ssl_new, bio_new;
    int (*set_ciphers)(void *ctx, const char *text);
    long (*ctx_ctrl)(void *ctx, int cmd, long n, void *p);
    void (*set_bio)(void *ssl, void *rbio, void *wbio);
    int (*set_app)(void *ssl, int index, void *data);
    void (*set_connect)(void *ssl);
    void (*set_accept)(void *ssl);
    number_of handshake, shutdown, renegotiate;
    int (*get_error)(const void *ssl, int rc);
    int (*read)(void *, void *, int);
    int (*write)(void *, const void *, int);
    int (*bio_read)(void *, void *, int);
    int (*bio_write)(void *, const void *, int);
    void (*ssl_free)(void *ssl);
    void (*ctx_free)(void *ctx);
    unsigned long (*peek_error)(void);
    version_of version;
} o;

static void
take_all(void)
{
    take(&o.client_method, "TLS_client_method");
    take(&o.server_method, "TLS_server_method");
    take(&o.memory, "BIO_s_mem");
    take(&o.ctx_new, "SSL_CTX_new");
    take(&o.ssl_new, "SSL_new");
    take(&o.bio_new, "BIO_new");
    take(&o.set_ciphers, "SSL_CTX_set_cipher_list");
    take(&o.ctx_ctrl, "SSL_CTX_ctrl");
    take(&o.set_bio, "SSL_set_bio");
    take(&o.set_app, "SSL_set_ex_data");
    take(&o.set_connect, "SSL_set_connect_state");
    take(&o.set_accept, "SSL_set_accept_state");
    take(&o.handshake, "SSL_do_handshake");
    take(&o.shutdown, "SSL_shutdown");
    take(&o.renegotiate, "SSL_renegotiate");
    take(&o.get_error, "SSL_get_error");
    take(&o.read, "SSL_read");
    take(&o.write, "SSL_write");
    take(&o.bio_read, "BIO_read");
    take(&o.bio_write, "BIO_write");
    take(&o.ssl_free, "SSL_free");
    take(&o.ctx_free, "SSL_CTX_free");
    take(&o.peek_error, "ERR_peek_error");
    take(&o.version, "OpenSSL_version_num");
}

/* -- Both ends ---------------------------------------------------------- */

typedef struct pair {
    aif_openssl ours;
    void *ctx, *server_ctx, *ssl, *server;
    void *to, *from; /* memory BIOs of the server */
} pair;

static aif_loop loop;

static int
handshake(aif_tls_engine *e)
{
    aif_openssl *ours = (aif_openssl *)(void *)e;
    int rc = o.handshake(ours->ssl);

    return rc == 1 ? 1 : o.get_error(ours->ssl, rc) == 2 ? 0 : AIF_ETLS;
}

static const aif_tls_ops ops = {.handshake = handshake};

static void *
context(void *method)
{
    void *ctx = o.ctx_new(method);

    CHECK(ctx != NULL);
    CHECK(o.ctx_ctrl(ctx, 124, 0x0303, NULL)); /* at most TLS 1.2 */
    CHECK(o.set_ciphers(ctx, "aNULL:@SECLEVEL=0"));
    CHECK(o.ctx_ctrl(ctx, 33, 0x10, NULL)); /* RELEASE_BUFFERS, as ssl has */
    CHECK(o.ctx_ctrl(ctx, 33, 2, NULL));    /* MOVING_WRITE_BUFFER, likewise */
    return ctx;
}

/* What our side has made goes to the server. */
static size_t
carry_out(pair *p)
{
    aif_tls_engine *e = &p->ours.engine;
    size_t total = 0;
    uv_buf_t out;

    while (aif_openssl_collect(e, &out) == 1) {
        CHECK_EQ_INT(o.bio_write(p->to, out.base, (int)out.len),
                     (long long)out.len);
        total += out.len;
        aif_openssl_sent(e);
    }
    return total;
}

/* What the server has made comes to us, |step| bytes at a time; |use| is asked
 * to use it. */
static size_t
carry_in(pair *p, size_t step, void (*use)(pair *p))
{
    char some[4096];
    size_t total = 0;
    int n;

    while ((n = o.bio_read(p->from, some, (int)step)) > 0) {
        char *copy = check_copy(some, (size_t)n);

        CHECK_EQ_INT(aif_openssl_feed(&p->ours.engine, copy, (size_t)n), 0);
        if (use != NULL) {
            use(p);
        }
        CHECK_EQ_INT(aif_openssl_settle(&p->ours.engine), 0);
        free(copy);
        total += (size_t)n;
    }
    return total;
}

static void
shake(pair *p)
{
    int ours = 0, theirs = 0;

    for (int i = 0; i < 20 && !(ours && theirs); i++) {
        if (!ours) {
            ours = handshake(&p->ours.engine);
        }
        (void)carry_out(p);
        if (!theirs) {
            theirs = o.handshake(p->server) == 1;
        }
        (void)carry_in(p, 4096, NULL);
    }
    CHECK_EQ_INT(ours, 1);
    CHECK(theirs);
}

static void
make(pair *p)
{
    memset(p, 0, sizeof(*p));
    p->ctx = context(o.client_method());
    p->server_ctx = context(o.server_method());
    p->ssl = o.ssl_new(p->ctx);
    p->server = o.ssl_new(p->server_ctx);
    p->to = o.bio_new(o.memory());
    p->from = o.bio_new(o.memory());
    o.set_bio(p->server, p->to, p->from);
    o.set_accept(p->server);
    o.set_bio(p->ssl, o.bio_new(o.memory()), o.bio_new(o.memory()));
    o.set_connect(p->ssl);
    CHECK(o.set_app(p->ssl, 0, p));
    CHECK(aif_openssl_is_ours(p->ssl, p));
    CHECK(!aif_openssl_is_ours(p->ssl, &loop));
    p->ours.engine.ops = &ops;
    CHECK_EQ_INT(aif_openssl_attach(&p->ours, &loop, p->ssl), 0);
    CHECK(!aif_openssl_is_ours(p->ssl, p)); /* no memory BIOs any more */
}

static void
finish(pair *p)
{
    char byte;

    if (p->ours.bio != NULL) {
        aif_openssl_detach(&p->ours);
    }
    /* Who still has the SSL finds nothing, and hurts nobody. */
    CHECK(o.read(p->ssl, &byte, 1) <= 0);
    o.ssl_free(p->ssl);
    o.ssl_free(p->server);
    o.ctx_free(p->ctx);
    o.ctx_free(p->server_ctx);
    aif_openssl_forget();
}

static char sink[4 * RECORD];
static size_t sunk, reads;

static void
use_all(pair *p)
{
    aif_tls_engine *e = &p->ours.engine;

    while (aif_openssl_has_record(e)) {
        ptrdiff_t n = aif_openssl_decrypt(e, sink + sunk, sizeof(sink) - sunk);

        if (n == UV_EAGAIN) {
            continue;
        }
        if (!CHECK(n > 0)) {
            break;
        }
        sunk += (size_t)n;
        reads++;
    }
}

/* -- The tests ---------------------------------------------------------- */

static void
test_both_ways(void)
{
    char data[3 * RECORD], back[3 * RECORD];
    int n, got = 0;
    pair p;

    memset(data, 'q', sizeof(data));
    make(&p);
    shake(&p);
    CHECK(!aif_openssl_has_record(&p.ours.engine));
    CHECK(!aif_openssl_has_part(&p.ours.engine));
    CHECK_EQ_INT(aif_openssl_encrypt(&p.ours.engine, data, sizeof(data)),
                 sizeof(data));
    CHECK(p.ours.out.cap == AIF_BLOCK_SIZE); /* the loop's */
    CHECK(carry_out(&p) > sizeof(data));
    while ((n = o.read(p.server, back, sizeof(back))) > 0) {
        CHECK(memcmp(back, data, (size_t)n) == 0);
        got += n;
    }
    CHECK_EQ_INT(got, sizeof(data));
    /* Byte by byte: no record is asked for before it is whole. */
    for (size_t step = 1; step <= 4096; step *= 16) {
        sunk = reads = 0;
        CHECK_EQ_INT(o.write(p.server, data, 2 * RECORD), 2 * RECORD);
        CHECK(carry_in(&p, step, use_all) > 2 * RECORD);
        CHECK_EQ_INT(sunk, 2 * RECORD);
        CHECK_EQ_INT(reads, 2);
        CHECK(memcmp(sink, data, sunk) == 0);
        CHECK_EQ_INT(p.ours.held.cap, 0);
    }
    finish(&p);
}

static void
test_a_small_space(void)
{
    char data[100], some[30];
    size_t got = 0;
    pair p;

    memset(data, 's', sizeof(data));
    make(&p);
    shake(&p);
    CHECK_EQ_INT(o.write(p.server, data, sizeof(data)), sizeof(data));
    (void)carry_in(&p, 4096, NULL);
    while (aif_openssl_has_record(&p.ours.engine)) {
        ptrdiff_t n = aif_openssl_decrypt(&p.ours.engine, some, sizeof(some));

        if (!CHECK(n > 0)) {
            break;
        }
        got += (size_t)n;
    }
    CHECK_EQ_INT(got, sizeof(data));
    CHECK_EQ_INT(aif_openssl_decrypt(&p.ours.engine, some, 1), UV_EAGAIN);
    finish(&p);
}

/* The slab is where data goes: what comes in it is copied. */
static void
test_the_slab(void)
{
    char *slab = aif_loop_slab(&loop);
    char *block = NULL;
    size_t len = 0;
    pair p;
    int n;

    make(&p);
    shake(&p);
    aif_openssl_space(&p.ours.engine, &block, &len);
    CHECK(block != NULL && block != slab);
    CHECK_EQ_INT(len, AIF_BLOCK_SIZE);
    aif_openssl_spare(&p.ours.engine);
    aif_openssl_spare(&p.ours.engine);
    CHECK_EQ_INT(o.write(p.server, "in the slab", 11), 11);
    n = o.bio_read(p.from, slab, 4096);
    CHECK(n > 11);
    CHECK_EQ_INT(aif_openssl_feed(&p.ours.engine, slab, (size_t)n), 0);
    CHECK_EQ_INT(aif_openssl_decrypt(&p.ours.engine, slab, AIF_SLAB_SIZE), 11);
    CHECK(memcmp(slab, "in the slab", 11) == 0);
    finish(&p);
}

static void
test_the_ends(void)
{
    char byte;
    pair p;

    make(&p);
    shake(&p);
    (void)o.shutdown(p.server);
    (void)carry_in(&p, 4096, NULL);
    CHECK(aif_openssl_has_record(&p.ours.engine));
    CHECK_EQ_INT(aif_openssl_decrypt(&p.ours.engine, &byte, 1), 0);
    CHECK_EQ_INT(aif_openssl_encrypt(&p.ours.engine, "x", 1), 1);
    CHECK_EQ_INT(aif_openssl_goodbye(&p.ours.engine), 1);
    CHECK(carry_out(&p) > 0);
    finish(&p);
    make(&p);
    shake(&p);
    CHECK_EQ_INT(aif_openssl_goodbye(&p.ours.engine), 0);
    CHECK(carry_out(&p) > 0);
    CHECK_EQ_INT(o.read(p.server, &byte, 1), 0);
    CHECK_EQ_INT(o.get_error(p.server, 0), 6); /* ZERO_RETURN */
    CHECK_EQ_INT(aif_openssl_encrypt(&p.ours.engine, "x", 1), AIF_ETLS);
    CHECK(o.peek_error() != 0);
    finish(&p);
    /* An end without close_notify. */
    make(&p);
    shake(&p);
    CHECK_EQ_INT(aif_openssl_feed_eof(&p.ours.engine), 0);
    CHECK_EQ_INT(aif_openssl_decrypt(&p.ours.engine, &byte, 1), AIF_ETLS);
    finish(&p);
}

static void
test_broken_records(void)
{
    const char rubbish[] = "this is no record";
    char byte;
    pair p;

    make(&p);
    shake(&p);
    CHECK_EQ_INT(
        aif_openssl_feed(&p.ours.engine, rubbish, sizeof(rubbish) - 1), 0);
    CHECK(aif_openssl_has_record(&p.ours.engine));
    CHECK_EQ_INT(aif_openssl_decrypt(&p.ours.engine, &byte, 1), AIF_ETLS);
    CHECK(o.peek_error() != 0); /* it tells why */
    CHECK(carry_out(&p) > 0);   /* the alert */
    finish(&p);
    /* What others left in the queue is no failure of ours. */
    make(&p);
    shake(&p);
    CHECK_EQ_INT(o.set_ciphers(p.ctx, "no such cipher"), 0);
    CHECK(o.peek_error() != 0);
    CHECK_EQ_INT(aif_openssl_decrypt(&p.ours.engine, &byte, 1), UV_EAGAIN);
    CHECK_EQ_INT(o.set_ciphers(p.ctx, "no such cipher"), 0);
    CHECK_EQ_INT(aif_openssl_encrypt(&p.ours.engine, "x", 1), 1);
    finish(&p);
}

static void
test_renegotiation(void)
{
    char back[16];
    size_t i;
    pair p;

    make(&p);
    shake(&p);
    CHECK_EQ_INT(o.renegotiate(p.server), 1);
    (void)o.handshake(p.server); /* HelloRequest */
    sunk = 0;
    for (i = 0; i < 10; i++) {
        (void)carry_in(&p, 4096, use_all);
        if (carry_out(&p) == 0) {
            break;
        }
        (void)o.read(p.server, back, sizeof(back));
    }
    CHECK(i > 1);
    CHECK_EQ_INT(aif_openssl_encrypt(&p.ours.engine, "still", 5), 5);
    (void)carry_out(&p);
    CHECK_EQ_INT(o.read(p.server, back, sizeof(back)), 5);
    finish(&p);
}

static void
test_out_of_memory(void)
{
    pair p;

    make(&p);
    shake(&p);
    while (loop.spare_blocks > 0) {
        aif_mem_free(loop.blocks[--loop.spare_blocks]);
    }
    aif_mem_fail_at(1, 1);
    CHECK_EQ_INT(aif_openssl_feed(&p.ours.engine, "\x17\x03\x03", 3), 0);
    CHECK_EQ_INT(aif_openssl_settle(&p.ours.engine), AIF_ENOMEM);
    CHECK_EQ_INT(aif_openssl_encrypt(&p.ours.engine, "x", 1), AIF_ETLS);
    aif_mem_fail_at(0, 0);
    finish(&p);
}

static void
test_load(void)
{
    /* The first answer stands for the process. */
    CHECK_EQ_INT(aif_openssl_load(handle, o.version()), 0);
    CHECK_EQ_INT(aif_openssl_load(handle, 1), 0);
}

int
main(void)
{
    static const check_test tests[] = {
        CHECK_TEST(test_load),          CHECK_TEST(test_both_ways),
        CHECK_TEST(test_a_small_space), CHECK_TEST(test_the_slab),
        CHECK_TEST(test_the_ends),      CHECK_TEST(test_broken_records),
        CHECK_TEST(test_renegotiation), CHECK_TEST(test_out_of_memory),
    };
    const char *names[] = {"libssl.so.3", "libssl.so.1.1", "libssl.so",
                           "libssl.dylib"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]) && !handle; i++) {
        handle = dlopen(names[i], RTLD_LAZY);
    }
    if (handle == NULL) {
        (void)printf("no OpenSSL here\n");
        return 0;
    }
    take_all();
    if (aif_loop_init(&loop) < 0) {
        return 1;
    }
    (void)aif_loop_slab(&loop);
    for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
        long before = check_failed;

        tests[i].run();
        if (check_failed != before) {
            (void)printf("FAILED %s\n", tests[i].name);
        }
    }
    CHECK_EQ_INT(aif_loop_fini(&loop), 0);
    CHECK_EQ_INT(aif_mem_live(), 0);
    return check_failures();
}
