/* Tests of aif_pool: origins, limits, the order of the queue, what makes room
 * and who gets it, and a storm of fetches that are ended at bad moments. The
 * bench holds the counters against the lists after each turn of the loop. */
#include "client/aif_pool.h"

#include "fetching.h"

#define MANY 12u

static const step say_hi[] = {REQUEST, SAY(OK("2", "hi")), AGAIN};
static const step hi_and_close[] = {
    REQUEST, SAY(OK_HEAD "Connection: close\r\nContent-Length: 2\r\n\r\nhi"),
    END};
static const step silent[] = {REQUEST, END};
static const step slowly[] = {REQUEST, NAP(3), SAY(OK("2", "hi")), AGAIN};

/* ---- origins ------------------------------------------------------------ */

static aif_target
target_of(const char *host, uint16_t port, int secure, void *tls,
          const char *name)
{
    aif_target t = {.host = slice(host),
                    .port = port,
                    .secure = secure,
                    .tls = tls,
                    .server_name = {name, name == NULL ? 0 : strlen(name)}};

    return t;
}

/* Whatever makes connections differ makes origins differ. */
static void
test_origin_identity(void)
{
    int a, z;
    char long_name[600];
    aif_origin *o[10], *again;

    bench_open();
    bench_pool();
    memset(long_name, 'x', sizeof(long_name) - 1);
    long_name[sizeof(long_name) - 1] = '\0';
    {
        const aif_target t[10] = {
            target_of("host", 80, 0, NULL, NULL),
            target_of("host", 81, 0, NULL, NULL),
            target_of("host", 80, 1, NULL, NULL),
            target_of("host", 80, 1, &a, NULL),
            target_of("host", 80, 1, &z, NULL),
            target_of("host", 80, 1, &a, "name"),
            target_of("namehost", 80, 1, &a, NULL),
            target_of("hos", 80, 0, NULL, NULL),
            target_of("host", 80, 0, NULL, long_name),
            target_of(long_name, 80, 0, NULL, "host"),
        };

        for (unsigned i = 0; i < 10; i++) {
            CHECK_EQ_INT(aif_pool_origin(b.pool, &t[i], &o[i]), 0);
            CHECK_EQ_INT(b.pool->origins, i + 1);
        }
        for (unsigned i = 0; i < 10; i++) {
            CHECK_EQ_INT(aif_pool_origin(b.pool, &t[i], &again), 0);
            CHECK(again == o[i]);
            CHECK_EQ_INT(again->users, 2);
            aif_pool_leave_origin(again);
        }
    }
    CHECK_EQ_STR(o[5]->server_name, "name");
    CHECK_EQ_STR(o[5]->host, "host");
    CHECK_EQ_STR(o[0]->server_name, "host");
    for (unsigned i = 0; i < 10; i++) {
        aif_pool_leave_origin(o[i]);
        CHECK_EQ_INT(b.pool->origins, 9 - i);
    }
    aif_pool_leave_origin(NULL);
    bench_close();
}

static void
test_many_origins(void)
{
    static aif_origin *o[500];
    aif_origin *again;
    aif_target t = target_of("host", 0, 0, NULL, NULL);

    bench_open();
    bench_pool();
    for (unsigned i = 0; i < 500; i++) {
        t.port = (uint16_t)(i + 1);
        CHECK_EQ_INT(aif_pool_origin(b.pool, &t, &o[i]), 0);
    }
    CHECK_EQ_INT(b.pool->origins, 500);
    CHECK(b.pool->bucket_count >= 500);
    for (unsigned i = 0; i < 500; i++) {
        t.port = (uint16_t)(i + 1);
        CHECK_EQ_INT(aif_pool_origin(b.pool, &t, &again), 0);
        CHECK(again == o[i] && again->port == t.port);
        aif_pool_leave_origin(again);
    }
    /* Failing memory changes nothing. */
    t.port = 1000;
    for (long nth = 1; nth <= 4; nth++) {
        aif_mem_fail_at(nth, 0);
        CHECK_EQ_INT(aif_pool_origin(b.pool, &t, &again), AIF_ENOMEM);
        CHECK_EQ_INT(b.pool->origins, 500);
    }
    aif_mem_fail_at(0, 0);
    for (unsigned i = 0; i < 500; i++) {
        aif_pool_leave_origin(o[i]);
    }
    CHECK_EQ_INT(b.pool->origins, 0);
    bench_close();
}

