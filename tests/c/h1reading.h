/* How the tests of aif_h1parse read, in one piece or in many, and what they
 * write down.
 *
 * A reading is one line of text:
 *     <I103 [name=value]...>          an informational head
 *     <H200.1 "OK" 5 ck [n=v]...>     a head: status, minor version, reason,
 *                                     length, c for chunked, k for keep-alive
 *     {bytes}                         body bytes, in one piece
 *     <M [n=v]...>                    the end, with trailers
 */
#ifndef H1READING_H
#define H1READING_H

#include "http/aif_h1parse.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/aif_mem.h"
#include "check.h"

#define TRACE_SIZE 4096

typedef struct reading {
    char trace[TRACE_SIZE];
    size_t len;
    int in_body;
    int fail_at; /* the upcall that fails, counted from 1; 0 for none */
    int calls;
    int code;
    size_t used;
    char text[AIF_ERR_TEXT];
} reading;

#define UPCALL_CODE AIF_ECALLBACK

static void
put(reading *r, const char *s, size_t n)
{
    if (n > TRACE_SIZE - 1 - r->len) {
        n = TRACE_SIZE - 1 - r->len;
    }
    memcpy(r->trace + r->len, s, n);
    r->len += n;
    r->trace[r->len] = '\0';
}

static void
put_str(reading *r, const char *s)
{
    put(r, s, strlen(s));
}

static void
end_body(reading *r)
{
    if (r->in_body) {
        put_str(r, "}");
    }
    r->in_body = 0;
}

static int
upcall(reading *r)
{
    return ++r->calls == r->fail_at ? UPCALL_CODE : 0;
}

static void
put_fields(reading *r, const aif_header *h)
{
    aif_slice s;
    unsigned i;

    for (i = 0; i < h->count; i++) {
        put_str(r, " [");
        s = aif_header_name(h, i);
        put(r, s.ptr, s.len);
        put_str(r, "=");
        s = aif_header_value(h, i);
        put(r, s.ptr, s.len);
        put_str(r, "]");
    }
}

static int
on_informational(void *user, aif_h1parse *p)
{
    reading *r = user;
    char line[64];

    CHECK(!aif_h1parse_has_head(p));
    (void)snprintf(line, sizeof(line), "<I%d", aif_h1parse_status(p));
    put_str(r, line);
    put_fields(r, aif_h1parse_header(p));
    put_str(r, ">");
    return upcall(r);
}

static int
on_head(void *user, aif_h1parse *p)
{
    reading *r = user;
    const aif_slice method = aif_h1parse_method(p);
    const aif_slice first =
        method.len > 0 ? aif_h1parse_target(p) : aif_h1parse_reason(p);
    char line[64];

    CHECK(aif_h1parse_has_head(p));
    CHECK(!aif_h1parse_is_done(p));
    put_str(r, "<H");
    if (method.len > 0) {
        put(r, method.ptr, method.len);
    }
    else {
        (void)snprintf(line, sizeof(line), "%d", aif_h1parse_status(p));
        put_str(r, line);
    }
    (void)snprintf(line, sizeof(line), ".%d \"", aif_h1parse_minor(p));
    put_str(r, line);
    if (first.len > 0) {
        put(r, first.ptr, first.len);
    }
    (void)snprintf(line, sizeof(line), "\" %lld %s%s",
                   (long long)aif_h1parse_length(p),
                   aif_h1parse_is_chunked(p) ? "c" : "",
                   aif_h1parse_keep_alive(p) ? "k" : "");
    put_str(r, line);
    put_fields(r, aif_h1parse_header(p));
    put_str(r, ">");
    return upcall(r);
}

static int
on_body(void *user, const char *data, size_t len)
{
    reading *r = user;

    CHECK(len > 0);
    if (!r->in_body) {
        put_str(r, "{");
    }
    r->in_body = 1;
    put(r, data, len);
    return upcall(r);
}

static int
on_message(void *user, aif_h1parse *p)
{
    reading *r = user;

    CHECK(aif_h1parse_is_done(p));
    end_body(r);
    put_str(r, "<M");
    put_fields(r, aif_h1parse_trailer(p));
    put_str(r, ">");
    return upcall(r);
}

static const aif_h1parse_cbs cbs = {
    .on_informational = on_informational,
    .on_head = on_head,
    .on_body = on_body,
    .on_message = on_message,
};

enum { HEAD = 1, EOF_AFTER = 2, REQUEST = 4 };

/* Feeds one piece out of a block of exactly its size, so that a sanitizer
 * sees any look behind it. 0 to go on. */
static int
feed_piece(aif_h1parse *p, reading *r, const char *s, size_t len)
{
    char *copy = malloc(len > 0 ? len : 1);
    size_t used = len + 1;

    memcpy(copy, s, len);
    r->code = aif_h1parse_feed(p, copy, len, &used);
    CHECK(used <= len);
    CHECK(r->code != 0 || used == len || aif_h1parse_is_done(p));
    r->used += used;
    free(copy);
    return r->code != 0 || used < len;
}

/* Reads |s| in pieces: |first| bytes, then |step| at a time (0: the rest). */
static void
read_cut(aif_h1parse *p, reading *r, const char *s, size_t len, size_t first,
         size_t step, int flags)
{
    size_t at = 0;
    size_t n = first;
    int stop = 0;

    aif_h1parse_reset(p, (flags & HEAD) != 0);
    CHECK(!aif_h1parse_is_started(p));
    while (at < len && !stop) {
        n = n > len - at ? len - at : n;
        stop = feed_piece(p, r, s + at, n);
        at += n;
        n = step > 0 ? step : len;
    }
    if (r->code == 0 && (flags & EOF_AFTER)) {
        r->code = aif_h1parse_eof(p);
    }
    end_body(r);
    CHECK_EQ_INT(aif_h1parse_error(p)->code, r->code);
    (void)snprintf(r->text, sizeof(r->text), "%s", aif_h1parse_error(p)->text);
}

static void
read_fresh(reading *r, const char *s, size_t len, size_t first, size_t step,
           int flags, const aif_h1parse_limits *limits)
{
    aif_h1parse *p;

    memset(r, 0, sizeof(*r));
    p = aif_h1parse_new(flags & REQUEST ? AIF_H1_REQUEST : AIF_H1_RESPONSE,
                        limits, &cbs, r);
    CHECK(p != NULL);
    read_cut(p, r, s, len, first, step, flags);
    aif_h1parse_free(p);
}

#define B(s) s, sizeof(s) - 1
#define OK "HTTP/1.1 200 OK\r\n"
#define CHUNKED OK "Transfer-Encoding: chunked\r\n\r\n"
#define CHUNKED_HEAD "<H200.1 \"OK\" -1 ck [Transfer-Encoding=chunked]>"

#endif
