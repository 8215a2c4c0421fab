/* Tests of aif_query: every byte, alone and between others, against the rule
 * written a second time; and the buffer's limit.
 */
#include "http/aif_query.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/aif_err.h"
#include "base/aif_mem.h"
#include "check.h"

/* Escapes a copy of just the size of the |n| bytes at |s|. */
static const char *
quoted(const char *s, size_t n)
{
    static char out[100];
    char *copy = malloc(n > 0 ? n : 1);
    size_t size;

    memcpy(copy, s, n);
    size = aif_query_size(copy, n);
    CHECK(aif_query_put(out, copy, n) == out + size);
    out[size] = '\0';
    free(copy);
    return out;
}

static void
test_bytes(void)
{
    static const char safe[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
        "-._~!$'()*,/:?@";

    for (int c = 0; c < 256; c++) {
        char text[] = {'a', (char)c, 'b'}, wanted[16];

        if (c != 0 && strchr(safe, c) != NULL) {
            (void)snprintf(wanted, sizeof(wanted), "a%cb", c);
        }
        else if (c == ' ') {
            (void)snprintf(wanted, sizeof(wanted), "a+b");
        }
        else {
            (void)snprintf(wanted, sizeof(wanted), "a%%%02Xb", (unsigned)c);
        }
        CHECK_EQ_STR(quoted(text, 3), wanted);
    }
    CHECK_EQ_STR(quoted("", 0), "");
}

static void
test_pairs(void)
{
    aif_buf b;

    aif_buf_init(&b, 100);
    CHECK(aif_query_add(&b, (aif_slice){"a b", 3}, (aif_slice){"", 0}) == 0);
    CHECK(aif_query_add(&b, (aif_slice){"", 0}, (aif_slice){"&=", 2}) == 0);
    CHECK(b.len == 12 && memcmp(b.data, "a+b=&=%26%3D", 12) == 0);
    aif_buf_fini(&b);
}

/* At the ceiling, and one past it: then nothing was written. */
static void
test_limit(void)
{
    for (size_t max = 7; max <= 8; max++) {
        aif_buf b;
        int rc;

        aif_buf_init(&b, max);
        CHECK(aif_query_add(&b, (aif_slice){"k", 1}, (aif_slice){"v", 1})
              == 0);
        rc = aif_query_add(&b, (aif_slice){"k", 1}, (aif_slice){"vv", 2});
        CHECK(rc == (max == 8 ? 0 : AIF_ETOOBIG));
        CHECK(b.len == (max == 8 ? 8u : 3u));
        aif_buf_fini(&b);
    }
}

static void
test_no_memory(void)
{
    aif_buf b;

    aif_buf_init(&b, 100);
    aif_mem_fail_at(1, 0);
    CHECK(aif_query_add(&b, (aif_slice){"k", 1}, (aif_slice){"v", 1})
          == AIF_ENOMEM);
    aif_mem_fail_at(0, 0);
    CHECK(b.len == 0);
    aif_buf_fini(&b);
}

int
main(void)
{
    test_bytes();
    test_pairs();
    test_limit();
    test_no_memory();
    return check_failures();
}