static unsigned origins_closed;
static uint16_t last_closed;

static void
on_origin_close(void *user, aif_origin *o)
{
    CHECK(user == &origins_closed);
    origins_closed++;
    last_closed = o->port;
    o->session = NULL;
}

/* Origins with a TLS session to resume are remembered, a bounded number. */
static void
test_unused_origins(void)
{
    static const aif_pool_hooks hooks = {.origin_close = on_origin_close};
    aif_target t = target_of("host", 0, 0, NULL, NULL);
    aif_origin *o, *again;

    origins_closed = 0;
    bench_open();
    b.hooks = &hooks;
    b.user = &origins_closed;
    bench_pool();
    for (unsigned i = 0; i < 300; i++) {
        t.port = (uint16_t)(i + 1);
        CHECK_EQ_INT(aif_pool_origin(b.pool, &t, &o), 0);
        o->session = &origins_closed;
        aif_pool_leave_origin(o);
        /* The first is used now and then, and so stays. */
        t.port = 1;
        CHECK_EQ_INT(aif_pool_origin(b.pool, &t, &again), 0);
        CHECK(again->session != NULL);
        aif_pool_leave_origin(again);
    }
    CHECK_EQ_INT(b.pool->origins, 256);
    CHECK_EQ_INT(b.pool->unused_count, 256);
    CHECK_EQ_INT(origins_closed, 44);
    CHECK_EQ_INT(last_closed, 45);
    check_pool(b.pool);
    aif_pool_close(b.pool);
    CHECK_EQ_INT(origins_closed, 300);
    CHECK_EQ_INT(b.pool->origins, 0);
    bench_close();
}

/* ---- limits and order --------------------------------------------------- */

static char order[64]; /* the targets that came in, "/a" as 'a' */
static size_t ordered;

static const step *
write_down(server *s, const char *head)
{
    static const step answer[] = {NAP(2), SAY(OK("2", "hi")), END};

    (void)s;
    if (ordered < sizeof(order) - 1) {
        order[ordered++] = head[5];
    }
    return answer;
}

static void
serve_order(unsigned i)
{
    memset(order, 0, sizeof(order));
    ordered = 0;
    server_open(&b.server[i], &b.loop.uv, NULL, 0);
    b.server[i].route = write_down;
}

static const char *const letters[] = {"/a", "/b", "/c", "/d", "/e", "/f",
                                      "/g", "/h", "/i", "/j", "/k", "/l"};

static void
test_total_limit_in_order(void)
{
    call c[MANY];

    for (unsigned limit = 1; limit <= 3; limit++) {
        bench_open();
        b.settings.limit = limit;
        serve_order(0);
        bench_pool();
        for (unsigned i = 0; i < MANY; i++) {
            call_init(&c[i], 0);
            c[i].target = letters[i];
            CHECK_EQ_INT(call_start(&c[i]), 0);
        }
        CHECK_EQ_INT(b.pool->waiting, MANY - limit);
        CHECK_EQ_INT(b.pool->dialing, limit);
        for (unsigned i = 0; i < MANY; i++) {
            call_good(&c[i], "hi");
            CHECK_EQ_INT(c[i].turn, i + 1);
            CHECK_EQ_INT(c[i].reused, i >= limit);
        }
        CHECK_EQ_STR(order, "abcdefghijkl");
        CHECK_EQ_INT(b.server[0].most, limit);
        CHECK_EQ_INT(b.server[0].accepted, limit);
        bench_close();
    }
}

