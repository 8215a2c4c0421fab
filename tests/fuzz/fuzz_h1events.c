/* Fuzzes aif_h1parse as aiofast.parser uses it: who listens gets each field,
 * start line and chunk; any upcall fails at random; all rules and leniencies
 * come in all combinations. However the bytes are cut, the events and the
 * verdict are the same.
 *
 * Input: rules (two bytes), kind, the upcall that fails (0: none), a seed for
 * the cuts, then what the peer sends.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "http/aif_h1parse.h"
#include "http/aif_h1scan.h"

#define PREFIX 5
#define MESSAGES 8
#define ALL_RULES 0x1fffu

typedef struct reading {
    uint64_t hash;
    unsigned upcalls; /* but for on_body, whose number hangs on the cuts */
    unsigned fail_at;
    unsigned rules;
    int failed;
    int code;
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
mix(reading *r, char tag, const char *s, size_t n)
{
    size_t i;

    r->hash = (r->hash ^ (unsigned char)tag) * UINT64_C(1099511628211);
    for (i = 0; i < n; i++) {
        r->hash = (r->hash ^ (unsigned char)s[i]) * UINT64_C(1099511628211);
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
on_begin(void *user, aif_h1parse *p)
{
    must(!aif_h1parse_has_head(p));
    mix(user, 'b', "", 0);
    return upcall(user);
}

static int
on_start(void *user, aif_h1parse *p)
{
    const aif_slice method = aif_h1parse_method(p);
    const aif_slice target = aif_h1parse_target(p);
    const aif_slice reason = aif_h1parse_reason(p);
    const int status = aif_h1parse_status(p);

    must((status != 0) != (method.len > 0));
    must(status == 0 || (status >= 100 && status <= 999));
    must(method.len == 0 || target.len > 0);
    mix(user, 'm', method.ptr, method.len);
    mix(user, 't', target.ptr, target.len);
    mix(user, 'r', reason.ptr, reason.len);
    return upcall(user);
}

static int
on_field(void *user, aif_slice name, aif_slice value)
{
    reading *r = user;
    size_t i;
    char c;

    must(name.len > 0);
    for (i = 0; i < name.len; i++) {
        must(name.ptr[i] > 0x20 && name.ptr[i] < 0x7f && name.ptr[i] != ':');
    }
    for (i = 0; i < value.len; i++) {
        c = value.ptr[i];
        must(c != '\r' && c != '\n' && c != '\0');
        must((r->rules & AIF_H1_FOLDS) != 0 || (unsigned char)c >= 0x20
             || c == '\t');
    }
    must(value.len == 0 || (*value.ptr != ' ' && *value.ptr != '\t'));
    mix(r, 'f', name.ptr, name.len);
    mix(r, '=', value.ptr, value.len);
    return upcall(r);
}

static int
on_head(void *user, aif_h1parse *p)
{
    const char say[] = {
        (char)aif_h1parse_keep_alive(p), (char)aif_h1parse_upgrade(p),
        (char)aif_h1parse_is_chunked(p), (char)aif_h1parse_major(p),
        (char)aif_h1parse_minor(p)};

    must(aif_h1parse_header(p)->count == 0);
    mix(user, 'h', say, sizeof(say));
    return upcall(user);
}

static int
on_body(void *user, const char *data, size_t len)
{
    size_t i;

    must(len > 0);
    for (i = 0; i < len; i++) {
        mix(user, 'x', data + i, 1);
    }
    return 0;
}

static int
on_chunk(void *user)
{
    mix(user, 'c', "", 0);
    return upcall(user);
}

static int
on_size(void *user, aif_h1parse *p)
{
    must(aif_h1parse_is_chunked(p));
    mix(user, 's', "", 0);
    return upcall(user);
}

static int
on_chunk_end(void *user, aif_h1parse *p)
{
    must(aif_h1parse_has_head(p));
    mix(user, 'e', "", 0);
    return upcall(user);
}

static int
on_informational(void *user, aif_h1parse *p)
{
    must(aif_h1parse_status(p) / 100 == 1);
    mix(user, 'i', "", 0);
    return upcall(user);
}

static int
on_message(void *user, aif_h1parse *p)
{
    must(aif_h1parse_is_done(p));
    mix(user, 'd', "", 0);
    return upcall(user);
}

static const aif_h1parse_cbs cbs = {
    .on_begin = on_begin,
    .on_start = on_start,
    .on_field = on_field,
    .on_informational = on_informational,
    .on_head = on_head,
    .on_body = on_body,
    .on_chunk = on_chunk,
    .on_size = on_size,
    .on_chunk_end = on_chunk_end,
    .on_message = on_message,
};

static size_t
next_cut(uint32_t *seed, size_t left)
{
    size_t n = left;

    if (*seed == 1) {
        return left > 0;
    }
    if (*seed > 1) {
        *seed = (*seed * 1664525u + 1013904223u) | 2;
        n = (*seed >> 20) % 24;
    }
    return n < left ? n : left;
}

/* Reads what is in |data|. |seed| 0: whole, 1: byte by byte. */
static void
read_all(reading *r, aif_h1_kind kind, const uint8_t *data, size_t len,
         uint32_t seed)
{
    aif_h1parse *p = aif_h1parse_new(kind, NULL, &cbs, r);
    size_t at = 0;
    size_t n, used;
    int messages = 0;
    char *copy;

    must(p != NULL);
    aif_h1parse_set_rules(p, r->rules);
    while (r->code == 0 && at < len && messages < MESSAGES) {
        n = next_cut(&seed, len - at);
        copy = block_of(data + at, n);
        r->code = aif_h1parse_feed(p, copy, n, &used);
        block_free(copy, n);
        must(used <= n);
        at += used;
        if (r->code == 0 && aif_h1parse_is_done(p)) {
            messages++;
            mix(r, aif_h1parse_upgrade(p) ? 'u' : 'n', "", 0);
            aif_h1parse_reset(p, 0);
        }
        else {
            must(r->code != 0 || used == n);
        }
    }
    must((r->code == AIF_ECALLBACK) == r->failed);
    must((r->code == 0 || r->code == AIF_ECALLBACK)
         == (aif_h1parse_fault(p) == AIF_H1_FAULT_NONE));
    aif_h1parse_free(p);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    reading r[3];
    aif_h1_kind kind;
    unsigned rules, fail;
    uint32_t seed;
    int i;

    if (size < PREFIX) {
        return 0;
    }
    rules = (data[0] | (unsigned)data[1] << 8) & ALL_RULES;
    kind = data[2] & 1 ? AIF_H1_REQUEST : AIF_H1_RESPONSE;
    fail = data[3];
    seed = (uint32_t)data[4] * 2654435761u | 2;
    for (i = 0; i < 3; i++) {
        memset(&r[i], 0, sizeof(r[i]));
        r[i].rules = rules;
        r[i].fail_at = fail & 1 ? fail >> 1 : 0;
        read_all(&r[i], kind, data + PREFIX, size - PREFIX,
                 i < 2 ? (uint32_t)i : seed);
    }
    for (i = 1; i < 3; i++) {
        must(r[i].code == r[0].code);
        must(r[i].upcalls == r[0].upcalls);
        must(r[i].hash == r[0].hash);
    }
    return 0;
}
