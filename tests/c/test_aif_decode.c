/* Tests of aif_decode: what the libraries' own encoders make is decoded in
 * pieces of every kind; whatever is cut, changed, appended or blown up has to
 * be told from what is whole.
 */
#include "http/aif_decode.h"

#include <brotli/encode.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "base/aif_buf.h"
#include "base/aif_mem.h"
#include "check.h"

#define SPACE (1024u * 1024u)

typedef struct bytes {
    unsigned char data[SPACE];
    size_t len;
} bytes;

typedef struct gathered {
    bytes out;
    size_t total; /* also what did not fit */
    size_t largest;
    size_t calls;
    int code;
    char text[AIF_ERR_TEXT];
} gathered;

static bytes plain;
static bytes coded;
static bytes other;
static gathered got;

/* --- Encoders ----------------------------------------------------------- */

enum { WINDOW_ZLIB = 15, WINDOW_GZIP = 31, WINDOW_RAW = -15 };

static void
zlib_encode(bytes *to, const void *data, size_t len, int window)
{
    z_stream z;

    memset(&z, 0, sizeof(z));
    CHECK(deflateInit2(&z, 6, Z_DEFLATED, window, 8, Z_DEFAULT_STRATEGY)
          == Z_OK);
    z.next_in = (z_const Bytef *)data;
    z.avail_in = (uInt)len;
    z.next_out = to->data + to->len;
    z.avail_out = (uInt)(SPACE - to->len);
    CHECK(deflate(&z, Z_FINISH) == Z_STREAM_END);
    to->len = SPACE - z.avail_out;
    CHECK(deflateEnd(&z) == Z_OK);
}

static void
gzip_encode(bytes *to, const void *data, size_t len)
{
    zlib_encode(to, data, len, WINDOW_GZIP);
}

static void
deflate_encode(bytes *to, const void *data, size_t len)
{
    zlib_encode(to, data, len, WINDOW_ZLIB);
}

static void
raw_encode(bytes *to, const void *data, size_t len)
{
    zlib_encode(to, data, len, WINDOW_RAW);
}

static void
br_encode(bytes *to, const void *data, size_t len)
{
    size_t n = SPACE - to->len;

    CHECK(BrotliEncoderCompress(5, BROTLI_DEFAULT_WINDOW, BROTLI_DEFAULT_MODE,
                                len, data, &n, to->data + to->len));
    to->len += n;
}

static void
zstd_encode(bytes *to, const void *data, size_t len)
{
    const size_t n =
        ZSTD_compress(to->data + to->len, SPACE - to->len, data, len, 3);

    CHECK(!ZSTD_isError(n));
    to->len += n;
}

typedef struct way {
    const char *name;
    void (*encode)(bytes *to, const void *data, size_t len);
    int members; /* several may follow each other */
} way;

static const way ways[] = {
    {"gzip", gzip_encode, 1},       {"x-gzip", gzip_encode, 1},
    {"deflate", deflate_encode, 0}, {"deflate", raw_encode, 0},
    {"br", br_encode, 0},           {"zstd", zstd_encode, 1},
};

#define WAYS (sizeof(ways) / sizeof(ways[0]))

/* --- Decoding ----------------------------------------------------------- */

static void
gather(gathered *g, aif_slice out)
{
    size_t n = out.len;

    CHECK(out.len <= AIF_DECODE_STEP);
    g->calls += out.len > 0;
    g->total += out.len;
    g->largest = out.len > g->largest ? out.len : g->largest;
    if (n > SPACE - g->out.len) {
        n = SPACE - g->out.len;
    }
    memcpy(g->out.data + g->out.len, out.ptr, n);
    g->out.len += n;
}

/* Decodes all |len| bytes, step by step, each out of a block of exactly the
 * size that is left. */
static int
feed(aif_decode *d, const unsigned char *data, size_t len, aif_err *err)
{
    aif_slice out;
    size_t used;
    int rc;

    do {
        char *copy = malloc(len > 0 ? len : 1);

        memcpy(copy, data, len);
        rc = aif_decode_step(d, copy, len, &used, &out, err);
        free(copy);
        CHECK(used <= len);
        data += used;
        len -= used;
        CHECK(rc >= 0 || out.len == 0);
        gather(&got, out);
    } while (rc == 1);
    CHECK(rc < 0 || len == 0);
    return rc;
}

