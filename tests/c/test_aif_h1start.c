/* Tests of aif_h1start: what every byte may be at every place of a start line,
 * the forms of a target, the methods, and lines in pieces.
 */
#include "http/aif_h1start.h"

#include <stdint.h>
#include <string.h>

#include "base/aif_mem.h"
#include "check.h"

typedef aif_scan reader(aif_h1start *st, const char *s, size_t len, size_t *n);

/* Reads |s| in pieces of |step| bytes. Returns the fault, and how many bytes
 * were good in *|used|. */
static aif_h1_fault
read_line(aif_h1start *st, reader *read, const char *s, size_t len,
          size_t step, size_t *used)
{
    aif_scan rc = AIF_SCAN_MORE;
    size_t at = 0;
    size_t n, part;

    aif_h1start_reset(st);
    while (rc == AIF_SCAN_MORE && at < len) {
        part = step < len - at ? step : len - at;
        rc = read(st, s + at, part, &n);
        CHECK(n <= part);
        CHECK(rc != AIF_SCAN_MORE || n == part);
        at += n;
    }
    *used = at;
    CHECK((rc == AIF_SCAN_BAD) == (st->fault != AIF_H1_FAULT_NONE));
    return st->fault;
}

/* The same in pieces of all lengths. */
static aif_h1_fault
read_all(aif_h1start *st, reader *read, const char *s, size_t len,
         size_t *used)
{
    const aif_h1_fault whole = read_line(st, read, s, len, len + 1, used);
    size_t step, n;

    for (step = 1; step < len; step++) {
        CHECK_EQ_INT((int)read_line(st, read, s, len, step, &n), (int)whole);
        CHECK(n == *used);
    }
    return whole;
}

static void
test_status_bytes(void)
{
    static const char *const allowed[] = {
        "H",  "T", "T",         "P",          "/",          "1", ".",
        "01", " ", "123456789", "0123456789", "0123456789", " ",
    };
    char line[] = "HTTP/1.1 200 OK\r\n";
    const size_t len = sizeof(line) - 1;
    aif_h1start st;
    aif_h1_fault fault;
    size_t i, used;
    int c, good;

    aif_h1start_init(&st, 100);
    for (i = 0; i < sizeof(allowed) / sizeof(allowed[0]); i++) {
        const char was = line[i];

        for (c = 0; c < 256; c++) {
            line[i] = (char)c;
            fault =
                read_line(&st, aif_h1start_response, line, len, len, &used);
            good = c != 0 && strchr(allowed[i], c) != NULL;
            CHECK(good == (fault == AIF_H1_FAULT_NONE) || (c == '\r' && i > 0)
                  || (c == '\r' && i == 12));
            CHECK(used == (good ? len : i) || c == '\r');
            CHECK_EQ_INT(
                (int)read_line(&st, aif_h1start_response, line, len, 1, &used),
                (int)fault);
        }
        line[i] = was;
    }
    aif_h1start_fini(&st);
}

typedef struct line {
    const char *text;
    aif_h1_fault fault;
    size_t used; /* where a byte is refused */
} line;