static void
test_limit_per_host(void)
{
    call c[MANY];

    bench_open();
    b.settings.limit_per_host = 2;
    serve_order(0);
    bench_pool();
    for (unsigned i = 0; i < MANY; i++) {
        call_init(&c[i], 0);
        c[i].target = letters[i];
        CHECK_EQ_INT(call_start(&c[i]), 0);
    }
    for (unsigned i = 0; i < MANY; i++) {
        call_good(&c[i], "hi");
    }
    CHECK_EQ_STR(order, "abcdefghijkl");
    CHECK_EQ_INT(b.server[0].most, 2);
    bench_close();
}

/* Connections that are not kept: each end calls the next in. */
static void
test_waiters_without_keeping(void)
{
    call c[MANY];

    for (int by_host = 0; by_host < 2; by_host++) {
        bench_open();
        b.settings.limit = by_host ? 0 : 2;
        b.settings.limit_per_host = by_host ? 2 : 0;
        SERVE(0, hi_and_close);
        for (unsigned i = 0; i < MANY; i++) {
            call_begin(&c[i], 0);
        }
        for (unsigned i = 0; i < MANY; i++) {
            call_good(&c[i], "hi");
            CHECK_EQ_INT(c[i].turn, i + 1);
        }
        CHECK_EQ_INT(b.server[0].accepted, MANY);
        bench_close();
    }
}

static void
test_full_origin_blocks_nobody(void)
{
    call held[2], waiter[2], other;

    bench_open();
    b.settings.limit = 5;
    b.settings.limit_per_host = 2;
    SERVE(0, silent);
    SERVE(1, say_hi);
    for (int i = 0; i < 2; i++) {
        call_begin(&held[i], 0);
    }
    for (int i = 0; i < 2; i++) {
        call_begin(&waiter[i], 0);
    }
    call_begin(&other, 1);
    CHECK_EQ_INT(other.f->state, AIF_FETCH_DIALING);
    call_good(&other, "hi");
    CHECK_EQ_INT(waiter[0].f->state, AIF_FETCH_QUEUED);
    CHECK_EQ_INT(b.pool->waiting, 2);
    /* One of the full origin's goes: the oldest waiter, and only it. */
    aif_fetch_cancel(held[1].f);
    CHECK_EQ_INT(waiter[0].f->state, AIF_FETCH_DIALING);
    CHECK_EQ_INT(waiter[1].f->state, AIF_FETCH_QUEUED);
    aif_fetch_cancel(waiter[1].f);
    aif_fetch_cancel(waiter[0].f);
    aif_fetch_cancel(held[0].f);
    for (int i = 0; i < 2; i++) {
        call_end(&held[i], AIF_ECANCELLED);
        call_end(&waiter[i], AIF_ECANCELLED);
    }
    bench_close();
}

static void
test_idle_of_another_origin_makes_room(void)
{
    call c[2];

    bench_open();
    b.settings.limit = 2;
    SERVE(0, say_hi);
    SERVE(1, say_hi);
    SERVE(2, say_hi);
    CHECK(!get_good(0, "hi"));
    CHECK(!get_good(1, "hi"));
    CHECK_EQ_INT(b.pool->idle_count, 2);
    /* The longest idle goes. */
    CHECK(get_good(0, "hi"));
    CHECK(!get_good(2, "hi"));
    CHECK_EQ_INT(b.pool->open, 2);
    CHECK(get_good(0, "hi"));
    CHECK(!get_good(1, "hi"));
    /* A waiter of one origin gets the room of another's as it is released. */
    aif_pool_close_idle(b.pool);
    b.pool->settings.limit = 1;
    call_begin(&c[0], 0);
    call_begin(&c[1], 1);
    CHECK_EQ_INT(c[1].f->state, AIF_FETCH_QUEUED);
    call_good(&c[0], "hi");
    call_good(&c[1], "hi");
    bench_close();
}

