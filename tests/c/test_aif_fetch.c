/* Tests of aif_fetch: one request's states, limits of time, body and ends,
 * over real loopback connections. */
#include "client/aif_fetch.h"

#include <zlib.h>

#include "fetching.h"

static const step say_hi[] = {REQUEST, SAY(OK("2", "hi")), AGAIN};
static const step silent[] = {REQUEST, END};

/* ---- a whole life ------------------------------------------------------- */

static void
test_whole_life(void)
{
    call c;
    unsigned seen = 0;

    bench_open();
    SERVE(0, say_hi);
    call_init(&c, 0);
    CHECK_EQ_INT(c.f->state, AIF_FETCH_NEW);
    CHECK_EQ_INT(call_start(&c), 0);
    while (c.dones == 0) {
        seen |= 1u << c.f->state;
        turn();
    }
    seen |= 1u << c.state;
    /* SENDING passes within one step; the trace has it. */
    CHECK_EQ_INT(seen, 1u << AIF_FETCH_DIALING | 1u << AIF_FETCH_HEAD
                           | 1u << AIF_FETCH_DONE);
    CHECK_EQ_INT(c.phases, 1u << AIF_PHASE_QUEUED | 1u << AIF_PHASE_DNS
                               | 1u << AIF_PHASE_CONNECT | 1u << AIF_PHASE_SEND
                               | 1u << AIF_PHASE_WAIT
                               | 1u << AIF_PHASE_RECEIVE);
    CHECK(c.spent[AIF_PHASE_CONNECT] > 0 && c.spent[AIF_PHASE_WAIT] > 0);
    CHECK_EQ_INT(c.spent[AIF_PHASE_TLS], 0);
    CHECK(strncmp(c.f->peer, "127.0.0.1:", 10) == 0);
    CHECK_EQ_INT(strtol(c.f->peer + 10, NULL, 10), b.server[0].port);
    CHECK_EQ_STR(b.server[0].last,
                 "GET / HTTP/1.1\r\nHost: server.test\r\n\r\n");
    CHECK_EQ_SLICE(aif_buf_slice(&c.f->head, 0, c.f->head.len),
                   b.server[0].last);
    call_good(&c, "hi");
    CHECK(!c.reused && !c.retried);
    bench_close();
}

static void
test_states_seen_from_outside(void)
{
    static char big[8 * 1024 * 1024];
    static const step slow[] = {HEAD,
                                NAP(20),
                                SAY(OK_HEAD),
                                NAP(20),
                                SAY("Content-Length: 4\r\n\r\nab"),
                                NAP(20),
                                SAY("cd"),
                                END};
    call c, queued;
    unsigned seen = 0;

    bench_open();
    b.settings.limit = 1;
    SERVE(0, slow);
    call_init(&c, 0);
    c.method = "POST";
    c.f->body = big;
    c.f->body_len = sizeof(big);
    CHECK_EQ_INT(call_start(&c), 0);
    call_begin(&queued, 0);
    CHECK_EQ_INT(queued.f->state, AIF_FETCH_QUEUED);
    while (c.dones == 0) {
        seen |= 1u << c.f->state;
        turn();
    }
    /* The server never read the body: the response overtook it. */
    CHECK_EQ_INT(seen, 1u << AIF_FETCH_DIALING | 1u << AIF_FETCH_SENDING
                           | 1u << AIF_FETCH_BODY);
    call_good(&c, "abcd");
    CHECK_EQ_INT(queued.dones, 0);
    call_good(&queued, "abcd");
    CHECK(!queued.reused);
    bench_close();
}

static void
test_response_in_every_cut(void)
{
    static const char text[] = OK_HEAD "Transfer-Encoding: chunked\r\n\r\n"
                                       "3;x=y\r\nabc\r\n2\r\nde\r\n0\r\n"
                                       "T: v\r\n\r\n";
    static step cut[sizeof(text)][5];
    static const step *scripts[sizeof(text)];
    static const step drip[] = {REQUEST, DRIP(OK("5", "abcde")), AGAIN};
    call c;

    for (unsigned i = 1; i < sizeof(text) - 1; i++) {
        const step all[] = {REQUEST, BYTES(text, i), NAP(1),
                            BYTES(text + i, sizeof(text) - 1 - i), CLOSE};

        memcpy(cut[i - 1], all, sizeof(all));
        scripts[i - 1] = cut[i - 1];
    }
    bench_open();
    b.settings.force_close = 1;
    server_open(&b.server[0], &b.loop.uv, scripts, sizeof(text) - 2);
    SERVE(1, drip);
    for (unsigned i = 1; i < sizeof(text) - 1; i++) {
        call_begin(&c, 0);
        call_good(&c, "abcde");
    }
    CHECK_EQ_INT(b.server[0].accepted, sizeof(text) - 2);
    call_begin(&c, 1);
    call_good(&c, "abcde");
    bench_close();
}

static void
test_request_body_arrives_whole(void)
{
    static char big[3 * 1024 * 1024];
    static const step take[] = {REQUEST, SAY(OK("2", "hi")), AGAIN};
    call c;

    bench_open();
    SERVE(0, take);
    for (int i = 0; i < 2; i++) {
        call_init(&c, 0);
        c.method = "PUT";
        c.f->body = big;
        c.f->body_len = sizeof(big);
        CHECK_EQ_INT(call_start(&c), 0);
        call_good(&c, "hi");
        CHECK_EQ_INT(c.reused, i);
    }
    CHECK(strstr(b.server[0].last, "Content-Length: 3145728\r\n") != NULL);
    bench_close();
}

