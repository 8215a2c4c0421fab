/* Fuzzes aif_h1parse: the same bytes whole, byte by byte and cut at places of
 * the fuzzer's choice must give the same events and the same verdict.
 *
 * Input: flags, the upcall that fails (0: none), a seed for the cuts, then
 * what the peer sends; several messages may follow each other.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "http/aif_h1parse.h"

#define MESSAGES 4

enum { HEAD = 1, REQUEST = 2, SMALL = 4, EOF_AFTER = 8, DEAF = 16 };

typedef struct reading {
    uint64_t hash;
    unsigned upcalls; /* but for on_body */
    unsigned fail_at;
    uint64_t body; /* bytes of the present message */
    uint64_t fail_body;
    int failed;
    int code;
    uint64_t used;
} reading;

static void
must(int condition)
{
    if (!condition) {
        abort();
    }
}

/* |n| bytes in a block of just their size, so that one read past them is
 * found. Most pieces are single bytes: these share one. */
static char *
block_of(const uint8_t *data, size_t n)
{
    static char *one;
    char *copy;

    if (one == NULL) {
        one = malloc(1);
    }
    copy = n == 1 ? one : malloc(n > 0 ? n : 1);
    must(copy != NULL);
    memcpy(copy, data, n);
    return copy;
}

static void
block_free(char *copy, size_t n)
{
    if (n != 1) {
        free(copy);
    }
}

static void
mix(reading *r, const void *data, size_t len)
{
    const unsigned char *s = data;
    size_t i;

    for (i = 0; i < len; i++) {
        r->hash = (r->hash ^ s[i]) * UINT64_C(1099511628211);
    }
}

static void
mix_number(reading *r, long long n)
{
    mix(r, &n, sizeof(n));
}

static void
mix_slice(reading *r, aif_slice s)
{
    mix_number(r, (long long)s.len);
    mix(r, s.ptr, s.len);
}

static void
mix_header(reading *r, const aif_header *h)
{
    unsigned i;
    size_t j;

    mix_number(r, h->count);
    for (i = 0; i < h->count; i++) {
        const aif_slice name = aif_header_name(h, i);
        const aif_slice value = aif_header_value(h, i);

        /* What is passed on can be trusted not to split a line. */
        must(name.len > 0);
        for (j = 0; j < name.len; j++) {
            must(name.ptr[j] > 0x20 && name.ptr[j] < 0x7f
                 && name.ptr[j] != ':');
        }
        for (j = 0; j < value.len; j++) {
            must(((unsigned char)value.ptr[j] >= 0x20 || value.ptr[j] == '\t')
                 && value.ptr[j] != 0x7f);
        }
        mix_slice(r, name);
        mix_slice(r, value);
    }
}

static int
upcall(reading *r)
{
    must(!r->failed);
    if (++r->upcalls == r->fail_at) {
        r->failed = 1;
        return AIF_ECALLBACK;
    }
    return 0;
}

static int
on_informational(void *user, aif_h1parse *p)
{
    reading *r = user;

    mix_number(r, aif_h1parse_status(p));
    mix_header(r, aif_h1parse_header(p));
    must(!aif_h1parse_has_head(p));
    return upcall(r);
}

static int
on_head(void *user, aif_h1parse *p)
{
    reading *r = user;

    must(aif_h1parse_has_head(p) && !aif_h1parse_is_done(p));
    mix_number(r, aif_h1parse_status(p));
    mix_number(r, aif_h1parse_minor(p));
    mix_number(r, aif_h1parse_length(p));
    mix_number(r, aif_h1parse_is_chunked(p));
    mix_number(r, aif_h1parse_keep_alive(p));
    mix_slice(r, aif_h1parse_reason(p));
    mix_slice(r, aif_h1parse_method(p));
    mix_slice(r, aif_h1parse_target(p));
    mix_header(r, aif_h1parse_header(p));
    return upcall(r);
}

static int
on_body(void *user, const char *data, size_t len)
{
    reading *r = user;

    must(len > 0 && !r->failed);
    mix(r, data, len);
    r->body += len;
    if (r->fail_body > 0 && r->body >= r->fail_body) {
        r->failed = 1;
        return AIF_ETOOBIG;
    }
    return 0;
}

