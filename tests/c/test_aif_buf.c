/* Tests of aif_buf: the ceiling, growth, what a failure leaves behind. */
#include "base/aif_buf.h"

#include "base/aif_err.h"
#include "check.h"

static void
test_empty(void)
{
    aif_slice s;
    aif_buf b;
    size_t len = 9;

    aif_buf_init(&b, 10);
    CHECK(b.data == NULL && b.len == 0 && b.cap == 0 && b.max == 10);
    CHECK_EQ_INT(aif_buf_add(&b, NULL, 0), 0);
    CHECK_EQ_INT(aif_buf_add_str(&b, ""), 0);
    CHECK_EQ_INT(aif_buf_reserve(&b, 0), 0);
    CHECK(b.data == NULL);
    CHECK(aif_buf_take(&b, &len) == NULL);
    CHECK_EQ_INT(len, 0);
    s = aif_buf_slice(&b, 0, 0);
    CHECK(s.ptr != NULL && s.len == 0);
    aif_buf_reset(&b, 0);
    CHECK_EQ_INT(aif_mem_live(), 0);
    aif_buf_fini(&b);
    aif_buf_fini(&b);
}

/* Fills up to each ceiling byte by byte, and in one piece, and one past. */
static void
test_ceiling(void)
{
    static const size_t ceilings[] = {0,  1,   2,   63,   64,  65,
                                      96, 127, 128, 1000, 4097};
    char block[4098];
    aif_buf b;
    size_t i, n, max;

    memset(block, 'x', sizeof(block));
    for (i = 0; i < sizeof(ceilings) / sizeof(ceilings[0]); i++) {
        max = ceilings[i];
        aif_buf_init(&b, max);
        for (n = 0; n < max; n++) {
            CHECK_EQ_INT(aif_buf_add(&b, "x", 1), 0);
            CHECK(b.len == n + 1 && b.cap >= b.len && b.cap <= max);
        }
        CHECK_EQ_INT(aif_buf_add(&b, "y", 1), AIF_ETOOBIG);
        CHECK_EQ_INT(aif_buf_add_u64(&b, 1), AIF_ETOOBIG);
        CHECK_EQ_INT(aif_buf_add_hex(&b, 1), AIF_ETOOBIG);
        CHECK_EQ_INT(aif_buf_reserve(&b, 1), AIF_ETOOBIG);
        CHECK_EQ_INT(aif_buf_reserve(&b, SIZE_MAX), AIF_ETOOBIG);
        CHECK_EQ_INT(aif_buf_reserve(&b, 0), 0);
        CHECK(b.len == max);
        CHECK(max == 0 || memcmp(b.data, block, max) == 0);
        aif_buf_fini(&b);
        CHECK_EQ_INT(aif_buf_add(&b, block, max + 1), AIF_ETOOBIG);
        CHECK(b.data == NULL && b.len == 0);
        CHECK_EQ_INT(aif_buf_add(&b, block, max), 0);
        CHECK(b.len == max && b.cap <= max);
        aif_buf_fini(&b);
    }
}

/* No ceiling makes sizes wrap. */
static void
test_no_overflow(void)
{
    aif_buf b;

    aif_buf_init(&b, SIZE_MAX);
    CHECK_EQ_INT(aif_buf_add_str(&b, "abc"), 0);
    CHECK_EQ_INT(aif_buf_reserve(&b, SIZE_MAX - 2), AIF_ETOOBIG);
    CHECK_EQ_INT(aif_buf_reserve(&b, SIZE_MAX), AIF_ETOOBIG);
    CHECK_EQ_SLICE(aif_buf_slice(&b, 0, b.len), "abc");
    aif_buf_fini(&b);
}

static void
test_growth_is_linear(void)
{
    aif_buf b;
    size_t cap = 0;
    int grown = 0;
    int i;

    aif_buf_init(&b, 1u << 20);
    for (i = 0; i < 1 << 20; i++) {
        CHECK_EQ_INT(aif_buf_add(&b, "z", 1), 0);
        grown += b.cap != cap;
        cap = b.cap;
    }
    /* 64 bytes doubled to 2^20. */
    CHECK_EQ_INT(grown, 15);
    CHECK(b.len == 1u << 20 && b.cap == 1u << 20);
    aif_buf_fini(&b);
}

static void
test_numbers(void)
{
    static const struct {
        uint64_t value;
        const char *decimal, *hex;
    } rows[] = {
        {0, "0", "0"},
        {9, "9", "9"},
        {10, "10", "a"},
        {15, "15", "f"},
        {16, "16", "10"},
        {255, "255", "ff"},
        {1000000, "1000000", "f4240"},
        {INT64_MAX, "9223372036854775807", "7fffffffffffffff"},
        {UINT64_MAX, "18446744073709551615", "ffffffffffffffff"},
    };
    aif_buf b;
    size_t i;

    aif_buf_init(&b, 20);
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        CHECK_EQ_INT(aif_buf_add_u64(&b, rows[i].value), 0);
        CHECK_EQ_SLICE(aif_buf_slice(&b, 0, b.len), rows[i].decimal);
        aif_buf_reset(&b, 20);
        CHECK_EQ_INT(aif_buf_add_hex(&b, rows[i].value), 0);
        CHECK_EQ_SLICE(aif_buf_slice(&b, 0, b.len), rows[i].hex);
        aif_buf_reset(&b, 0);
    }
    aif_buf_fini(&b);
}