static void
test_status_lines(void)
{
    static const line lines[] = {
        {"HTTP/1.1 200 OK\r\n", AIF_H1_FAULT_NONE, 17},
        {"HTTP/1.0 599\r\n", AIF_H1_FAULT_NONE, 14},
        {"HTTP/1.1 200 \r\n", AIF_H1_FAULT_NONE, 15},
        {"HTTP/1.1 200 a\tb \xff\r\n", AIF_H1_FAULT_NONE, 20},
        {"HTTP/1.1 200 OK\n", AIF_H1_FAULT_BARE_LF, 15},
        {"HTTP/1.1 200\n", AIF_H1_FAULT_BARE_LF, 12},
        {"HTTP/1.1 200 OK\rX", AIF_H1_FAULT_BARE_CR, 16},
        {"HTTP/1.1 200 O\x7f", AIF_H1_FAULT_CONTROL, 14},
        {"HTTP/1.1 20\r\n", AIF_H1_FAULT_STATUS_SHORT, 11},
        {"HTTP/1.1 2000 OK\r\n", AIF_H1_FAULT_STATUS_END, 12},
        {"HTTP/1.1 099 OK\r\n", AIF_H1_FAULT_STATUS, 9},
        {"HTTP/1.2 200 OK\r\n", AIF_H1_FAULT_VERSION, 7},
        {"HTTP/1.1\t200 OK\r\n", AIF_H1_FAULT_VERSION_END, 8},
        {"ICY 200 OK\r\n", AIF_H1_FAULT_PROTOCOL, 0},
    };
    aif_h1start st;
    size_t i, used;

    aif_h1start_init(&st, 100);
    for (i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        CHECK_EQ_INT((int)read_all(&st, aif_h1start_response, lines[i].text,
                                   strlen(lines[i].text), &used),
                     (int)lines[i].fault);
        CHECK_EQ_INT((int)used, (int)lines[i].used);
    }
    CHECK_EQ_INT((int)read_all(&st, aif_h1start_response,
                               "HTTP/1.0 404 No way\r\n", 21, &used),
                 0);
    CHECK_EQ_INT(st.status, 404);
    CHECK_EQ_INT(st.minor, 0);
    CHECK(aif_h1start_reason(&st).len == 6);
    CHECK(memcmp(aif_h1start_reason(&st).ptr, "No way", 6) == 0);
    st.rules = AIF_H1_VERSIONS | AIF_H1_LONE_LF;
    CHECK_EQ_INT(
        (int)read_all(&st, aif_h1start_response, "HTTP/3.7 204\n", 13, &used),
        0);
    CHECK_EQ_INT(st.major * 10 + st.minor, 37);
    aif_h1start_fini(&st);
}

