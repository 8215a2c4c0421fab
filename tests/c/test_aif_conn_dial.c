/* Tests of aif_conn_dial: connections that the pool's owner makes. What it
 * gives is used, what it says is told, and nobody is asked twice. The dial of
 * the pool itself is in test_aif_conn.c. */
#include "client/aif_conn.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <unistd.h>

#include "fetching.h"

static const step say_hi[] = {REQUEST, SAY(OK("2", "hi")), AGAIN};

/* The owner: notes what it is asked for, and lets the test go on. */
static struct {
    aif_conn *conn;
    aif_fetch *fetch;
    unsigned asked, stopped;
    int refuse;
} own;

static int dialer; /* for its address */

static int
own_dial(void *user, aif_fetch *f, aif_conn *c, void **out, aif_err *err)
{
    CHECK(user == &own);
    CHECK(f->dialer == &dialer);
    CHECK_EQ_INT(c->state, AIF_CONN_DIALING);
    own.asked++;
    if (own.refuse) {
        return aif_err_set(err, AIF_ENOMEM, "not today");
    }
    own.conn = c;
    own.fetch = f;
    *out = &own.conn;
    return 0;
}

static void
own_cancel(void *user, void *errand)
{
    CHECK(user == &own);
    CHECK(errand == &own.conn);
    own.conn = NULL;
    own.stopped++;
}

static const aif_pool_hooks own_hooks = {
    .dial = own_dial,
    .dial_cancel = own_cancel,
};

static void
own_open(void)
{
    memset(&own, 0, sizeof(own));
    bench_open();
    b.hooks = &own_hooks;
    b.user = &own;
}

static void
own_begin(call *c, unsigned i)
{
    call_init(c, i);
    c->f->dialer = &dialer;
    CHECK_EQ_INT(call_start(c), 0);
}