static void
test_latest_used_first(void)
{
    call c[2];
    const char *peer;

    bench_open();
    SERVE(0, slowly);
    for (int i = 0; i < 2; i++) {
        call_begin(&c[i], 0);
        settle(2);
    }
    UNTIL(c[0].dones && c[1].dones);
    CHECK_EQ_INT(b.pool->idle_count, 2);
    peer = AIF_LIST_ENTRY(aif_list_tail(&b.pool->idle), aif_conn, aged)->peer;
    for (int i = 0; i < 3; i++) {
        CHECK(get_good(0, "hi"));
        CHECK(
            AIF_LIST_ENTRY(aif_list_tail(&b.pool->idle), aif_conn, aged)->peer
            == peer);
    }
    call_good(&c[0], "hi");
    call_good(&c[1], "hi");
    bench_close();
}

/* ---- nobody starves ----------------------------------------------------- */

/* A waiter that is recalled for a connection which its origin lost, and gives
 * up before it could use its turn, hands that turn on. */
static void
test_turn_is_handed_on(void)
{
    call a, hog, before, first, second;

    bench_open();
    b.settings.limit = 2;
    b.settings.limit_per_host = 1;
    SERVE(0, hi_and_close);
    SERVE(1, silent);
    SERVE(2, silent);
    call_begin(&a, 0);
    call_begin(&hog, 1);
    call_begin(&first, 0);
    call_begin(&second, 0);
    call_begin(&before, 2);
    /* |before| is younger, but |first| has to leave it the room: */
    before.f->seq = 0;
    aif_list_unlink(&before.f->waiting);
    before.f->seq = a.f->seq;
    aif_list_push_head(&b.pool->waiters, &before.f->waiting);
    call_good(&a, "hi");
    CHECK_EQ_INT(before.f->state, AIF_FETCH_DIALING);
    CHECK_EQ_INT(first.f->state, AIF_FETCH_QUEUED);
    CHECK_EQ_INT(b.pool->waiting, 2);
    aif_fetch_cancel(first.f);
    call_end(&first, AIF_ECANCELLED);
    check_pool(b.pool);
    aif_fetch_cancel(hog.f);
    call_end(&hog, AIF_ECANCELLED);
    call_good(&second, "hi");
    aif_fetch_cancel(before.f);
    call_end(&before, AIF_ECANCELLED);
    bench_close();
}

/* A fetch that is sent again may not take a kept connection; where its origin
 * has no room but such ones, one of them goes. */
static void
test_retry_is_not_held_up_by_kept_ones(void)
{
    static const step then_close[] = {REQUEST, SAY(OK("2", "hi")), REQUEST,
                                      NAP(3), CLOSE};
    call c, next;

    bench_open();
    b.settings.limit_per_host = 1;
    SERVE(0, then_close, slowly);
    CHECK(!get_good(0, "hi"));
    call_begin(&c, 0);
    call_begin(&next, 0);
    CHECK_EQ_INT(next.f->state, AIF_FETCH_QUEUED);
    call_good(&c, "hi");
    CHECK(c.retried);
    call_good(&next, "hi");
    CHECK(next.reused);
    CHECK(c.turn < next.turn);
    CHECK_EQ_INT(b.server[0].accepted, 2);
    /* The case itself, made by hand: no room but kept ones, and a retry. */
    call_init(&c, 0);
    c.f->retried = 1;
    CHECK_EQ_INT(b.pool->idle_count, 1);
    CHECK_EQ_INT(call_start(&c), 0);
    CHECK_EQ_INT(c.f->state, AIF_FETCH_DIALING);
    call_good(&c, "hi");
    CHECK_EQ_INT(b.server[0].accepted, 3);
    bench_close();
}

/* Stale connections found on the way leave room for several waiters. */
static void
test_stale_ones_make_room(void)
{
    call c[MANY];

    bench_open();
    b.settings.limit = 4;
    SERVE(0, say_hi);
    SERVE(1, slowly);
    for (unsigned i = 0; i < 4; i++) {
        call_begin(&c[i], 0);
    }
    for (unsigned i = 0; i < 4; i++) {
        call_good(&c[i], "hi");
    }
    CHECK_EQ_INT(b.pool->idle_count, 4);
    server_drop(&b.server[0], 0);
    for (unsigned i = 0; i < MANY; i++) {
        call_begin(&c[i], i % 2);
    }
    for (unsigned i = 0; i < MANY; i++) {
        call_good(&c[i], "hi");
    }
    bench_close();
}

