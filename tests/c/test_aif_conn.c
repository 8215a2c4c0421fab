/* Tests of aif_conn: when a connection is kept and when it must not be, what
 * is sent twice, bodies nobody wants, writes that fail, and the TLS stage's
 * place in all that, played by a stage that hides nothing. */
#include "client/aif_conn.h"

#include <unistd.h>

#include "fetching.h"
#include "veil.h"

static const step say_hi[] = {REQUEST, SAY(OK("2", "hi")), AGAIN};

/* The one connection that the pool has. */
static aif_conn *
only_conn(void)
{
    aif_list *node = aif_list_head(&b.pool->conns);

    CHECK_EQ_INT(b.pool->open, 1);
    return AIF_LIST_ENTRY(node, aif_conn, link);
}

/* ---- kept and not kept -------------------------------------------------- */

static void
test_reuse(void)
{
    bench_open();
    SERVE(0, say_hi);
    for (int i = 0; i < 20; i++) {
        CHECK_EQ_INT(get_good(0, "hi"), i > 0);
        CHECK_EQ_INT(b.pool->idle_count, 1);
    }
    CHECK_EQ_INT(b.server[0].accepted, 1);
    CHECK_EQ_INT(only_conn()->served, 20);
    bench_close();
}

static void
test_what_is_kept(void)
{
    static const struct {
        const char *response;
        const char *body;
        int kept;
        int status;
    } row[] = {
        {OK("2", "hi"), "hi", 1, 200},
        {OK_HEAD "Connection: close\r\nContent-Length: 2\r\n\r\nhi", "hi", 0,
         200},
        {OK_HEAD "Connection: x, Close\r\nContent-Length: 2\r\n\r\nhi", "hi",
         0, 200},
        {"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi", "hi", 0, 200},
        {"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n"
         "Content-Length: 2\r\n\r\nhi",
         "hi", 1, 200},
        {OK_HEAD "Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
         "hi", 1, 200},
        {"HTTP/1.1 100 Continue\r\n\r\n" OK("2", "hi"), "hi", 1, 200},
        {"HTTP/1.1 204 No Content\r\n\r\n", "", 1, 204},
        {"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", "", 1, 304},
        {OK_HEAD "Keep-Alive: timeout=0\r\nContent-Length: 0\r\n\r\n", "", 0,
         200},
        {OK_HEAD "Keep-Alive: max=5, timeout=9\r\nContent-Length: 0\r\n\r\n",
         "", 1, 200},
        {OK_HEAD "Keep-Alive: timeout=x\r\nContent-Length: 0\r\n\r\n", "", 1,
         200},
    };
    static step script[] = {REQUEST, {STEP_SAY, NULL, 0, 0}, AGAIN};
    call c;

    for (unsigned i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        check_row = row[i].response;
        script[1].text = row[i].response;
        script[1].len = strlen(row[i].response);
        bench_open();
        SERVE(0, script);
        for (int n = 0; n < 3; n++) {
            call_begin(&c, 0);
            call_end(&c, 0);
            CHECK_EQ_INT(c.status, row[i].status);
            CHECK_EQ_INT(c.body_len, strlen(row[i].body));
            CHECK_EQ_INT(c.reused, row[i].kept && n > 0);
            CHECK_EQ_INT(b.pool->open, row[i].kept);
        }
        CHECK_EQ_INT(b.server[0].accepted, row[i].kept ? 1 : 3);
        bench_close();
        check_row = NULL;
    }
}

static void
test_head_request(void)
{
    static const step head[] = {
        REQUEST, SAY(OK_HEAD "Content-Length: 1000\r\n\r\n"), AGAIN};
    call c;

    bench_open();
    SERVE(0, head);
    for (int i = 0; i < 2; i++) {
        call_init(&c, 0);
        c.method = "HEAD";
        c.f->head_request = 1;
        CHECK_EQ_INT(call_start(&c), 0);
        call_good(&c, "");
        CHECK_EQ_INT(c.reused, i);
    }
    bench_close();
}

/* Who says that the connection is to close does not leave it to the server. */
static void
test_close_after(void)
{
    call c;

    bench_open();
    SERVE(0, say_hi);
    for (int i = 0; i < 3; i++) {
        call_init(&c, 0);
        c.f->close_after = i != 1;
        c.in_head = i == 2 ? RETURN_DISCARD : DO_NOTHING;
        CHECK_EQ_INT(call_start(&c), 0);
        call_end(&c, 0);
        CHECK_EQ_INT(b.pool->open, i == 1);
    }
    CHECK(c.reused);
    CHECK_EQ_INT(b.server[0].accepted, 2);
    bench_close();
}

