/* Tests of aif_header: order, ceilings, pieces, blanks, and moving. */
#include "http/aif_header.h"

#include "base/aif_err.h"
#include "check.h"

static int
add(aif_header *h, const char *name, const char *value)
{
    char *n = check_copy(name, strlen(name));
    char *v = check_copy(value, strlen(value));
    int rc = aif_header_add(h, n, strlen(name), v, strlen(value));

    free(n);
    free(v);
    return rc;
}

static void
test_order(void)
{
    aif_header h;

    aif_header_init(&h, 1000, 10);
    CHECK_EQ_INT(aif_mem_live(), 0);
    CHECK_EQ_INT(add(&h, "Set-Cookie", "a=1"), 0);
    CHECK_EQ_INT(add(&h, "Date", ""), 0);
    CHECK_EQ_INT(add(&h, "set-cookie", "b=2"), 0);
    CHECK_EQ_INT(h.count, 3);
    CHECK_EQ_SLICE(aif_header_name(&h, 0), "Set-Cookie");
    CHECK_EQ_SLICE(aif_header_value(&h, 0), "a=1");
    CHECK_EQ_SLICE(aif_header_name(&h, 1), "Date");
    CHECK_EQ_SLICE(aif_header_value(&h, 1), "");
    CHECK_EQ_SLICE(aif_header_name(&h, 2), "set-cookie");
    CHECK_EQ_SLICE(aif_header_value(&h, 2), "b=2");
    aif_header_fini(&h);
    CHECK_EQ_INT(h.count, 0);
    aif_header_fini(&h);
}

static void
test_find(void)
{
    aif_header h;

    aif_header_init(&h, 1000, 10);
    CHECK_EQ_INT(aif_header_find(&h, "a", 0), -1);
    CHECK_EQ_INT(add(&h, "Accept", "1"), 0);
    CHECK_EQ_INT(add(&h, "ACCEPT", "2"), 0);
    CHECK_EQ_INT(add(&h, "Accept-Encoding", "3"), 0);
    CHECK_EQ_INT(add(&h, "accept", "4"), 0);
    CHECK_EQ_INT(aif_header_find(&h, "aCCept", 0), 0);
    CHECK_EQ_INT(aif_header_find(&h, "accept", 1), 1);
    CHECK_EQ_INT(aif_header_find(&h, "accept", 2), 3);
    CHECK_EQ_INT(aif_header_find(&h, "accept", 4), -1);
    CHECK_EQ_INT(aif_header_find(&h, "accept", 400), -1);
    CHECK_EQ_INT(aif_header_find(&h, "accept-encoding", 0), 2);
    CHECK_EQ_INT(aif_header_find(&h, "accep", 0), -1);
    CHECK_EQ_INT(aif_header_find(&h, "", 0), -1);
    aif_header_fini(&h);
}

static void
test_has_token(void)
{
    aif_header h;

    aif_header_init(&h, 1000, 10);
    CHECK(!aif_header_has_token(&h, "connection", "close"));
    CHECK_EQ_INT(add(&h, "Connection", "keep-alive, te"), 0);
    CHECK_EQ_INT(add(&h, "X-Connection", "upgrade"), 0);
    CHECK_EQ_INT(add(&h, "connection", "Close"), 0);
    CHECK(aif_header_has_token(&h, "Connection", "close"));
    CHECK(aif_header_has_token(&h, "Connection", "te"));
    CHECK(!aif_header_has_token(&h, "Connection", "upgrade"));
    CHECK(!aif_header_has_token(&h, "Trailer", "close"));
    aif_header_fini(&h);
}