/* ---- keeping ------------------------------------------------------------ */

static void
test_sweep(void)
{
    call c[3];
    uint64_t now = uv_hrtime();

    bench_open();
    b.settings.keepalive = 150 * MS;
    SERVE(0, say_hi);
    for (unsigned i = 0; i < 3; i++) {
        call_begin(&c[i], 0);
    }
    for (unsigned i = 0; i < 3; i++) {
        call_good(&c[i], "hi");
    }
    CHECK_EQ_INT(b.pool->idle_count, 3);
    UNTIL(b.pool->idle_count == 0);
    CHECK(uv_hrtime() - now >= 150 * MS && uv_hrtime() - now < 3000 * MS);
    UNTIL(b.server[0].open == 0);
    CHECK_EQ_INT(b.pool->origins, 0);
    CHECK(!aif_deadline_is_set(&b.pool->sweep));
    CHECK(!get_good(0, "hi"));
    bench_close();
}

static void
test_none_is_kept(void)
{
    for (int i = 0; i < 2; i++) {
        bench_open();
        b.settings.keepalive = i == 0 ? 0 : 60000 * MS;
        b.settings.force_close = i == 1;
        SERVE(0, say_hi);
        CHECK(!get_good(0, "hi"));
        CHECK_EQ_INT(b.pool->open, 0);
        CHECK(!get_good(0, "hi"));
        bench_close();
    }
}

static void
test_close_idle(void)
{
    call held;

    bench_open();
    SERVE(0, say_hi);
    SERVE(1, silent);
    CHECK(!get_good(0, "hi"));
    call_begin(&held, 1);
    UNTIL(held.f->state == AIF_FETCH_HEAD);
    aif_pool_close_idle(b.pool);
    CHECK_EQ_INT(b.pool->idle_count, 0);
    CHECK_EQ_INT(b.pool->busy, 1);
    CHECK_EQ_INT(held.dones, 0);
    aif_pool_close_idle(b.pool);
    aif_fetch_cancel(held.f);
    call_end(&held, AIF_ECANCELLED);
    CHECK(!get_good(0, "hi"));
    bench_close();
}

/* ---- the end of the pool ------------------------------------------------ */

/* In every state at once, with waiters in all queues: each is told. */
static void
test_close_tells_everybody(void)
{
    call c[MANY];

    for (int freed = 0; freed < 2; freed++) {
        bench_open();
        b.settings.limit = 4;
        b.settings.limit_per_host = 1;
        SERVE(0, silent);
        SERVE(1, silent);
        SERVE(2, say_hi);
        CHECK(!get_good(2, "hi"));
        call_begin(&c[0], 0);
        UNTIL(c[0].f->state == AIF_FETCH_HEAD);
        for (unsigned i = 1; i < MANY; i++) {
            call_begin(&c[i], i % 3);
        }
        check_pool(b.pool);
        CHECK(b.pool->waiting >= MANY - 4);
        if (freed) {
            aif_pool_free(b.pool);
            b.pool = NULL;
        }
        else {
            aif_pool_close(b.pool);
            check_pool(b.pool);
            CHECK_EQ_INT(b.pool->open, 0);
            CHECK_EQ_INT(b.pool->waiting, 0);
            CHECK_EQ_INT(b.pool->origins, 0);
            aif_pool_close(b.pool);
            aif_pool_close_idle(b.pool);
        }
        for (unsigned i = 0; i < MANY; i++) {
            CHECK_EQ_INT(c[i].dones, 1);
            call_end(&c[i], AIF_ECLOSED);
            CHECK(c[i].err.text[0] != '\0');
        }
        bench_close();
    }
    aif_pool_free(NULL);
}

