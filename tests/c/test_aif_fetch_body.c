/* Tests of a fetch's coded body: small on the wire, large when decoded, and
 * decoded in turns between which anything may happen.
 */
#include <zlib.h>

#include "base/aif_mem.h"
#include "fetching.h"

#define SIZE (24u * 1024u * 1024u)

static char coded[256 * 1024];
static size_t coded_len;
static char head[256];

/* SIZE zeros in gzip, and a head for them. */
static void
make_body(void)
{
    static char zeros[64 * 1024];
    z_stream z;

    memset(&z, 0, sizeof(z));
    CHECK(deflateInit2(&z, 9, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY) == Z_OK);
    z.next_out = (Bytef *)coded;
    z.avail_out = sizeof(coded);
    for (size_t i = 0; i < SIZE / sizeof(zeros); i++) {
        z.next_in = (z_const Bytef *)zeros;
        z.avail_in = sizeof(zeros);
        CHECK(deflate(&z, Z_NO_FLUSH) == Z_OK);
    }
    CHECK(deflate(&z, Z_FINISH) == Z_STREAM_END);
    coded_len = z.total_out;
    CHECK(deflateEnd(&z) == Z_OK);
    (void)snprintf(head, sizeof(head),
                   OK_HEAD "Content-Encoding: gzip\r\n"
                           "Content-Length: %zu\r\n\r\n",
                   coded_len);
}

/* A bench whose server 0 sends the body, and whose server 1 says hi. */
static void
open_bench(void)
{
    static step bomb[] = {
        REQUEST, {STEP_SAY, head, 0, 0}, {STEP_SAY, coded, 0, 0}, AGAIN};
    static const step hi[] = {REQUEST, SAY(OK("2", "hi")), AGAIN};

    bomb[1].len = strlen(head);
    bomb[2].len = coded_len;
    bench_open();
    SERVE(0, bomb);
    SERVE(1, hi);
}

static void
begin(call *c)
{
    call_init(c, 0);
    c->f->decode_body = 1;
}

static void
test_in_turns(void)
{
    call c;
    unsigned turns = 0;

    open_bench();
    begin(&c);
    CHECK_EQ_INT(call_start(&c), 0);
    UNTIL(c.bodies > 0);
    while (c.dones == 0 && turns < 10000) {
        uint64_t before = c.body_len;

        turn();
        turns++;
        CHECK(c.body_len - before < SIZE);
    }
    CHECK(turns > 2);
    CHECK_EQ_INT(c.body_len, SIZE);
    CHECK_EQ_INT(c.f->coded, coded_len);
    call_end(&c, 0);
    bench_close();
}

/* Paused in every step: one step comes for each resumption, the limit between
 * reads stands still, and the connection is free for others. */
static void
test_paused(void)
{
    uint64_t before;
    call c;

    open_bench();
    begin(&c);
    c.in_body = DO_PAUSE;
    c.f->limits.read = 100 * MS;
    CHECK_EQ_INT(call_start(&c), 0);
    UNTIL(c.bodies == 1);
    settle(150);
    CHECK_EQ_INT(c.dones, 0);
    CHECK_EQ_INT(c.bodies, 1);
    CHECK_EQ_INT(b.pool->idle_count, 1);
    for (unsigned i = 2; i < 10; i++) {
        before = c.body_len;
        aif_fetch_resume(c.f);
        aif_fetch_resume(c.f);
        UNTIL(c.bodies == i);
        settle(3);
        CHECK_EQ_INT(c.bodies, i);
        CHECK(c.body_len - before <= AIF_DECODE_STEP);
    }
    /* Resumed and paused again before its turn has come. */
    before = c.body_len;
    aif_fetch_resume(c.f);
    aif_fetch_pause(c.f);
    settle(5);
    CHECK_EQ_INT(c.body_len, before);
    CHECK(get_good(1, "hi") == 0);
    c.in_body = DO_NOTHING;
    aif_fetch_resume(c.f);
    call_end(&c, 0);
    CHECK_EQ_INT(c.body_len, SIZE);
    bench_close();
}

/* Ended in every way, from outside and from inside. */
static void
test_ends(void)
{
    static const act acts[] = {DO_CANCEL, DO_FREE, DO_DISCARD, DO_CLOSE_POOL,
                               RETURN_FAILURE};

    for (size_t i = 0; i < 2 * (sizeof(acts) / sizeof(acts[0])); i++) {
        act what = acts[i / 2];
        call c;

        open_bench();
        begin(&c);
        c.in_body = DO_PAUSE;
        CHECK_EQ_INT(call_start(&c), 0);
        UNTIL(c.bodies == 3 || (c.bodies > 0 && (aif_fetch_resume(c.f), 0)));
        if (i % 2 == 0 && what != RETURN_FAILURE) {
            (void)call_act(&c, what);
        }
        else {
            c.in_body = what;
            aif_fetch_resume(c.f);
            UNTIL(c.f == NULL || c.dones > 0);
        }
        if (what != DO_FREE) {
            call_end(&c, what == DO_DISCARD      ? 0
                         : what == DO_CANCEL     ? AIF_ECANCELLED
                         : what == DO_CLOSE_POOL ? AIF_ECLOSED
                                                 : AIF_ECALLBACK);
        }
        CHECK(c.body_len < SIZE);
        bench_close();
    }
}

static void
test_ceilings(void)
{
    call c;

    open_bench();
    begin(&c);
    c.f->max_body = 1000000;
    CHECK_EQ_INT(call_start(&c), 0);
    call_end(&c, AIF_ETOOBIG);
    CHECK(c.body_len <= 1000000 && c.body_len > 1000000 - AIF_DECODE_STEP);
    begin(&c);
    c.f->max_body = SIZE;
    CHECK_EQ_INT(call_start(&c), 0);
    call_end(&c, 0);
    begin(&c);
    c.f->max_ratio = 100;
    CHECK_EQ_INT(call_start(&c), 0);
    UNTIL(c.dones);
    CHECK(c.f->excessive);
    CHECK(c.body_len <= 100 * coded_len && c.body_len >= AIF_RATIO_FLOOR / 2);
    CHECK(strstr(c.err.text, "100 times") != NULL);
    call_end(&c, AIF_ETOOBIG);
    begin(&c);
    c.f->max_ratio = 2000;
    CHECK_EQ_INT(call_start(&c), 0);
    call_end(&c, 0);
    bench_close();
}

/* Many at a time: each gets its turns, and none waits for another's end. */
static void
test_many(void)
{
    static call calls[8];
    unsigned done = 0, before = 0;

    open_bench();
    for (unsigned i = 0; i < 8; i++) {
        begin(&calls[i]);
        CHECK_EQ_INT(call_start(&calls[i]), 0);
    }
    UNTIL(calls[0].bodies > 0);
    while (done < 8) {
        CHECK(get_good(1, "hi") == (before++ > 0));
        done = 0;
        for (unsigned i = 0; i < 8; i++) {
            done += calls[i].dones;
        }
    }
    CHECK(before > 5);
    for (unsigned i = 0; i < 8; i++) {
        CHECK_EQ_INT(calls[i].body_len, SIZE);
        call_end(&calls[i], 0);
    }
    bench_close();
}

int
main(void)
{
    make_body();
    test_in_turns();
    test_paused();
    test_ends();
    test_ceilings();
    test_many();
    CHECK(aif_mem_live() == 0);
    return check_failures();
}
