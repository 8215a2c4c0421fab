/* Tests of aif_loop with a host that is as lazy as the contract allows: it
 * runs the loop only when the descriptor is readable, the timeout has passed,
 * or on_wanted was called. What hangs under this host hangs under asyncio. */
#include "net/aif_loop.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/aif_err.h"
#include "base/aif_mem.h"
#include "check.h"
#include "net/aif_dial.h"
#include "net/aif_resolve.h"
#include "net/aif_tcp.h"

#define MS 1000000u

static aif_loop loop;
static unsigned wanted;
static unsigned runs;
static uint64_t run_at; /* when the host has to run without being asked */

static void
on_wanted(void *user)
{
    CHECK(user == &wanted);
    wanted++;
}

static void
begin(void)
{
    CHECK_EQ_INT(aif_loop_init(&loop), 0);
    loop.on_wanted = on_wanted;
    loop.user = &wanted;
    wanted = 0;
    runs = 0;
    run_at = UINT64_MAX;
}

static void
end(void)
{
    CHECK_EQ_INT(aif_loop_fini(&loop), 0);
    CHECK_EQ_INT(aif_mem_live(), 0);
}

/* Lets the host live for |limit| ms at most, or until *|stop|. It looks at the
 * timeout after a run and never else. */
static void
live(const int *stop, int limit)
{
    uint64_t until = uv_hrtime() + (uint64_t)limit * MS;
    uint64_t now;

    while (!*stop && (now = uv_hrtime()) < until) {
        struct pollfd p = {.fd = aif_loop_fd(&loop), .events = POLLIN};
        uint64_t next = run_at < until ? run_at : until;
        int timeout = wanted || next <= now ? 0 : (int)((next - now) / MS) + 1;

        if (poll(&p, 1, timeout) > 0 || wanted || uv_hrtime() >= run_at) {
            wanted = 0;
            runs++;
            aif_loop_run(&loop);
            timeout = aif_loop_timeout(&loop);
            run_at = timeout < 0 ? UINT64_MAX
                                 : uv_hrtime() + (uint64_t)timeout * MS;
        }
    }
}

/* -- Asking for a run --------------------------------------------------- */

static void
test_want_is_coalesced(void)
{
    begin();
    aif_loop_want(&loop);
    aif_loop_want(&loop);
    CHECK_EQ_INT(wanted, 1);
    aif_loop_run(&loop);
    CHECK_EQ_INT(wanted, 1);
    aif_loop_want(&loop);
    CHECK_EQ_INT(wanted, 2);
    loop.on_wanted = NULL;
    aif_loop_run(&loop);
    aif_loop_want(&loop);
    end();
}

typedef struct waiter {
    aif_deadline deadline;
    aif_tcp *tcp;
    int fd;
    int done;
    char seen[8];
    unsigned steps;
} waiter;

static void
on_read(void *user, const char *data, size_t len)
{
    waiter *w = user;

    CHECK(loop.running);
    if (len < sizeof(w->seen)) {
        memcpy(w->seen, data, len);
    }
    w->done = 1;
}

static const aif_stage_cbs reading_cbs = {.on_read = on_read};

static void
start_reading(aif_deadline *d)
{
    waiter *w = AIF_LIST_ENTRY(d, waiter, deadline);
    int code;

    /* Harmless, and without effect. */
    aif_loop_run(&loop);
    w->tcp = aif_tcp_adopt(&loop, w->fd, AF_UNIX, &code);
    CHECK(w->tcp != NULL);
    aif_stage_set_user(&w->tcp->stage, &reading_cbs, w);
    CHECK_EQ_INT(aif_stage_read(&w->tcp->stage, 1), 0);
}

/* A watcher that is started by an upcall has to be seen in that run, although
 * the bytes it waits for were there before and nothing else happens. */