/* The peer's Keep-Alive, less a margin, but never more than our own. */
static void
test_keep_alive_timeout(void)
{
    static const step row[][3] = {
        {REQUEST,
         SAY(OK_HEAD "Keep-Alive: timeout=10\r\nContent-Length: 2\r\n\r\nhi"),
         AGAIN},
        {REQUEST,
         SAY(OK_HEAD "Keep-Alive: TIMEOUT=1\r\nContent-Length: 2\r\n\r\nhi"),
         AGAIN},
        {REQUEST,
         SAY(OK_HEAD "Keep-Alive: timeout=900\r\nContent-Length: 2\r\n\r\nhi"),
         AGAIN},
        {REQUEST,
         SAY(OK_HEAD
             "Keep-Alive: timeout=\"5\"\r\nContent-Length: 2\r\n\r\nhi"),
         AGAIN},
    };
    static const uint64_t ms[] = {9000, 500, 60000, 4000};
    uint64_t left;

    for (unsigned i = 0; i < 4; i++) {
        const step *script = row[i];

        bench_open();
        server_open(&b.server[0], &b.loop.uv, &script, 1);
        bench_pool();
        CHECK(!get_good(0, "hi"));
        left = only_conn()->expires - uv_hrtime();
        CHECK(left <= ms[i] * MS && left > (ms[i] - 400) * MS);
        CHECK(get_good(0, "hi"));
        /* Past its time it is not used, even if nobody has closed it yet. */
        only_conn()->expires = uv_hrtime();
        CHECK(!get_good(0, "hi"));
        bench_close();
    }
}

/* ---- poison ------------------------------------------------------------- */

#define EVIL OK("4", "evil")

static void
test_poison_in_the_same_segment(void)
{
    static const step length[] = {REQUEST, SAY(OK("2", "hi") EVIL), AGAIN};
    static const step one_byte[] = {REQUEST, SAY(OK("2", "hi") "\n"), AGAIN};
    static const step chunked[] = {
        REQUEST,
        SAY(OK_HEAD
            "Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n" EVIL),
        AGAIN};
    static const step late[] = {REQUEST, SAY(OK_HEAD "Content-Length: 2\r\n"),
                                NAP(2),  SAY("\r\nh"),
                                NAP(2),  SAY("i" EVIL),
                                AGAIN};

    bench_open();
    SERVE(0, length, one_byte, chunked, late, say_hi);
    for (unsigned i = 0; i < 5; i++) {
        CHECK(!get_good(0, "hi"));
        CHECK_EQ_INT(b.pool->open, i == 4);
    }
    CHECK(get_good(0, "hi"));
    bench_close();
}

static void
test_poison_behind_no_body(void)
{
    static const step head[] = {
        REQUEST, SAY(OK_HEAD "Content-Length: 2\r\n\r\nhi"), AGAIN};
    static const step empty[] = {
        REQUEST, SAY("HTTP/1.1 204 No Content\r\n\r\nhi"), AGAIN};
    call c;

    bench_open();
    SERVE(0, head, empty);
    call_init(&c, 0);
    c.method = "HEAD";
    c.f->head_request = 1;
    CHECK_EQ_INT(call_start(&c), 0);
    call_good(&c, "");
    CHECK_EQ_INT(b.pool->open, 0);
    call_begin(&c, 0);
    call_end(&c, 0);
    CHECK_EQ_INT(b.pool->open, 0);
    bench_close();
}

static void
test_poison_while_idle(void)
{
    bench_open();
    SERVE(0, say_hi);
    for (int i = 0; i < 3; i++) {
        CHECK(!get_good(0, "hi"));
        CHECK_EQ_INT(b.pool->idle_count, 1);
        if (i == 0) {
            server_say(&b.server[0], EVIL);
        }
        else {
            server_drop(&b.server[0], i == 2);
        }
        UNTIL(b.pool->open == 0);
    }
    bench_close();
}

