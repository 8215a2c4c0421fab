/* Tests of aif_coding: the filters one by one, with the least of room and of
 * input. What they make of real streams is told by the tests of aif_decode.
 */
#include "http/aif_coding.h"

#include <string.h>

#include "base/aif_err.h"
#include "base/aif_mem.h"
#include "check.h"

static const unsigned char gzip_hi[] = {
    0x1f, 0x8b, 8,   0,   0,    0,    0,    0,    0, 0xff, 1, 2, 0,
    0xfd, 0xff, 'h', 'i', 0xac, 0x2a, 0x93, 0xd8, 2, 0,    0, 0};

static void
test_find(void)
{
    const aif_coding *c = aif_coding_find("GZip", 4);

    CHECK(c != NULL && strcmp(c->name, "gzip") == 0 && c->has_members);
    c = aif_coding_find("br", 2);
    CHECK(c != NULL && !c->has_members);
    CHECK(aif_coding_find("zstd", 4) != NULL);
    CHECK(aif_coding_find("deflate", 7) != NULL);
    CHECK(aif_coding_find("x-gzip", 6) != NULL);
    CHECK(aif_coding_find("gzip", 3) == NULL);
    CHECK(aif_coding_find("", 0) == NULL);
    CHECK(aif_coding_find("identity", 8) == NULL);
    CHECK(strstr(aif_coding_accept(), "zstd") != NULL);
}

/* One byte of room and one of input at a time. */
static void
test_small_turns(void)
{
    unsigned char room[1];
    char out[4] = {0};
    aif_filter f = {0};
    aif_turn turn = AIF_TURN_MORE;
    size_t at = 0, got = 0;

    f.coding = aif_coding_find("gzip", 4);
    f.buf = room;
    f.cap = 1;
    CHECK_EQ_INT(f.coding->open(&f), 0);
    while (turn == AIF_TURN_MORE && at <= sizeof(gzip_hi)) {
        f.in = gzip_hi + at;
        f.in_len = at < sizeof(gzip_hi) ? 1 : 0;
        turn = f.coding->turn(&f);
        at += f.in_len == 0;
        if (f.out_len > 0 && got < sizeof(out)) {
            out[got++] = (char)room[0];
            f.out_len = 0;
        }
    }
    CHECK_EQ_INT(turn, AIF_TURN_END);
    CHECK(at == sizeof(gzip_hi));
    CHECK(got == 2 && memcmp(out, "hi", 2) == 0);
    f.coding->close(&f);
}

static void
test_refusals(void)
{
    static const char *const names[] = {"gzip", "deflate", "br", "zstd"};
    static const unsigned char junk[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    unsigned char room[64];
    size_t i, turns;

    for (i = 0; i < 4; i++) {
        aif_filter f = {0};
        aif_turn turn = AIF_TURN_MORE;

        f.coding = aif_coding_find(names[i], strlen(names[i]));
        f.buf = room;
        f.cap = sizeof(room);
        f.in = junk;
        f.in_len = sizeof(junk);
        CHECK_EQ_INT(f.coding->open(&f), 0);
        for (turns = 0; turn == AIF_TURN_MORE && turns < 10; turns++) {
            turn = f.coding->turn(&f);
        }
        CHECK_EQ_INT(turn, AIF_TURN_FAIL);
        CHECK_EQ_INT(f.code, AIF_EDECODE);
        CHECK(f.text != NULL && f.text[0] != '\0');
        f.coding->close(&f);
    }
}

static void
test_no_memory(void)
{
    static const char *const names[] = {"gzip", "deflate", "br"};
    size_t i;

    for (i = 0; i < 3; i++) {
        aif_filter f = {0};

        f.coding = aif_coding_find(names[i], strlen(names[i]));
        aif_mem_fail_at(1, 0);
        CHECK_EQ_INT(f.coding->open(&f), AIF_ENOMEM);
        aif_mem_fail_at(0, 0);
    }
}

int
main(void)
{
    test_find();
    test_small_turns();
    test_refusals();
    test_no_memory();
    CHECK(aif_mem_live() == 0);
    return check_failures();
}