/* ---- starting ----------------------------------------------------------- */

static void
test_start_refuses(void)
{
    static const char *const bad[] = {"", "GE T", "GET\r\nX: y"};
    call c;

    bench_open();
    SERVE(0, say_hi);
    call_init(&c, 0);
    for (unsigned i = 0; i < 3; i++) {
        c.method = bad[i];
        CHECK_EQ_INT(call_start(&c), AIF_EINVAL);
        CHECK_EQ_INT(c.f->err.code, AIF_EINVAL);
        CHECK_EQ_INT(c.f->state, AIF_FETCH_NEW);
        CHECK_EQ_INT(b.pool->origins, 0);
    }
    /* What was refused leaves no trace in the next attempt. */
    c.method = "GET";
    CHECK_EQ_INT(call_start(&c), 0);
    CHECK_EQ_INT(call_start(&c), AIF_EINVAL);
    UNTIL(c.dones);
    CHECK_EQ_INT(call_start(&c), AIF_EINVAL);
    CHECK_EQ_STR(b.server[0].last,
                 "GET / HTTP/1.1\r\nHost: server.test\r\n\r\n");
    call_good(&c, "hi");
    aif_pool_close(b.pool);
    call_init(&c, 0);
    CHECK_EQ_INT(call_start(&c), AIF_ECLOSED);
    CHECK_EQ_INT(c.f->err.code, AIF_ECLOSED);
    CHECK_EQ_INT(c.dones, 0);
    aif_fetch_free(c.f);
    aif_fetch_free(NULL);
    bench_close();
}

static void
test_cancel_and_discard_out_of_time(void)
{
    call c;

    bench_open();
    SERVE(0, say_hi);
    call_init(&c, 0);
    aif_fetch_cancel(c.f);
    aif_fetch_discard(c.f);
    aif_fetch_pause(c.f);
    aif_fetch_resume(c.f);
    CHECK_EQ_INT(c.f->state, AIF_FETCH_NEW);
    CHECK_EQ_INT(call_start(&c), 0);
    aif_fetch_discard(c.f); /* not in BODY */
    aif_fetch_pause(c.f);
    CHECK_EQ_INT(c.dones, 0);
    UNTIL(c.dones);
    aif_fetch_cancel(c.f);
    aif_fetch_discard(c.f);
    aif_fetch_pause(c.f);
    aif_fetch_resume(c.f);
    call_good(&c, "hi");
    CHECK(get_good(0, "hi"));
    bench_close();
}

/* ---- cancelling --------------------------------------------------------- */

static const step by_halves[] = {
    REQUEST, SAY(OK_HEAD "Content-Length: 4\r\n\r\nab"), END};
static const step never_read[] = {HEAD, END};

/* Ends the fetch in |state| by |how|: 0 cancel, 1 free, 2 close the pool. */
static void
end_in_state(aif_fetch_state state, int how)
{
    static char big[8 * 1024 * 1024];
    call first, c;

    bench_open();
    b.settings.limit = state == AIF_FETCH_QUEUED ? 1 : 0;
    SERVE(0, silent);
    SERVE(1, by_halves);
    SERVE(2, never_read);
    call_begin(&first, 0);
    call_init(&c, state == AIF_FETCH_BODY      ? 1
                  : state == AIF_FETCH_SENDING ? 2
                                               : 0);
    if (state == AIF_FETCH_SENDING) {
        c.method = "PUT";
        c.f->body = big;
        c.f->body_len = sizeof(big);
    }
    CHECK_EQ_INT(call_start(&c), 0);
    UNTIL(c.f->state == state);
    if (how == 0) {
        aif_fetch_cancel(c.f);
        CHECK_EQ_INT(c.dones, 1);
        call_end(&c, AIF_ECANCELLED);
    }
    else if (how == 1) {
        aif_fetch_free(c.f);
        CHECK_EQ_INT(c.dones, 0);
    }
    else {
        aif_pool_close(b.pool);
        CHECK_EQ_INT(c.dones, 1);
        CHECK_EQ_INT(b.pool->open, 0);
        CHECK_EQ_INT(b.pool->waiting, 0);
        CHECK_EQ_INT(b.pool->origins, 0);
        call_end(&c, AIF_ECLOSED);
    }
    settle(5);
    if (how != 2) {
        CHECK_EQ_INT(first.dones, 0);
        CHECK_EQ_INT(b.pool->open, 1);
        aif_fetch_cancel(first.f);
    }
    call_end(&first, how == 2 ? AIF_ECLOSED : AIF_ECANCELLED);
    UNTIL(b.server[0].open + b.server[1].open == 0);
    bench_close();
}

static void
test_end_in_every_state(void)
{
    for (aif_fetch_state s = AIF_FETCH_QUEUED; s <= AIF_FETCH_BODY; s++) {
        for (int how = 0; how < 3; how++) {
            end_in_state(s, how);
        }
    }
}

static const step two_parts[] = {REQUEST,
                                 SAY(OK_HEAD "Content-Length: 4\r\n\r\nab"),
                                 NAP(1), SAY("cd"), AGAIN};

/* |what| in each upcall in turn; a fetch that waits for the same connection
 * must have its turn whatever happens to the first. */