/* The loop has not looked at the socket yet. */
static void
test_poison_at_check_out(void)
{
    bench_open();
    SERVE(0, say_hi);
    for (int i = 0; i < 4; i++) {
        CHECK(!get_good(0, "hi"));
        CHECK_EQ_INT(b.pool->idle_count, 1);
        if (i < 2) {
            server_say(&b.server[0], i == 0 ? EVIL : "x");
        }
        else {
            server_drop(&b.server[0], i == 3);
        }
    }
    bench_close();
}

/* Behind a body that was read directly into the caller's memory. */
static void
test_poison_behind_direct_read(void)
{
    static char flood[256 * 1024];
    static char space[sizeof(flood)];
    static const step poisoned[] = {
        REQUEST,   SAY(OK_HEAD "Content-Length: 262144\r\n\r\n"),
        NAP(2),    {STEP_SAY, flood, sizeof(flood), 0},
        SAY(EVIL), AGAIN};
    call c;

    bench_open();
    SERVE(0, poisoned, say_hi);
    call_init(&c, 0);
    c.f->cbs = &direct_cbs;
    c.space = space;
    c.space_len = sizeof(space);
    c.in_done = DO_START_OTHER;
    c.other = &(call){0};
    call_init(c.other, 0);
    CHECK_EQ_INT(call_start(&c), 0);
    UNTIL(c.dones);
    CHECK_EQ_INT(c.body_len, sizeof(flood));
    CHECK(c.spaces > 0);
    call_good(c.other, "hi");
    CHECK(!c.other->reused);
    aif_fetch_free(c.f);
    bench_close();
}

/* ---- sent twice --------------------------------------------------------- */

static const step then_close[] = {REQUEST, SAY(OK("2", "hi")), REQUEST, CLOSE};
static const step then_reset[] = {REQUEST, SAY(OK("2", "hi")), REQUEST, RESET};
static const step then_a_byte[] = {REQUEST, SAY(OK("2", "hi")), REQUEST,
                                   SAY("H"), CLOSE};
static const step then_half[] = {
    REQUEST, SAY(OK("2", "hi")),
    REQUEST, SAY(OK_HEAD "Content-Length: 4\r\n\r\nab"),
    NAP(5),  RESET};
static const step at_once_close[] = {REQUEST, CLOSE};

static void
test_retry(void)
{
    call c;

    bench_open();
    SERVE(0, then_close, then_reset, say_hi);
    CHECK(!get_good(0, "hi"));
    for (int i = 0; i < 2; i++) {
        call_begin(&c, 0);
        call_good(&c, "hi");
        CHECK(c.retried && !c.reused);
        CHECK_EQ_INT(c.err.code, 0);
        CHECK_EQ_INT(b.server[0].accepted, (unsigned)i + 2);
    }
    CHECK_EQ_INT(b.server[0].requests, 5);
    CHECK(get_good(0, "hi"));
    bench_close();
}

static void
test_retry_once_only(void)
{
    call c;

    bench_open();
    SERVE(0, then_close, at_once_close);
    CHECK(!get_good(0, "hi"));
    call_begin(&c, 0);
    call_end(&c, AIF_EDISCONNECTED);
    CHECK(c.retried);
    CHECK_EQ_INT(b.server[0].requests, 3);
    /* A new connection's end is not the keeping's fault. */
    call_begin(&c, 0);
    call_end(&c, AIF_EDISCONNECTED);
    CHECK(!c.retried);
    CHECK_EQ_INT(b.server[0].requests, 4);
    bench_close();
}

static void
test_no_retry(void)
{
    static const struct {
        const step *script;
        int idempotent, code;
    } row[] = {{then_close, 0, AIF_EDISCONNECTED},
               {then_reset, 0, UV_ECONNRESET},
               {then_a_byte, 1, AIF_ETRUNCATED},
               {then_half, 1, UV_ECONNRESET}};
    call c;

    for (unsigned i = 0; i < 4; i++) {
        const step *scripts[] = {row[i].script, say_hi};

        bench_open();
        server_open(&b.server[0], &b.loop.uv, scripts, 2);
        bench_pool();
        CHECK(!get_good(0, "hi"));
        call_init(&c, 0);
        c.f->idempotent = row[i].idempotent ? 1 : 0;
        c.method = row[i].idempotent ? "GET" : "POST";
        CHECK_EQ_INT(call_start(&c), 0);
        call_end(&c, row[i].code);
        CHECK(c.reused && !c.retried);
        CHECK_EQ_INT(b.server[0].accepted, 1);
        CHECK_EQ_INT(b.server[0].requests, 2);
        bench_close();
    }
}