static void
test_watcher_from_an_upcall(void)
{
    waiter w = {0};
    int pair[2];

    begin();
    CHECK_EQ_INT(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    CHECK_EQ_INT(write(pair[1], "hello", 5), 5);
    w.fd = pair[0];
    aif_deadline_init(&w.deadline, start_reading);
    CHECK_EQ_INT(aif_deadline_set(&loop.deadlines, &w.deadline,
                                  aif_loop_now(&loop) + 5 * MS),
                 0);
    live(&w.done, 2000);
    CHECK_EQ_STR(w.seen, "hello");
    /* The first run sees the timer, the run of the deadline the bytes. */
    CHECK(runs <= 4);
    aif_stage_close(&w.tcp->stage);
    close(pair[1]);
    end();
}

static waiter second;

static void
start_the_second(void *user, const char *data, size_t len)
{
    on_read(user, data, len);
    start_reading(&second.deadline);
}

/* From a read callback it takes the second turn that a run makes when it is
 * asked to: one run, and not one for each link of the chain. */
static void
test_watcher_from_a_watcher(void)
{
    static const aif_stage_cbs chain_cbs = {.on_read = start_the_second};
    waiter w = {0};
    int pairs[2][2];
    int code;

    begin();
    memset(&second, 0, sizeof(second));
    for (int i = 0; i < 2; i++) {
        CHECK_EQ_INT(socketpair(AF_UNIX, SOCK_STREAM, 0, pairs[i]), 0);
        CHECK_EQ_INT(write(pairs[i][1], "hello", 5), 5);
    }
    second.fd = pairs[1][0];
    w.tcp = aif_tcp_adopt(&loop, pairs[0][0], AF_UNIX, &code);
    CHECK(w.tcp != NULL);
    aif_stage_set_user(&w.tcp->stage, &chain_cbs, &w);
    CHECK_EQ_INT(aif_stage_read(&w.tcp->stage, 1), 0);
    aif_loop_run(&loop);
    CHECK_EQ_INT(w.done, 1);
    CHECK_EQ_INT(second.done, 1);
    aif_stage_close(&w.tcp->stage);
    aif_stage_close(&second.tcp->stage);
    close(pairs[0][1]);
    close(pairs[1][1]);
    end();
}

static void
test_watcher_from_outside(void)
{
    waiter w = {0};
    int pair[2];
    int code;

    begin();
    live(&w.done, 1);
    CHECK_EQ_INT(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    w.tcp = aif_tcp_adopt(&loop, pair[0], AF_UNIX, &code);
    aif_stage_set_user(&w.tcp->stage, &reading_cbs, &w);
    for (int round = 0; round < 3; round++) {
        w.done = 0;
        CHECK_EQ_INT(aif_stage_read(&w.tcp->stage, 1), 0);
        CHECK_EQ_INT(write(pair[1], "again", 5), 5);
        live(&w.done, 2000);
        CHECK_EQ_INT(w.done, 1);
        /* Off and on again is a new watcher to libuv. */
        CHECK_EQ_INT(aif_stage_read(&w.tcp->stage, 0), 0);
    }
    aif_stage_close(&w.tcp->stage);
    close(pair[1]);
    end();
}

/* -- Time --------------------------------------------------------------- */

static void
count_step(aif_deadline *d)
{
    waiter *w = AIF_LIST_ENTRY(d, waiter, deadline);

    w->steps++;
    w->done = 1;
}

static void
test_timeout(void)
{
    waiter w = {0};
    int timeout;

    begin();
    CHECK_EQ_INT(aif_loop_timeout(&loop), -1);
    aif_loop_run(&loop);
    CHECK_EQ_INT(aif_loop_timeout(&loop), -1);
    aif_deadline_init(&w.deadline, count_step);
    CHECK_EQ_INT(aif_deadline_set(&loop.deadlines, &w.deadline,
                                  aif_loop_now(&loop) + 100 * MS),
                 0);
    aif_loop_run(&loop);
    timeout = aif_loop_timeout(&loop);
    CHECK(timeout > 0 && timeout <= 100);
    /* libuv's own clock stands still while the host sleeps. */
    usleep(50000);
    CHECK(aif_loop_timeout(&loop) <= 50);
    usleep(60000);
    CHECK_EQ_INT(aif_loop_timeout(&loop), 0);
    CHECK_EQ_INT(w.steps, 0);
    aif_loop_run(&loop);
    CHECK_EQ_INT(w.steps, 1);
    CHECK_EQ_INT(aif_loop_timeout(&loop), -1);
    end();
}

/* A deadline that was cleared may wake the host, once and not for ever. */
static void
test_cleared_timeout(void)
{
    waiter w = {0};

    begin();
    aif_deadline_init(&w.deadline, count_step);
    CHECK_EQ_INT(aif_deadline_set(&loop.deadlines, &w.deadline,
                                  aif_loop_now(&loop) + 20 * MS),
                 0);
    aif_deadline_clear(&loop.deadlines, &w.deadline);
    live(&w.done, 100);
    CHECK(runs <= 4);
    CHECK_EQ_INT(w.steps, 0);
    CHECK_EQ_INT(aif_loop_timeout(&loop), -1);
    end();
}

/* With nothing else alive libuv would not even look at its timers. */
static void
test_lonely_deadline(void)
{
    waiter w = {0};
    uint64_t start;

    begin();
    aif_deadline_init(&w.deadline, count_step);
    live(&w.done, 1);
    for (int round = 0; round < 5; round++) {
        w.done = 0;
        start = aif_loop_now(&loop);
        CHECK_EQ_INT(
            aif_deadline_set(&loop.deadlines, &w.deadline, start + 7 * MS), 0);
        live(&w.done, 2000);
        CHECK_EQ_INT(w.done, 1);
        CHECK(aif_loop_now(&loop) >= start + 7 * MS);
    }
    CHECK(runs < 40);
    end();
}

static void
test_clock(void)
{
    uint64_t one;
    uint64_t two;

    begin();
    one = aif_loop_now(&loop);
    usleep(2000);
    two = aif_loop_now(&loop);
    CHECK(two - one >= 2 * MS && two - one < 1000u * MS);
    end();
}

/* -- The slab ----------------------------------------------------------- */

static void
test_slab(void)
{
    char *slab;

    begin();
    aif_mem_fail_at(1, 0);
    CHECK(aif_loop_slab(&loop) == NULL);
    aif_mem_fail_at(0, 0);
    slab = aif_loop_slab(&loop);
    CHECK(slab != NULL);
    memset(slab, 1, AIF_SLAB_SIZE);
    CHECK(aif_loop_slab(&loop) == slab);
    end();
}

/* -- Blocks ---------------------------------------------------------- */

static void
test_blocks(void)
{
    char *blocks[AIF_LOOP_BLOCKS + 1];

    CHECK_EQ_INT(aif_loop_init(&loop), 0);
    aif_mem_fail_at(1, 0);
    CHECK(aif_loop_take_block(&loop) == NULL);
    for (unsigned i = 0; i <= AIF_LOOP_BLOCKS; i++) {
        blocks[i] = aif_loop_take_block(&loop);
        CHECK(blocks[i] != NULL);
        memset(blocks[i], (int)i, AIF_BLOCK_SIZE);
    }
    /* The last one is one too many to be kept. */
    for (unsigned i = 0; i <= AIF_LOOP_BLOCKS; i++) {
        aif_loop_give_block(&loop, blocks[i]);
    }
    CHECK_EQ_INT(loop.spare_blocks, AIF_LOOP_BLOCKS);
    CHECK(aif_loop_take_block(&loop) == blocks[AIF_LOOP_BLOCKS - 1]);
    CHECK_EQ_INT(aif_loop_fini(&loop), 0);
    aif_loop_give_block(&loop, blocks[AIF_LOOP_BLOCKS - 1]);
    CHECK_EQ_INT(loop.spare_blocks, 0);
}

/* -- The end ------------------------------------------------------------ */

static int upcalls;

static void
unwelcome_written(aif_write *w, int code)
{
    (void)w;
    (void)code;
    upcalls++;
}

static void
unwelcome_done(void *user, aif_tcp *tcp, const aif_err *err)
{
    (void)user;
    (void)tcp;
    (void)err;
    upcalls++;
}

static void
unwelcome_read(void *user, const char *data, size_t len)
{
    (void)user;
    (void)data;
    (void)len;
    upcalls++;
}

static void
unwelcome_due(aif_deadline *d)
{
    (void)d;
    upcalls++;
}

static char bulk[4 * 1024 * 1024];

/* Everything the loop can hold is open: stages with writes under way, reading
 * stages, dials that connect, dials that fail later, deadlines. */
static void
test_fini_with_everything_open(void)
{
    static const aif_stage_cbs cbs = {.on_read = unwelcome_read};
    static const aif_dial_cbs dial_cbs = {.on_done = unwelcome_done};
    aif_dial_options options = {.host = "127.0.0.1", .port = 9};
    aif_dial_options unix_options = {.unix_path = ""};
    uv_buf_t bufs[2] = {{.base = bulk, .len = sizeof(bulk)},
                        {.base = bulk, .len = sizeof(bulk)}};
    aif_write writes[2];
    aif_deadline deadline;
    aif_dial *dial;
    aif_tcp *t;
    int pair[2];
    int code;

    begin();
    upcalls = 0;
    CHECK_EQ_INT(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    t = aif_tcp_adopt(&loop, pair[0], AF_UNIX, &code);
    CHECK(t != NULL);
    aif_stage_set_user(&t->stage, &cbs, NULL);
    CHECK_EQ_INT(aif_stage_read(&t->stage, 1), 0);
    for (int i = 0; i < 2; i++) {
        writes[i].bufs = &bufs[i];
        writes[i].count = 1;
        writes[i].on_written = unwelcome_written;
        writes[i].on_keep = NULL;
        CHECK_EQ_INT(aif_stage_write(&t->stage, &writes[i]), 0);
    }
    CHECK_EQ_INT(write(pair[1], "late", 4), 4);
    CHECK_EQ_INT(aif_dial_start(&loop, &options, &dial_cbs, NULL, &dial), 0);
    CHECK_EQ_INT(aif_dial_start(&loop, &unix_options, &dial_cbs, NULL, &dial),
                 0);
    aif_deadline_init(&deadline, unwelcome_due);
    CHECK_EQ_INT(aif_deadline_set(&loop.deadlines, &deadline, 1), 0);
    end();
    CHECK_EQ_INT(upcalls, 0);
    close(pair[1]);
}

static void
test_nothing_starts_after_fini(void)
{
    static const aif_dial_cbs dial_cbs = {.on_done = unwelcome_done};
    aif_dial_options options = {.host = "127.0.0.1", .port = 9};
    aif_query *query;
    aif_addrs *addrs;
    aif_dial *dial;
    uv_timer_t foreign;
    int code;

    begin();
    /* A handle that is not ours keeps the loop from closing. */
    CHECK_EQ_INT(uv_timer_init(&loop.uv, &foreign), 0);
    CHECK_EQ_INT(aif_loop_fini(&loop), UV_EBUSY);
    CHECK(aif_tcp_new(&loop, AF_INET, &code) == NULL);
    CHECK_EQ_INT(code, AIF_ECLOSED);
    CHECK_EQ_INT(aif_dial_start(&loop, &options, &dial_cbs, NULL, &dial),
                 AIF_ECLOSED);
    CHECK(dial == NULL);
    CHECK_EQ_INT(aif_resolve(&loop, "127.0.0.1", AF_UNSPEC, 0, NULL, NULL,
                             &query, &addrs, NULL),
                 AIF_ECLOSED);
    uv_close((uv_handle_t *)&foreign, NULL);
    (void)uv_run(&loop.uv, UV_RUN_NOWAIT);
    end();
}

/* The first of the process, so that libuv has nothing yet: it would abort. */
static void
test_no_descriptors(void)
{
    struct rlimit old, few;
    unsigned failed = 0;

    CHECK_EQ_INT(getrlimit(RLIMIT_NOFILE, &old), 0);
    for (rlim_t limit = 3; limit < 64; limit++) {
        int rc;

        few = old;
        few.rlim_cur = limit;
        CHECK_EQ_INT(setrlimit(RLIMIT_NOFILE, &few), 0);
        rc = aif_loop_init(&loop);
        CHECK(rc == 0 || rc == UV_EMFILE);
        failed += rc != 0;
        if (rc == 0) {
            CHECK_EQ_INT(aif_loop_fini(&loop), 0);
        }
    }
    CHECK_EQ_INT(setrlimit(RLIMIT_NOFILE, &old), 0);
    CHECK(failed > 3 && failed < 50);
    begin();
    end();
}

/* Says what is left in |fd|, where a byte can be written to |peer|. */
static void
child(aif_tcp *tcp, aif_write *w)
{
    int never = 0;

    aif_loop_after_fork(&loop);
    CHECK_EQ_INT(aif_stage_write(&tcp->stage, w), AIF_ECLOSED);
    CHECK_EQ_INT(aif_stage_shutdown(&tcp->stage), AIF_ECLOSED);
    CHECK(uv_is_active((uv_handle_t *)&tcp->handle.pipe));
    aif_stage_close(&tcp->stage);
    live(&never, 20);
    CHECK_EQ_INT(aif_loop_fini(&loop), 0);
    _exit((int)check_failures());
}

static int got;

static void
on_got(void *user, const char *data, size_t len)
{
    (void)user;
    (void)data;
    got += (int)len;
}

static void
on_got_end(void *user)
{
    (void)user;
    got = -1; /* The child has ended it. */
}

/* What the child closes is still the parent's, who is told of bytes. */
static void
test_fork(void)
{
    static const aif_stage_cbs cbs = {.on_read = on_got, .on_eof = on_got_end};
    uv_buf_t buf = uv_buf_init((char *)(uintptr_t)"x", 1);
    aif_write w = {.bufs = &buf, .count = 1};
    aif_tcp *tcp;
    int pair[2], code, status = -1;
    char byte;
    pid_t pid;

    begin();
    tcp = aif_tcp_new(&loop, AF_UNIX, &code);
    CHECK(tcp != NULL);
    CHECK_EQ_INT(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    CHECK_EQ_INT(uv_pipe_open(&tcp->handle.pipe, pair[0]), 0);
    aif_stage_set_user(&tcp->stage, &cbs, NULL);
    CHECK_EQ_INT(aif_stage_read(&tcp->stage, 1), 0);
    aif_loop_run(&loop);
    (void)fflush(stdout);
    pid = fork();
    if (pid == 0) {
        child(tcp, &w);
    }
    CHECK_EQ_INT(waitpid(pid, &status, 0), pid);
    CHECK_EQ_INT(status, 0);
    CHECK_EQ_INT(recv(pair[1], &byte, 1, MSG_DONTWAIT), -1);
    CHECK_EQ_INT(errno, EAGAIN);
    CHECK_EQ_INT(send(pair[1], "yes", 3, 0), 3);
    live(&got, 2000);
    CHECK_EQ_INT(got, 3);
    aif_stage_close(&tcp->stage);
    close(pair[1]);
    end();
}

int
main(void)
{
    test_no_descriptors();
    test_fork();
    test_want_is_coalesced();
    test_watcher_from_an_upcall();
    test_watcher_from_a_watcher();
    test_watcher_from_outside();
    test_timeout();
    test_cleared_timeout();
    test_lonely_deadline();
    test_clock();
    test_slab();
    test_blocks();
    test_fini_with_everything_open();
    test_nothing_starts_after_fini();
    return check_failures();
}