static void
harm_everywhere(act what, int code)
{
    for (int where = 0; where < AIF_PHASE_DONE + 3; where++) {
        call c, next;

        if (where == AIF_PHASE_TLS) {
            continue;
        }
        bench_open();
        b.settings.limit = 1;
        SERVE(0, two_parts);
        call_init(&c, 0);
        call_init(&next, 0);
        if (where < AIF_PHASE_DONE) {
            c.in_phase[where] = what;
        }
        c.in_head = where == AIF_PHASE_DONE ? what : DO_NOTHING;
        c.in_body = where == AIF_PHASE_DONE + 1 ? what : DO_NOTHING;
        c.in_done = where == AIF_PHASE_DONE + 2 ? what : DO_NOTHING;
        CHECK_EQ_INT(call_start(&c), 0);
        if (!b.pool->closed) {
            CHECK_EQ_INT(call_start(&next), 0);
        }
        if (where == AIF_PHASE_RECEIVE || where == AIF_PHASE_DONE + 2) {
            UNTIL(c.dones > 0 || c.f == NULL);
            CHECK(c.code == 0); /* It was whole already. */
        }
        else if (what == DO_FREE) {
            UNTIL(c.f == NULL);
            CHECK_EQ_INT(c.dones, 0);
        }
        else {
            UNTIL(c.dones > 0);
            CHECK_EQ_INT(c.code, code);
        }
        if (next.f->state != AIF_FETCH_NEW) {
            UNTIL(next.dones > 0);
            CHECK_EQ_INT(next.code, what == DO_CLOSE_POOL ? AIF_ECLOSED : 0);
        }
        CHECK(c.dones < 2 && next.dones < 2);
        aif_fetch_free(c.f);
        aif_fetch_free(next.f);
        bench_close();
    }
}

static void
test_cancel_in_every_upcall(void)
{
    harm_everywhere(DO_CANCEL, AIF_ECANCELLED);
}

static void
test_free_in_every_upcall(void)
{
    harm_everywhere(DO_FREE, 0);
}

static void
test_close_pool_in_every_upcall(void)
{
    harm_everywhere(DO_CLOSE_POOL, AIF_ECLOSED);
}

static void
test_upcall_fails(void)
{
    call c;

    bench_open();
    SERVE(0, two_parts);
    call_init(&c, 0);
    c.in_head = RETURN_FAILURE;
    CHECK_EQ_INT(call_start(&c), 0);
    call_end(&c, AIF_ECALLBACK);
    CHECK_EQ_INT(c.bodies, 0);
    call_init(&c, 0);
    c.in_body = RETURN_FAILURE;
    CHECK_EQ_INT(call_start(&c), 0);
    call_end(&c, AIF_ECALLBACK);
    CHECK_EQ_INT(c.bodies, 1);
    CHECK_EQ_INT(b.pool->open, 0);
    bench_close();
}

/* ---- limits of time ----------------------------------------------------- */

static void
check_late(call *c, aif_limit limit, unsigned ms, uint64_t started)
{
    uint64_t took;

    UNTIL(c->dones > 0);
    took = uv_hrtime() - started;
    CHECK(took >= ms * MS && took < (ms + 3000) * MS);
    CHECK_EQ_INT(c->limit, limit);
    call_end(c, AIF_ETIMEOUT);
    CHECK(c->err.text[0] != '\0');
}

static void
test_limit_total(void)
{
    static const step drip[] = {
        REQUEST, DRIP(OK_HEAD "Content-Length: 40\r\n\r\nab"), END};
    call c;
    uint64_t now;

    bench_open();
    SERVE(0, silent);
    SERVE(1, drip);
    for (unsigned i = 0; i < 2; i++) {
        now = uv_hrtime();
        call_init(&c, i);
        c.f->limits.total_due = now + 40 * MS;
        CHECK_EQ_INT(call_start(&c), 0);
        check_late(&c, AIF_LIMIT_TOTAL, 40, now);
    }
    /* One that has run out before the start. */
    now = uv_hrtime();
    call_init(&c, 0);
    c.f->limits.total_due = now - 1;
    CHECK_EQ_INT(call_start(&c), 0);
    check_late(&c, AIF_LIMIT_TOTAL, 0, now);
    CHECK_EQ_INT(b.pool->open, 0);
    bench_close();
}

static void
test_limit_acquire(void)
{
    call first, c;
    uint64_t now;

    bench_open();
    b.settings.limit = 1;
    SERVE(0, silent);
    call_begin(&first, 0);
    now = uv_hrtime();
    call_init(&c, 0);
    c.f->limits.acquire = 20 * MS;
    CHECK_EQ_INT(call_start(&c), 0);
    check_late(&c, AIF_LIMIT_ACQUIRE, 20, now);
    CHECK_EQ_INT(b.pool->waiting, 0);
    aif_fetch_cancel(first.f);
    call_end(&first, AIF_ECANCELLED);
    /* It ends with the connection: the answer may take longer. */
    call_init(&c, 0);
    c.f->limits.acquire = 60 * MS;
    CHECK_EQ_INT(call_start(&c), 0);
    settle(100);
    CHECK_EQ_INT(c.dones, 0);
    aif_fetch_cancel(c.f);
    call_end(&c, AIF_ECANCELLED);
    bench_close();
}

