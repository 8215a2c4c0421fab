/* check -- what a C test program needs, and no more.
 *
 *   static void test_something(void) { CHECK_EQ_INT(f(1), 2); }
 *
 *   int
 *   main(void)
 *   {
 *       static const check_test tests[] = {
 *           CHECK_TEST(test_something),
 *       };
 *       return CHECK_RUN(tests);
 *   }
 *
 * A failed check prints its file and line and the test goes on; the program's
 * status is 1 if any failed. A program may also call its tests itself and
 * return check_failures(). A test is to release what it allocates: CHECK_RUN
 * counts a block of the core that outlives its test as a failure.
 */
#ifndef CHECK_H
#define CHECK_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/aif_buf.h"
#include "base/aif_mem.h"

typedef struct check_test {
    const char *name;
    void (*run)(void);
} check_test;

#define CHECK_TEST(function) {#function, function}
#define CHECK_RUN(tests) check_run(tests, sizeof(tests) / sizeof(tests[0]))

#define CHECK(condition)                                                      \
    check_true((condition) ? 1 : 0, #condition, __FILE__, __LINE__)
#define CHECK_EQ_INT(got, want)                                               \
    check_int((long long)(got), (long long)(want), #got, __FILE__, __LINE__)
/* NUL-terminated strings. */
#define CHECK_EQ_STR(got, want)                                               \
    check_str(got, strlen(got), want, #got, __FILE__, __LINE__)
/* An aif_slice against a NUL-terminated string. */
#define CHECK_EQ_SLICE(got, want)                                             \
    check_slice(got, want, #got, __FILE__, __LINE__)

/* Says which row of a table the checks that follow belong to; NULL ends it.
 * Borrowed. */
static const char *check_row;

static long check_failed;

static inline void
check_where(const char *what, const char *file, int line)
{
    check_failed++;
    (void)printf("%s:%d: %s", file, line, what);
    if (check_row != NULL) {
        (void)printf(" [%s]", check_row);
    }
}

static inline int
check_true(int ok, const char *what, const char *file, int line)
{
    if (!ok) {
        check_where(what, file, line);
        (void)printf(" is false\n");
    }
    return ok;
}

static inline int
check_int(long long got, long long want, const char *what, const char *file,
          int line)
{
    if (got != want) {
        check_where(what, file, line);
        (void)printf(" is %lld, not %lld\n", got, want);
    }
    return got == want;
}

static inline int
check_str(const char *got, size_t len, const char *want, const char *what,
          const char *file, int line)
{
    int ok = len == strlen(want) && memcmp(got, want, len) == 0;

    if (!ok) {
        check_where(what, file, line);
        (void)printf(" is\n    \"%.*s\", not\n    \"%s\"\n", (int)len, got,
                     want);
    }
    return ok;
}

static inline int
check_slice(aif_slice got, const char *want, const char *what,
            const char *file, int line)
{
    return check_str(got.ptr, got.len, want, what, file, line);
}

/* A copy in a block of exactly |len| bytes, so that the sanitizer sees a read
 * past the end; free() it. */
static inline char *
check_copy(const void *data, size_t len)
{
    char *copy = malloc(len);

    if (copy == NULL && len > 0) {
        abort();
    }
    if (len > 0) {
        memcpy(copy, data, len);
    }
    return copy;
}

/* The program's status: 0 if nothing has failed. */
static inline int
check_failures(void)
{
    (void)fflush(stdout);
    return check_failed == 0 ? 0 : 1;
}

static inline int
check_run(const check_test *tests, size_t count)
{
    long before, live;
    size_t i;

    for (i = 0; i < count; i++) {
        live = aif_mem_live();
        before = check_failed;
        tests[i].run();
        check_row = NULL;
        aif_mem_fail_at(0, 0);
        if (aif_mem_live() != live) {
            check_failed++;
            (void)printf("%s: %ld blocks are left over\n", tests[i].name,
                         aif_mem_live() - live);
        }
        if (check_failed != before) {
            (void)printf("FAILED %s\n", tests[i].name);
        }
    }
    if (aif_mem_live() != 0) {
        check_failed++;
        (void)printf("%ld blocks are left at the end\n", aif_mem_live());
    }
    return check_failures();
}

#endif
