/* Tests of aif_ascii: each byte against the grammar, each length around the
 * words that the scans read, and reads that stop at the end of their block. */
#include "base/aif_ascii.h"

#include "check.h"

/* Longer than two words and a rest, so that each lane meets each byte. */
#define SPAN 19

/* Written from RFC 9110 5.6.2, not from the table. */
static int
is_tchar(int c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
           || (c >= '0' && c <= '9')
           || (c != 0 && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static int
is_value_byte(int c)
{
    return c == 9 || (c >= 32 && c != 127);
}

static int
is_vchar(int c)
{
    return c > 32 && c < 127;
}

/* Each byte at each place of texts of each length. */
static void
test_classes(void)
{
    size_t n, at;
    char *s;
    int c;

    for (n = 1; n <= SPAN; n++) {
        s = check_copy("aaaaaaaaaaaaaaaaaaa", n);
        for (at = 0; at < n; at++) {
            for (c = 0; c < 256; c++) {
                s[at] = (char)c;
                CHECK_EQ_INT(aif_ascii_is_token(s, n), is_tchar(c));
                CHECK_EQ_INT(aif_ascii_is_value(s, n), is_value_byte(c));
                CHECK_EQ_INT(aif_ascii_is_visible(s, n), is_vchar(c));
            }
            s[at] = 'a';
        }
        free(s);
    }
    CHECK_EQ_INT(aif_ascii_is_token("", 0), 0);
    CHECK_EQ_INT(aif_ascii_is_visible("", 0), 0);
    CHECK_EQ_INT(aif_ascii_is_value("", 0), 1);
}

/* Two odd bytes side by side: a borrow must not hide or make up a finding. */
static void
test_neighbours(void)
{
    char *s = check_copy("aaaaaaaa", 8);
    int a, b;

    for (a = 0; a < 256; a++) {
        for (b = 0; b < 256; b++) {
            s[3] = (char)a;
            s[4] = (char)b;
            CHECK_EQ_INT(aif_ascii_is_value(s, 8),
                         is_value_byte(a) && is_value_byte(b));
            CHECK_EQ_INT(aif_ascii_is_visible(s, 8),
                         is_vchar(a) && is_vchar(b));
        }
    }
    free(s);
}

static int
lower(int c)
{
    return c >= 'A' && c <= 'Z' ? c + 32 : c;
}

static void
test_fold(void)
{
    char out[SPAN];
    size_t n, i;
    char *s;
    int c;

    for (c = 0; c < 256; c++) {
        CHECK_EQ_INT((unsigned char)aif_ascii_lower((char)c), lower(c));
        for (n = 0; n <= SPAN; n++) {
            s = check_copy("AbZ@[`{\xc1\xdaQwErTyUiOpM", n);
            if (n > 0) {
                s[n / 2] = (char)c;
            }
            aif_ascii_fold(out, s, n);
            for (i = 0; i < n; i++) {
                CHECK_EQ_INT((unsigned char)out[i],
                             lower((unsigned char)s[i]));
            }
            aif_ascii_fold(s, s, n);
            CHECK(n == 0 || memcmp(s, out, n) == 0);
            free(s);
        }
    }
}

static void
test_equal(void)
{
    char a, b;
    int x, y;

    for (x = 0; x < 256; x++) {
        for (y = 0; y < 256; y++) {
            a = (char)x;
            b = (char)y;
            CHECK_EQ_INT(aif_ascii_equal(&a, &b, 1), lower(x) == lower(y));
        }
    }
    CHECK(aif_ascii_equal("Content-LENGTH", "cONTENT-length", 14));
    CHECK(!aif_ascii_equal("content-lengti", "content-length", 14));
    CHECK(aif_ascii_equal("", "", 0));
    CHECK(aif_ascii_equal("a", "b", 0));
}

static void
test_is(void)
{
    char *s = check_copy("GziP", 4);

    CHECK(aif_ascii_is(s, 4, "gzip"));
    CHECK(aif_ascii_is(s, 4, "GZIP"));
    CHECK(!aif_ascii_is(s, 4, "gzi"));
    CHECK(!aif_ascii_is(s, 4, "gzipp"));
    CHECK(!aif_ascii_is(s, 4, ""));
    CHECK(aif_ascii_is(s, 0, ""));
    CHECK(!aif_ascii_is(s, 0, "g"));
    CHECK(!aif_ascii_is("gz\0p", 4, "gz"));
    free(s);
}

static void
test_has_token(void)
{
    static const struct {
        const char *list;
        int has;
    } rows[] = {
        {"close", 1},
        {"CLOSE", 1},
        {"", 0},
        {" ", 0},
        {",", 0},
        {",,, ,\t,", 0},
        {"clos", 0},
        {"closed", 0},
        {"xclose", 0},
        {"close close", 0},
        {"keep-alive, close", 1},
        {"close, keep-alive", 1},
        {"keep-alive,close,te", 1},
        {" \t close \t ", 1},
        {", ,close", 1},
        {"close,", 1},
        {"keep-alive\tclose", 0},
        {"close;q=1", 1},
        {"close ; q=1, x", 1},
        {"x;close", 0},
        {"x; a=close", 0},
        {"x;a=\"b,close,c\"", 0},
        {"x;a=\"b\\\",close\"", 0},
        {"x;a=\"b\\\\\",close", 1},
        {"x;a=\"\",close", 1},
        {"\"close\"", 0},
        {"\"a,close", 0},
        {"x;a=\"\\", 0},
        {";close", 0},
        {";,close", 1},
    };
    size_t i, n;
    char *s;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        check_row = rows[i].list;
        n = strlen(rows[i].list);
        s = check_copy(rows[i].list, n);
        CHECK_EQ_INT(aif_ascii_has_token(s, n, "close"), rows[i].has);
        free(s);
    }
    check_row = NULL;
    CHECK(!aif_ascii_has_token(NULL, 0, "close"));
    CHECK(!aif_ascii_has_token(",a,", 3, ""));
}

static void
test_u64(void)
{
    static const struct {
        const char *text;
        uint64_t max;
        int rc;
        uint64_t value;
    } rows[] = {
        {"", UINT64_MAX, -1, 0},
        {"0", UINT64_MAX, 0, 0},
        {"0", 0, 0, 0},
        {"1", 0, -1, 0},
        {"7", 7, 0, 7},
        {"8", 7, -1, 0},
        {"10", 9, -1, 0},
        {"65535", 65535, 0, 65535},
        {"65536", 65535, -1, 0},
        {"655350", 65535, -1, 0},
        {"000000000000000000000000000042", 42, 0, 42},
        {"18446744073709551615", UINT64_MAX, 0, UINT64_MAX},
        {"18446744073709551616", UINT64_MAX, -1, 0},
        {"99999999999999999999", UINT64_MAX, -1, 0},
        {"184467440737095516150", UINT64_MAX, -1, 0},
        {"9223372036854775807", INT64_MAX, 0, INT64_MAX},
        {"9223372036854775808", INT64_MAX, -1, 0},
        {"+1", 10, -1, 0},
        {"-1", 10, -1, 0},
        {" 1", 10, -1, 0},
        {"1 ", 10, -1, 0},
        {"1a", 99, -1, 0},
        {"0x1", 99, -1, 0},
        {"1_0", 99, -1, 0},
        {"\xd9\xa1", 99, -1, 0},
    };
    uint64_t out;
    size_t i, n;
    char *s;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        check_row = rows[i].text;
        n = strlen(rows[i].text);
        s = check_copy(rows[i].text, n);
        out = 12345;
        CHECK_EQ_INT(aif_ascii_u64(s, n, rows[i].max, &out), rows[i].rc);
        CHECK(out == (rows[i].rc == 0 ? rows[i].value : 12345));
        free(s);
    }
}

static void
test_hex(void)
{
    static const char digits[] = "0123456789abcdef";
    const char *at;
    int c;

    for (c = 0; c < 256; c++) {
        at = c == 0 ? NULL : strchr(digits, lower(c));
        CHECK_EQ_INT(aif_ascii_hex((char)c), at == NULL ? -1 : at - digits);
    }
}

int
main(void)
{
    static const check_test tests[] = {
        CHECK_TEST(test_classes), CHECK_TEST(test_neighbours),
        CHECK_TEST(test_fold),    CHECK_TEST(test_equal),
        CHECK_TEST(test_is),      CHECK_TEST(test_has_token),
        CHECK_TEST(test_u64),     CHECK_TEST(test_hex),
    };

    return CHECK_RUN(tests);
}
