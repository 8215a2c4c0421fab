/* Tests of aif_h1scan: every ceiling at the limit and one past it, counted
 * across cuts, through the parser that it serves.
 */
#include "http/aif_h1scan.h"

#include <stdint.h>
#include <string.h>

#include "base/aif_mem.h"
#include "h1reading.h"

static char big[256 * 1024];
static size_t big_len;

static void
add(const char *s)
{
    const size_t n = strlen(s);

    CHECK(n <= sizeof(big) - big_len);
    memcpy(big + big_len, s, n);
    big_len += n;
}

static void
add_fill(char c, size_t n)
{
    CHECK(n <= sizeof(big) - big_len);
    memset(big + big_len, c, n);
    big_len += n;
}

/* Reads |big| whole, in bytes, and around its end, and wants |code|. */
static void
check_big(const aif_h1parse_limits *limits, int code, const char *text)
{
    static const size_t steps[] = {0, 1, 7, 4096};
    static reading r;
    size_t i;

    for (i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        read_fresh(&r, big, big_len, steps[i] > 0 ? steps[i] : big_len,
                   steps[i], 0, limits);
        CHECK_EQ_INT(r.code, code);
        CHECK(strstr(r.text, text) != NULL);
    }
}

static void
start_big(const char *s)
{
    big_len = 0;
    add(s);
}

static void
test_line_limit(void)
{
    const aif_h1parse_limits small = {.line = 20};

    start_big("HTTP/1.1 200 ");
    add_fill('r', AIF_MAX_LINE - 13);
    add("\r\nContent-Length: 0\r\n\r\n");
    check_big(NULL, 0, "");
    start_big("HTTP/1.1 200 ");
    add_fill('r', AIF_MAX_LINE - 12);
    add("\r\n\r\n");
    check_big(NULL, AIF_ETOOBIG, "too long");
    start_big(OK "Content-Length: 0\r\nA:");
    add_fill('v', AIF_MAX_LINE - 2);
    add("\r\n\r\n");
    check_big(NULL, 0, "");
    start_big(OK "Content-Length: 0\r\nA:");
    add_fill('v', AIF_MAX_LINE - 1);
    add("\r\n\r\n");
    check_big(NULL, AIF_ETOOBIG, "too long");
    /* The same in a trailer, with a line of one's own length. */
    start_big(OK "Content-Length: 000\r\n\r\n");
    check_big(&small, 0, "");
    start_big(OK "Content-Length: 0000\r\n\r\n");
    check_big(&small, 0, "");
    start_big(OK "Content-Length: 00000\r\n\r\n");
    check_big(&small, AIF_ETOOBIG, "too long");
    start_big(OK "A:");
    add_fill('\t', 18);
    add("\r\nContent-Length: 0\r\n\r\n");
    check_big(&small, 0, "");
    start_big(OK "A:");
    add_fill('\t', 19);
    add("\r\n");
    check_big(&small, AIF_ETOOBIG, "too long");
}

static void
test_head_limit(void)
{
    const aif_h1parse_limits small = {.head = 100};
    size_t i;

    /* 17 + 19 + 2 bytes and a field that fills up. */
    for (i = 0; i < 2; i++) {
        start_big(OK "Content-Length: 0\r\nA:");
        add_fill('v', 100 - 38 - 4 + i);
        add("\r\n\r\n");
        CHECK_EQ_INT((int)big_len, 100 + (int)i);
        check_big(&small, i == 0 ? 0 : AIF_ETOOBIG,
                  i == 0 ? "" : "section is too big");
    }
    /* Informational heads count. */
    for (i = 0; i < 2; i++) {
        start_big("HTTP/1.1 100 C\r\n\r\n" OK "Content-Length: 0\r\nA:");
        add_fill('v', 100 - 18 - 38 - 4 + i);
        add("\r\n\r\n");
        check_big(&small, i == 0 ? 0 : AIF_ETOOBIG,
                  i == 0 ? "" : "section is too big");
    }
    /* The default, by fields of 1,000 bytes and one that fills up. */
    for (i = 0; i < 2; i++) {
        start_big(OK "Content-Length: 0\r\n");
        while (big_len + 1008 < AIF_MAX_HEAD) {
            add("A:");
            add_fill('v', 996);
            add("\r\n");
        }
        add("B:");
        add_fill('v', AIF_MAX_HEAD - big_len - 4 + i);
        add("\r\n\r\n");
        CHECK_EQ_INT((int)big_len, (int)(AIF_MAX_HEAD + i));
        check_big(NULL, i == 0 ? 0 : AIF_ETOOBIG,
                  i == 0 ? "" : "section is too big");
    }
}

static void
test_field_limit(void)
{
    unsigned i, n;

    for (n = AIF_MAX_FIELDS; n <= AIF_MAX_FIELDS + 1; n++) {
        start_big(OK "Content-Length: 0\r\n");
        for (i = 1; i < n; i++) {
            add("A:\r\n");
        }
        add("\r\n");
        check_big(NULL, n == AIF_MAX_FIELDS ? 0 : AIF_ETOOBIG,
                  n == AIF_MAX_FIELDS ? "" : "too many fields");
    }
    for (n = AIF_MAX_FIELDS; n <= AIF_MAX_FIELDS + 1; n++) {
        start_big(CHUNKED "0\r\n");
        for (i = 0; i < n; i++) {
            add("A:\r\n");
        }
        add("\r\n");
        check_big(NULL, n == AIF_MAX_FIELDS ? 0 : AIF_ETOOBIG,
                  n == AIF_MAX_FIELDS ? "" : "too many fields");
    }
}