static void
test_request_lines(void)
{
    static const line lines[] = {
        {"GET / HTTP/1.1\r\n", AIF_H1_FAULT_NONE, 16},
        {"PATCH http://h/?q HTTP/1.0\r\n", AIF_H1_FAULT_NONE, 28},
        {"GET coap+tcp.1-a://h HTTP/1.1\r\n", AIF_H1_FAULT_NONE, 31},
        {"OPTIONS * HTTP/1.1\r\n", AIF_H1_FAULT_NONE, 20},
        {"CONNECT h:443 HTTP/1.1\r\n", AIF_H1_FAULT_NONE, 24},
        {"CONNECT [::1]:443 HTTP/1.1\r\n", AIF_H1_FAULT_NONE, 28},
        {"NEW! /#\"{}|<>\\^`~ HTTP/1.1\r\n", AIF_H1_FAULT_NONE, 28},
        {" GET / HTTP/1.1\r\n", AIF_H1_FAULT_METHOD, 0},
        {"G@T / HTTP/1.1\r\n", AIF_H1_FAULT_METHOD, 1},
        {"GET\r\n", AIF_H1_FAULT_METHOD, 3},
        {"GET \r\n", AIF_H1_FAULT_TARGET_FORM, 4},
        {"GET  / HTTP/1.1\r\n", AIF_H1_FAULT_TARGET_FORM, 4},
        {"POST HTTP/1.1\r\n", AIF_H1_FAULT_TARGET_FORM, 9},
        {"GET ?a HTTP/1.1\r\n", AIF_H1_FAULT_TARGET_FORM, 4},
        {"GET http:/h HTTP/1.1\r\n", AIF_H1_FAULT_TARGET_FORM, 10},
        {"GET http:///h HTTP/1.1\r\n", AIF_H1_FAULT_TARGET_FORM, 11},
        {"GET h.de:80 HTTP/1.1\r\n", AIF_H1_FAULT_TARGET_FORM, 9},
        {"CONNECT /h HTTP/1.1\r\n", AIF_H1_FAULT_TARGET_FORM, 8},
        {"CONNECT h:1/ HTTP/1.1\r\n", AIF_H1_FAULT_TARGET_FORM, 11},
        {"CONNECT u@h:1 HTTP/1.1\r\n", AIF_H1_FAULT_NONE, 24},
        {"GET http://h HTTP/1.1\r\n", AIF_H1_FAULT_NONE, 23},
        {"GET http://u:p@h:1?q HTTP/1.1\r\n", AIF_H1_FAULT_NONE, 31},
        {"GET http://@[::1]/ HTTP/1.1\r\n", AIF_H1_FAULT_NONE, 29},
        {"GET http://u@v@h/ HTTP/1.1\r\n", AIF_H1_FAULT_TARGET_FORM, 14},
        {"GET http://h#f HTTP/1.1\r\n", AIF_H1_FAULT_TARGET_FORM, 12},
        {"GET http://h\\ HTTP/1.1\r\n", AIF_H1_FAULT_TARGET_FORM, 12},
        {"GET http://h{}/ HTTP/1.1\r\n", AIF_H1_FAULT_TARGET_FORM, 12},
        {"GET http://h\r\n", AIF_H1_FAULT_VERSION, 12},
        {"GET /\x7f HTTP/1.1\r\n", AIF_H1_FAULT_TARGET, 5},
        {"GET /\xc3 HTTP/1.1\r\n", AIF_H1_FAULT_TARGET, 5},
        {"GET /\t HTTP/1.1\r\n", AIF_H1_FAULT_TARGET, 5},
        {"GET /\r\n", AIF_H1_FAULT_VERSION, 5},
        {"GET / \r\n", AIF_H1_FAULT_VERSION, 6},
        {"GET / / HTTP/1.1\r\n", AIF_H1_FAULT_VERSION, 6},
        {"GET / http/1.1\r\n", AIF_H1_FAULT_VERSION, 6},
        {"GET / HTTP/1.2\r\n", AIF_H1_FAULT_VERSION, 13},
        {"GET / HTTP/1.11\r\n", AIF_H1_FAULT_VERSION, 14},
        {"GET / HTTP/1.1 \r\n", AIF_H1_FAULT_VERSION, 14},
        {"GET / HTTP/1.\r\n", AIF_H1_FAULT_VERSION, 13},
        {"GET / HTTP/1.1\n", AIF_H1_FAULT_BARE_LF, 14},
        {"GET / HTTP/1.1\rX", AIF_H1_FAULT_BARE_CR, 15},
    };
    aif_h1start st;
    size_t i, used;

    aif_h1start_init(&st, 100);
    for (i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        CHECK_EQ_INT((int)read_all(&st, aif_h1start_request, lines[i].text,
                                   strlen(lines[i].text), &used),
                     (int)lines[i].fault);
        CHECK_EQ_INT((int)used, (int)lines[i].used);
    }
    CHECK_EQ_INT((int)read_all(&st, aif_h1start_request,
                               "PATCH http://h/?q HTTP/1.0\r\n", 28, &used),
                 0);
    CHECK(aif_h1start_method(&st).len == 5);
    CHECK(aif_h1start_target(&st).len == 11);
    CHECK(memcmp(aif_h1start_target(&st).ptr, "http://h/?q", 11) == 0);
    CHECK_EQ_INT(st.minor, 0);
    CHECK(!st.connect);
    st.rules = AIF_H1_SIMPLE;
    CHECK_EQ_INT(
        (int)read_all(&st, aif_h1start_request, "GET /a\r\n", 8, &used), 0);
    CHECK_EQ_INT(st.major * 10 + st.minor, 9);
    CHECK(aif_h1start_target(&st).len == 2);
    aif_h1start_fini(&st);
}

