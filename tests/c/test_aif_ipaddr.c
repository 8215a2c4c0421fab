/* Tests of aif_ipaddr: tables, and agreement with the system's inet_pton(). */
#include "base/aif_ipaddr.h"

#include <arpa/inet.h>

#include "check.h"

static const char *const v4_good[] = {
    "0.0.0.0",
    "127.0.0.1",
    "255.255.255.255",
    "1.20.30.4",
};

static const char *const v4_bad[] = {
    "",         "1",        "1.2.3",     "1.2.3.4.5", "1.2.3.",
    ".1.2.3",   "1..2.3",   "256.1.1.1", "1.2.3.256", "01.2.3.4",
    "1.2.3.04", "1.2.3.4 ", " 1.2.3.4",  "1.2.3.a",   "0x1.2.3.4",
    "1.2.3.-4", "...",      "1.2.3.4:5", "1.2.3.00",
};

static const char *const v6_good[] = {
    "::",
    "::1",
    "1::",
    "1::8",
    "1:2:3:4:5:6:7:8",
    "1:2:3:4:5:6:7::",
    "::2:3:4:5:6:7:8",
    "2001:db8::ff00:42:8329",
    "2001:DB8::FF00:42:8329",
    "::ffff:192.0.2.1",
    "::192.0.2.1",
    "64:ff9b::192.0.2.33",
    "1:2:3:4:5:6:192.0.2.1",
    "1:2:3:4:5::192.0.2.1",
    "::2:3:4:5:6:192.0.2.1",
    "0000:0000:0000:0000:0000:0000:0000:0001",
    "fe80::1",
};

static const char *const v6_bad[] = {
    "",
    ":",
    ":::",
    "1",
    "1:",
    ":1",
    "1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:",
    ":2:3:4:5:6:7:8",
    "1:2:3:4:5:6:7:8:9",
    "1:2:3:4:5:6:7:8::",
    "1:2:3:4:5:6:7:8:",
    "1::2::3",
    "1:::2",
    "12345::",
    "g::",
    "1.2.3.4",
    "1:2:3:4:5:6:7:192.0.2.1",
    "1:2:3:4:5:192.0.2.1",
    "1:2:3:4:5:6::192.0.2.1",
    "::192.0.2",
    "::192.0.2.256",
    "::192.0.2.1:1",
    "::1.2.3.4.5",
    "::ab.0.2.1",
    "::1%eth0",
    "::1%25eth0",
    " ::1",
    "::1 ",
    "[::1]",
    "::1/64",
    "v1.a:b",
};

/* Says whether both judges agree, and returns their verdict. */
static int
judge(const char *text, int family)
{
    unsigned char address[sizeof(struct in6_addr)];
    size_t n = strlen(text);
    char *s = check_copy(text, n);
    int is =
        family == AF_INET ? aif_ipaddr_is_v4(s, n) : aif_ipaddr_is_v6(s, n);

    check_row = text;
    CHECK_EQ_INT(inet_pton(family, text, address), is);
    free(s);
    return is;
}

#define JUDGE_ALL(table, family, want)                                        \
    for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {                  \
        CHECK_EQ_INT(judge(table[i], family), want);                          \
    }

static void
test_tables(void)
{
    size_t i;

    JUDGE_ALL(v4_good, AF_INET, 1)
    JUDGE_ALL(v4_bad, AF_INET, 0)
    JUDGE_ALL(v6_good, AF_INET6, 1)
    JUDGE_ALL(v6_bad, AF_INET6, 0)
}

/* All strings of up to seven characters over the alphabet of the grammar. */
static void
test_small_strings(void)
{
    static const char alphabet[] = ":1.0f";
    char text[8];
    unsigned left;
    unsigned i;
    size_t n;

    for (n = 1; n <= 7; n++) {
        for (i = 0; i < 78125; i++) {
            left = i;
            memset(text, 0, sizeof(text));
            for (size_t at = 0; at < n; at++) {
                text[at] = alphabet[left % 5];
                left /= 5;
            }
            if (left > 0) {
                break;
            }
            (void)judge(text, AF_INET);
            (void)judge(text, AF_INET6);
        }
    }
}

/* Groups and gaps in all numbers: '1' or nothing between nine colons. */
static void
test_groups(void)
{
    char text[32];
    unsigned mask, i;
    size_t n;
    int colons;

    for (colons = 1; colons <= 9; colons++) {
        for (mask = 0; mask < 1024; mask++) {
            n = 0;
            for (i = 0; i <= (unsigned)colons; i++) {
                if (i > 0) {
                    text[n++] = ':';
                }
                if (mask >> i & 1) {
                    text[n++] = 'a';
                }
            }
            text[n] = '\0';
            (void)judge(text, AF_INET6);
            memcpy(text + n, ":1.2.3.4", 9);
            (void)judge(text, AF_INET6);
        }
    }
}

int
main(void)
{
    static const check_test tests[] = {
        CHECK_TEST(test_tables),
        CHECK_TEST(test_small_strings),
        CHECK_TEST(test_groups),
    };

    return CHECK_RUN(tests);
}