static void
test_trailer_limit(void)
{
    const size_t from = sizeof(CHUNKED "0\r\n") - 1;
    size_t i;

    for (i = 0; i < 2; i++) {
        start_big(CHUNKED "0\r\n");
        while (big_len - from + 1008 < AIF_MAX_TRAILER) {
            add("A:");
            add_fill('v', 996);
            add("\r\n");
        }
        add("B:");
        add_fill('v', AIF_MAX_TRAILER - (big_len - from) - 4 + i);
        add("\r\n\r\n");
        CHECK_EQ_INT((int)(big_len - from), (int)(AIF_MAX_TRAILER + i));
        check_big(NULL, i == 0 ? 0 : AIF_ETOOBIG,
                  i == 0 ? "" : "section is too big");
    }
}

static void
test_chunk_limits(void)
{
    const aif_h1parse_limits small = {.chunk_line = 5};
    size_t i;

    for (i = 0; i < 2; i++) {
        start_big(CHUNKED "1;");
        add_fill('e', AIF_MAX_CHUNK_LINE - 2 + i);
        add("\r\nx\r\n0\r\n\r\n");
        check_big(NULL, i == 0 ? 0 : AIF_ETOOBIG,
                  i == 0 ? "" : "a line is too long");
    }
    start_big(CHUNKED "00001\r\nx\r\n0\r\n\r\n");
    check_big(&small, 0, "");
    start_big(CHUNKED "000001\r\nx\r\n0\r\n\r\n");
    check_big(&small, AIF_ETOOBIG, "chunk line is too long");
    start_big(CHUNKED "1    \r\nx\r\n0\r\n\r\n");
    check_big(&small, 0, "");
    start_big(CHUNKED "1     \r\nx\r\n0\r\n\r\n");
    check_big(&small, AIF_ETOOBIG, "chunk line is too long");
}

/* One byte a chunk, with |ext| bytes of extension: framing is ext + 6 for
 * each and 16 are earned by it. */
static void
fill_chunks(size_t chunks, size_t ext)
{
    start_big(CHUNKED);
    while (chunks-- > 0) {
        add("1;");
        add_fill('e', ext);
        add("\r\nx\r\n");
    }
}

static void
test_framing_budget(void)
{
    const size_t each = 1000;
    /* The last chunk that can be paid for in full. */
    const size_t fit = (AIF_MAX_CHUNK_FRAMING + 14) / (each + 6 - 16);
    size_t left;

    fill_chunks(4000, 10);
    add("0\r\n\r\n");
    check_big(NULL, 0, "");
    fill_chunks(fit, each);
    check_big(NULL, 0, "");
    fill_chunks(fit + 1, each);
    check_big(NULL, AIF_ETOOBIG, "too much chunk framing");
    /* To the byte: what is left pays for a last line of this length. */
    left = AIF_MAX_CHUNK_FRAMING - fit * (each + 6 - 16);
    fill_chunks(fit, each);
    add("0;");
    add_fill('e', left - 4);
    add("\r\n\r\n");
    check_big(NULL, 0, "");
    fill_chunks(fit, each);
    add("0;");
    add_fill('e', left - 3);
    add("\r\n\r\n");
    check_big(NULL, AIF_ETOOBIG, "too much chunk framing");
}

static void
test_informational_limit(void)
{
    const aif_h1parse_limits two = {.informational = 2};
    unsigned i, n;

    for (n = AIF_MAX_INFORMATIONAL; n <= AIF_MAX_INFORMATIONAL + 1; n++) {
        start_big("");
        for (i = 0; i < n; i++) {
            add("HTTP/1.1 102 P\r\n\r\n");
        }
        add(OK "Content-Length: 0\r\n\r\n");
        check_big(NULL, n == AIF_MAX_INFORMATIONAL ? 0 : AIF_ETOOBIG,
                  n == AIF_MAX_INFORMATIONAL ? "" : "too many 1xx");
    }
    start_big("HTTP/1.1 102 P\r\n\r\nHTTP/1.1 102 P\r\n\r\n");
    check_big(&two, 0, "");
    add("HTTP/1.1 102 P\r\n\r\n");
    check_big(&two, AIF_ETOOBIG, "too many 1xx");
}

static void
test_leading_limit(void)
{
    unsigned i, n;

    for (n = AIF_MAX_LEADING_CRLF / 2; n <= AIF_MAX_LEADING_CRLF / 2 + 1; n++)
    {
        start_big("");
        for (i = 0; i < n; i++) {
            add("\r\n");
        }
        add(OK "Content-Length: 0\r\n\r\n");
        check_big(NULL, n == AIF_MAX_LEADING_CRLF / 2 ? 0 : AIF_ETOOBIG,
                  n == AIF_MAX_LEADING_CRLF / 2 ? "" : "empty lines");
    }
}

int
main(void)
{
    test_line_limit();
    test_head_limit();
    test_field_limit();
    test_trailer_limit();
    test_chunk_limits();
    test_framing_budget();
    test_informational_limit();
    test_leading_limit();
    CHECK(aif_mem_live() == 0);
    return check_failures();
}
