/* Fuzzes the header block, both ways.
 *
 * Received: a section of field lines read by aif_h1field, whole, byte by byte
 * and cut at random, is what a plain reading of RFC 9112 5 makes of it, and
 * lands in aif_header, whole or piece by piece, with memory that fails at
 * random.
 *
 * Sent: what aif_h1write agrees to write is read back by aif_h1parse as one
 * request with the same method, target, fields, body and trailers. What it
 * refuses leaves nothing behind.
 *
 * Input: flags, the allocation that fails (0: none), a seed for the cuts, the
 * lengths of method and target, then these and a section of field lines.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/aif_ascii.h"
#include "base/aif_mem.h"
#include "http/aif_h1field.h"
#include "http/aif_h1parse.h"
#include "http/aif_h1write.h"

#define PREFIX 5
#define FIELDS 24u
#define SECTION 3000u
#define LINE 400u
#define BODY 42 /* at most */

enum { DEFAULTS = 1, OLD = 2, TRAILERS = 4, AUTHORITY = 8 };

static void
must(int condition)
{
    if (!condition) {
        abort();
    }
}

static int
same(aif_slice a, aif_slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static aif_slice
trimmed(const char *s, size_t n)
{
    aif_slice t;

    while (n > 0 && (s[n - 1] == ' ' || s[n - 1] == '\t')) {
        n--;
    }
    while (n > 0 && (*s == ' ' || *s == '\t')) {
        s++;
        n--;
    }
    t.ptr = s;
    t.len = n;
    return t;
}

/* --- Received ----------------------------------------------------------- */

typedef enum verdict { GOOD, CUT, BAD } verdict;

/* A line of the section without its CRLF: token ":" value, into |h|. 0 if it
 * is none. */
static int
plain_line(const char *s, size_t n, aif_header *h)
{
    const char *colon = memchr(s, ':', n);
    aif_slice value;

    if (colon == NULL || n > LINE || h->count >= FIELDS
        || !aif_ascii_is_token(s, (size_t)(colon - s)))
    {
        return 0;
    }
    value = trimmed(colon + 1, n - (size_t)(colon - s) - 1);
    if (!aif_ascii_is_value(value.ptr, value.len)) {
        return 0;
    }
    must(aif_header_add(h, s, (size_t)(colon - s), value.ptr, value.len) == 0);
    return 1;
}

/* The section as a reader that has all of it sees it; the fields in front of
 * what ends it go into |h|. */
static verdict
plain_reading(const char *s, size_t n, aif_header *h, size_t *used)
{
    const char *cr;
    size_t at = 0;
    size_t len;

    while (at < n) {
        cr = memchr(s + at, '\r', n - at);
        len = cr == NULL ? n - at : (size_t)(cr - (s + at));
        if (memchr(s + at, '\n', len) != NULL) {
            return BAD;
        }
        if (cr == NULL || at + len + 1 == n) {
            return CUT;
        }
        if (s[at + len + 1] != '\n') {
            return BAD;
        }
        *used = at + len + 2;
        if (len == 0) {
            return GOOD;
        }
        /* A line is known to end where the next does not go on with it. */
        if (*used == n) {
            return CUT;
        }
        if (s[*used] == ' ' || s[*used] == '\t' || !plain_line(s + at, len, h))
        {
            return BAD;
        }
        at = *used;
    }
    return CUT;
}

/* Adds a field, whole or in pieces. */
static int
keep(aif_header *h, const aif_h1field *f, uint32_t seed)
{
    const size_t half = f->name.len / 2;
    const size_t part = f->raw.len / 3;
    int rc;

    if ((seed & 4) == 0) {
        return aif_header_add(h, f->name.ptr, f->name.len, f->value.ptr,
                              f->value.len);
    }
    rc = aif_header_add_name(h, f->name.ptr, half);
    if (rc == 0) {
        rc = aif_header_add_name(h, f->name.ptr + half, f->name.len - half);
    }
    if (rc == 0) {
        rc = aif_header_add_value(h, f->raw.ptr, part);
    }
    if (rc == 0) {
        must(aif_header_add(h, "a", 1, "b", 1) == AIF_EINVAL);
        rc = aif_header_add_value(h, f->raw.ptr + part, f->raw.len - part);
    }
    return rc == 0 ? aif_header_end_field(h) : rc;
}

static size_t
next_cut(uint32_t *seed, size_t left)
{
    size_t n = left;

    if (*seed == 1) {
        n = 1;
    }
    else if (*seed > 1) {
        *seed = (*seed * 1664525u + 1013904223u) | 2;
        n = (*seed >> 20) % 24;
    }
    return n < left ? n : left;
}

/* All fields of |piece|. What aif_h1field says last, or AIF_SCAN_BAD with
 * |*rc| if there is no memory for one. */
static aif_scan
read_piece(aif_h1field *f, aif_header *h, const char *piece, size_t n,
           uint32_t seed, size_t *used, int *rc)
{
    aif_scan scan;
    size_t taken;

    *used = 0;
    do {
        scan = aif_h1field_next(f, piece + *used, n - *used, &taken);
        must(taken <= n - *used);
        *used += taken;
        if (scan == AIF_SCAN_END && !f->ended) {
            *rc = keep(h, f, seed);
            if (*rc < 0) {
                return AIF_SCAN_BAD;
            }
        }
    } while (scan == AIF_SCAN_END && !f->ended);
    return scan;
}

/* |seed| 0: whole, 1: byte by byte. |*rc| is AIF_ENOMEM if memory failed. */
static verdict
read_section(const char *s, size_t n, uint32_t seed, aif_header *h,
             size_t *used, int *rc)
{
    aif_scan scan = AIF_SCAN_MORE;
    aif_h1field f;
    size_t cut, taken;
    char *piece;

    *used = 0;
    aif_h1field_init(&f, LINE);
    aif_h1field_reset(&f, SECTION, FIELDS, 0);
    while (scan == AIF_SCAN_MORE && *used < n) {
        cut = next_cut(&seed, n - *used);
        piece = malloc(cut > 0 ? cut : 1);
        must(piece != NULL);
        memcpy(piece, s + *used, cut);
        scan = read_piece(&f, h, piece, cut, seed, &taken, rc);
        *used += taken;
        must(scan != AIF_SCAN_MORE || taken == cut);
        free(piece);
    }
    if (scan == AIF_SCAN_BAD && f.fault == AIF_H1_FAULT_MEMORY) {
        *rc = AIF_ENOMEM;
    }
    aif_h1field_fini(&f);
    return scan == AIF_SCAN_MORE ? CUT : f.ended ? GOOD : BAD;
}

static void
check_same_fields(const aif_header *a, const aif_header *b)
{
    unsigned i;

    must(a->count == b->count);
    for (i = 0; i < a->count; i++) {
        must(same(aif_header_name(a, i), aif_header_name(b, i)));
        must(same(aif_header_value(a, i), aif_header_value(b, i)));
    }
}

/* Each field is found by its name, in any case. */
static void
check_found(const aif_header *h)
{
    char name[LINE + 1];
    aif_slice found;
    unsigned i;
    int at;

    for (i = 0; i < h->count; i++) {
        found = aif_header_name(h, i);
        must(found.len > 0 && found.len <= LINE);
        aif_ascii_fold(name, found.ptr, found.len);
        name[found.len] = '\0';
        at = aif_header_find(h, name, i);
        must(at == (int)i);
        at = aif_header_find(h, name, 0);
        must(at >= 0 && (unsigned)at <= i);
        found = aif_header_value(h, i);
        if (aif_ascii_is_token(found.ptr, found.len)) {
            aif_ascii_fold(name, found.ptr, found.len);
            name[found.len] = '\0';
            must(aif_ascii_has_token(found.ptr, found.len, name));
        }
    }
}

static void
check_section(const char *s, size_t n, uint32_t seed, unsigned fail)
{
    aif_header plain, h, moved;
    size_t plain_used = 0;
    size_t used;
    verdict wanted, got;
    int i, rc;

    aif_header_init(&plain, SECTION, FIELDS);
    wanted = plain_reading(s, n, &plain, &plain_used);
    for (i = 0; i < 3; i++) {
        aif_header_init(&h, SECTION, FIELDS);
        aif_mem_fail_at((long)fail, 0);
        rc = 0;
        got = read_section(s, n, i < 2 ? (uint32_t)i : seed, &h, &used, &rc);
        aif_mem_fail_at(0, 0);
        must(rc == 0 || (rc == AIF_ENOMEM && fail > 0));
        aif_header_take(&moved, &h);
        must(h.count == 0 && h.bytes.len == 0);
        if (rc == 0) {
            /* What is cut may be refused before a reader of whole lines
             * sees that it is bad. */
            must(got == wanted || (wanted == CUT && got == BAD));
            must(got != GOOD || used == plain_used);
            check_same_fields(&plain, &moved);
            check_found(&moved);
        }
        aif_header_fini(&moved);
        aif_header_fini(&h);
    }
    aif_header_fini(&plain);
}

/* --- Sent --------------------------------------------------------------- */

/* Each line of the section as the caller of a request may have it: whatever
 * stands in front of the first colon, and behind it. */
static void
split_lines(const char *s, size_t n, aif_header *h, aif_header *defaults,
            unsigned flags)
{
    const char *end = s + n;
    const char *stop, *colon;
    unsigned i = 0;

    while (s < end && i < FIELDS) {
        stop = memchr(s, '\n', (size_t)(end - s));
        stop = stop != NULL ? stop : end;
        colon = memchr(s, ':', (size_t)(stop - s));
        colon = colon != NULL ? colon : stop;
        n = colon < stop ? (size_t)(stop - colon) - 1 : 0;
        n -= n > 0 && stop[-1] == '\r';
        must(aif_header_add(flags & DEFAULTS && i % 2 ? defaults : h, s,
                            (size_t)(colon - s), stop - n, n)
             == 0);
        s = stop < end ? stop + 1 : end;
        i++;
    }
}

typedef struct request {
    aif_h1head head;
    aif_header fields, defaults, trailer;
    aif_buf wire;
    unsigned seen; /* fields of the head that were read back */
    unsigned expected;
    size_t body;
    int done;
} request;

static int
on_head(void *user, aif_h1parse *p)
{
    const request *r = user;
    const aif_header *got = aif_h1parse_header(p);
    unsigned i;
    int at;

    must(same(aif_h1parse_method(p), r->head.method));
    must(same(aif_h1parse_target(p), r->head.target));
    must(aif_h1parse_minor(p) == !r->head.old);
    must(aif_h1parse_is_chunked(p) == (r->head.body == AIF_H1_CHUNKED));
    must(r->head.body < 0 || aif_h1parse_length(p) == r->head.body);
    /* Host and at most one framing field are ours. */
    must(got->count >= 1
         && got->count <= r->fields.count + r->defaults.count + 2);
    must(aif_ascii_is(aif_header_name(got, 0).ptr, aif_header_name(got, 0).len,
                      "host"));
    must(aif_header_find(got, "host", 1) < 0);
    /* The caller's fields are there, in order. */
    at = 0;
    for (i = 0; i < r->fields.count; i++) {
        const aif_slice name = aif_header_name(&r->fields, i);
        const aif_slice value = aif_header_value(&r->fields, i);
        const aif_slice bare = trimmed(value.ptr, value.len);

        if (aif_ascii_is(name.ptr, name.len, "host")
            || aif_ascii_is(name.ptr, name.len, "content-length"))
        {
            continue;
        }
        for (at++; (unsigned)at < got->count; at++) {
            if (same(aif_header_name(got, (unsigned)at), name)
                && same(aif_header_value(got, (unsigned)at), bare))
            {
                break;
            }
        }
        must((unsigned)at < got->count);
    }
    return 0;
}

static int
on_body(void *user, const char *data, size_t len)
{
    request *r = user;

    must(len > 0 && data[0] == 'x');
    r->body += len;
    return 0;
}

static int
on_message(void *user, aif_h1parse *p)
{
    request *r = user;
    const aif_header *got = aif_h1parse_trailer(p);
    unsigned i;

    r->done++;
    must(r->head.body < 0 || r->body == (size_t)r->head.body);
    must(got->count == r->trailer.count);
    for (i = 0; i < got->count; i++) {
        const aif_slice value = aif_header_value(&r->trailer, i);

        must(same(aif_header_name(got, i), aif_header_name(&r->trailer, i)));
        must(same(aif_header_value(got, i), trimmed(value.ptr, value.len)));
    }
    return 0;
}

static const aif_h1parse_cbs cbs = {
    .on_head = on_head, .on_body = on_body, .on_message = on_message};

static void
read_back(request *r)
{
    static const aif_h1parse_limits wide = {
        .head = 1u << 20, .line = 1u << 19, .trailer = 1u << 19};
    aif_h1parse *p = aif_h1parse_new(AIF_H1_REQUEST, &wide, &cbs, r);
    size_t used;

    must(p != NULL);
    must(aif_h1parse_feed(p, r->wire.data, r->wire.len, &used) == 0);
    must(used == r->wire.len && aif_h1parse_is_done(p) && r->done == 1);
    aif_h1parse_free(p);
}

/* The body behind the head. 0, or what the trailers are refused with. */
static int
write_body(request *r, aif_err *err)
{
    char data[BODY];
    const size_t before = r->wire.len;
    int rc;

    memset(data, 'x', sizeof(data));
    if (r->head.body > 0) {
        return aif_buf_add(&r->wire, data, (size_t)r->head.body);
    }
    if (r->head.body != AIF_H1_CHUNKED) {
        return 0;
    }
    must(aif_h1write_chunk(&r->wire, 0) == AIF_EINVAL);
    must(aif_h1write_chunk(&r->wire, BODY) == 0);
    must(aif_buf_add(&r->wire, data, BODY) == 0);
    must(aif_buf_add_str(&r->wire, "\r\n") == 0);
    rc = aif_h1write_last_chunk(&r->wire, &r->trailer, err);
    must(rc == 0 || r->wire.len == before + 4 + BODY + 2);
    return rc;
}

static void
check_request(request *r, unsigned fail)
{
    const size_t before = 3;
    aif_err err;
    int rc;

    must(aif_buf_add(&r->wire, "???", before) == 0);
    aif_err_reset(&err);
    aif_mem_fail_at((long)fail, 0);
    rc = aif_h1write_head(&r->wire, &r->head, &err);
    aif_mem_fail_at(0, 0);
    must(rc == 0 || rc == AIF_EINVAL || rc == AIF_ETOOBIG
         || (rc == AIF_ENOMEM && fail > 0));
    must(rc != AIF_EINVAL || (err.code == rc && err.text[0] != '\0'));
    if (rc != 0) {
        must(r->wire.len == before);
        return;
    }
    memmove(r->wire.data, r->wire.data + before, r->wire.len - before);
    r->wire.len -= before;
    rc = write_body(r, &err);
    must(rc == 0 || (rc == AIF_EINVAL && err.text[0] != '\0'));
    /* CONNECT has no message as others have. */
    if (rc == 0 && !same(r->head.method, (aif_slice){"CONNECT", 7})) {
        read_back(r);
    }
}

static void
check_sent(const char *method, size_t method_len, const char *target,
           size_t target_len, const char *s, size_t n, unsigned flags,
           unsigned fail)
{
    request r;
    char path[300] = "/";

    memset(&r, 0, sizeof(r));
    memcpy(path + 1, target, target_len);
    aif_header_init(&r.fields, 1u << 16, FIELDS);
    aif_header_init(&r.defaults, 1u << 16, FIELDS);
    aif_header_init(&r.trailer, 1u << 16, FIELDS);
    aif_buf_init(&r.wire, 1u << 17);
    split_lines(s, n, &r.fields, &r.defaults, flags);
    r.head.method = (aif_slice){method, method_len};
    r.head.target = (aif_slice){path, target_len + 1};
    r.head.authority = (aif_slice){"example.org", flags & AUTHORITY ? 0 : 11};
    r.head.fields = &r.fields;
    r.head.defaults = &r.defaults;
    r.head.old = (flags & OLD) != 0;
    r.head.body = (int64_t)(flags >> 4) * 3 - 3;
    if (r.head.body == -3) {
        r.head.body = AIF_H1_CHUNKED;
        if (flags & TRAILERS) {
            aif_header_take(&r.trailer, &r.fields);
        }
    }
    else if (r.head.body == 0 && (flags & TRAILERS)) {
        r.head.body = AIF_H1_NO_BODY;
    }
    check_request(&r, fail);
    aif_buf_fini(&r.wire);
    aif_header_fini(&r.trailer);
    aif_header_fini(&r.defaults);
    aif_header_fini(&r.fields);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *s = (const char *)data + PREFIX;
    size_t method_len, target_len, n;

    if (size < PREFIX || size > 4096) {
        return 0;
    }
    n = size - PREFIX;
    method_len = data[3] & 15;
    method_len = method_len < n ? method_len : n;
    target_len = data[4] < n - method_len ? data[4] : n - method_len;
    check_sent(s, method_len, s + method_len, target_len,
               s + method_len + target_len, n - method_len - target_len,
               data[0], data[1]);
    s += method_len + target_len;
    n -= method_len + target_len;
    if (n <= SECTION) {
        check_section(s, n, (uint32_t)data[2] * 2654435761u | 2, data[1]);
    }
    must(aif_mem_live() == 0);
    return 0;
}