static void
test_methods(void)
{
    static const char *const known[] = {
        "GET",   "PROPFIND",        "PURGE",   "M-SEARCH", "MKCALENDAR",
        "QUERY", "VERSION-CONTROL", "CONNECT", "UNLINK",   "SUBSCRIBE",
        "ACL",   "SOURCE",
    };
    /* And how much of it a known one begins with. */
    static const line unknown[] = {
        {"GETS", AIF_H1_FAULT_METHOD_UNKNOWN, 3},
        {"GE", AIF_H1_FAULT_METHOD_UNKNOWN, 2},
        {"get", AIF_H1_FAULT_METHOD_UNKNOWN, 0},
        {"PRI", AIF_H1_FAULT_METHOD_UNKNOWN, 2},
        {"CONNECTS", AIF_H1_FAULT_METHOD_UNKNOWN, 7},
        {"UPDATEREDIRECTREFS", AIF_H1_FAULT_METHOD_UNKNOWN, 17},
        {"A-METHOD-THAT-IS-MUCH-LONGER-THAN-ANY", AIF_H1_FAULT_METHOD_UNKNOWN,
         1},
        {"BREW", AIF_H1_FAULT_METHOD_UNKNOWN, 1},
        {"GE@", AIF_H1_FAULT_METHOD, 2},
    };
    char text[100];
    aif_h1start st;
    size_t i, used;

    aif_h1start_init(&st, 100);
    st.rules = AIF_H1_METHODS;
    for (i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        (void)snprintf(text, sizeof(text), "%s x:1", known[i]);
        if (strcmp(known[i], "CONNECT") != 0) {
            (void)snprintf(text, sizeof(text), "%s /", known[i]);
        }
        CHECK_EQ_INT(
            (int)read_all(&st, aif_h1start_request, text, strlen(text), &used),
            0);
        CHECK_EQ_INT(st.connect, strcmp(known[i], "CONNECT") == 0);
    }
    for (i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
        (void)snprintf(text, sizeof(text), "%s / HTTP/1.1\r\n",
                       unknown[i].text);
        CHECK_EQ_INT(
            (int)read_all(&st, aif_h1start_request, text, strlen(text), &used),
            (int)unknown[i].fault);
        CHECK(used == unknown[i].used);
    }
    /* Not a line's end, but a byte is enough. */
    CHECK_EQ_INT((int)read_all(&st, aif_h1start_request, "x", 1, &used),
                 AIF_H1_FAULT_METHOD_UNKNOWN);
    CHECK_EQ_INT((int)read_all(&st, aif_h1start_request, "VERSIO", 6, &used),
                 AIF_H1_FAULT_NONE);
    aif_h1start_fini(&st);
}

/* One byte more than may be, at each kind of place. */
static void
test_limits(void)
{
    static const char request[] = "GET /abc HTTP/1.1\r\n";
    static const char response[] = "HTTP/1.1 200 OK\r\n";
    aif_h1start st;
    size_t max, used;

    for (max = 1; max < sizeof(request); max++) {
        aif_h1start_init(&st, max);
        CHECK_EQ_INT((int)read_all(&st, aif_h1start_request, request,
                                   sizeof(request) - 1, &used),
                     max < 17 ? AIF_H1_FAULT_LINE : AIF_H1_FAULT_NONE);
        CHECK(used == (max < 17 ? max : sizeof(request) - 1));
        aif_h1start_fini(&st);
    }
    for (max = 1; max < sizeof(response); max++) {
        aif_h1start_init(&st, max);
        CHECK_EQ_INT((int)read_all(&st, aif_h1start_response, response,
                                   sizeof(response) - 1, &used),
                     max < 15 ? AIF_H1_FAULT_LINE : AIF_H1_FAULT_NONE);
        CHECK(used == (max < 15 ? max : sizeof(response) - 1));
        aif_h1start_fini(&st);
    }
    aif_h1start_init(&st, 100);
    aif_mem_fail_at(1, 1);
    CHECK_EQ_INT((int)read_line(&st, aif_h1start_request, request,
                                sizeof(request) - 1, 100, &used),
                 AIF_H1_FAULT_MEMORY);
    aif_mem_fail_at(0, 0);
    aif_h1start_fini(&st);
}

int
main(void)
{
    test_status_bytes();
    test_status_lines();
    test_request_lines();
    test_methods();
    test_limits();
    CHECK(aif_mem_live() == 0);
    return check_failures();
}