/* Two kept connections, both stale: the second attempt gets a new one. */
static void
test_retry_takes_no_kept_connection(void)
{
    call c[2];

    bench_open();
    SERVE(0, then_close, then_close, say_hi);
    for (int i = 0; i < 2; i++) {
        call_begin(&c[i], 0);
    }
    for (int i = 0; i < 2; i++) {
        call_good(&c[i], "hi");
    }
    CHECK_EQ_INT(b.pool->idle_count, 2);
    call_begin(&c[0], 0);
    call_good(&c[0], "hi");
    CHECK(c[0].retried);
    CHECK_EQ_INT(b.server[0].accepted, 3);
    CHECK_EQ_INT(b.pool->idle_count, 2);
    bench_close();
}

/* The second attempt's own failure is what the caller hears of. */
static void
test_retry_refused(void)
{
    call c;

    bench_open();
    SERVE(0, then_close);
    CHECK(!get_good(0, "hi"));
    uv_close((uv_handle_t *)&b.server[0].listener, on_listener_gone);
    call_begin(&c, 0);
    call_end(&c, UV_ECONNREFUSED);
    CHECK(c.retried);
    CHECK(strstr(c.err.text, "127.0.0.1") != NULL);
    bench_close();
}

/* Harm in the upcall between the two attempts. */
static void
test_harm_before_retry(void)
{
    static const act harm[] = {DO_CANCEL, DO_FREE, DO_CLOSE_POOL};
    static const int code[] = {AIF_ECANCELLED, 0, AIF_ECLOSED};
    call c;

    for (unsigned i = 0; i < 3; i++) {
        bench_open();
        SERVE(0, then_close, say_hi);
        CHECK(!get_good(0, "hi"));
        call_begin(&c, 0);
        c.in_phase[AIF_PHASE_WAIT] = harm[i];
        UNTIL(c.dones > 0 || c.f == NULL);
        CHECK_EQ_INT(c.code, code[i]);
        CHECK_EQ_INT(c.dones, harm[i] != DO_FREE);
        aif_fetch_free(c.f);
        settle(3);
        CHECK_EQ_INT(b.pool->open, 0);
        CHECK_EQ_INT(b.server[0].accepted, 1);
        bench_close();
    }
}

/* ---- bodies nobody wants ------------------------------------------------ */

static const step short_body[] = {
    REQUEST, SAY(OK_HEAD "Content-Length: 1000\r\n\r\n"),
    NAP(2),  {STEP_SAY, (char[1000]){0}, 500, 0},
    NAP(2),  {STEP_SAY, (char[1000]){0}, 500, 0},
    REQUEST, SAY(OK("2", "hi")),
    END};
static const step long_body[] = {
    REQUEST, SAY(OK_HEAD "Content-Length: 65540\r\n\r\nabc"), END};
static const step endless[] = {
    REQUEST, SAY(OK_HEAD "Transfer-Encoding: chunked\r\n\r\n20000\r\n"),
    NAP(2),  {STEP_SAY, (char[40000]){0}, 40000, 0},
    NAP(2),  {STEP_SAY, (char[40000]){0}, 40000, 0},
    END};

static void
test_discard_short(void)
{
    call c;

    for (int how = 0; how < 3; how++) {
        bench_open();
        SERVE(0, short_body);
        call_init(&c, 0);
        c.in_head = how == 0   ? RETURN_DISCARD
                    : how == 1 ? DO_DISCARD
                               : DO_NOTHING;
        c.in_body = how == 2 ? DO_DISCARD : DO_NOTHING;
        CHECK_EQ_INT(call_start(&c), 0);
        call_end(&c, 0);
        CHECK_EQ_INT(c.bodies, how == 2);
        CHECK_EQ_INT(b.pool->busy, 1);
        CHECK_EQ_INT(only_conn()->state, AIF_CONN_DRAINING);
        UNTIL(b.pool->idle_count == 1);
        CHECK(get_good(0, "hi"));
        bench_close();
    }
}

static void
test_discard_from_outside(void)
{
    call c;

    bench_open();
    SERVE(0, short_body);
    call_init(&c, 0);
    c.in_head = DO_PAUSE; /* Draining reads, whatever the fetch wanted. */
    CHECK_EQ_INT(call_start(&c), 0);
    UNTIL(c.heads == 1);
    aif_fetch_discard(c.f);
    CHECK_EQ_INT(c.dones, 1);
    call_end(&c, 0);
    UNTIL(b.pool->idle_count == 1);
    CHECK(get_good(0, "hi"));
    bench_close();
}

