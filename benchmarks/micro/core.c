/* core -- the core's hot paths, each run a fixed number of times between two
 * marks, for a program that counts instructions (see ../instructions.py).
 *
 * A mark is a call of getppid(), which nothing else here calls and which costs
 * next to nothing: callgrind is told to write down and forget what it counted
 * whenever that function is entered. Each path is run a few times before its
 * first mark, so that buffers have their size and functions are bound.
 *
 * Output: one line of what was built, then "name turns" for each path.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/aif_buf.h"
#include "http/aif_h1parse.h"
#include "http/aif_h1write.h"
#include "http/aif_header.h"
#include "http/aif_url.h"
#include "net/aif_deadline.h"
#include "net/aif_loop.h"

#define TURNS 1000
#define WARM_UP 10
#define WAITING 1000 /* deadlines that are set while one more comes and goes */

/* Everything that a path computes ends here, so that it must be computed. */
static volatile size_t sink;

static void
hold(int ok, const char *what)
{
    if (!ok) {
        fprintf(stderr, "core: %s\n", what);
        exit(1);
    }
}

static aif_slice
slice(const char *s)
{
    aif_slice out = {s, strlen(s)};

    return out;
}

/* -- What a server sends ------------------------------------------------- */

static const char small_answer[] =
    "HTTP/1.1 200 OK\r\n"
    "Server: nginx/1.22.1\r\n"
    "Date: Sat, 21 Nov 2026 08:00:00 GMT\r\n"
    "Content-Type: application/json\r\n"
    "Content-Length: 106\r\n"
    "Connection: keep-alive\r\n\r\n"
    "{\"id\":1027,\"name\":\"benchmark\",\"ok\":true,\"tags\":[\"one\","
    "\"two\","
    "\"three\"],\"text\":\"as small as an API reply is\"}";

static const char api_answer[] =
    "HTTP/1.1 200 OK\r\n"
    "Date: Sat, 21 Nov 2026 08:00:00 GMT\r\n"
    "Content-Type: application/json; charset=utf-8\r\n"
    "Content-Length: 2\r\n"
    "Connection: keep-alive\r\n"
    "Server: gateway\r\n"
    "Cache-Control: private, max-age=60, s-maxage=60\r\n"
    "Vary: Accept, Authorization, Cookie, X-Requested-With\r\n"
    "ETag: W/\"f2b51c6b0a1d4b47c8cc4a4b8a3c3cb6bcb9b4c1bb2f0f4b\"\r\n"
    "X-Media-Type: example.v3; format=json\r\n"
    "Last-Modified: Fri, 20 Nov 2026 21:13:07 GMT\r\n"
    "X-RateLimit-Limit: 5000\r\n"
    "X-RateLimit-Remaining: 4987\r\n"
    "X-RateLimit-Reset: 1795254000\r\n"
    "Access-Control-Expose-Headers: ETag, Link, Location, Retry-After\r\n"
    "Access-Control-Allow-Origin: *\r\n"
    "Strict-Transport-Security: max-age=31536000; includeSubdomains\r\n"
    "X-Frame-Options: deny\r\n"
    "X-Content-Type-Options: nosniff\r\n"
    "Referrer-Policy: origin-when-cross-origin, strict-origin\r\n"
    "Content-Security-Policy: default-src 'none'\r\n"
    "Accept-Ranges: bytes\r\n"
    "X-Request-Id: C0DE:1A2B:3C4D5E:6F7081:65FB0A11\r\n\r\n"
    "{}";

static const char chunked_answer[] = "HTTP/1.1 200 OK\r\n"
                                     "Content-Type: text/plain\r\n"
                                     "Transfer-Encoding: chunked\r\n\r\n"
                                     "10\r\n0123456789abcdef\r\n"
                                     "10\r\n0123456789abcdef\r\n"
                                     "10\r\n0123456789abcdef\r\n"
                                     "10\r\n0123456789abcdef\r\n"
                                     "0\r\n\r\n";

static aif_h1parse *parser;
static aif_header fields, defaults;
static aif_buf out;
static aif_url url;
static aif_loop loop;
static aif_deadline others[WAITING], one;

static int
on_body(void *user, const char *data, size_t len)
{
    (void)user;
    (void)data;
    sink += len;
    return 0;
}

static void
parse(const char *answer, size_t len)
{
    size_t used;

    aif_h1parse_reset(parser, 0);
    hold(aif_h1parse_feed(parser, answer, len, &used) == 0 && used == len
             && aif_h1parse_is_done(parser),
         "an answer was not parsed");
}

static void
parse_small(void)
{
    parse(small_answer, sizeof(small_answer) - 1);
}

