/* Tests of aif_h1write: the head byte for byte, framing, what is refused and
 * that a refusal leaves nothing behind. */
#include "http/aif_h1write.h"

#include "check.h"

#define MAX_LINES 6

/* A request in a table. Fields are "Name: value", cut at the first colon. */
typedef struct request {
    const char *method, *target, *authority;
    int64_t body;
    const char *fields[MAX_LINES];
    const char *defaults[MAX_LINES];
    const char *expect; /* the head, or the text of the refusal */
} request;

static aif_slice
slice(const char *s)
{
    aif_slice out = {s, strlen(s)};

    return out;
}

static void
fill(aif_header *h, const char *const *lines)
{
    const char *colon;
    int i;

    aif_header_init(h, 1u << 20, 10000);
    for (i = 0; i < MAX_LINES && lines[i] != NULL; i++) {
        colon = strchr(lines[i], ':');
        CHECK_EQ_INT(aif_header_add(h, lines[i], (size_t)(colon - lines[i]),
                                    colon + 2, strlen(colon + 2)),
                     0);
    }
}

/* The same head with defaults that were framed before is the same head. */
static void
check_with_lines(aif_h1head head, const aif_buf *want, size_t from, int rc)
{
    aif_buf lines, out;
    aif_err err;

    aif_buf_init(&lines, 1u << 20);
    aif_buf_init(&out, want->max - from);
    aif_err_reset(&err);
    if (aif_h1write_lines(&lines, head.defaults, &err) == 0) {
        head.lines = aif_buf_slice(&lines, 0, lines.len);
        aif_err_reset(&err);
        CHECK_EQ_INT(aif_h1write_head(&out, &head, &err), rc);
        CHECK_EQ_INT(out.len, want->len - from);
        CHECK(out.len == 0 || out.len != want->len - from
              || memcmp(out.data, want->data + from, out.len) == 0);
    }
    else {
        CHECK_EQ_INT(err.code, AIF_EINVAL);
        CHECK_EQ_INT(lines.len, 0);
    }
    aif_buf_fini(&lines);
    aif_buf_fini(&out);
}

/* Writes |r| behind a byte that must stay. All parts end where their blocks
 * do. */
static int
write_request(aif_buf *out, const request *r, aif_err *err)
{
    aif_header fields, defaults;
    aif_h1head head = {
        .method = {check_copy(r->method, strlen(r->method)),
                   strlen(r->method)},
        .target = {check_copy(r->target, strlen(r->target)),
                   strlen(r->target)},
        .authority = {check_copy(r->authority, strlen(r->authority)),
                      strlen(r->authority)},
        .fields = &fields,
        .defaults = &defaults,
        .body = r->body,
    };
    const size_t before = out->len;
    int rc;

    fill(&fields, r->fields);
    fill(&defaults, r->defaults);
    aif_err_reset(err);
    rc = aif_h1write_head(out, &head, err);
    check_with_lines(head, out, before, rc);
    aif_header_fini(&fields);
    aif_header_fini(&defaults);
    free((void *)(uintptr_t)head.method.ptr);
    free((void *)(uintptr_t)head.target.ptr);
    free((void *)(uintptr_t)head.authority.ptr);
    return rc;
}

#define GET "GET", "/", "h"
#define NO_FIELDS {NULL}
#define NONE AIF_H1_NO_BODY
#define CHUNKED AIF_H1_CHUNKED