static void
test_discard_long(void)
{
    call c;

    bench_open();
    SERVE(0, long_body, endless);
    call_init(&c, 0);
    c.in_head = RETURN_DISCARD;
    CHECK_EQ_INT(call_start(&c), 0);
    call_end(&c, 0);
    CHECK_EQ_INT(b.pool->open, 0);
    /* Of unknown length: as far as the ceiling, and no further. */
    call_init(&c, 0);
    c.in_head = RETURN_DISCARD;
    CHECK_EQ_INT(call_start(&c), 0);
    call_end(&c, 0);
    CHECK_EQ_INT(only_conn()->state, AIF_CONN_DRAINING);
    UNTIL(only_conn()->drained == 40000);
    UNTIL(b.pool->open == 0);
    bench_close();
}

/* At the ceiling itself it is still read. */
static void
test_discard_at_the_ceiling(void)
{
    static char rest[65536];
    static const step script[] = {
        REQUEST, SAY(OK_HEAD "Content-Length: 65540\r\n\r\nabcd"),
        NAP(2),  {STEP_SAY, rest, sizeof(rest), 0},
        REQUEST, SAY(OK("2", "hi")),
        END};
    call c;

    bench_open();
    SERVE(0, script);
    call_init(&c, 0);
    c.in_body = DO_DISCARD;
    CHECK_EQ_INT(call_start(&c), 0);
    call_end(&c, 0);
    CHECK_EQ_INT(c.body_len, 4);
    UNTIL(b.pool->idle_count == 1);
    CHECK(get_good(0, "hi"));
    bench_close();
}

static void
test_drain_ends(void)
{
    static const step stuck[] = {
        REQUEST, SAY(OK_HEAD "Content-Length: 10\r\n\r\nabc"), END};
    static const step hangs_up[] = {
        REQUEST, SAY(OK_HEAD "Content-Length: 10\r\n\r\nabc"), NAP(5), CLOSE};
    call c, next;
    aif_conn *conn;
    uint64_t left;

    bench_open();
    b.settings.limit = 1;
    SERVE(0, stuck, hangs_up, say_hi);
    call_init(&c, 0);
    c.in_head = RETURN_DISCARD;
    CHECK_EQ_INT(call_start(&c), 0);
    call_end(&c, 0);
    conn = only_conn();
    left = conn->drain.due - uv_hrtime();
    CHECK(left <= AIF_DRAIN_NS && left > AIF_DRAIN_NS - 1000 * MS);
    CHECK_EQ_INT(
        aif_deadline_set(&b.loop.deadlines, &conn->drain, uv_hrtime()), 0);
    UNTIL(b.pool->open == 0);
    call_init(&next, 0);
    next.in_head = RETURN_DISCARD;
    CHECK_EQ_INT(call_start(&next), 0);
    call_end(&next, 0);
    CHECK_EQ_INT(only_conn()->state, AIF_CONN_DRAINING);
    UNTIL(b.pool->open == 0);
    CHECK(!get_good(0, "hi"));
    bench_close();
}

/* Who waits is worth more than a connection that may be saved. */
static void
drain_makes_room(unsigned limit, unsigned limit_per_host)
{
    static const step stuck[] = {
        REQUEST, SAY(OK_HEAD "Content-Length: 10\r\n\r\nabc"), END};
    call c, early, late;

    bench_open();
    b.settings.limit = limit;
    b.settings.limit_per_host = limit_per_host;
    SERVE(0, stuck, stuck, say_hi);
    /* One that waits when the drain begins, */
    call_init(&c, 0);
    c.in_head = RETURN_DISCARD;
    CHECK_EQ_INT(call_start(&c), 0);
    call_init(&early, 0);
    early.in_head = RETURN_DISCARD;
    CHECK_EQ_INT(call_start(&early), 0);
    CHECK_EQ_INT(early.f->state, AIF_FETCH_QUEUED);
    call_end(&c, 0);
    CHECK(early.f->state != AIF_FETCH_QUEUED);
    call_end(&early, 0);
    CHECK_EQ_INT(only_conn()->state, AIF_CONN_DRAINING);
    /* and one that comes later. */
    call_init(&late, 0);
    CHECK_EQ_INT(call_start(&late), 0);
    CHECK(late.f->state != AIF_FETCH_QUEUED);
    call_end(&late, 0);
    CHECK_EQ_INT(b.pool->open, 1);
    CHECK_EQ_INT(b.pool->idle_count, 1);
    bench_close();
}