static int
on_message(void *user, aif_h1parse *p)
{
    reading *r = user;
    const int64_t length = aif_h1parse_length(p);

    must(aif_h1parse_is_done(p));
    must(length < 0 || (uint64_t)length == r->body);
    mix_number(r, (long long)r->body);
    mix_header(r, aif_h1parse_trailer(p));
    r->body = 0;
    return upcall(r);
}

static const aif_h1parse_cbs cbs = {
    .on_informational = on_informational,
    .on_head = on_head,
    .on_body = on_body,
    .on_message = on_message,
};
static const aif_h1parse_cbs no_cbs = {.on_head = NULL};

static const aif_h1parse_limits small = {
    .head = 200,
    .line = 40,
    .fields = 4,
    .trailer = 60,
    .chunk_line = 12,
    .informational = 1,
};

/* Feeds |len| bytes out of a block of just their size. Returns how many were
 * taken. */
static size_t
feed(aif_h1parse *p, reading *r, const uint8_t *data, size_t len)
{
    size_t used = len + 1;
    char *copy = block_of(data, len);

    r->code = aif_h1parse_feed(p, copy, len, &used);
    block_free(copy, len);
    must(used <= len);
    must(r->code != 0 || used == len || aif_h1parse_is_done(p));
    must(aif_h1parse_error(p)->code == r->code);
    must(r->code == 0 || aif_h1parse_error(p)->text[0] != '\0');
    return used;
}

static size_t
next_cut(uint32_t *seed, size_t left)
{
    size_t n;

    if (*seed == 0) {
        return left;
    }
    if (*seed == 1) {
        return left > 0 ? 1 : 0;
    }
    *seed = *seed * 1664525u + 1013904223u;
    *seed |= 2;
    n = (*seed >> 20) % 16;
    return n < left ? n : left;
}

/* Reads all messages in |data|. |seed| 0: whole, 1: byte by byte. */
static void
read_all(reading *r, const uint8_t *data, size_t len, unsigned flags,
         uint32_t seed)
{
    aif_h1parse *p = aif_h1parse_new(
        flags & REQUEST ? AIF_H1_REQUEST : AIF_H1_RESPONSE,
        flags & SMALL ? &small : NULL, flags & DEAF ? &no_cbs : &cbs, r);
    size_t at = 0;
    size_t used;
    int messages = 0;

    must(p != NULL);
    aif_h1parse_reset(p, (flags & HEAD) != 0);
    while (r->code == 0 && at < len && messages < MESSAGES) {
        at += feed(p, r, data + at, next_cut(&seed, len - at));
        if (r->code == 0 && aif_h1parse_is_done(p)) {
            must(feed(p, r, data, len) == 0 && r->code == 0);
            must(aif_h1parse_eof(p) == 0);
            mix_number(r, (long long)at);
            messages++;
            aif_h1parse_reset(p, (flags & HEAD) != 0);
        }
    }
    if (r->code == 0 && (flags & EOF_AFTER)) {
        r->code = aif_h1parse_eof(p);
        must(r->code == 0 || !aif_h1parse_is_done(p) || r->failed);
    }
    r->used = at;
    if (r->code != 0) {
        must(aif_h1parse_feed(p, (const char *)data, len, &used) == r->code);
        must(used == 0);
        must(aif_h1parse_eof(p) == r->code);
    }
    aif_h1parse_free(p);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    reading r[3];
    unsigned flags, fail;
    uint32_t seed;
    int i;

    if (size < 3) {
        return 0;
    }
    flags = data[0];
    fail = data[1];
    seed = (uint32_t)data[2] * 2654435761u | 2;
    data += 3;
    size -= 3;
    for (i = 0; i < 3; i++) {
        memset(&r[i], 0, sizeof(r[i]));
        r[i].fail_at = fail & 1 ? fail >> 1 & 7 : 0;
        r[i].fail_body = fail & 0x80 ? (fail >> 4 & 7) + 1 : 0;
        read_all(&r[i], data, size, flags, i < 2 ? (uint32_t)i : seed);
    }
    for (i = 1; i < 3; i++) {
        must(r[i].code == r[0].code);
        must(r[i].failed == r[0].failed);
        must(r[i].upcalls == r[0].upcalls);
        /* A body that its reader ends has been given in different amounts. */
        must(r[i].hash == r[0].hash || r[0].code == AIF_ETOOBIG);
        must(r[i].used == r[0].used || r[0].code != 0);
    }
    return 0;
}