static const request good[] = {
    {GET, NONE, NO_FIELDS, NO_FIELDS, "GET / HTTP/1.1\r\nHost: h\r\n\r\n"},
    {"OPTIONS", "*", "h:81", NONE, NO_FIELDS, NO_FIELDS,
     "OPTIONS * HTTP/1.1\r\nHost: h:81\r\n\r\n"},
    {"GET", "http://h/a?b", "h", NONE, NO_FIELDS, NO_FIELDS,
     "GET http://h/a?b HTTP/1.1\r\nHost: h\r\n\r\n"},
    {"M!#$%&'*+-.^_`|~9", "/", "[::1]:8080", NONE, NO_FIELDS, NO_FIELDS,
     "M!#$%&'*+-.^_`|~9 / HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n"},
    /* Order: Host, the caller's, the defaults, framing. */
    {"PUT",
     "/x",
     "h",
     3,
     {"B: 1", "A: 2", "B: 3"},
     {"Accept: */*", "User-Agent: t"},
     "PUT /x HTTP/1.1\r\nHost: h\r\nB: 1\r\nA: 2\r\nB: 3\r\nAccept: */*\r\n"
     "User-Agent: t\r\nContent-Length: 3\r\n\r\n"},
    {"POST",
     "/",
     "h",
     CHUNKED,
     {"A: 1"},
     NO_FIELDS,
     "POST / HTTP/1.1\r\nHost: h\r\nA: 1\r\n"
     "Transfer-Encoding: chunked\r\n\r\n"},
    /* Values go out as they are. */
    {GET,
     NONE,
     {"A: ", "B: \t x ", "C: \xc3\xa9"},
     NO_FIELDS,
     "GET / HTTP/1.1\r\nHost: h\r\nA: \r\nB: \t x \r\nC: \xc3\xa9\r\n\r\n"},
    /* Defaults give way to any field of their name, and may repeat. */
    {GET,
     NONE,
     {"ACCEPT: x", "accept: y"},
     {"Accept: */*", "X: 1", "x: 2", "Accept: z"},
     "GET / HTTP/1.1\r\nHost: h\r\nACCEPT: x\r\naccept: y\r\nX: 1\r\nx: 2\r\n"
     "\r\n"},
    /* Names that share a bit of the filter with the caller's still go. */
    {GET,
     NONE,
     {"abc: 1"},
     {"aXc: 2", "a-c: 3", "ABD: 4", "ABC: 5"},
     "GET / HTTP/1.1\r\nHost: h\r\nabc: 1\r\naXc: 2\r\na-c: 3\r\nABD: 4\r\n"
     "\r\n"},
    /* The caller's Host, first and once. */
    {GET,
     NONE,
     {"A: 1", "hOsT: other:1"},
     NO_FIELDS,
     "GET / HTTP/1.1\r\nHost: other:1\r\nA: 1\r\n\r\n"},
    {GET, NONE, {"Host: a"}, {"Host: b"}, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"},
    {GET, NONE, NO_FIELDS, {"host: b"}, "GET / HTTP/1.1\r\nHost: b\r\n\r\n"},
    {"GET",
     "/",
     "",
     NONE,
     {"Host: "},
     NO_FIELDS,
     "GET / HTTP/1.1\r\nHost: \r\n\r\n"},
    {"GET",
     "/",
     "not used",
     NONE,
     {"Host: a"},
     NO_FIELDS,
     "GET / HTTP/1.1\r\nHost: a\r\n\r\n"},
    /* RFC 9110 8.6. */
    {"POST", "/", "h", NONE, NO_FIELDS, NO_FIELDS,
     "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n"},
    {"PUT", "/", "h", NONE, NO_FIELDS, NO_FIELDS,
     "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n"},
    {"PATCH", "/", "h", NONE, NO_FIELDS, NO_FIELDS,
     "PATCH / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n"},
    {"DELETE", "/", "h", NONE, NO_FIELDS, NO_FIELDS,
     "DELETE / HTTP/1.1\r\nHost: h\r\n\r\n"},
    {"post", "/", "h", NONE, NO_FIELDS, NO_FIELDS,
     "post / HTTP/1.1\r\nHost: h\r\n\r\n"},
    {"HEAD", "/", "h", NONE, NO_FIELDS, NO_FIELDS,
     "HEAD / HTTP/1.1\r\nHost: h\r\n\r\n"},
    /* Content-Length of the caller: accepted, sent once, canonical. */
    {GET, 0, NO_FIELDS, NO_FIELDS,
     "GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n"},
    {"POST",
     "/",
     "h",
     12,
     {"Content-Length: 12", "A: 1"},
     NO_FIELDS,
     "POST / HTTP/1.1\r\nHost: h\r\nA: 1\r\nContent-Length: 12\r\n\r\n"},
    {"POST",
     "/",
     "h",
     12,
     {"content-length: 0012", "Content-LENGTH: 12"},
     {"Content-Length: 12"},
     "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 12\r\n\r\n"},
    {GET,
     NONE,
     {"Content-Length: 0"},
     NO_FIELDS,
     "GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n"},
    {"POST",
     "/",
     "h",
     NONE,
     {"Content-Length: 0"},
     NO_FIELDS,
     "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n"},
    {"PUT", "/", "h", INT64_MAX, NO_FIELDS, NO_FIELDS,
     "PUT / HTTP/1.1\r\nHost: h\r\n"
     "Content-Length: 9223372036854775807\r\n\r\n"},
    {"PUT",
     "/",
     "h",
     INT64_MAX,
     {"Content-Length: 9223372036854775807"},
     NO_FIELDS,
     "PUT / HTTP/1.1\r\nHost: h\r\n"
     "Content-Length: 9223372036854775807\r\n\r\n"},
    /* Of the special names' length, but not they. */
    {GET,
     NONE,
     {"Hose: 1", "Content-Lengty: 2", "Transfer-Encodinh: 3"},
     NO_FIELDS,
     "GET / HTTP/1.1\r\nHost: h\r\nHose: 1\r\nContent-Lengty: 2\r\n"
     "Transfer-Encodinh: 3\r\n\r\n"},
};

#define BAD_TARGET                                                            \
    "the request target is empty or has a byte that may not stand in a "      \
    "request line"
#define BAD_AUTHORITY                                                         \
    "the authority is empty or has a byte that may not stand in Host"

static const request bad[] = {
    {"", "/", "h", NONE, NO_FIELDS, NO_FIELDS, "the method is not a token"},
    {"GE T", "/", "h", NONE, NO_FIELDS, NO_FIELDS,
     "the method is not a token"},
    {"GET\r\nA: b", "/", "h", NONE, NO_FIELDS, NO_FIELDS,
     "the method is not a token"},
    {"GET", "", "h", NONE, NO_FIELDS, NO_FIELDS, BAD_TARGET},
    {"GET", "/a b", "h", NONE, NO_FIELDS, NO_FIELDS, BAD_TARGET},
    {"GET", "/\r\nA: b", "h", NONE, NO_FIELDS, NO_FIELDS, BAD_TARGET},
    {"GET", "/\x7f", "h", NONE, NO_FIELDS, NO_FIELDS, BAD_TARGET},
    {"GET", "/\xc3\xa9", "h", NONE, NO_FIELDS, NO_FIELDS, BAD_TARGET},
    {"GET", "/", "", NONE, NO_FIELDS, NO_FIELDS, BAD_AUTHORITY},
    {"GET", "/", "h\r\nA: b", NONE, NO_FIELDS, NO_FIELDS, BAD_AUTHORITY},
    {"GET", "/", "h ", NONE, NO_FIELDS, NO_FIELDS, BAD_AUTHORITY},
    {GET, -3, NO_FIELDS, NO_FIELDS, "the body's length is negative"},
    {GET, INT64_MIN, NO_FIELDS, NO_FIELDS, "the body's length is negative"},
    {GET,
     NONE,
     {": secret"},
     NO_FIELDS,
     "the header field  has a name that is not a token"},
    {GET,
     NONE,
     {"A : secret"},
     NO_FIELDS,
     "the header field A  has a name that is not a token"},
    {GET,
     NONE,
     {" A: secret"},
     NO_FIELDS,
     "the header field  A has a name that is not a token"},
    {GET,
     NONE,
     {"A\r\nB: secret"},
     NO_FIELDS,
     "the header field A??B has a name that is not a token"},
    {GET,
     NONE,
     {"\xc3\xa9: secret"},
     NO_FIELDS,
     "the header field ?? has a name that is not a token"},
    {GET,
     NONE,
     {"A: 1", "B: secret\r\nC: d"},
     NO_FIELDS,
     "the header field B has a control character in its value"},
    {GET,
     NONE,
     {"A: secret\n"},
     NO_FIELDS,
     "the header field A has a control character in its value"},
    {GET,
     NONE,
     {"A: secret\x7f"},
     NO_FIELDS,
     "the header field A has a control character in its value"},
    {GET,
     NONE,
     NO_FIELDS,
     {"A: secret\x01"},
     "the header field A has a control character in its value"},
    {GET,
     NONE,
     NO_FIELDS,
     {"A B: secret"},
     "the header field A B has a name that is not a token"},
    {GET,
     NONE,
     {"Host: a", "host: a"},
     NO_FIELDS,
     "the header field host is given twice"},
    {GET,
     NONE,
     NO_FIELDS,
     {"Host: a", "host: a"},
     "the header field host is given twice"},
    {GET,
     NONE,
     {"Host: a b"},
     NO_FIELDS,
     "the header field Host has a value that is no host"},
    {GET,
     NONE,
     {"Host: a\r\n"},
     NO_FIELDS,
     "the header field Host has a control character in its value"},
    {"POST",
     "/",
     "h",
     CHUNKED,
     {"Transfer-Encoding: chunked"},
     NO_FIELDS,
     "the header field Transfer-Encoding may not be set: framing is the "
     "client's own"},
    {GET,
     NONE,
     {"transfer-encoding: "},
     NO_FIELDS,
     "the header field transfer-encoding may not be set: framing is the "
     "client's own"},
    {GET,
     NONE,
     NO_FIELDS,
     {"Transfer-Encoding: gzip"},
     "the header field Transfer-Encoding may not be set: framing is the "
     "client's own"},
    {"POST",
     "/",
     "h",
     CHUNKED,
     {"Content-Length: 1"},
     NO_FIELDS,
     "the header field Content-Length is given for a body of unknown length"},
    {"POST",
     "/",
     "h",
     2,
     {"Content-Length: 1"},
     NO_FIELDS,
     "the header field Content-Length does not equal the length of the body"},
    {"POST",
     "/",
     "h",
     2,
     {"Content-Length: 2", "Content-Length: 3"},
     NO_FIELDS,
     "the header field Content-Length does not equal the length of the body"},
    {"POST",
     "/",
     "h",
     2,
     NO_FIELDS,
     {"Content-Length: 3"},
     "the header field Content-Length does not equal the length of the body"},
    {GET,
     NONE,
     {"Content-Length: 1"},
     NO_FIELDS,
     "the header field Content-Length does not equal the length of the body"},
    {"POST",
     "/",
     "h",
     2,
     {"Content-Length: "},
     NO_FIELDS,
     "the header field Content-Length is not a length"},
    {"POST",
     "/",
     "h",
     2,
     {"Content-Length: +2"},
     NO_FIELDS,
     "the header field Content-Length is not a length"},
    {"POST",
     "/",
     "h",
     2,
     {"Content-Length: 2, 2"},
     NO_FIELDS,
     "the header field Content-Length is not a length"},
    {"POST",
     "/",
     "h",
     2,
     {"Content-Length: 2 "},
     NO_FIELDS,
     "the header field Content-Length is not a length"},
    {"POST",
     "/",
     "h",
     0,
     {"Content-Length: 18446744073709551616"},
     NO_FIELDS,
     "the header field Content-Length is not a length"},
};

static void
test_good(void)
{
    const size_t count = sizeof(good) / sizeof(good[0]);
    aif_err err;
    aif_buf out;
    size_t i;

    for (i = 0; i < count; i++) {
        check_row = good[i].expect;
        aif_buf_init(&out, 1000);
        CHECK_EQ_INT(aif_buf_add(&out, "#", 1), 0);
        CHECK_EQ_INT(write_request(&out, &good[i], &err), 0);
        CHECK_EQ_STR(err.text, "");
        CHECK(out.data[0] == '#');
        CHECK_EQ_SLICE(aif_buf_slice(&out, 1, out.len - 1), good[i].expect);
        aif_buf_fini(&out);
        /* Exactly as much room as the head needs, and one byte less. */
        aif_buf_init(&out, strlen(good[i].expect));
        CHECK_EQ_INT(write_request(&out, &good[i], &err), 0);
        CHECK_EQ_SLICE(aif_buf_slice(&out, 0, out.len), good[i].expect);
        aif_buf_fini(&out);
        aif_buf_init(&out, strlen(good[i].expect) - 1);
        CHECK_EQ_INT(write_request(&out, &good[i], &err), AIF_ETOOBIG);
        CHECK_EQ_STR(err.text, "the request head is too large");
        CHECK(out.len == 0 && out.data == NULL);
    }
}

static void
test_bad(void)
{
    const size_t count = sizeof(bad) / sizeof(bad[0]);
    aif_err err;
    aif_buf out;
    size_t i;

    for (i = 0; i < count; i++) {
        check_row = bad[i].expect;
        aif_buf_init(&out, 1000);
        CHECK_EQ_INT(aif_buf_add(&out, "#", 1), 0);
        CHECK_EQ_INT(write_request(&out, &bad[i], &err), AIF_EINVAL);
        CHECK_EQ_INT(err.code, AIF_EINVAL);
        CHECK_EQ_STR(err.text, bad[i].expect);
        CHECK(strstr(err.text, "secret") == NULL);
        CHECK_EQ_SLICE(aif_buf_slice(&out, 0, out.len), "#");
        CHECK_EQ_INT(write_request(&out, &bad[i], NULL), AIF_EINVAL);
        aif_buf_fini(&out);
    }
}

/* Each byte in each part. */
static void
test_every_byte(void)
{
    aif_header fields;
    aif_h1head head = {.body = AIF_H1_NO_BODY, .fields = &fields};
    aif_buf out;
    char text[9];
    size_t at;
    int c;

    aif_buf_init(&out, 1000);
    aif_header_init(&fields, 1000, 10);
    for (c = 0; c < 256; c++) {
        for (at = 0; at < sizeof(text); at += 4) {
            memset(text, 'a', sizeof(text));
            text[at] = (char)c;
            head.method = slice("GET");
            head.authority = slice("h");
            head.target.ptr = text;
            head.target.len = sizeof(text);
            aif_header_reset(&fields);
            CHECK_EQ_INT(aif_h1write_head(&out, &head, NULL),
                         c > 32 && c < 127 ? 0 : AIF_EINVAL);
            head.authority = head.target;
            head.target = slice("/");
            CHECK_EQ_INT(aif_h1write_head(&out, &head, NULL),
                         c > 32 && c < 127 ? 0 : AIF_EINVAL);
            head.authority = slice("h");
            CHECK_EQ_INT(aif_header_add(&fields, "n", 1, text, sizeof(text)),
                         0);
            CHECK_EQ_INT(aif_h1write_head(&out, &head, NULL),
                         c == 9 || (c >= 32 && c != 127) ? 0 : AIF_EINVAL);
            aif_buf_reset(&out, 1000);
        }
    }
    aif_header_fini(&fields);
    aif_buf_fini(&out);
}

/* NUL inside, which the tables cannot hold; lists that are not there. */
static void
test_odd_heads(void)
{
    aif_header fields;
    aif_h1head head = {.method = slice("GET"),
                       .target = slice("/"),
                       .authority = slice("h"),
                       .body = AIF_H1_NO_BODY};
    aif_err err;
    aif_buf out;
    char name[300];

    aif_buf_init(&out, 1000);
    CHECK_EQ_INT(aif_h1write_head(&out, &head, NULL), 0);
    CHECK_EQ_SLICE(aif_buf_slice(&out, 0, out.len),
                   "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    aif_buf_reset(&out, 1000);
    aif_header_init(&fields, 1000, 10);
    head.fields = &fields;
    CHECK_EQ_INT(aif_header_add(&fields, "a\0b", 3, "", 0), 0);
    CHECK_EQ_INT(aif_h1write_head(&out, &head, &err), AIF_EINVAL);
    aif_header_reset(&fields);
    CHECK_EQ_INT(aif_header_add(&fields, "a", 1, "b\0", 2), 0);
    CHECK_EQ_INT(aif_h1write_head(&out, &head, &err), AIF_EINVAL);
    CHECK_EQ_INT(out.len, 0);
    /* A long name is shown in part. */
    memset(name, 'n', sizeof(name));
    aif_header_reset(&fields);
    CHECK_EQ_INT(aif_header_add(&fields, name, sizeof(name), "\r", 1), 0);
    CHECK_EQ_INT(aif_h1write_head(&out, &head, &err), AIF_EINVAL);
    CHECK(strlen(err.text) < 160);
    CHECK(strstr(err.text, "control character") != NULL);
    aif_header_fini(&fields);
    /* All of it missing. */
    memset(&head, 0, sizeof(head));
    CHECK_EQ_INT(aif_h1write_head(&out, &head, &err), AIF_EINVAL);
    head.method = slice("GET");
    CHECK_EQ_INT(aif_h1write_head(&out, &head, &err), AIF_EINVAL);
    head.target = slice("/");
    CHECK_EQ_INT(aif_h1write_head(&out, &head, &err), AIF_EINVAL);
    aif_buf_fini(&out);
}

static void
test_old_version(void)
{
    aif_h1head head = {.method = slice("POST"),
                       .target = slice("/"),
                       .authority = slice("h"),
                       .body = 3,
                       .old = 1};
    aif_err err;
    aif_buf out;

    aif_buf_init(&out, 1000);
    CHECK_EQ_INT(aif_h1write_head(&out, &head, NULL), 0);
    CHECK_EQ_SLICE(aif_buf_slice(&out, 0, out.len),
                   "POST / HTTP/1.0\r\nHost: h\r\nContent-Length: 3\r\n\r\n");
    aif_buf_reset(&out, 1000);
    head.body = AIF_H1_CHUNKED;
    CHECK_EQ_INT(aif_h1write_head(&out, &head, &err), AIF_EINVAL);
    CHECK(strstr(err.text, "HTTP/1.0") != NULL);
    CHECK_EQ_INT(out.len, 0);
    aif_buf_fini(&out);
}

/* The filter of names lets every default through that is not overridden. */
static void
test_many_names(void)
{
    aif_header fields, defaults;
    aif_h1head head = {.method = slice("GET"),
                       .target = slice("/"),
                       .authority = slice("h"),
                       .fields = &fields,
                       .defaults = &defaults,
                       .body = AIF_H1_NO_BODY};
    aif_buf out, want;
    char line[32];
    int i;

    aif_header_init(&fields, 1u << 16, 2000);
    aif_header_init(&defaults, 1u << 16, 2000);
    aif_buf_init(&out, 1u << 16);
    aif_buf_init(&want, 1u << 16);
    CHECK_EQ_INT(aif_buf_add_str(&want, "GET / HTTP/1.1\r\nHost: h\r\n"), 0);
    for (i = 0; i < 1000; i += 2) {
        (void)snprintf(line, sizeof(line), "x%dY: f\r\n", i);
        CHECK_EQ_INT(aif_buf_add_str(&want, line), 0);
        CHECK_EQ_INT(aif_header_add(&fields, line, strlen(line) - 5, "f", 1),
                     0);
    }
    for (i = 0; i < 1000; i++) {
        (void)snprintf(line, sizeof(line), "X%dy: d\r\n", i);
        CHECK_EQ_INT(aif_header_add(&defaults, line, strlen(line) - 5, "d", 1),
                     0);
        if (i % 2 == 1) {
            CHECK_EQ_INT(aif_buf_add_str(&want, line), 0);
        }
    }
    CHECK_EQ_INT(aif_buf_add_str(&want, "\r\n"), 0);
    CHECK_EQ_INT(aif_h1write_head(&out, &head, NULL), 0);
    CHECK(out.len == want.len && memcmp(out.data, want.data, out.len) == 0);
    aif_header_fini(&fields);
    aif_header_fini(&defaults);
    aif_buf_fini(&out);
    aif_buf_fini(&want);
}

static void
test_no_memory(void)
{
    aif_h1head head = {.method = slice("GET"),
                       .target = slice("/"),
                       .authority = slice("h"),
                       .body = AIF_H1_NO_BODY};
    aif_err err;
    aif_buf out;

    aif_buf_init(&out, 1000);
    aif_mem_fail_at(1, 0);
    CHECK_EQ_INT(aif_h1write_head(&out, &head, &err), AIF_ENOMEM);
    CHECK_EQ_INT(err.code, AIF_ENOMEM);
    CHECK_EQ_INT(out.len, 0);
    aif_mem_fail_at(1, 0);
    CHECK_EQ_INT(aif_h1write_chunk(&out, 5), AIF_ENOMEM);
    CHECK_EQ_INT(out.len, 0);
    /* A head is at most one allocation, and none into a reused buffer. */
    aif_mem_fail_at(2, 0);
    CHECK_EQ_INT(aif_h1write_head(&out, &head, &err), 0);
    aif_buf_reset(&out, 1000);
    aif_mem_fail_at(1, 0);
    CHECK_EQ_INT(aif_h1write_head(&out, &head, &err), 0);
    aif_mem_fail_at(0, 0);
    aif_buf_fini(&out);
}

static void
test_chunk(void)
{
    aif_buf out;
    size_t max;

    aif_buf_init(&out, 100);
    CHECK_EQ_INT(aif_h1write_chunk(&out, 0), AIF_EINVAL);
    CHECK_EQ_INT(out.len, 0);
    CHECK_EQ_INT(aif_h1write_chunk(&out, 1), 0);
    CHECK_EQ_INT(aif_h1write_chunk(&out, 0xdeadbeef), 0);
    CHECK_EQ_INT(aif_h1write_chunk(&out, UINT64_MAX), 0);
    CHECK_EQ_SLICE(aif_buf_slice(&out, 0, out.len),
                   "1\r\ndeadbeef\r\nffffffffffffffff\r\n");
    CHECK_EQ_STR(AIF_H1_LAST_CHUNK, "0\r\n\r\n");
    aif_buf_fini(&out);
    /* The line goes out whole or not at all. */
    for (max = 0; max <= 5; max++) {
        aif_buf_init(&out, max);
        CHECK_EQ_INT(aif_h1write_chunk(&out, 0xabc),
                     max < 5 ? AIF_ETOOBIG : 0);
        CHECK_EQ_INT(out.len, max < 5 ? 0 : 5);
        aif_buf_fini(&out);
    }
}

static void
test_last_chunk(void)
{
    aif_header trailer;
    aif_buf out;

    aif_buf_init(&out, 100);
    aif_header_init(&trailer, 1000, 10);
    CHECK_EQ_INT(aif_h1write_last_chunk(&out, NULL, NULL), 0);
    CHECK_EQ_INT(aif_h1write_last_chunk(&out, &trailer, NULL), 0);
    CHECK(out.len == sizeof("0\r\n\r\n0\r\n\r\n") - 1
          && memcmp(out.data, "0\r\n\r\n0\r\n\r\n", out.len) == 0);
    aif_buf_reset(&out, 100);
    CHECK_EQ_INT(aif_header_add(&trailer, "Sum", 3, "1 2", 3), 0);
    CHECK_EQ_INT(aif_header_add(&trailer, "X", 1, "", 0), 0);
    CHECK_EQ_INT(aif_h1write_last_chunk(&out, &trailer, NULL), 0);
    CHECK(out.len == sizeof("0\r\nSum: 1 2\r\nX: \r\n\r\n") - 1
          && memcmp(out.data, "0\r\nSum: 1 2\r\nX: \r\n\r\n", out.len) == 0);
    /* All of it or nothing, at every length that is too short. */
    for (size_t max = 0; max < 20; max++) {
        aif_buf_fini(&out);
        aif_buf_init(&out, max);
        CHECK_EQ_INT(aif_h1write_last_chunk(&out, &trailer, NULL),
                     AIF_ETOOBIG);
        CHECK_EQ_INT(out.len, 0);
    }
    aif_header_fini(&trailer);
    aif_buf_fini(&out);
}

static void
test_last_chunk_refuses(void)
{
    static const struct {
        const char *name, *value;
    } bad[] = {
        {"", "x"},         {"A b", "x"},
        {"A:", "x"},       {"A", "x\r\nB: y"},
        {"A", "x\ny"},     {"Content-Length", "1"},
        {"HOST", "h"},     {"Transfer-Encoding", "chunked"},
        {"Trailer", "X"},  {"authorization", "x"},
        {"Cookie", "a=b"}, {"Content-Type", "text/plain"},
    };
    aif_header trailer;
    aif_err err;
    aif_buf out;

    aif_buf_init(&out, 1000);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        check_row = bad[i].name;
        aif_header_init(&trailer, 1000, 10);
        CHECK_EQ_INT(aif_header_add(&trailer, "Good", 4, "1", 1), 0);
        CHECK_EQ_INT(aif_header_add(&trailer, bad[i].name, strlen(bad[i].name),
                                    bad[i].value, strlen(bad[i].value)),
                     0);
        CHECK_EQ_INT(aif_h1write_last_chunk(&out, &trailer, &err), AIF_EINVAL);
        CHECK_EQ_INT(err.code, AIF_EINVAL);
        CHECK_EQ_INT(out.len, 0);
        aif_header_fini(&trailer);
    }
    check_row = NULL;
    aif_buf_fini(&out);
}

int
main(void)
{
    static const check_test tests[] = {
        CHECK_TEST(test_good),        CHECK_TEST(test_bad),
        CHECK_TEST(test_every_byte),  CHECK_TEST(test_odd_heads),
        CHECK_TEST(test_old_version), CHECK_TEST(test_many_names),
        CHECK_TEST(test_no_memory),   CHECK_TEST(test_chunk),
        CHECK_TEST(test_last_chunk),  CHECK_TEST(test_last_chunk_refuses),
    };

    return CHECK_RUN(tests);
}