static void
test_drain_makes_room(void)
{
    drain_makes_room(1, 0);
    drain_makes_room(0, 1);
}

static void
test_close_while_draining(void)
{
    call c;

    bench_open();
    SERVE(0, short_body);
    call_init(&c, 0);
    c.in_head = RETURN_DISCARD;
    CHECK_EQ_INT(call_start(&c), 0);
    call_end(&c, 0);
    CHECK_EQ_INT(only_conn()->state, AIF_CONN_DRAINING);
    aif_pool_close(b.pool);
    CHECK_EQ_INT(b.pool->open, 0);
    CHECK_EQ_INT(b.pool->busy, 0);
    bench_close();
}

/* Poison behind a drained body. */
static void
test_drain_poisoned(void)
{
    static const step poisoned[] = {REQUEST,
                                    SAY(OK_HEAD "Content-Length: 4\r\n\r\nab"),
                                    NAP(2), SAY("cd" EVIL), END};
    call c;

    bench_open();
    SERVE(0, poisoned, say_hi);
    call_init(&c, 0);
    c.in_head = RETURN_DISCARD;
    CHECK_EQ_INT(call_start(&c), 0);
    call_end(&c, 0);
    UNTIL(b.pool->open == 0);
    CHECK(!get_good(0, "hi"));
    bench_close();
}

/* ---- the request's own troubles ----------------------------------------- */

static char big[8 * 1024 * 1024];

static void
start_upload(call *c, unsigned i)
{
    call_init(c, i);
    c->method = "POST";
    c->f->idempotent = 0;
    c->f->body = big;
    c->f->body_len = sizeof(big);
    CHECK_EQ_INT(call_start(c), 0);
}

/* An answer before the body is sent counts, whether the server hangs up,
 * resets or stays; the connection is never kept. */
static void
test_early_response(void)
{
#define TOO_LARGE "HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno"
    static const step closes[] = {HEAD, SAY(TOO_LARGE), CLOSE};
    static const step stays[] = {HEAD, SAY(TOO_LARGE), END};
    static const step late_body[] = {
        HEAD, SAY("HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\n"),
        NAP(20), SAY("no"), CLOSE};
    call c;

    bench_open();
    SERVE(0, closes, stays, late_body);
    for (int i = 0; i < 3; i++) {
        start_upload(&c, 0);
        call_end(&c, 0);
        CHECK_EQ_INT(c.status, 413);
        CHECK(c.body_len == 2 && memcmp(c.body, "no", 2) == 0);
        CHECK_EQ_INT(b.pool->open, 0);
    }
    bench_close();
}

static void
test_write_fails(void)
{
    static const step resets[] = {HEAD, NAP(5), RESET};
    static const step closes[] = {HEAD, NAP(5), CLOSE};
    call c;

    bench_open();
    SERVE(0, resets, closes);
    for (int i = 0; i < 2; i++) {
        start_upload(&c, 0);
        UNTIL(c.dones > 0);
        CHECK(c.code == UV_ECONNRESET || c.code == UV_EPIPE
              || c.code == AIF_EDISCONNECTED);
        CHECK(c.err.text[0] != '\0');
        call_end(&c, c.code);
        CHECK_EQ_INT(c.heads, 0);
        CHECK_EQ_INT(b.pool->open, 0);
    }
    bench_close();
}

/* ---- dialling ----------------------------------------------------------- */

static void
test_dial_fails(void)
{
    struct sockaddr bad = {.sa_family = AF_UNIX};
    call c;

    bench_open();
    b.settings.limit = 1;
    SERVE(0, say_hi);
    call_init(&c, 0);
    c.port = 1;
    CHECK_EQ_INT(call_start(&c), 0);
    CHECK_EQ_INT(c.dones, 0);
    call_end(&c, UV_ECONNREFUSED);
    CHECK_EQ_INT(c.err.sys, UV_ECONNREFUSED);
    CHECK(strstr(c.err.text, "127.0.0.1:1") != NULL);
    CHECK_EQ_INT(b.pool->open, 0);
    CHECK_EQ_INT(b.pool->origins, 0);
    /* What fails inside the start is told by on_done all the same. */
    b.pool->settings.local_addr = &bad;
    call_begin(&c, 0);
    CHECK_EQ_INT(c.dones, 1);
    call_end(&c, UV_EAFNOSUPPORT);
    CHECK(c.err.text[0] != '\0');
    b.pool->settings.local_addr = NULL;
    CHECK(!get_good(0, "hi"));
    bench_close();
}