static void
test_field_ceiling(void)
{
    static const unsigned ceilings[] = {0, 1, 15, 16, 17, 33, 128, 1000};
    unsigned i, n, max;
    aif_header h;

    for (i = 0; i < sizeof(ceilings) / sizeof(ceilings[0]); i++) {
        max = ceilings[i];
        aif_header_init(&h, 100000, max);
        for (n = 0; n < max; n++) {
            CHECK_EQ_INT(aif_header_add(&h, "ab", 2, "c", 1), 0);
            CHECK(h.cap <= max);
        }
        CHECK_EQ_INT(aif_header_add(&h, "ab", 2, "c", 1), AIF_ETOOBIG);
        CHECK_EQ_INT(aif_header_add_name(&h, "a", 1), AIF_ETOOBIG);
        CHECK_EQ_INT(h.count, max);
        CHECK_EQ_INT(h.bytes.len, 3 * max);
        aif_header_fini(&h);
    }
}

static void
test_byte_ceiling(void)
{
    aif_header h;

    aif_header_init(&h, 10, 10);
    CHECK_EQ_INT(add(&h, "abc", "de"), 0);
    CHECK_EQ_INT(add(&h, "abc", "def"), AIF_ETOOBIG);
    CHECK_EQ_INT(h.count, 1);
    CHECK_EQ_INT(add(&h, "fgh", "ij"), 0);
    CHECK_EQ_INT(add(&h, "k", ""), AIF_ETOOBIG);
    CHECK_EQ_INT(h.count, 2);
    CHECK_EQ_SLICE(aif_header_value(&h, 1), "ij");
    CHECK_EQ_INT(aif_header_add(&h, "x", SIZE_MAX, "y", 2), AIF_ETOOBIG);
    aif_header_reset(&h);
    CHECK_EQ_INT(aif_header_add_name(&h, "abcdefghij", 10), 0);
    CHECK_EQ_INT(aif_header_add_value(&h, "k", 1), AIF_ETOOBIG);
    CHECK_EQ_INT(h.count, 0);
    aif_header_reset(&h);
    CHECK_EQ_INT(aif_header_add_name(&h, "abcdefghijk", 11), AIF_ETOOBIG);
    aif_header_reset(&h);
    CHECK_EQ_INT(add(&h, "abcde", "fghij"), 0);
    aif_header_fini(&h);
    /* Offsets have 32 bits. */
    aif_header_init(&h, SIZE_MAX, UINT32_MAX);
    CHECK(h.bytes.max <= UINT32_MAX);
    CHECK(h.max_fields <= UINT32_MAX / sizeof(aif_field));
    CHECK_EQ_INT(add(&h, "a", "b"), 0);
    aif_header_fini(&h);
}

/* One field with its value cut at each pair of places. */
static void
test_pieces(void)
{
    static const char name[] = "X-Name";
    static const char value[] = " \t a b\tc \t";
    const size_t nn = sizeof(name) - 1;
    const size_t vn = sizeof(value) - 1;
    size_t i, j;
    char *v;
    aif_header h;

    aif_header_init(&h, 100, 3);
    for (i = 0; i <= nn; i++) {
        for (j = 0; j <= vn; j++) {
            v = check_copy(value + j, vn - j);
            aif_header_reset(&h);
            CHECK_EQ_INT(add(&h, "First", "1"), 0);
            CHECK_EQ_INT(aif_header_add_name(&h, name, i), 0);
            CHECK_EQ_INT(aif_header_add_name(&h, name + i, nn - i), 0);
            CHECK_EQ_INT(aif_header_add_value(&h, value, j), 0);
            CHECK_EQ_INT(aif_header_add_value(&h, v, vn - j), 0);
            /* Half a field is not there yet. */
            CHECK_EQ_INT(h.count, 1);
            CHECK_EQ_INT(aif_header_find(&h, "x-name", 0), -1);
            CHECK_EQ_INT(aif_header_end_field(&h), 0);
            CHECK_EQ_INT(h.count, 2);
            CHECK_EQ_SLICE(aif_header_name(&h, 1), "X-Name");
            CHECK_EQ_SLICE(aif_header_value(&h, 1), "a b\tc");
            CHECK_EQ_INT(add(&h, "Last", "z"), 0);
            CHECK_EQ_SLICE(aif_header_value(&h, 1), "a b\tc");
            CHECK_EQ_SLICE(aif_header_value(&h, 2), "z");
            free(v);
        }
    }
    aif_header_fini(&h);
}