static aif_decode *
new_decode(const char *list)
{
    aif_decode *d = NULL;
    aif_err err;

    aif_err_reset(&err);
    CHECK_EQ_INT(aif_decode_new(&d, list, strlen(list), &err), 0);
    CHECK(d != NULL);
    return d;
}

/* Decodes |len| bytes, |first| and then |step| at a time, each out of a block
 * of exactly its size, and ends the body. The verdict is in |got|. */
static int
decode(const char *list, const unsigned char *data, size_t len, size_t first,
       size_t step)
{
    aif_decode *d = new_decode(list);
    aif_err err;
    size_t at = 0;
    size_t n = first;
    int rc = 0;

    aif_err_reset(&err);
    got.out.len = 0;
    got.total = 0;
    got.largest = 0;
    got.calls = 0;
    while (rc == 0 && at < len) {
        n = n > len - at ? len - at : n;
        rc = feed(d, data + at, n, &err);
        at += n;
        n = step;
    }
    if (rc == 0) {
        rc = aif_decode_end(d, &err);
    }
    else {
        /* An error is final. */
        CHECK_EQ_INT(feed(d, (const unsigned char *)"x", 1, NULL), rc);
        CHECK_EQ_INT(aif_decode_end(d, NULL), rc);
    }
    CHECK_EQ_INT(err.code, rc);
    got.code = rc;
    (void)snprintf(got.text, sizeof(got.text), "%s", err.text);
    aif_decode_free(d);
    return rc;
}

static int
same_as_plain(void)
{
    return got.code == 0 && got.total == plain.len
           && memcmp(got.out.data, plain.data, plain.len) == 0;
}

static void
fill_plain(size_t len, unsigned kinds)
{
    uint32_t x = 12345;
    size_t i;

    for (i = 0; i < len; i++) {
        x = x * 1664525u + 1013904223u;
        plain.data[i] = (unsigned char)('a' + (x >> 24) % kinds);
    }
    plain.len = len;
}

/* --- Tests -------------------------------------------------------------- */

static void
test_round_trips(void)
{
    static const size_t lengths[] = {0, 1, 106, 5000, 70000, 300000};
    size_t i, w;

    for (w = 0; w < WAYS; w++) {
        for (i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
            fill_plain(lengths[i], 17);
            coded.len = 0;
            ways[w].encode(&coded, plain.data, plain.len);
            (void)decode(ways[w].name, coded.data, coded.len, coded.len, 1);
            CHECK(same_as_plain());
            (void)decode(ways[w].name, coded.data, coded.len, 1, 1);
            CHECK(same_as_plain());
            (void)decode(ways[w].name, coded.data, coded.len, 3, 1000);
            CHECK(same_as_plain());
        }
    }
}

/* Cut in two anywhere, the result is the same; cut off anywhere, the body is
 * not whole; with a byte more, it is wrong. */
static void
test_cuts(void)
{
    size_t w, i;

    fill_plain(300, 9);
    for (w = 0; w < WAYS; w++) {
        coded.len = 0;
        ways[w].encode(&coded, plain.data, plain.len);
        for (i = 1; i < coded.len; i++) {
            (void)decode(ways[w].name, coded.data, coded.len, i, SPACE);
            CHECK(same_as_plain());
            CHECK_EQ_INT(decode(ways[w].name, coded.data, i, i, 1),
                         AIF_ETRUNCATED);
            CHECK(strstr(got.text, "inside its") != NULL);
        }
        for (i = 0; i < 256; i++) {
            coded.data[coded.len] = (unsigned char)i;
            CHECK(decode(ways[w].name, coded.data, coded.len + 1, SPACE, 1)
                  < 0);
            CHECK(decode(ways[w].name, coded.data, coded.len + 1, 1, 1) < 0);
        }
    }
}

/* A byte changed: never a crash, and with a checksum never a success that
 * gives other bytes. */