static void
test_unix_socket(void)
{
    char path[] = "/tmp/aif-test-XXXXXX";
    uv_pipe_t pipe;
    call c;

    CHECK(mkdtemp(path) != NULL);
    bench_open();
    char name[64];

    (void)snprintf(name, sizeof(name), "%s/s", path);
    CHECK_EQ_INT(uv_pipe_init(&b.loop.uv, &pipe, 0), 0);
    CHECK_EQ_INT(uv_pipe_bind(&pipe, name), 0);
    b.settings.unix_path = name;
    bench_pool();
    /* Nobody listens yet. */
    call_init(&c, 0);
    c.port = 80;
    CHECK_EQ_INT(call_start(&c), 0);
    call_end(&c, UV_ECONNREFUSED);
    CHECK(strstr(c.err.text, name) != NULL);
    uv_close((uv_handle_t *)&pipe, NULL);
    settle(3);
    bench_close();
    (void)unlink(name);
    CHECK(rmdir(path) == 0);
}

/* ---- TLS, played -------------------------------------------------------- */

static const step greets[] = {
    SAY("!"), REQUEST, SAY(OK("2", "hi")), REQUEST, SAY(OK("2", "hi")), END};

static void
test_secure(void)
{
    call c;

    for (int mode = OPEN_AT_ONCE; mode <= OPEN_ON_BYTE; mode++) {
        veil_open(mode);
        if (mode == OPEN_AT_ONCE) {
            SERVE(0, say_hi);
        }
        else {
            SERVE(0, greets);
        }
        for (int i = 0; i < 2; i++) {
            secure_begin(&c);
            call_good(&c, "hi");
            CHECK_EQ_INT(c.reused, i);
            CHECK_EQ_INT((c.phases >> AIF_PHASE_TLS) & 1, i == 0);
        }
        CHECK_EQ_INT(veil_of.made, 1);
        CHECK_EQ_INT(veil_of.used, 1);
        CHECK_EQ_INT(veil_of.opened, 1);
        veil_end();
    }
}

static void
test_secure_fails(void)
{
    static const int mode[] = {FAIL_ON_BYTE, EOF_ON_BYTE, NOT_MADE};
    static const int code[] = {AIF_ETLS, AIF_EDISCONNECTED, AIF_ETLS};
    call c;

    for (unsigned i = 0; i < 3; i++) {
        veil_open(mode[i]);
        SERVE(0, greets);
        secure_begin(&c);
        call_end(&c, code[i]);
        CHECK(c.err.text[0] != '\0');
        CHECK_EQ_INT((c.phases >> AIF_PHASE_CONNECT) & 1, 1);
        CHECK_EQ_INT((c.phases >> AIF_PHASE_TLS) & 1, 0);
        CHECK_EQ_INT(b.pool->open, 0);
        veil_end();
    }
    bench_open();
    SERVE(0, greets);
    secure_begin(&c);
    call_end(&c, AIF_ETLS);
    bench_close();
}

static void
test_secure_limit(void)
{
    static const step mute[] = {END};
    uint64_t now;
    call c;

    veil_open(OPEN_ON_BYTE);
    SERVE(0, mute);
    now = uv_hrtime();
    call_init(&c, 0);
    c.secure = 1;
    c.f->limits.dial = 5000 * MS;
    c.f->limits.tls = 30 * MS;
    CHECK_EQ_INT(call_start(&c), 0);
    call_end(&c, AIF_ETIMEOUT);
    CHECK_EQ_INT(c.limit, AIF_LIMIT_TLS);
    CHECK(uv_hrtime() - now >= 30 * MS);
    CHECK_EQ_INT(veil_of.closed, 1);
    veil_end();
}