static void
test_blanks(void)
{
    static const char *const values[] = {"",  " ",  "\t", " \t \t ",
                                         "a", " a", "a ", "\ta\t"};
    aif_header h;
    unsigned i;

    aif_header_init(&h, 1000, 20);
    for (i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        CHECK_EQ_INT(aif_header_add_name(&h, "n", 1), 0);
        CHECK_EQ_INT(aif_header_add_value(&h, values[i], strlen(values[i])),
                     0);
        CHECK_EQ_INT(aif_header_end_field(&h), 0);
        CHECK_EQ_SLICE(aif_header_value(&h, i), i < 4 ? "" : "a");
    }
    /* A name and no value piece at all. */
    CHECK_EQ_INT(aif_header_add_name(&h, "n", 1), 0);
    CHECK_EQ_INT(aif_header_end_field(&h), 0);
    CHECK_EQ_SLICE(aif_header_value(&h, i), "");
    /* Nothing else is a blank. */
    CHECK_EQ_INT(aif_header_add_name(&h, "n", 1), 0);
    CHECK_EQ_INT(aif_header_add_value(&h, "\va\xa0", 3), 0);
    CHECK_EQ_INT(aif_header_end_field(&h), 0);
    CHECK_EQ_SLICE(aif_header_value(&h, i + 1), "\va\xa0");
    aif_header_fini(&h);
}

static void
test_out_of_order(void)
{
    aif_header h;

    aif_header_init(&h, 1000, 20);
    CHECK_EQ_INT(aif_header_end_field(&h), AIF_EINVAL);
    CHECK_EQ_INT(aif_header_add_value(&h, "v", 1), AIF_EINVAL);
    CHECK_EQ_INT(aif_header_add_name(&h, "n", 1), 0);
    CHECK_EQ_INT(add(&h, "a", "b"), AIF_EINVAL);
    CHECK_EQ_INT(aif_header_add_value(&h, "v", 1), 0);
    CHECK_EQ_INT(aif_header_add_name(&h, "n", 1), AIF_EINVAL);
    CHECK_EQ_INT(aif_header_end_field(&h), 0);
    CHECK_EQ_INT(aif_header_end_field(&h), AIF_EINVAL);
    CHECK_EQ_INT(h.count, 1);
    CHECK_EQ_SLICE(aif_header_name(&h, 0), "n");
    CHECK_EQ_SLICE(aif_header_value(&h, 0), "v");
    aif_header_fini(&h);
}

static void
test_reset(void)
{
    char *big = calloc(1, 16u * 1024u);
    aif_header h;
    unsigned i;
    char *data;

    CHECK(big != NULL);
    aif_header_init(&h, 1u << 20, 5000);
    CHECK_EQ_INT(add(&h, "a", "b"), 0);
    data = h.bytes.data;
    CHECK_EQ_INT(aif_header_add_name(&h, "half", 4), 0);
    aif_header_reset(&h);
    CHECK(h.count == 0 && h.bytes.len == 0 && h.bytes.data == data);
    CHECK_EQ_INT(aif_mem_live(), 2);
    CHECK_EQ_INT(aif_header_add_value(&h, "v", 1), AIF_EINVAL);
    CHECK_EQ_INT(add(&h, "c", "d"), 0);
    CHECK_EQ_SLICE(aif_header_name(&h, 0), "c");
    /* 16 KiB stay, more goes. */
    aif_header_reset(&h);
    CHECK_EQ_INT(aif_header_add(&h, "x", 1, big, 16u * 1024u - 1), 0);
    aif_header_reset(&h);
    CHECK(h.bytes.data != NULL);
    CHECK_EQ_INT(aif_header_add(&h, "x", 1, big, 16u * 1024u), 0);
    aif_header_reset(&h);
    CHECK(h.bytes.data == NULL);
    for (i = 0; i < 5000; i++) {
        CHECK_EQ_INT(aif_header_add(&h, "x", 1, "", 0), 0);
    }
    aif_header_reset(&h);
    CHECK_EQ_INT(aif_mem_live(), 1);
    CHECK_EQ_INT(add(&h, "c", "d"), 0);
    aif_header_fini(&h);
    free(big);
}