static void
parse_api(void)
{
    parse(api_answer, sizeof(api_answer) - 1);
}

static void
parse_chunked(void)
{
    parse(chunked_answer, sizeof(chunked_answer) - 1);
}

static void
write_with(const aif_header *own, int64_t body)
{
    aif_err err;
    aif_h1head head = {
        .method = slice(body < 0 ? "GET" : "POST"),
        .target = slice("/v1/items/1027?fields=name&limit=10"),
        .authority = slice("api.example.com"),
        .fields = own,
        .defaults = &defaults,
        .body = body,
    };

    aif_err_reset(&err);
    aif_buf_reset(&out, AIF_MAX_URL);
    hold(aif_h1write_head(&out, &head, &err) == 0, "no head was written");
    sink += out.len;
}

static void
write_plain(void)
{
    write_with(NULL, AIF_H1_NO_BODY);
}

static void
write_fields(void)
{
    write_with(&fields, 1024);
}

static void
parse_url(void)
{
    static const char text[] =
        "https://api.example.com/v1/items/1027?fields=name&limit=10";
    aif_err err;

    aif_err_reset(&err);
    hold(aif_url_parse(&url, text, sizeof(text) - 1, &err) == 0,
         "a URL was not parsed");
    sink += aif_url_target(&url).len;
}

static void
find_fields(void)
{
    aif_header *head = aif_h1parse_header(parser);

    hold(aif_header_find(head, "X-Request-Id", 0) >= 0, "no field was found");
    hold(aif_header_find(head, "Content-Encoding", 0) < 0, "one too many");
    hold(aif_header_has_token(head, "Vary", "cookie"), "no token was found");
}

static void
move_deadline(void)
{
    static uint64_t due = 1000000000000000000u;

    hold(aif_deadline_set(&loop.deadlines, &one, ++due) == 0, "no deadline");
    aif_deadline_clear(&loop.deadlines, &one);
}

/* -- The table of paths, and their turns --------------------------------- */

static const struct path {
    const char *name;
    void (*turn)(void);
} paths[] = {
    {"parse a small answer", parse_small},
    {"parse an answer in 4 chunks", parse_chunked},
    {"parse an answer of 22 fields", parse_api}, /* find_fields looks at it */
    {"find 3 of 22 fields", find_fields},
    {"write the head of a GET", write_plain},
    {"write the head of a POST with 6 fields", write_fields},
    {"parse a URL", parse_url},
    {"set and clear a deadline among 1,000", move_deadline},
};

static void
on_due(aif_deadline *d)
{
    (void)d;
}

static void
add(aif_header *h, const char *name, const char *value)
{
    hold(aif_header_add(h, name, strlen(name), value, strlen(value)) == 0,
         "a field was not added");
}

static void
begin(void)
{
    static const aif_h1parse_cbs cbs = {.on_body = on_body};
    uint64_t due = 900000000000000000u;

    parser = aif_h1parse_new(AIF_H1_RESPONSE, NULL, &cbs, NULL);
    hold(parser != NULL && aif_loop_init(&loop) == 0, "out of memory");
    aif_buf_init(&out, AIF_MAX_URL);
    aif_url_init(&url);
    aif_header_init(&fields, 1u << 20, 100);
    aif_header_init(&defaults, 1u << 20, 100);
    add(&defaults, "Accept", "*/*");
    add(&defaults, "Accept-Encoding", "gzip, deflate, br, zstd");
    add(&defaults, "User-Agent", "aiofast/0.1 (micro)");
    add(&fields, "Authorization", "Bearer 0123456789abcdef0123456789abcdef");
    add(&fields, "Content-Type", "application/json");
    add(&fields, "Accept", "application/json");
    add(&fields, "X-Request-Id", "6f7081a2-65fb-0a11-1a2b-3c4d5e6f7081");
    add(&fields, "X-Client", "micro");
    add(&fields, "Cookie", "session=0123456789abcdef; theme=dark");
    aif_deadline_init(&one, on_due);
    for (int i = 0; i < WAITING; i++) {
        aif_deadline_init(&others[i], on_due);
        hold(aif_deadline_set(&loop.deadlines, &others[i], due++) == 0,
             "no deadline");
    }
}

int
main(void)
{
    int parent = 0;

    begin();
    printf("llhttp %s\n", aif_h1parse_version());
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        for (int turn = 0; turn < WARM_UP; turn++) {
            paths[i].turn();
        }
        parent ^= getppid();
        for (int turn = 0; turn < TURNS; turn++) {
            paths[i].turn();
        }
        parent ^= getppid();
        printf("%s\t%d\n", paths[i].name, TURNS);
    }
    return parent != 0; /* each mark was made twice */
}