/* Its upcalls start, cancel and free others meanwhile. */
static void
test_close_with_harm(void)
{
    static const act harm[] = {DO_FREE, DO_CANCEL_OTHER, DO_FREE_OTHER,
                               DO_CLOSE_POOL};
    call c[MANY];

    for (unsigned h = 0; h < 4; h++) {
        bench_open();
        b.settings.limit = 4;
        b.settings.limit_per_host = 2;
        SERVE(0, silent);
        SERVE(1, silent);
        SERVE(2, silent);
        for (unsigned i = 0; i < MANY; i++) {
            call_init(&c[i], i % 3);
            c[i].in_done = harm[h];
            c[i].other = &c[(i * 5 + 7) % MANY];
        }
        for (unsigned i = 0; i < MANY; i++) {
            CHECK_EQ_INT(call_start(&c[i]), 0);
        }
        settle(3);
        aif_pool_close(b.pool);
        check_pool(b.pool);
        for (unsigned i = 0; i < MANY; i++) {
            CHECK(c[i].dones == 1 || (c[i].dones == 0 && c[i].f == NULL));
            aif_fetch_free(c[i].f);
        }
        bench_close();
    }
}

/* ---- harm among fetches ------------------------------------------------- */

/* One that ends serves a waiter first, whose upcall frees the ending one. */
static void
test_waiter_harms_the_one_that_ends(void)
{
    static const act harm[] = {DO_CANCEL_OTHER, DO_FREE_OTHER, DO_CLOSE_POOL};
    static const step fails[] = {REQUEST, NAP(2), SAY("?"), END};
    static const step ends[] = {REQUEST, NAP(2), CLOSE};
    call c, next;

    for (unsigned i = 0; i < 12; i++) {
        bench_open();
        b.settings.limit = 1;
        switch (i / 3) {
        case 0: /* it is whole, its connection kept */
            SERVE(0, slowly);
            break;
        case 1: /* not kept */
            SERVE(0, hi_and_close);
            break;
        case 2:
            SERVE(0, fails, say_hi);
            break;
        default:
            SERVE(0, ends, say_hi);
            break;
        }
        call_begin(&c, 0);
        call_init(&next, 0);
        next.in_phase[AIF_PHASE_QUEUED] = harm[i % 3];
        next.other = &c;
        CHECK_EQ_INT(call_start(&next), 0);
        UNTIL(next.dones > 0);
        CHECK_EQ_INT(next.code, i % 3 == 2 ? AIF_ECLOSED : 0);
        CHECK(c.dones == 1 || (c.dones == 0 && c.f == NULL));
        aif_fetch_free(c.f);
        aif_fetch_free(next.f);
        bench_close();
    }
}

/* One that is cancelled from outside serves a waiter, which frees it. */
static void
test_waiter_frees_the_cancelled_one(void)
{
    call c, next;

    bench_open();
    b.settings.limit = 1;
    SERVE(0, silent, say_hi);
    call_begin(&c, 0);
    call_init(&next, 0);
    next.in_phase[AIF_PHASE_QUEUED] = DO_FREE_OTHER;
    next.other = &c;
    CHECK_EQ_INT(call_start(&next), 0);
    UNTIL(c.f->state == AIF_FETCH_HEAD);
    aif_fetch_cancel(c.f);
    CHECK(c.f == NULL && c.dones == 0);
    call_good(&next, "hi");
    bench_close();
}

/* One that is started while the queue is served has its turn in the same go,
 * behind those that were there before. */
