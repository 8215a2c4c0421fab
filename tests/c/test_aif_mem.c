/* Tests of aif_mem: the count of what is outstanding and the failing hook. */
#include "base/aif_mem.h"

#include <stdint.h>

#include "check.h"

static void
test_sizes(void)
{
    char *a = aif_mem_alloc(0);
    char *b = aif_mem_zalloc(100);
    char *c = aif_mem_realloc(NULL, 0);
    int i;

    CHECK(a != NULL && b != NULL && c != NULL);
    a[0] = 1;
    c[0] = 1;
    for (i = 0; i < 100; i++) {
        CHECK_EQ_INT(b[i], 0);
    }
    CHECK_EQ_INT(aif_mem_live(), 3);
    c = aif_mem_realloc(c, 1000);
    CHECK(c != NULL && c[0] == 1);
    c[999] = 2;
    CHECK_EQ_INT(aif_mem_live(), 3);
    c = aif_mem_realloc(c, 0);
    CHECK(c != NULL && c[0] == 1);
    CHECK_EQ_INT(aif_mem_live(), 3);
    aif_mem_free(a);
    aif_mem_free(b);
    aif_mem_free(c);
    CHECK_EQ_INT(aif_mem_live(), 0);
    aif_mem_free(NULL);
    CHECK_EQ_INT(aif_mem_live(), 0);
}

static void
test_dup(void)
{
    char *end = check_copy("abc\0d", 5);
    char *a = aif_mem_dup(end, 5);
    char *b = aif_mem_dup(NULL, 0);

    CHECK(a != NULL && memcmp(a, "abc\0d\0", 6) == 0);
    CHECK(b != NULL && b[0] == '\0');
    CHECK_EQ_INT(aif_mem_live(), 2);
    /* The terminator must not wrap the size to 0. */
    CHECK(aif_mem_dup(end, SIZE_MAX) == NULL);
    aif_mem_free(a);
    aif_mem_free(b);
    free(end);
}

static void
test_fail_once(void)
{
    void *a, *b, *c;

    aif_mem_fail_at(2, 0);
    a = aif_mem_alloc(1);
    CHECK(a != NULL);
    b = aif_mem_zalloc(1);
    CHECK(b == NULL);
    c = aif_mem_alloc(1);
    CHECK(c != NULL);
    CHECK_EQ_INT(aif_mem_live(), 2);
    aif_mem_free(c);
    /* A failed realloc leaves the old block alone. */
    aif_mem_fail_at(1, 0);
    CHECK(aif_mem_realloc(a, 100) == NULL);
    CHECK_EQ_INT(aif_mem_live(), 1);
    *(char *)a = 1;
    aif_mem_free(a);
    aif_mem_fail_at(1, 0);
    CHECK(aif_mem_dup("a", 1) == NULL);
}

static void
test_fail_sticky(void)
{
    void *a;
    int i;

    aif_mem_fail_at(3, 1);
    for (i = 0; i < 2; i++) {
        a = aif_mem_alloc(1);
        CHECK(a != NULL);
        aif_mem_free(a);
    }
    for (i = 0; i < 3; i++) {
        CHECK(aif_mem_alloc(1) == NULL);
        CHECK(aif_mem_zalloc(1) == NULL);
        CHECK(aif_mem_realloc(NULL, 1) == NULL);
        CHECK(aif_mem_dup("a", 1) == NULL);
    }
    aif_mem_fail_at(0, 0);
    a = aif_mem_alloc(1);
    CHECK(a != NULL);
    aif_mem_free(a);
}

int
main(void)
{
    static const check_test tests[] = {
        CHECK_TEST(test_sizes),
        CHECK_TEST(test_dup),
        CHECK_TEST(test_fail_once),
        CHECK_TEST(test_fail_sticky),
    };

    return CHECK_RUN(tests);
}