static void
test_changed_bytes(void)
{
    size_t w, i;
    int rc;

    fill_plain(300, 9);
    for (w = 0; w < WAYS; w++) {
        coded.len = 0;
        ways[w].encode(&coded, plain.data, plain.len);
        for (i = 0; i < coded.len; i++) {
            coded.data[i] ^= 0x55;
            rc = decode(ways[w].name, coded.data, coded.len, coded.len, 1);
            if (strstr(ways[w].name, "gzip") != NULL) {
                CHECK(rc < 0 || same_as_plain());
            }
            CHECK_EQ_INT(decode(ways[w].name, coded.data, coded.len, 1, 1),
                         rc);
            coded.data[i] ^= 0x55;
        }
    }
}

static void
test_members(void)
{
    size_t w, i;

    fill_plain(100, 9);
    for (w = 0; w < WAYS; w++) {
        coded.len = 0;
        ways[w].encode(&coded, plain.data, 40);
        ways[w].encode(&coded, plain.data + 40, 0);
        ways[w].encode(&coded, plain.data + 40, 60);
        for (i = 1; i <= coded.len; i++) {
            if (ways[w].members) {
                (void)decode(ways[w].name, coded.data, coded.len, i, 7);
                CHECK(same_as_plain());
            }
            else {
                CHECK_EQ_INT(decode(ways[w].name, coded.data, coded.len, i, 7),
                             AIF_EDECODE);
                CHECK(strstr(got.text, "behind the end") != NULL);
            }
        }
    }
}

static void
test_empty_members(void)
{
    size_t w, n, i;

    fill_plain(10, 9);
    for (w = 0; w < WAYS; w++) {
        for (n = 1000; ways[w].members && n <= 1001; n++) {
            coded.len = 0;
            ways[w].encode(&coded, plain.data, 10);
            for (i = 0; i < n; i++) {
                ways[w].encode(&coded, plain.data, 0);
            }
            (void)decode(ways[w].name, coded.data, coded.len, SPACE, 1);
            CHECK_EQ_INT(got.code, n == 1000 ? 0 : AIF_EDECODE);
            CHECK(n == 1000 || strstr(got.text, "without content") != NULL);
            (void)decode(ways[w].name, coded.data, coded.len, 1, 1);
            CHECK_EQ_INT(got.code, n == 1000 ? 0 : AIF_EDECODE);
        }
    }
    /* Members with content may be any number. */
    coded.len = 0;
    for (i = 0; i < 3000; i++) {
        gzip_encode(&coded, "x", 1);
    }
    CHECK_EQ_INT(decode("gzip", coded.data, coded.len, SPACE, 1), 0);
    CHECK_EQ_INT((int)got.total, 3000);
}

/* Frames to skip hold no content and count as empty (RFC 8878 3.1.2). */
static void
test_skippable_frames(void)
{
    static const unsigned char frame[] = {0x50, 0x2a, 0x4d, 0x18, 3,  0,
                                          0,    0,    'a',  'b',  'c'};
    size_t i, cut;

    fill_plain(10, 9);
    coded.len = 0;
    memcpy(coded.data, frame, sizeof(frame));
    coded.len = sizeof(frame);
    zstd_encode(&coded, plain.data, 10);
    for (cut = 1; cut <= coded.len; cut++) {
        (void)decode("zstd", coded.data, coded.len, cut, SPACE);
        CHECK(same_as_plain());
    }
    coded.len = 0;
    for (i = 0; i < 1001; i++) {
        memcpy(coded.data + coded.len, frame, sizeof(frame));
        coded.len += sizeof(frame);
    }
    CHECK_EQ_INT(decode("zstd", coded.data, coded.len, SPACE, 1), AIF_EDECODE);
}