static void
test_start_while_serving(void)
{
    call held, waiter, last, c;

    bench_open();
    b.settings.limit = 1;
    serve_order(0);
    SERVE(1, silent);
    call_begin(&held, 1);
    call_init(&c, 0);
    c.target = "/c";
    call_init(&waiter, 0);
    waiter.target = "/a";
    waiter.in_phase[AIF_PHASE_QUEUED] = DO_START_OTHER;
    waiter.other = &c;
    CHECK_EQ_INT(call_start(&waiter), 0);
    call_init(&last, 0);
    last.target = "/b";
    CHECK_EQ_INT(call_start(&last), 0);
    CHECK_EQ_INT(c.f->state, AIF_FETCH_NEW);
    aif_fetch_cancel(held.f);
    CHECK_EQ_INT(c.f->state, AIF_FETCH_QUEUED);
    call_end(&held, AIF_ECANCELLED);
    call_good(&waiter, "hi");
    call_good(&last, "hi");
    call_good(&c, "hi");
    CHECK_EQ_STR(order, "abc");
    bench_close();
}

/* Each starts the next from its own end. */
static void
test_chain(void)
{
    call c[MANY];

    bench_open();
    b.settings.limit = 1;
    SERVE(0, say_hi, say_hi);
    for (unsigned i = 0; i < MANY; i++) {
        call_init(&c[i], 0);
        c[i].in_done = i + 1 < MANY ? DO_START_OTHER : DO_NOTHING;
        c[i].other = &c[(i + 1) % MANY];
    }
    CHECK_EQ_INT(call_start(&c[0]), 0);
    for (unsigned i = 0; i < MANY; i++) {
        call_good(&c[i], "hi");
        CHECK_EQ_INT(c[i].reused, i > 0);
    }
    CHECK_EQ_INT(b.server[0].accepted, 1);
    bench_close();
}

/* ---- a storm ------------------------------------------------------------ */

#define SLOTS 32u

static uint32_t seed;

static unsigned
draw(unsigned n)
{
    seed ^= seed << 13;
    seed ^= seed >> 17;
    seed ^= seed << 5;
    return seed % n;
}

static const step *
storm_route(server *s, const char *head)
{
    static char blob[100000];
    static const step all[][6] = {
        {SAY(OK("2", "hi")), END},
        {NAP(1), SAY(OK("2", "hi")), END},
        {SAY(OK_HEAD "Connection: close\r\nContent-Length: 2\r\n\r\nhi"), END},
        {SAY(OK_HEAD "Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n"), NAP(1),
         SAY("0\r\n\r\n"), END},
        {SAY(OK_HEAD "Content-Length: 4\r\n\r\nhi"), NAP(1), SAY("ho"), END},
        {SAY(OK("2", "hi") "?"), END},
        {CLOSE},
        {RESET},
        {SAY(OK_HEAD "Content-Length: 4\r\n\r\nhi"), CLOSE},
        {SAY(OK_HEAD "\r\nhi"), CLOSE},
        {SAY("nonsense"), END},
        {NAP(40), SAY(OK("2", "hi")), END},
        {SAY(OK_HEAD "Content-Length: 100000\r\n\r\n"),
         {STEP_SAY, blob, sizeof(blob), 0},
         END},
        {SAY(OK("2", "hi")), NAP(1), CLOSE},
    };

    (void)s;
    (void)head;
    return all[draw(sizeof(all) / sizeof(all[0]))];
}

static act
storm_act(void)
{
    static const act acts[] = {DO_CANCEL,       DO_FREE,       DO_DISCARD,
                               DO_CANCEL_OTHER, DO_FREE_OTHER, DO_START_OTHER,
                               DO_CANCEL_OTHER, DO_FREE_OTHER};

    return draw(12) == 0 ? acts[draw(8)] : DO_NOTHING;
}

static void
storm_init(call *c, call *all)
{
    call_init(c, draw(SERVERS));
    c->f->idempotent = draw(3) > 0;
    c->in_head = draw(10) == 0 ? RETURN_DISCARD : storm_act();
    c->in_body = draw(30) == 0 ? RETURN_FAILURE : storm_act();
    c->in_done = storm_act();
    for (int i = 0; i < AIF_PHASE_DONE; i++) {
        c->in_phase[i] = storm_act();
    }
    c->other = &all[draw(SLOTS)];
    if (draw(4) == 0) {
        c->f->limits.total_due = uv_hrtime() + (1 + draw(10)) * MS;
    }
    if (draw(4) == 0) {
        c->f->limits.acquire = (1 + draw(10)) * MS;
        c->f->limits.read = (1 + draw(10)) * MS;
    }
    c->f->max_body = draw(8) == 0 ? 3 : UINT64_MAX;
}

