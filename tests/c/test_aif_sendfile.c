/* Parts of a file to a socket, by the kernel. */
#include "net/aif_sendfile.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/aif_err.h"
#include "base/aif_mem.h"
#include "check.h"

#define SIZE 3000000u

static aif_loop loop;
static aif_sendfile *sender;
static FILE *file;
static char content[SIZE], got[SIZE];
static int ends[2];
static unsigned calls;
static ssize_t sent;
static int close_inside;

static void
on_sent(void *user, ssize_t n)
{
    uint64_t *at = user;

    calls++;
    sent = n;
    if (n > 0) {
        *at += (uint64_t)n;
    }
    if (close_inside) {
        aif_sendfile_close(sender);
    }
}

static void
begin(void)
{
    calls = 0;
    close_inside = 0;
    for (unsigned i = 0; i < SIZE; i++) {
        content[i] = (char)(i * 7 % 251);
    }
    file = tmpfile();
    CHECK(file != NULL);
    CHECK_EQ_INT(fwrite(content, 1, SIZE, file), SIZE);
    CHECK_EQ_INT(fflush(file), 0);
    CHECK_EQ_INT(aif_loop_init(&loop), 0);
    CHECK_EQ_INT(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    CHECK_EQ_INT(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
    CHECK_EQ_INT(fcntl(ends[1], F_SETFL, O_NONBLOCK), 0);
}

static void
end(void)
{
    uint64_t until = uv_hrtime() + 5000000000ull;

    while (loop.lookups > 0 && uv_hrtime() < until) {
        (void)uv_run(&loop.uv, UV_RUN_ONCE);
    }
    CHECK_EQ_INT(loop.lookups, 0);
    CHECK_EQ_INT(aif_loop_fini(&loop), 0);
    (void)fclose(file);
    (void)close(ends[0]);
    (void)close(ends[1]);
}

static aif_sendfile *
make(uint64_t *at)
{
    int code = 0;
    aif_sendfile *s =
        aif_sendfile_new(&loop, ends[0], fileno(file), on_sent, at, &code);

    CHECK(s != NULL);
    CHECK_EQ_INT(code, 0);
    return s;
}

/* What the other end has got, from |have| on. */
static size_t
take(size_t have)
{
    ssize_t n;

    while (have < SIZE && (n = read(ends[1], got + have, SIZE - have)) > 0) {
        have += (size_t)n;
    }
    return have;
}

/* Runs until the next call, at most |ms|. 1 if it came. */
static int
called(unsigned before, unsigned ms)
{
    uint64_t until = uv_hrtime() + ms * 1000000ull;

    while (calls == before && uv_hrtime() < until) {
        (void)uv_run(&loop.uv, UV_RUN_NOWAIT);
    }
    return calls != before;
}

static void
test_sends_all_of_it(void)
{
    uint64_t at = 0;
    size_t have = 0;

    begin();
    sender = make(&at);
    CHECK_EQ_INT(fseek(file, 17, SEEK_SET), 0);
    do {
        unsigned before = calls;

        CHECK_EQ_INT(aif_sendfile_start(sender, at, SIZE), 0);
        while (!called(before, 1)) {
            have = take(have);
        }
        have = take(have);
    } while (sent > 0);
    CHECK_EQ_INT(sent, 0);
    CHECK_EQ_INT(at, SIZE);
    CHECK_EQ_INT(have, SIZE);
    CHECK(memcmp(got, content, SIZE) == 0);
    CHECK_EQ_INT(ftell(file), 17);
    CHECK(calls > 3);
    aif_sendfile_close(sender);
    end();
}

static void
test_never_more_than_asked_for(void)
{
    uint64_t at = 1000;

    begin();
    sender = make(&at);
    CHECK_EQ_INT(aif_sendfile_start(sender, at, 100), 0);
    CHECK(called(0, 5000));
    CHECK_EQ_INT(sent, 100);
    CHECK_EQ_INT(take(0), 100);
    CHECK(memcmp(got, content + 1000, 100) == 0);
    aif_sendfile_close(sender);
    end();
}

static uint64_t
cpu_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* A peer that does not read costs nothing but patience. */
static void
test_a_full_socket_is_waited_for(void)
{
    uint64_t at = 0, spent;
    unsigned before;

    begin();
    sender = make(&at);
    do {
        before = calls;
        CHECK_EQ_INT(aif_sendfile_start(sender, at, SIZE), 0);
    } while (called(before, 200));
    CHECK(at > 0 && at < SIZE);
    CHECK_EQ_INT(loop.lookups, 0); /* no thread is held */
    spent = cpu_ns();
    (void)uv_run(&loop.uv, UV_RUN_NOWAIT);
    CHECK(cpu_ns() - spent < 100000000);
    CHECK_EQ_INT(take(0), at);
    CHECK(called(before, 5000));
    CHECK(sent > 0);
    aif_sendfile_close(sender);
    end();
}

static void
test_close_at_any_time(void)
{
    uint64_t at;

    begin();
    aif_sendfile_close(NULL);
    for (unsigned i = 0; i < 4; i++) {
        unsigned before = calls = 0;

        at = 0;
        sender = make(&at);
        if (i == 1) { /* in the callback */
            close_inside = 1;
            CHECK_EQ_INT(aif_sendfile_start(sender, 0, 100), 0);
            CHECK(called(0, 5000));
            close_inside = 0;
            CHECK_EQ_INT(take(0), 100);
            continue;
        }
        if (i == 2) { /* while the socket is full */
            do {
                before = calls;
                CHECK_EQ_INT(aif_sendfile_start(sender, at, SIZE), 0);
            } while (called(before, 200));
        }
        if (i == 3) { /* in a thread: it ends with the connection */
            (void)take(0);
            CHECK_EQ_INT(aif_sendfile_start(sender, 0, SIZE), 0);
        }
        aif_sendfile_close(sender);
        CHECK(!called(before, 50));
        if (i == 3) {
            (void)take(0);
            CHECK_EQ_INT(read(ends[1], got, 1), 0);
        }
    }
    end();
}

static void
test_what_cannot_be_sent(void)
{
    uint64_t at = 0;
    int code = 0;

    begin();
    CHECK(aif_sendfile_new(&loop, ends[0], 9999, on_sent, &at, &code) == NULL);
    CHECK_EQ_INT(code, UV_EBADF);
    CHECK(aif_sendfile_new(&loop, 9999, fileno(file), on_sent, &at, &code)
          == NULL);
    CHECK_EQ_INT(code, UV_EBADF);
    aif_mem_fail_at(1, 0);
    CHECK(aif_sendfile_new(&loop, ends[0], fileno(file), on_sent, &at, &code)
          == NULL);
    aif_mem_fail_at(0, 0);
    CHECK_EQ_INT(code, AIF_ENOMEM);
    sender = make(&at);
    (void)close(ends[1]);
    CHECK_EQ_INT(aif_sendfile_start(sender, 0, 100), 0);
    CHECK(called(0, 5000));
    CHECK_EQ_INT(sent, UV_EPIPE);
    CHECK_EQ_INT(fcntl(aif_sendfile_file(sender), F_GETFD), FD_CLOEXEC);
    aif_sendfile_close(sender);
    end();
    CHECK(aif_sendfile_new(&loop, 0, 0, on_sent, &at, &code) == NULL);
    CHECK_EQ_INT(code, AIF_ECLOSED);
}

int
main(void)
{
    static const check_test tests[] = {
        CHECK_TEST(test_sends_all_of_it),
        CHECK_TEST(test_never_more_than_asked_for),
        CHECK_TEST(test_a_full_socket_is_waited_for),
        CHECK_TEST(test_close_at_any_time),
        CHECK_TEST(test_what_cannot_be_sent),
    };

    (void)signal(SIGPIPE, SIG_IGN);
    return CHECK_RUN(tests);
}