static void
test_take(void)
{
    aif_header a, b;

    aif_header_init(&a, 5, 2);
    CHECK_EQ_INT(add(&a, "k", "v"), 0);
    CHECK_EQ_INT(aif_header_add_name(&a, "h", 1), 0);
    CHECK_EQ_INT(aif_header_add_value(&a, "i", 1), 0);
    aif_header_take(&b, &a);
    CHECK_EQ_INT(b.count, 1);
    CHECK_EQ_SLICE(aif_header_name(&b, 0), "k");
    CHECK_EQ_SLICE(aif_header_value(&b, 0), "v");
    CHECK_EQ_INT(aif_header_end_field(&b), AIF_EINVAL);
    CHECK_EQ_INT(aif_header_end_field(&a), AIF_EINVAL);
    CHECK(a.count == 0 && a.fields == NULL && a.bytes.data == NULL);
    /* The ceilings are still those of the beginning. */
    CHECK_EQ_INT(add(&a, "m", "n"), 0);
    CHECK_EQ_INT(add(&a, "mm", "nn"), AIF_ETOOBIG);
    CHECK_EQ_INT(add(&a, "o", "p"), 0);
    CHECK_EQ_INT(add(&a, "", ""), AIF_ETOOBIG);
    CHECK_EQ_SLICE(aif_header_value(&b, 0), "v");
    aif_header_fini(&a);
    CHECK_EQ_SLICE(aif_header_value(&b, 0), "v");
    aif_header_fini(&b);
}

/* Thirty fields, one way or the other; the first failure's code. */
static int
fill(aif_header *h, int in_pieces)
{
    int rc = 0;
    int i;

    for (i = 0; i < 30 && rc == 0; i++) {
        if (!in_pieces) {
            rc = add(h, "some-name", "some value");
            continue;
        }
        rc = aif_header_add_name(h, "some-name", 9);
        if (rc == 0) {
            rc = aif_header_add_value(h, "some value", 10);
        }
        if (rc == 0) {
            rc = aif_header_end_field(h);
        }
    }
    return rc;
}

static void
test_no_memory(void)
{
    aif_header h;
    int in_pieces, rc;
    unsigned i;
    long nth;

    for (in_pieces = 0; in_pieces < 2; in_pieces++) {
        rc = AIF_ENOMEM;
        for (nth = 1; rc == AIF_ENOMEM && nth < 100; nth++) {
            aif_header_init(&h, 1000, 50);
            aif_mem_fail_at(nth, 0);
            rc = fill(&h, in_pieces);
            aif_mem_fail_at(0, 0);
            CHECK(rc == AIF_ENOMEM || (rc == 0 && h.count == 30));
            for (i = 0; i < h.count; i++) {
                CHECK_EQ_SLICE(aif_header_name(&h, i), "some-name");
                CHECK_EQ_SLICE(aif_header_value(&h, i), "some value");
            }
            aif_header_reset(&h);
            CHECK_EQ_INT(add(&h, "again", "1"), 0);
            aif_header_fini(&h);
        }
        CHECK_EQ_INT(rc, 0);
        /* Two tables and five arenas were missed on the way. */
        CHECK(nth > 7);
    }
}

int
main(void)
{
    static const check_test tests[] = {
        CHECK_TEST(test_order),        CHECK_TEST(test_find),
        CHECK_TEST(test_has_token),    CHECK_TEST(test_field_ceiling),
        CHECK_TEST(test_byte_ceiling), CHECK_TEST(test_pieces),
        CHECK_TEST(test_blanks),       CHECK_TEST(test_out_of_order),
        CHECK_TEST(test_reset),        CHECK_TEST(test_take),
        CHECK_TEST(test_no_memory),
    };

    return CHECK_RUN(tests);
}