/* A listener whose queue is full answers no SYN. */
static int
deaf_listener(uint16_t *port, int fill[], unsigned count)
{
    struct sockaddr_in addr = {.sin_family = AF_INET,
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(addr);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    CHECK(bind(fd, (struct sockaddr *)&addr, len) == 0);
    CHECK(listen(fd, 0) == 0);
    CHECK(getsockname(fd, (struct sockaddr *)&addr, &len) == 0);
    *port = ntohs(addr.sin_port);
    for (unsigned i = 0; i < count; i++) {
        fill[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        (void)connect(fill[i], (struct sockaddr *)&addr, len);
    }
    return fd;
}

static void
test_limit_dial(void)
{
    int fill[4];
    uint16_t port;
    int fd = deaf_listener(&port, fill, 4);
    call c;
    uint64_t now = uv_hrtime();

    bench_open();
    SERVE(0, silent);
    settle(20);
    now = uv_hrtime();
    call_init(&c, 0);
    c.port = port;
    c.f->limits.dial = 30 * MS;
    CHECK_EQ_INT(call_start(&c), 0);
    check_late(&c, AIF_LIMIT_DIAL, 30, now);
    /* acquire spans the dialling too. */
    now = uv_hrtime();
    call_init(&c, 0);
    c.port = port;
    c.f->limits.dial = 3000 * MS;
    c.f->limits.acquire = 30 * MS;
    CHECK_EQ_INT(call_start(&c), 0);
    check_late(&c, AIF_LIMIT_ACQUIRE, 30, now);
    CHECK_EQ_INT(b.pool->open, 0);
    bench_close();
    for (int i = 0; i < 4; i++) {
        CHECK(uv_fs_close(NULL, &(uv_fs_t){0}, fill[i], NULL) == 0);
    }
    CHECK(uv_fs_close(NULL, &(uv_fs_t){0}, fd, NULL) == 0);
}

static void
test_limit_wait(void)
{
    static const step drip[] = {REQUEST,
                                NAP(40),
                                SAY("HTTP/1.1 2"),
                                NAP(40),
                                SAY("00 OK\r\nX: "),
                                NAP(40),
                                SAY("y"),
                                NAP(40),
                                SAY("y"),
                                NAP(40),
                                SAY("y"),
                                NAP(40),
                                SAY("y"),
                                NAP(40),
                                SAY("y"),
                                NAP(40),
                                SAY("y"),
                                END};
    static const step slow_body[] = {
        REQUEST,  SAY(OK_HEAD), NAP(1), SAY("Content-Length: 2\r\n\r\nh"),
        NAP(150), SAY("i"),     END};
    call c;
    uint64_t now;

    bench_open();
    SERVE(0, silent);
    SERVE(1, drip);
    SERVE(2, slow_body);
    now = uv_hrtime();
    call_init(&c, 0);
    c.f->limits.wait = 30 * MS;
    CHECK_EQ_INT(call_start(&c), 0);
    check_late(&c, AIF_LIMIT_WAIT, 30, now);
    /* Bytes of the head move the limit between reads but not this one. */
    now = uv_hrtime();
    call_init(&c, 1);
    c.f->limits.wait = 250 * MS;
    c.f->limits.read = 180 * MS;
    CHECK_EQ_INT(call_start(&c), 0);
    check_late(&c, AIF_LIMIT_WAIT, 250, now);
    /* It ends with the head. */
    call_init(&c, 2);
    c.f->limits.wait = 120 * MS;
    CHECK_EQ_INT(call_start(&c), 0);
    call_good(&c, "hi");
    bench_close();
}

static void
test_limit_read(void)
{
    static const step steady[] = {
        REQUEST, SAY(OK_HEAD "Content-Length: 5\r\n\r\n"),
        NAP(50), SAY("a"),
        NAP(50), SAY("b"),
        NAP(50), SAY("c"),
        NAP(50), SAY("d"),
        NAP(50), SAY("e"),
        END};
    call c;
    uint64_t now;

    bench_open();
    SERVE(0, silent);
    SERVE(1, by_halves);
    SERVE(2, steady);
    for (unsigned i = 0; i < 2; i++) {
        now = uv_hrtime();
        call_init(&c, i);
        c.f->limits.read = 30 * MS;
        CHECK_EQ_INT(call_start(&c), 0);
        check_late(&c, AIF_LIMIT_READ, 30, now);
        CHECK_EQ_INT(c.body_len, i == 0 ? 0 : 2);
    }
    now = uv_hrtime();
    call_init(&c, 2);
    c.f->limits.read = 220 * MS;
    CHECK_EQ_INT(call_start(&c), 0);
    call_good(&c, "abcde");
    CHECK(uv_hrtime() - now > 220 * MS);
    bench_close();
}

/* Nothing is read while the request leaves, however long that takes. */
static void
test_limit_read_spares_sending(void)
{
    static char big[8 * 1024 * 1024];
    call c;

    bench_open();
    SERVE(0, never_read);
    call_init(&c, 0);
    c.method = "PUT";
    c.f->body = big;
    c.f->body_len = sizeof(big);
    c.f->limits.read = 15 * MS;
    c.f->limits.wait = 15 * MS;
    CHECK_EQ_INT(call_start(&c), 0);
    settle(60);
    CHECK_EQ_INT(c.dones, 0);
    CHECK_EQ_INT(c.f->state, AIF_FETCH_SENDING);
    aif_fetch_cancel(c.f);
    call_end(&c, AIF_ECANCELLED);
    bench_close();
}

/* ---- the body ----------------------------------------------------------- */

static void
test_pause_and_resume(void)
{
    static char flood[6 * 1024 * 1024];
    static step script[] = {REQUEST,
                            SAY(OK_HEAD "Content-Length: 6291456\r\n\r\n"),
                            {STEP_SAY, flood, sizeof(flood), 0},
                            AGAIN};
    uint64_t before;
    call c;

    bench_open();
    SERVE(0, script);
    call_init(&c, 0);
    c.in_body = DO_PAUSE;
    c.f->limits.read = 120 * MS;
    CHECK_EQ_INT(call_start(&c), 0);
    UNTIL(c.body_len > 0);
    settle(180); /* and the limit between reads stands still */
    CHECK_EQ_INT(c.dones, 0);
    CHECK(c.body_len <= AIF_SLAB_SIZE);
    before = c.body_len;
    aif_fetch_resume(c.f);
    UNTIL(c.body_len > before);
    settle(5);
    CHECK(c.body_len <= before + 2 * AIF_SLAB_SIZE);
    c.in_body = DO_NOTHING;
    aif_fetch_resume(c.f);
    aif_fetch_resume(c.f);
    call_end(&c, 0);
    CHECK_EQ_INT(c.body_len, sizeof(flood));
    /* Cancelled while it is paused. */
    call_init(&c, 0);
    c.in_body = DO_PAUSE;
    CHECK_EQ_INT(call_start(&c), 0);
    UNTIL(c.body_len > 0);
    aif_fetch_cancel(c.f);
    call_end(&c, AIF_ECANCELLED);
    bench_close();
}

static void
test_limit_read_after_resume(void)
{
    call c;
    uint64_t now;

    bench_open();
    SERVE(0, by_halves);
    call_init(&c, 0);
    c.in_head = DO_PAUSE;
    c.f->limits.read = 30 * MS;
    CHECK_EQ_INT(call_start(&c), 0);
    UNTIL(c.body_len == 2);
    settle(60);
    CHECK_EQ_INT(c.dones, 0);
    now = uv_hrtime();
    aif_fetch_resume(c.f);
    check_late(&c, AIF_LIMIT_READ, 30, now);
    bench_close();
}

/* The first half comes at once, so that the connection is told of the rest
 * only when there is a good deal of it; and then it comes slowly. */
static void
test_a_whole_body_that_slows_down(void)
{
    static char flood[1024 * 1024];
    static const step slow[] = {REQUEST,
                                SAY(OK_HEAD "Content-Length: 1048586\r\n\r\n"),
                                {STEP_SAY, flood, sizeof(flood), 0},
                                NAP(20),
                                SAY("01234"),
                                NAP(200),
                                SAY("56789"),
                                AGAIN};
    static const step stuck[] = {
        REQUEST,
        SAY(OK_HEAD "Content-Length: 9000000\r\n\r\n"),
        {STEP_SAY, flood, sizeof(flood), 0},
        NAP(20),
        SAY("01234"),
        NAP(5000)};
    static const step cut[] = {REQUEST,
                               SAY(OK_HEAD "Content-Length: 9000000\r\n\r\n"),
                               {STEP_SAY, flood, sizeof(flood), 0},
                               NAP(20),
                               SAY("01234"),
                               CLOSE};
    static char space[9000000];
    call c;

    bench_open();
    SERVE(0, slow);
    SERVE(1, stuck);
    SERVE(2, cut);
    for (unsigned i = 0; i < 3; i++) {
        call_init(&c, i);
        c.f->cbs = &direct_cbs;
        c.f->whole = 1;
        c.f->limits.read = 400 * MS;
        c.space = space;
        c.space_len = sizeof(space);
        CHECK_EQ_INT(call_start(&c), 0);
        call_end(&c, i == 0 ? 0 : i == 1 ? AIF_ETIMEOUT : AIF_ETRUNCATED);
        CHECK(i != 1 || c.limit == AIF_LIMIT_READ);
        CHECK_EQ_INT(c.body_len, sizeof(flood) + (i == 0 ? 10 : 5));
    }
    bench_close();
}

/* The next exchange on such a connection is told of any byte. */
static void
test_a_whole_body_and_then_a_small_one(void)
{
    static char flood[1024 * 1024];
    static const step script[] = {
        REQUEST,
        SAY(OK_HEAD "Content-Length: 1048576\r\n\r\n"),
        {STEP_SAY, flood, sizeof(flood), 0},
        REQUEST,
        DRIP(OK("2", "hi")),
        AGAIN};
    static char space[sizeof(flood)];
    call c;

    bench_open();
    SERVE(0, script);
    for (unsigned i = 0; i < 4; i++) {
        call_init(&c, 0);
        c.f->whole = 1;
        if (i % 2 == 0) {
            c.f->cbs = &direct_cbs;
            c.space = space;
            c.space_len = sizeof(space);
            CHECK_EQ_INT(call_start(&c), 0);
            call_end(&c, 0);
            CHECK_EQ_INT(c.body_len, sizeof(flood));
        }
        else {
            CHECK_EQ_INT(call_start(&c), 0);
            call_good(&c, "hi");
            CHECK(c.reused);
        }
    }
    bench_close();
}

static void
test_direct_reads(void)
{
    static char flood[512 * 1024];
    static char space[sizeof(flood)];
    static step script[] = {REQUEST,
                            SAY(OK_HEAD "Content-Length: 524288\r\n\r\n"),
                            {STEP_SAY, flood, sizeof(flood), 0},
                            AGAIN};
    call c;

    for (size_t i = 0; i < sizeof(flood); i++) {
        flood[i] = (char)(i % 251);
    }
    bench_open();
    SERVE(0, script);
    for (int i = 0; i < 2; i++) {
        memset(space, 0, sizeof(space));
        call_init(&c, 0);
        c.f->cbs = &direct_cbs;
        c.space = space;
        c.space_len = sizeof(space);
        CHECK_EQ_INT(call_start(&c), 0);
        call_end(&c, 0);
        CHECK(c.spaces > 0);
        CHECK_EQ_INT(c.body_len, sizeof(flood));
        CHECK_EQ_INT(c.reused, i);
        /* The first bytes came with the head, by the slab. */
        CHECK(memcmp(space + AIF_SLAB_SIZE, flood + AIF_SLAB_SIZE,
                     sizeof(flood) - AIF_SLAB_SIZE - 16384)
              == 0);
    }
    /* An upcall that ends the fetch right there. */
    for (int i = 0; i < 2; i++) {
        call_init(&c, 0);
        c.f->cbs = &direct_cbs;
        c.in_space = i == 0 ? DO_CANCEL : DO_FREE;
        CHECK_EQ_INT(call_start(&c), 0);
        UNTIL(c.dones || c.f == NULL);
        settle(3);
        CHECK_EQ_INT(c.dones, i == 0);
        aif_fetch_free(c.f);
    }
    bench_close();
}

static void
test_max_body(void)
{
    static const step five[] = {REQUEST, SAY(OK("5", "abcde")), AGAIN};
    static const step chunked[] = {REQUEST,
                                   SAY(OK_HEAD
                                       "Transfer-Encoding: chunked\r\n\r\n"
                                       "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"),
                                   AGAIN};
    call c;

    bench_open();
    SERVE(0, five);
    SERVE(1, chunked);
    for (unsigned i = 0; i < 2; i++) {
        call_init(&c, i);
        c.f->max_body = 5;
        CHECK_EQ_INT(call_start(&c), 0);
        call_good(&c, "abcde");
        call_init(&c, i);
        c.f->max_body = 4;
        CHECK_EQ_INT(call_start(&c), 0);
        call_end(&c, AIF_ETOOBIG);
        /* An announced length is enough to know. */
        CHECK_EQ_INT(c.body_len, i == 0 ? 0 : 3);
    }
    CHECK_EQ_INT(b.pool->open, 0);
    bench_close();
}

/* Trailer fields come once, after the body; and the upcall for them may do
 * what the others may. */
static void
test_trailer(void)
{
    static const step chunked[] = {
        REQUEST,
        SAY(OK_HEAD "Transfer-Encoding: chunked\r\n\r\n"
                    "3\r\nabc\r\n0\r\nA: x\r\nB: y\r\n\r\n"),
        AGAIN};
    static const act harm[] = {DO_NOTHING,    DO_PAUSE, DO_DISCARD,
                               DO_CANCEL,     DO_FREE,  DO_CLOSE_POOL,
                               RETURN_FAILURE};
    static const int code[] = {
        0, 0, 0, AIF_ECANCELLED, 0, AIF_ECLOSED, AIF_ECALLBACK};
    call c;

    for (unsigned i = 0; i < 7; i++) {
        bench_open();
        SERVE(0, chunked);
        call_init(&c, 0);
        c.in_trailer = harm[i];
        CHECK_EQ_INT(call_start(&c), 0);
        UNTIL(c.dones > 0 || c.f == NULL);
        CHECK_EQ_INT(c.dones, harm[i] != DO_FREE);
        CHECK_EQ_INT(c.code, code[i]);
        CHECK(c.trailers == 2 && c.body_len == 3);
        (void)call_act(&c, c.f == NULL ? DO_NOTHING : DO_FREE);
        CHECK_EQ_INT(b.pool->idle_count, i < 3);
        if (i < 3) {
            CHECK(get_good(0, "abc"));
        }
        bench_close();
    }
}

/* ---- codings ------------------------------------------------------------ */

static char gzipped[4096];
static char whole[8192];
static char damaged[8192];
static step gzip_good[] = {REQUEST, {STEP_SAY, whole, 0, 0}, AGAIN};
static step gzip_bad[] = {REQUEST, {STEP_SAY, damaged, 0, 0}, AGAIN};

/* A response whose body, of |len| bytes, is |data| in |coding|. */
static size_t
response_of(char *out, const char *coding, const char *data, size_t len)
{
    int head = snprintf(out, 8192,
                        OK_HEAD "Content-Encoding: %s\r\n"
                                "Content-Length: %zu\r\n\r\n",
                        coding, len);

    memcpy(out + head, data, len);
    return (size_t)head + len;
}

static size_t
gzip(const char *data, size_t len)
{
    z_stream z = {0};

    CHECK(deflateInit2(&z, 6, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY) == Z_OK);
    z.next_in = (z_const Bytef *)(uintptr_t)data;
    z.avail_in = (uInt)len;
    z.next_out = (Bytef *)gzipped;
    z.avail_out = sizeof(gzipped);
    CHECK(deflate(&z, Z_FINISH) == Z_STREAM_END);
    CHECK(deflateEnd(&z) == Z_OK);
    return sizeof(gzipped) - z.avail_out;
}

static void
test_decoding(void)
{
    static char zeros[1024 * 1024];
    size_t len;
    call c;

    bench_open();
    SERVE(0, gzip_good);
    SERVE(1, gzip_bad);
    len = gzip("hello", 5);
    gzip_good[1].len = response_of(whole, "gzip", gzipped, len);
    call_init(&c, 0);
    c.f->decode_body = 1;
    CHECK_EQ_INT(call_start(&c), 0);
    call_good(&c, "hello");
    call_init(&c, 0);
    CHECK_EQ_INT(call_start(&c), 0);
    call_end(&c, 0);
    CHECK(c.reused && c.body_len == len);
    /* Cut inside its own framing: the message is whole, the coding is not. */
    gzip_bad[1].len = response_of(damaged, "gzip", gzipped, len - 4);
    call_init(&c, 1);
    c.f->decode_body = 1;
    CHECK_EQ_INT(call_start(&c), 0);
    call_end(&c, AIF_ETRUNCATED);
    gzipped[len / 2] ^= 0x55;
    gzip_bad[1].len = response_of(damaged, "gzip", gzipped, len);
    call_init(&c, 1);
    c.f->decode_body = 1;
    CHECK_EQ_INT(call_start(&c), 0);
    call_end(&c, AIF_EDECODE);
    CHECK(c.err.text[0] != '\0');
    gzip_bad[1].len = response_of(damaged, "rot13", "uryyb", 5);
    call_init(&c, 1);
    c.f->decode_body = 1;
    CHECK_EQ_INT(call_start(&c), 0);
    call_end(&c, AIF_EDECODE);
    CHECK_EQ_INT(c.bodies, 0);
    /* An unknown coding is nothing to who does not want the body. */
    call_init(&c, 1);
    c.f->decode_body = 1;
    c.in_head = RETURN_DISCARD;
    CHECK_EQ_INT(call_start(&c), 0);
    call_end(&c, 0);
    CHECK_EQ_INT(c.err.text[0], '\0');
    /* The ceiling counts what comes out. */
    len = gzip(zeros, sizeof(zeros));
    CHECK(len < 4096);
    gzip_good[1].len = response_of(whole, "gzip", gzipped, len);
    call_init(&c, 0);
    c.f->decode_body = 1;
    c.f->max_body = sizeof(zeros) - 1;
    CHECK_EQ_INT(call_start(&c), 0);
    call_end(&c, AIF_ETOOBIG);
    CHECK(c.body_len < sizeof(zeros) && c.body_len > 0);
    bench_close();
}

/* The decoder is on the stack while an upcall ends its fetch. */
static void
test_harm_inside_decoder(void)
{
    static const act harm[] = {DO_CANCEL, DO_FREE, DO_DISCARD, DO_CLOSE_POOL,
                               RETURN_FAILURE};
    static const int code[] = {AIF_ECANCELLED, 0, 0, AIF_ECLOSED,
                               AIF_ECALLBACK};
    static char zeros[1024 * 1024];
    call c;

    for (unsigned i = 0; i < 5; i++) {
        bench_open();
        SERVE(0, gzip_good);
        gzip_good[1].len =
            response_of(whole, "gzip", gzipped, gzip(zeros, sizeof(zeros)));
        call_init(&c, 0);
        c.f->decode_body = 1;
        c.in_body = harm[i];
        CHECK_EQ_INT(call_start(&c), 0);
        UNTIL(c.dones > 0 || c.f == NULL);
        CHECK_EQ_INT(c.dones, harm[i] != DO_FREE);
        CHECK_EQ_INT(c.code, code[i]);
        CHECK_EQ_INT(c.bodies, 1);
        aif_fetch_free(c.f);
        settle(3);
        /* Discarding leaves a connection that can be kept. */
        CHECK_EQ_INT(b.pool->idle_count, harm[i] == DO_DISCARD);
        bench_close();
    }
}

/* ---- truncation --------------------------------------------------------- */

static void
check_truncated(unsigned i, int code)
{
    call c;

    call_init(&c, i);
    c.f->decode_body = 1;
    CHECK_EQ_INT(call_start(&c), 0);
    call_end(&c, code);
    CHECK_EQ_INT(b.pool->open, 0);
    CHECK(!c.retried);
}

static void
test_truncated(void)
{
    static const step length[] = {
        REQUEST, SAY(OK_HEAD "Content-Length: 4\r\n\r\nabc"), CLOSE};
    static const step chunk[] = {
        REQUEST, SAY(OK_HEAD "Transfer-Encoding: chunked\r\n\r\n4\r\nabc"),
        FIN, END};
    static const step no_last[] = {
        REQUEST, SAY(OK_HEAD "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"),
        CLOSE};
    static const step trailer[] = {
        REQUEST,
        SAY(OK_HEAD "Transfer-Encoding: chunked\r\n\r\n0\r\nX: y\r\n"), CLOSE};
    static const step head[] = {REQUEST, SAY("HTTP/1.1 200 OK\r\nX"), CLOSE};
    static const step nothing[] = {REQUEST, CLOSE};
    static const step reset[] = {
        REQUEST, SAY(OK_HEAD "Content-Length: 4\r\n\r\nabc"), NAP(5), RESET};
    static const step until_close_reset[] = {REQUEST, SAY(OK_HEAD "\r\nabc"),
                                             NAP(5), RESET};
    static const step until_close[] = {REQUEST, SAY(OK_HEAD "\r\nabc"), CLOSE};
    static const step nothing_coded[] = {
        REQUEST, SAY(OK_HEAD "Content-Encoding: gzip\r\n\r\n"), CLOSE};
    static const int code[] = {
        AIF_ETRUNCATED, AIF_ETRUNCATED, AIF_ETRUNCATED,
        AIF_ETRUNCATED, AIF_ETRUNCATED, AIF_EDISCONNECTED,
        UV_ECONNRESET,  UV_ECONNRESET,  AIF_ETRUNCATED};

    bench_open();
    SERVE(0, length, chunk, no_last, trailer, head, nothing, reset,
          until_close_reset, nothing_coded, until_close);
    for (unsigned i = 0; i < 9; i++) {
        check_truncated(0, code[i]);
    }
    CHECK(!get_good(0, "abc"));
    CHECK_EQ_INT(b.pool->open, 0);
    bench_close();
}

static void
test_malformed(void)
{
    static const step bad[] = {REQUEST, SAY("SSH-2.0-x\r\n"), END};
    static const step fold[] = {
        REQUEST, SAY(OK_HEAD "X: y\r\n z\r\nContent-Length: 0\r\n\r\n"), END};
    static const step switching[] = {
        REQUEST, SAY("HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n"), END};

    bench_open();
    SERVE(0, bad, fold, switching);
    check_truncated(0, AIF_EPARSE);
    check_truncated(0, AIF_EPARSE);
    check_truncated(0, AIF_EPARSE);
    bench_close();
}

/* ---- memory ------------------------------------------------------------- */

static const step *
torture_route(server *s, const char *head)
{
    static const step plain[] = {SAY(OK("2", "hi")), END};
    static const step drop[] = {NAP(1), CLOSE};
    static step coded[] = {{STEP_SAY, whole, 0, 0}, END};

    coded[0].len = gzip_good[1].len;
    if (strncmp(head, "GET /gzip", 9) == 0) {
        return coded;
    }
    /* The third request finds its connection gone. */
    if (strncmp(head, "GET /stale", 10) == 0 && s->requests == 3) {
        return drop;
    }
    return plain;
}

/* Three fetches of which the second has to wait and the third is sent twice;
 * 1 if all of it went well. */
static int
torture_run(void)
{
    static const char *const target[] = {"/gzip", "/plain", "/stale"};
    call c[3];
    int good = 1;

    for (int i = 0; i < 3; i++) {
        memset(&c[i], 0, sizeof(c[i]));
        c[i].method = "GET";
        c[i].target = target[i];
        c[i].port = b.server[0].port;
        c[i].f = aif_fetch_new(&call_cbs, &c[i]);
        if (c[i].f == NULL) {
            good = 0;
            continue;
        }
        c[i].f->idempotent = 1;
        c[i].f->decode_body = 1;
        c[i].f->limits.wait = 2000 * MS;
        if (call_start(&c[i]) < 0) {
            CHECK(c[i].f->err.code < 0);
            CHECK_EQ_INT(c[i].dones, 0);
            good = 0;
            aif_fetch_free(c[i].f);
            c[i].f = NULL;
        }
    }
    for (int i = 0; i < 3; i++) {
        if (c[i].f != NULL) {
            UNTIL(c[i].dones > 0);
            CHECK_EQ_INT(c[i].dones, 1);
            CHECK(c[i].code == 0 || c[i].code == AIF_ENOMEM);
            good = good && c[i].code == 0;
            aif_fetch_free(c[i].f);
        }
    }
    return good;
}

/* The |nth| allocation fails, and all that follow if |sticky|. 0 when there
 * are fewer. */
static int
torture(long nth, int sticky)
{
    int good, fired = 0;

    bench_open();
    gzip_good[1].len = response_of(whole, "gzip", gzipped, gzip("hello", 5));
    server_open(&b.server[0], &b.loop.uv, NULL, 0);
    b.server[0].route = torture_route;
    b.settings.limit = 1;
    aif_mem_fail_at(nth, sticky);
    b.pool = aif_pool_new(&b.loop, &b.settings, NULL, NULL);
    good = b.pool != NULL && torture_run();
    /* Has it come to that? If not, it does so here. */
    for (int i = 0; i < 2000 && !sticky && good; i++) {
        void *p = aif_mem_alloc(1);

        fired |= p == NULL;
        aif_mem_free(p);
    }
    aif_mem_fail_at(0, 0);
    /* The same pool goes on as if nothing had been. */
    if (b.pool != NULL) {
        call c;

        call_begin(&c, 0);
        call_good(&c, "hi");
    }
    bench_close();
    return !(good && (sticky || fired));
}

static void
test_failing_allocations(void)
{
    long nth;

    for (int sticky = 0; sticky < 2; sticky++) {
        nth = 1;
        while (nth < 200 && torture(nth, sticky)) {
            nth++;
        }
        /* There are that many allocations in all, and not very many more. */
        CHECK(nth > 20 && nth < 100);
        if (sticky == 0) {
            (void)printf("        allocation points of three fetches: %ld\n",
                         nth - 1);
        }
    }
}

int
main(void)
{
    static const check_test tests[] = {
        CHECK_TEST(test_whole_life),
        CHECK_TEST(test_states_seen_from_outside),
        CHECK_TEST(test_response_in_every_cut),
        CHECK_TEST(test_request_body_arrives_whole),
        CHECK_TEST(test_start_refuses),
        CHECK_TEST(test_cancel_and_discard_out_of_time),
        CHECK_TEST(test_end_in_every_state),
        CHECK_TEST(test_cancel_in_every_upcall),
        CHECK_TEST(test_free_in_every_upcall),
        CHECK_TEST(test_close_pool_in_every_upcall),
        CHECK_TEST(test_upcall_fails),
        CHECK_TEST(test_limit_total),
        CHECK_TEST(test_limit_acquire),
        CHECK_TEST(test_limit_dial),
        CHECK_TEST(test_limit_wait),
        CHECK_TEST(test_limit_read),
        CHECK_TEST(test_limit_read_spares_sending),
        CHECK_TEST(test_pause_and_resume),
        CHECK_TEST(test_limit_read_after_resume),
        CHECK_TEST(test_a_whole_body_that_slows_down),
        CHECK_TEST(test_a_whole_body_and_then_a_small_one),
        CHECK_TEST(test_direct_reads),
        CHECK_TEST(test_max_body),
        CHECK_TEST(test_trailer),
        CHECK_TEST(test_decoding),
        CHECK_TEST(test_harm_inside_decoder),
        CHECK_TEST(test_truncated),
        CHECK_TEST(test_malformed),
        CHECK_TEST(test_failing_allocations),
    };

    return CHECK_RUN(tests);
}