static unsigned long storm_ends[3];

/* A new call for each slot whose last one is over. */
static void
storm_refill(call *all, unsigned *left)
{
    for (unsigned i = 0; i < SLOTS && *left > 0; i++) {
        call *c = &all[i];

        if (c->f != NULL && c->dones == 0) {
            if (c->f->state == AIF_FETCH_NEW && draw(4) == 0) {
                (void)call_start(c);
            }
            continue;
        }
        storm_ends[c->dones == 0 ? 0 : c->code == 0 ? 1 : 2]++;
        aif_fetch_free(c->f);
        storm_init(c, all);
        (*left)--;
    }
}

static void
storm(unsigned limit, unsigned per_host, unsigned count)
{
    static call all[SLOTS];

    bench_open();
    memset(all, 0, sizeof(all));
    b.settings.limit = limit;
    b.settings.limit_per_host = per_host;
    b.settings.keepalive = 20 * MS;
    for (unsigned i = 0; i < SERVERS; i++) {
        server_open(&b.server[i], &b.loop.uv, NULL, 0);
        b.server[i].route = storm_route;
    }
    bench_pool();
    while (count > 0) {
        storm_refill(all, &count);
        if (draw(200) == 0) {
            aif_pool_close_idle(b.pool);
        }
        turn();
    }
    /* Whatever was started comes to its end without help. */
    for (unsigned i = 0; i < SLOTS; i++) {
        call *c = &all[i];

        UNTIL(c->f == NULL || c->dones == 1 || c->f->state == AIF_FETCH_NEW);
        (void)call_act(c, DO_FREE);
    }
    CHECK_EQ_INT(b.pool->waiting, 0);
    for (unsigned i = 0; i < SERVERS; i++) {
        CHECK(b.server[i].accepted > 0);
    }
    bench_close();
}

static void
test_storm(void)
{
    seed = 2463534242u;
    storm(1, 0, 400);
    storm(3, 2, 1500);
    storm(0, 1, 800);
    storm(6, 3, 1500);
    storm(0, 0, 800);
    /* Enough of each kind of end to mean something. */
    CHECK(storm_ends[0] > 100 && storm_ends[1] > 400 && storm_ends[2] > 400);
    (void)printf("        a storm's ends: %lu freed, %lu good, %lu failed\n",
                 storm_ends[0], storm_ends[1], storm_ends[2]);
}

int
main(void)
{
    static const check_test tests[] = {
        CHECK_TEST(test_origin_identity),
        CHECK_TEST(test_many_origins),
        CHECK_TEST(test_unused_origins),
        CHECK_TEST(test_total_limit_in_order),
        CHECK_TEST(test_limit_per_host),
        CHECK_TEST(test_waiters_without_keeping),
        CHECK_TEST(test_full_origin_blocks_nobody),
        CHECK_TEST(test_idle_of_another_origin_makes_room),
        CHECK_TEST(test_latest_used_first),
        CHECK_TEST(test_turn_is_handed_on),
        CHECK_TEST(test_retry_is_not_held_up_by_kept_ones),
        CHECK_TEST(test_stale_ones_make_room),
        CHECK_TEST(test_sweep),
        CHECK_TEST(test_none_is_kept),
        CHECK_TEST(test_close_idle),
        CHECK_TEST(test_close_tells_everybody),
        CHECK_TEST(test_close_with_harm),
        CHECK_TEST(test_waiter_harms_the_one_that_ends),
        CHECK_TEST(test_waiter_frees_the_cancelled_one),
        CHECK_TEST(test_start_while_serving),
        CHECK_TEST(test_chain),
        CHECK_TEST(test_storm),
    };

    return CHECK_RUN(tests);
}