static void
test_reset(void)
{
    aif_buf b;
    char *data;

    aif_buf_init(&b, 1000);
    CHECK_EQ_INT(aif_buf_reserve(&b, 100), 0);
    CHECK_EQ_INT(b.cap, 100);
    CHECK_EQ_INT(aif_buf_add_str(&b, "abc"), 0);
    data = b.data;
    aif_buf_reset(&b, 100);
    CHECK(b.len == 0 && b.data == data && b.cap == 100);
    CHECK_EQ_INT(aif_buf_add_str(&b, "de"), 0);
    CHECK_EQ_SLICE(aif_buf_slice(&b, 0, b.len), "de");
    CHECK_EQ_SLICE(aif_buf_slice(&b, 1, 1), "e");
    aif_buf_reset(&b, 99);
    CHECK(b.len == 0 && b.data == NULL && b.cap == 0 && b.max == 1000);
    CHECK_EQ_INT(aif_mem_live(), 0);
    aif_buf_fini(&b);
}

static void
test_take(void)
{
    aif_buf b;
    char *data;
    size_t len = 0;

    aif_buf_init(&b, 10);
    CHECK_EQ_INT(aif_buf_add(&b, "a\0b", 3), 0);
    data = aif_buf_take(&b, &len);
    CHECK(data != NULL && len == 3 && memcmp(data, "a\0b", 3) == 0);
    CHECK(b.data == NULL && b.len == 0 && b.cap == 0 && b.max == 10);
    CHECK_EQ_INT(aif_mem_live(), 1);
    aif_mem_free(data);
    CHECK_EQ_INT(aif_buf_add(&b, "0123456789", 10), 0);
    CHECK_EQ_INT(aif_buf_add(&b, "0", 1), AIF_ETOOBIG);
    aif_buf_reset(&b, 10);
    /* Nothing is stored, but the memory is still the buffer's. */
    CHECK(aif_buf_take(&b, &len) == NULL && len == 0);
    CHECK_EQ_INT(aif_mem_live(), 1);
    aif_buf_fini(&b);
}

static void
test_no_memory(void)
{
    char block[100];
    aif_buf b;

    memset(block, 'q', sizeof(block));
    aif_buf_init(&b, 1000);
    aif_mem_fail_at(1, 0);
    CHECK_EQ_INT(aif_buf_add(&b, "a", 1), AIF_ENOMEM);
    CHECK(b.data == NULL && b.len == 0 && b.cap == 0);
    aif_mem_fail_at(1, 0);
    CHECK_EQ_INT(aif_buf_add_u64(&b, 7), AIF_ENOMEM);
    aif_mem_fail_at(1, 0);
    CHECK_EQ_INT(aif_buf_add_hex(&b, 7), AIF_ENOMEM);
    CHECK_EQ_INT(aif_buf_add_str(&b, "kept"), 0);
    aif_mem_fail_at(1, 0);
    CHECK_EQ_INT(aif_buf_add(&b, block, sizeof(block)), AIF_ENOMEM);
    CHECK_EQ_SLICE(aif_buf_slice(&b, 0, b.len), "kept");
    CHECK_EQ_INT(aif_buf_add(&b, block, sizeof(block)), 0);
    CHECK_EQ_INT(b.len, 104);
    aif_buf_fini(&b);
}

/* Source blocks of exactly their size. */
static void
test_source_end(void)
{
    aif_buf b;
    char *copy;
    size_t n;

    aif_buf_init(&b, 100);
    for (n = 0; n < 40; n++) {
        copy = check_copy("0123456789012345678901234567890123456789", n);
        CHECK_EQ_INT(aif_buf_add(&b, copy, n), 0);
        CHECK_EQ_INT(b.len, n);
        free(copy);
        aif_buf_reset(&b, 0);
    }
    aif_buf_fini(&b);
}

int
main(void)
{
    static const check_test tests[] = {
        CHECK_TEST(test_empty),       CHECK_TEST(test_ceiling),
        CHECK_TEST(test_no_overflow), CHECK_TEST(test_growth_is_linear),
        CHECK_TEST(test_numbers),     CHECK_TEST(test_reset),
        CHECK_TEST(test_take),        CHECK_TEST(test_no_memory),
        CHECK_TEST(test_source_end),
    };

    return CHECK_RUN(tests);
}