/* A socket that is connected to server |i|, and does not block. */
static int
connected(unsigned i)
{
    struct sockaddr_in to = {.sin_family = AF_INET};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    to.sin_port = htons(b.server[i].port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK(fd >= 0);
    CHECK_EQ_INT(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
    CHECK(fcntl(fd, F_SETFL, O_NONBLOCK) == 0);
    return fd;
}

/* ---- what goes well ------------------------------------------------------ */

static void
test_adopt(void)
{
    call c;

    own_open();
    SERVE(0, say_hi);
    own_begin(&c, 0);
    CHECK_EQ_INT(own.asked, 1);
    CHECK_EQ_INT(b.pool->dialing, 1);
    CHECK_EQ_INT(c.dones, 0);
    CHECK_EQ_INT(aif_conn_adopt(own.conn, connected(0), AF_INET, 0), 0);
    call_good(&c, "hi");
    CHECK(c.phases & (1u << AIF_PHASE_DNS));
    CHECK(c.phases & (1u << AIF_PHASE_CONNECT));
    CHECK_EQ_INT(b.pool->idle_count, 1);
    /* It is kept, and serves the next without a question. */
    own_begin(&c, 0);
    call_good(&c, "hi");
    CHECK_EQ_INT(c.reused, 1);
    CHECK_EQ_INT(own.asked, 1);
    CHECK_EQ_INT(own.stopped, 0);
    bench_close();
}

static void
test_aim(void)
{
    call c;

    own_open();
    SERVE(0, say_hi);
    own_begin(&c, 0);
    aif_conn_aim(own.conn, "127.0.0.1", b.server[0].port);
    call_good(&c, "hi");
    /* Somewhere where nobody is. */
    aif_pool_close_idle(b.pool);
    own_begin(&c, 0);
    CHECK_EQ_INT(own.asked, 2);
    aif_conn_aim(own.conn, "127.0.0.1", 1);
    call_end(&c, UV_ECONNREFUSED);
    /* What fails inside the call is told all the same. */
    own_begin(&c, 0);
    {
        struct sockaddr bad = {.sa_family = AF_UNIX};

        b.pool->settings.local_addr = &bad;
        aif_conn_aim(own.conn, "127.0.0.1", b.server[0].port);
        b.pool->settings.local_addr = NULL;
    }
    call_end(&c, UV_EAFNOSUPPORT);
    CHECK_EQ_INT(b.pool->open, 0);
    CHECK_EQ_INT(own.stopped, 0);
    bench_close();
}

/* Behind the socket somebody else encrypts: there is no stage for that. */
static void
test_veiled(void)
{
    call c;

    for (int veiled = 0; veiled <= 1; veiled++) {
        own_open();
        SERVE(0, say_hi);
        call_init(&c, 0);
        c.secure = 1;
        c.f->dialer = &dialer;
        CHECK_EQ_INT(call_start(&c), 0);
        CHECK_EQ_INT(aif_conn_adopt(own.conn, connected(0), AF_INET, veiled),
                     0);
        if (veiled) {
            call_good(&c, "hi");
        }
        else {
            call_end(&c, AIF_ETLS); /* These hooks know no TLS. */
        }
        bench_close();
    }
}

/* ---- what does not ------------------------------------------------------- */

static void
test_fail(void)
{
    aif_err err = {.code = AIF_ECALLBACK, .text = "the proxy is gone"};
    call c;

    own_open();
    SERVE(0, say_hi);
    own_begin(&c, 0);
    aif_conn_fail(own.conn, AIF_ECALLBACK, &err);
    call_end(&c, AIF_ECALLBACK);
    CHECK_EQ_STR(c.err.text, "the proxy is gone");
    CHECK_EQ_INT(b.pool->open, 0);
    own.refuse = 1;
    own_begin(&c, 0);
    CHECK_EQ_INT(c.dones, 1);
    call_end(&c, AIF_ENOMEM);
    CHECK_EQ_INT(b.pool->open, 0);
    bench_close();
}

static void
test_bad_descriptor(void)
{
    call c;

    own_open();
    SERVE(0, say_hi);
    own_begin(&c, 0);
    CHECK(aif_conn_adopt(own.conn, -1, AF_INET, 0) < 0);
    CHECK_EQ_INT(c.dones, 1);
    call_end(&c, c.code);
    CHECK_EQ_INT(b.pool->open, 0);
    bench_close();
}

static void
test_public_only(void)
{
    call c;

    own_open();
    b.settings.public_only = 1;
    SERVE(0, say_hi);
    own_begin(&c, 0);
    CHECK_EQ_INT(aif_conn_adopt(own.conn, connected(0), AF_INET, 0), 0);
    call_end(&c, AIF_EFORBIDDEN);
    CHECK(strstr(c.err.text, "loopback") != NULL);
    own_begin(&c, 0);
    aif_conn_aim(own.conn, "127.0.0.1", b.server[0].port);
    call_end(&c, AIF_EFORBIDDEN);
    own_begin(&c, 0);
    {
        int pair[2];

        CHECK_EQ_INT(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
        CHECK_EQ_INT(aif_conn_adopt(own.conn, pair[0], AF_UNIX, 1), 0);
        call_end(&c, AIF_EFORBIDDEN);
        CHECK(strstr(c.err.text, "not known") != NULL);
        (void)close(pair[1]);
    }
    bench_close();
}

static void
test_cancel(void)
{
    call c;

    own_open();
    SERVE(0, say_hi);
    own_begin(&c, 0);
    aif_fetch_cancel(c.f);
    CHECK_EQ_INT(own.stopped, 1);
    call_end(&c, AIF_ECANCELLED);
    CHECK_EQ_INT(b.pool->open, 0);
    own_begin(&c, 0);
    aif_pool_close(b.pool);
    CHECK_EQ_INT(own.stopped, 2);
    call_end(&c, AIF_ECLOSED);
    bench_close();
}

static void
test_limit_of_time(void)
{
    call c;

    own_open();
    SERVE(0, say_hi);
    call_init(&c, 0);
    c.f->dialer = &dialer;
    c.f->limits.dial = 5 * MS;
    CHECK_EQ_INT(call_start(&c), 0);
    call_end(&c, AIF_ETIMEOUT);
    CHECK_EQ_INT(c.limit, AIF_LIMIT_DIAL);
    CHECK_EQ_INT(own.stopped, 1);
    bench_close();
}

/* A phase's end may end the fetch, while its socket is being taken. */
static void
test_harm(void)
{
    static const act harm[] = {DO_CANCEL, DO_FREE, DO_CLOSE_POOL};
    call c;

    for (unsigned i = 0; i < 3; i++) {
        for (unsigned phase = AIF_PHASE_DNS; phase <= AIF_PHASE_CONNECT;
             phase++)
        {
            own_open();
            SERVE(0, say_hi);
            call_init(&c, 0);
            c.f->dialer = &dialer;
            c.in_phase[phase] = harm[i];
            CHECK_EQ_INT(call_start(&c), 0);
            CHECK_EQ_INT(own.asked, 1);
            (void)aif_conn_adopt(own.conn, connected(0), AF_INET, 0);
            if (harm[i] == DO_FREE) {
                CHECK(c.f == NULL);
            }
            else {
                call_end(&c,
                         harm[i] == DO_CANCEL ? AIF_ECANCELLED : AIF_ECLOSED);
            }
            CHECK_EQ_INT(b.pool->open, 0);
            bench_close();
        }
    }
}

/* Nobody is asked on behalf of who is gone by the start's own upcall. */
static void
test_gone_before(void)
{
    call c;

    own_open();
    SERVE(0, say_hi);
    call_init(&c, 0);
    c.f->dialer = &dialer;
    c.in_phase[AIF_PHASE_QUEUED] = DO_CANCEL;
    CHECK_EQ_INT(call_start(&c), 0);
    CHECK_EQ_INT(own.asked, 0);
    call_end(&c, AIF_ECANCELLED);
    bench_close();
}

static void
test_no_dialer(void)
{
    call c;

    bench_open();
    SERVE(0, say_hi);
    own_begin(&c, 0);
    call_end(&c, AIF_EINVAL);
    CHECK_EQ_INT(b.pool->open, 0);
    bench_close();
}

static void
test_without_memory(void)
{
    call c;
    long nth;
    int done = 0;

    for (nth = 1; nth < 50 && !done; nth++) {
        int fd, rc;

        own_open();
        SERVE(0, say_hi);
        own_begin(&c, 0);
        fd = connected(0);
        aif_mem_fail_at(nth, 0);
        rc = aif_conn_adopt(own.conn, fd, AF_INET, 0);
        aif_mem_fail_at(0, 0);
        if (rc < 0) {
            (void)close(fd);
        }
        UNTIL(c.dones > 0);
        done = c.code == 0;
        call_end(&c, c.code);
        bench_close();
    }
    CHECK(done && nth > 2);
}

int
main(void)
{
    static const check_test tests[] = {
        CHECK_TEST(test_adopt),          CHECK_TEST(test_aim),
        CHECK_TEST(test_veiled),         CHECK_TEST(test_fail),
        CHECK_TEST(test_bad_descriptor), CHECK_TEST(test_public_only),
        CHECK_TEST(test_cancel),         CHECK_TEST(test_limit_of_time),
        CHECK_TEST(test_harm),           CHECK_TEST(test_gone_before),
        CHECK_TEST(test_no_dialer),      CHECK_TEST(test_without_memory),
    };

    return CHECK_RUN(tests);
}