static void
test_secure_harm(void)
{
    static const act harm[] = {DO_CANCEL, DO_FREE, DO_CLOSE_POOL};
    /* CONNECT ends as TLS is about to be set up, TLS as it is open. */
    static const aif_phase where[] = {AIF_PHASE_CONNECT, AIF_PHASE_TLS,
                                      AIF_PHASE_SEND};
    call c;

    for (int mode = OPEN_AT_ONCE; mode <= OPEN_ON_BYTE; mode++) {
        for (unsigned i = 0; i < 9; i++) {
            veil_open(mode);
            SERVE(0, greets);
            call_init(&c, 0);
            c.secure = 1;
            c.in_phase[where[i / 3]] = harm[i % 3];
            CHECK_EQ_INT(call_start(&c), 0);
            UNTIL(c.dones > 0 || c.f == NULL);
            CHECK_EQ_INT(c.dones, harm[i % 3] != DO_FREE);
            CHECK_EQ_INT(c.heads, 0);
            CHECK_EQ_INT(b.pool->open, 0);
            aif_fetch_free(c.f);
            CHECK_EQ_INT(veil_of.made, i / 3 != 0);
            veil_end();
        }
    }
}

/* A write that fails at once: after a reset the read side has the word, after
 * anything else nobody would tell. */
static void
test_write_fails_at_once(void)
{
    static const int code[] = {AIF_ETLS, UV_ENOTCONN, UV_EPIPE};
    static const step answers[] = {SAY(OK("2", "hi")), END};
    call c;

    for (unsigned i = 0; i < 3; i++) {
        veil_open(OPEN_AT_ONCE);
        SERVE(0, answers);
        veil_of.write_code = code[i];
        secure_begin(&c);
        if (i < 2) {
            call_end(&c, code[i]);
            CHECK(strncmp(c.err.text, "writing the request failed", 26) == 0);
        }
        else {
            call_good(&c, "hi");
        }
        CHECK_EQ_INT(b.pool->open, 0);
        veil_end();
    }
}

/* Failing memory while the stage is made. */
static void
test_secure_without_memory(void)
{
    call c;

    for (long nth = 1; nth < 60; nth++) {
        int started;

        veil_open(OPEN_AT_ONCE);
        SERVE(0, say_hi);
        call_init(&c, 0);
        c.secure = 1;
        aif_mem_fail_at(nth, 0);
        started = call_start(&c) == 0;
        if (started) {
            UNTIL(c.dones > 0);
            CHECK_EQ_INT(c.dones, 1);
            CHECK(c.code == 0 || c.code == AIF_ENOMEM);
        }
        aif_mem_fail_at(0, 0);
        aif_fetch_free(c.f);
        veil_end();
    }
}

int
main(void)
{
    static const check_test tests[] = {
        CHECK_TEST(test_reuse),
        CHECK_TEST(test_what_is_kept),
        CHECK_TEST(test_head_request),
        CHECK_TEST(test_close_after),
        CHECK_TEST(test_keep_alive_timeout),
        CHECK_TEST(test_poison_in_the_same_segment),
        CHECK_TEST(test_poison_behind_no_body),
        CHECK_TEST(test_poison_while_idle),
        CHECK_TEST(test_poison_at_check_out),
        CHECK_TEST(test_poison_behind_direct_read),
        CHECK_TEST(test_retry),
        CHECK_TEST(test_retry_once_only),
        CHECK_TEST(test_no_retry),
        CHECK_TEST(test_retry_takes_no_kept_connection),
        CHECK_TEST(test_retry_refused),
        CHECK_TEST(test_harm_before_retry),
        CHECK_TEST(test_discard_short),
        CHECK_TEST(test_discard_from_outside),
        CHECK_TEST(test_discard_long),
        CHECK_TEST(test_discard_at_the_ceiling),
        CHECK_TEST(test_drain_ends),
        CHECK_TEST(test_drain_makes_room),
        CHECK_TEST(test_close_while_draining),
        CHECK_TEST(test_drain_poisoned),
        CHECK_TEST(test_early_response),
        CHECK_TEST(test_write_fails),
        CHECK_TEST(test_dial_fails),
        CHECK_TEST(test_unix_socket),
        CHECK_TEST(test_secure),
        CHECK_TEST(test_secure_fails),
        CHECK_TEST(test_secure_limit),
        CHECK_TEST(test_secure_harm),
        CHECK_TEST(test_write_fails_at_once),
        CHECK_TEST(test_secure_without_memory),
    };

    return CHECK_RUN(tests);
}