static void
test_stacks(void)
{
    static const char *const lists[] = {"gzip, br", "BR,Zstd", "zstd,deflate",
                                        "deflate\t,  gzip,"};
    size_t i, cut;

    fill_plain(3000, 9);
    for (i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        coded.len = 0;
        other.len = 0;
        if (i == 0) {
            gzip_encode(&other, plain.data, plain.len);
            br_encode(&coded, other.data, other.len);
        }
        else if (i == 1) {
            br_encode(&other, plain.data, plain.len);
            zstd_encode(&coded, other.data, other.len);
        }
        else if (i == 2) {
            zstd_encode(&other, plain.data, plain.len);
            raw_encode(&coded, other.data, other.len);
        }
        else {
            deflate_encode(&other, plain.data, plain.len);
            gzip_encode(&coded, other.data, other.len);
        }
        (void)decode(lists[i], coded.data, coded.len, SPACE, 1);
        CHECK(same_as_plain());
        (void)decode(lists[i], coded.data, coded.len, 1, 1);
        CHECK(same_as_plain());
        for (cut = 1; cut < coded.len; cut += 7) {
            CHECK_EQ_INT(decode(lists[i], coded.data, cut, 50, 50),
                         AIF_ETRUNCATED);
        }
    }
    /* The outer coding is whole, the inner one is cut, or never began. */
    other.len = 0;
    gzip_encode(&other, plain.data, plain.len);
    coded.len = 0;
    br_encode(&coded, other.data, other.len - 1);
    CHECK_EQ_INT(decode("gzip, br", coded.data, coded.len, SPACE, 1),
                 AIF_ETRUNCATED);
    CHECK(strstr(got.text, "gzip") != NULL);
    coded.len = 0;
    br_encode(&coded, other.data, 0);
    CHECK_EQ_INT(decode("gzip, br", coded.data, coded.len, SPACE, 1),
                 AIF_ETRUNCATED);
    /* An error inside is named by the coding it is in. */
    coded.len = 0;
    br_encode(&coded, "not gzip", 8);
    CHECK_EQ_INT(decode("gzip, br", coded.data, coded.len, SPACE, 1),
                 AIF_EDECODE);
    CHECK(strstr(got.text, "gzip: ") != NULL);
}

static void
test_five_codings(void)
{
    bytes *from = &other;
    bytes *to = &coded;
    bytes *swap;
    size_t i;

    fill_plain(2000, 9);
    memcpy(other.data, plain.data, plain.len);
    other.len = plain.len;
    for (i = 0; i < AIF_MAX_CODINGS; i++) {
        to->len = 0;
        gzip_encode(to, from->data, from->len);
        swap = from;
        from = to;
        to = swap;
    }
    CHECK_EQ_INT(decode("gzip,gzip,gzip, identity, gzip,gzip", from->data,
                        from->len, 10, 10),
                 0);
    CHECK(same_as_plain());
}

static void
test_lists(void)
{
    static const char *const nothing[] = {"",
                                          " ",
                                          ",",
                                          " ,\t, ",
                                          "identity",
                                          "Identity,identity",
                                          ", identity ,"};
    static const char *const unknown[] = {
        "compress", "x-compress", "gzip br",   "gzi",  "gzipp", "g\0zip",
        "*",        "gzip;q=1",   "gzip, foo", "x-br", "zlib"};
    aif_decode *d;
    aif_err err;
    size_t i;

    for (i = 0; i < sizeof(nothing) / sizeof(nothing[0]); i++) {
        d = (aif_decode *)(void *)&err;
        CHECK_EQ_INT(aif_decode_new(&d, nothing[i], strlen(nothing[i]), &err),
                     0);
        CHECK(d == NULL);
    }
    for (i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
        CHECK_EQ_INT(aif_decode_new(&d, unknown[i], strlen(unknown[i]), &err),
                     AIF_EDECODE);
        CHECK(d == NULL);
        CHECK(strstr(err.text, "is not known") != NULL);
    }
    CHECK_EQ_INT(aif_decode_new(&d, "g\0ip", 4, NULL), AIF_EDECODE);
    CHECK_EQ_INT(aif_decode_new(&d, "gzip,br,br,br,br,identity", 25, &err), 0);
    aif_decode_free(d);
    CHECK_EQ_INT(aif_decode_new(&d, "gzip,br,br,br,br,br", 19, &err),
                 AIF_EDECODE);
    CHECK(strstr(err.text, "more than 5") != NULL);
    aif_decode_free(NULL);
    CHECK(strstr(aif_decode_accept(), "gzip") != NULL);
    CHECK(strstr(aif_decode_accept(), "zstd") != NULL);
}

static void
test_empty_body(void)
{
    size_t w;

    for (w = 0; w < WAYS; w++) {
        CHECK_EQ_INT(decode(ways[w].name, coded.data, 0, 0, 1), 0);
        CHECK(got.calls == 0);
    }
}

/* Both wrappers of deflate, and a first block of each kind. */
static void
test_deflate_detection(void)
{
    static const unsigned char stored[] = {0x01, 0x02, 0x00, 0xfd,
                                           0xff, 'h',  'i'};
    static const unsigned char none[] = {0x03, 0x00};
    static const unsigned char dict[] = {0x78, 0xbb, 0, 0, 0, 1, 3, 0};

    CHECK_EQ_INT(decode("deflate", stored, sizeof(stored), SPACE, 1), 0);
    CHECK(got.total == 2 && memcmp(got.out.data, "hi", 2) == 0);
    CHECK_EQ_INT(decode("deflate", stored, sizeof(stored), 1, 1), 0);
    CHECK_EQ_INT(decode("deflate", none, sizeof(none), SPACE, 1), 0);
    CHECK_EQ_INT(decode("deflate", none, sizeof(none), 1, 1), 0);
    CHECK_EQ_INT(decode("deflate", none, 1, 1, 1), AIF_ETRUNCATED);
    /* A preset dictionary that nobody has. */
    CHECK_EQ_INT(decode("deflate", dict, sizeof(dict), SPACE, 1), AIF_EDECODE);
}

/* A window beyond 8 MiB is refused before its memory is asked for. */
static void
test_zstd_window(void)
{
    ZSTD_CCtx *c = ZSTD_createCCtx();
    int log;

    for (log = 23; log <= 24; log++) {
        ZSTD_inBuffer in = {plain.data, 100, 0};
        ZSTD_outBuffer out = {coded.data, SPACE, 0};

        CHECK(!ZSTD_isError(
            ZSTD_CCtx_reset(c, ZSTD_reset_session_and_parameters)));
        CHECK(!ZSTD_isError(ZSTD_CCtx_setParameter(c, ZSTD_c_windowLog, log)));
        /* Without the size of the content, which would make it smaller. */
        (void)ZSTD_compressStream2(c, &out, &in, ZSTD_e_flush);
        CHECK(ZSTD_compressStream2(c, &out, &in, ZSTD_e_end) == 0);
        (void)decode("zstd", coded.data, out.pos, out.pos, 1);
        CHECK_EQ_INT(got.code, log == 23 ? 0 : AIF_EDECODE);
    }
    (void)ZSTD_freeCCtx(c);
}

/* A frame that announces 120 bytes and holds none, whole or in pieces. */
static void
test_zstd_content_size(void)
{
    static const unsigned char frame[] = {0x28, 0xb5, 0x2f, 0xfd, 0x20, 0x78,
                                          0,    0,    0,    1,    0,    0};
    size_t step;

    for (step = 1; step <= sizeof(frame); step++) {
        CHECK_EQ_INT(decode("zstd", frame, sizeof(frame), step, step),
                     AIF_EDECODE);
    }
}

/* 64 MiB of zeros, twice coded: in a few buffers, and one step at a time,
 * between which the caller may do what it likes. */
static void
test_bomb(void)
{
    const size_t size = 64u * 1024u * 1024u;
    char *zeros = calloc(1, size);
    const char *at;
    aif_decode *d;
    size_t total = 0, left, used, steps = 0;
    aif_slice out;
    long live;
    int rc;

    CHECK(zeros != NULL);
    other.len = 0;
    gzip_encode(&other, zeros, size);
    coded.len = 0;
    gzip_encode(&coded, other.data, other.len);
    free(zeros);
    live = aif_mem_live();
    d = new_decode("gzip, gzip");
    at = (const char *)coded.data;
    left = coded.len;
    do {
        rc = aif_decode_step(d, at, left, &used, &out, NULL);
        CHECK(out.len <= AIF_DECODE_STEP);
        at += used;
        left -= used;
        total += out.len;
        steps++;
        CHECK(aif_mem_live() - live < 16);
    } while (rc == 1);
    CHECK_EQ_INT(rc, 0);
    CHECK(left == 0);
    CHECK(total == size);
    CHECK(steps >= size / AIF_DECODE_STEP);
    CHECK_EQ_INT(aif_decode_end(d, NULL), 0);
    aif_decode_free(d);
}

/* Many bytes that mean nothing to the inner coding come out of few: a step
 * ends without having given anything, so that time can be looked at. */
static void
test_steps_that_give_nothing(void)
{
    static const unsigned char skip[] = {0x50, 0x2a, 0x4d, 0x18};
    const size_t size = 60u * 1024u * 1024u;
    unsigned char *frame = calloc(1, size + 8);
    const char *at;
    aif_decode *d;
    aif_slice out;
    size_t left, used, steps = 0, i;
    int rc;

    CHECK(frame != NULL);
    memcpy(frame, skip, 4);
    for (i = 0; i < 4; i++) {
        frame[4 + i] = (unsigned char)(size >> (8 * i));
    }
    coded.len = 0;
    gzip_encode(&coded, frame, size + 8);
    free(frame);
    d = new_decode("zstd, gzip");
    at = (const char *)coded.data;
    left = coded.len;
    do {
        rc = aif_decode_step(d, at, left, &used, &out, NULL);
        CHECK(out.len == 0);
        at += used;
        left -= used;
        steps++;
    } while (rc == 1);
    CHECK_EQ_INT(rc, 0);
    CHECK(steps > 50);
    CHECK_EQ_INT(aif_decode_end(d, NULL), 0);
    aif_decode_free(d);
}

/* What came in front of a fault is given before it is reported. */
static void
test_what_comes_before_a_fault(void)
{
    size_t w;

    fill_plain(1000, 20);
    for (w = 0; w < WAYS; w++) {
        coded.len = 0;
        ways[w].encode(&coded, plain.data, plain.len);
        coded.data[coded.len++] = 'x';
        CHECK(decode(ways[w].name, coded.data, coded.len, SPACE, 1) < 0);
        CHECK(got.total == plain.len);
        CHECK(memcmp(got.out.data, plain.data, plain.len) == 0);
    }
}

/* Every allocation is missed once: at the start, and while decoding. */
static void
test_failing_allocations(void)
{
    const long live = aif_mem_live();
    aif_decode *d;
    aif_err err;
    size_t w;
    long n;
    int rc;

    fill_plain(100000, 60);
    for (w = 0; w < WAYS; w++) {
        coded.len = 0;
        ways[w].encode(&coded, plain.data, plain.len);
        rc = AIF_ENOMEM;
        for (n = 1; rc == AIF_ENOMEM && n < 200; n++) {
            got.out.len = 0;
            got.total = 0;
            aif_mem_fail_at(n, 0);
            rc = aif_decode_new(&d, ways[w].name, strlen(ways[w].name), &err);
            CHECK(rc == 0 || (rc == AIF_ENOMEM && d == NULL));
            if (rc == 0) {
                rc = feed(d, coded.data, coded.len, &err);
                CHECK(rc == 0 || rc == AIF_ENOMEM);
            }
            aif_mem_fail_at(0, 0);
            aif_decode_free(d);
            CHECK(aif_mem_live() == live);
        }
        CHECK_EQ_INT(rc, 0);
        CHECK(got.total == plain.len);
        CHECK(n > 2);
    }
}

int
main(void)
{
    test_round_trips();
    test_cuts();
    test_changed_bytes();
    test_members();
    test_empty_members();
    test_skippable_frames();
    test_stacks();
    test_five_codings();
    test_lists();
    test_empty_body();
    test_deflate_detection();
    test_zstd_window();
    test_zstd_content_size();
    test_bomb();
    test_steps_that_give_nothing();
    test_what_comes_before_a_fault();
    test_failing_allocations();
    CHECK(aif_mem_live() == 0);
    return check_failures();
}
