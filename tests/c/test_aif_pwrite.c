/* Tests of aif_pwrite: bytes in a file, and each callback exactly once. */
#include "net/aif_pwrite.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/aif_err.h"
#include "base/aif_mem.h"
#include "check.h"

#define SIZE (3u * 1024u * 1024u)

static aif_loop loop;
static char data[SIZE];
static char back[SIZE];

typedef struct outcome {
    unsigned calls;
    int code;
} outcome;

static void
on_written(void *user, int code)
{
    outcome *o = user;

    o->calls++;
    o->code = code;
}

static void
wait_for(const outcome *o)
{
    for (unsigned i = 0; i < 10000 && o->calls == 0; i++) {
        (void)uv_run(&loop.uv, UV_RUN_ONCE);
    }
    CHECK_EQ_INT(o->calls, 1);
}

static int
make_file(void)
{
    char name[] = "/tmp/aif_pwrite_XXXXXX";
    int fd = mkstemp(name);

    CHECK(fd >= 0);
    (void)unlink(name);
    return fd;
}

static void
test_written(void)
{
    outcome first = {0, 1}, second = {0, 1};
    int fd = make_file();

    for (size_t i = 0; i < SIZE; i++) {
        data[i] = (char)(i * 7);
    }
    CHECK_EQ_INT(aif_pwrite(&loop, fd, 0, data, 1000, on_written, &first), 0);
    CHECK_EQ_INT(aif_pwrite(&loop, fd, 1000, data + 1000, SIZE - 1000,
                            on_written, &second),
                 0);
    wait_for(&first);
    wait_for(&second);
    CHECK_EQ_INT(first.code, 0);
    CHECK_EQ_INT(second.code, 0);
    CHECK(pread(fd, back, SIZE, 0) == SIZE);
    CHECK(memcmp(data, back, SIZE) == 0);
    (void)close(fd);
}

/* The descriptor may be closed while the thread writes. */
static void
test_closed_meanwhile(void)
{
    outcome o = {0, 1};
    int fd = make_file();
    int kept = dup(fd);

    CHECK_EQ_INT(aif_pwrite(&loop, fd, 0, data, SIZE, on_written, &o), 0);
    (void)close(fd);
    wait_for(&o);
    CHECK_EQ_INT(o.code, 0);
    CHECK(pread(kept, back, SIZE, 0) == SIZE);
    (void)close(kept);
}

static void
test_failures(void)
{
    outcome o = {0, 1};
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

    CHECK_EQ_INT(aif_pwrite(&loop, -1, 0, data, 1, on_written, &o), UV_EBADF);
    aif_mem_fail_at(1, 0);
    CHECK_EQ_INT(aif_pwrite(&loop, fd, 0, data, 1, on_written, &o),
                 AIF_ENOMEM);
    aif_mem_fail_at(0, 0);
    CHECK_EQ_INT(o.calls, 0);
    CHECK_EQ_INT(aif_pwrite(&loop, fd, 0, data, 1, on_written, &o), 0);
    wait_for(&o);
    CHECK_EQ_INT(o.code, UV_EBADF);
    (void)close(fd);
}

/* The loop ends while threads write: the callbacks come all the same. */
static void
test_end(void)
{
    static outcome o[8];
    unsigned calls = 0;
    int fd = make_file();

    for (unsigned i = 0; i < 8; i++) {
        CHECK_EQ_INT(
            aif_pwrite(&loop, fd, i * SIZE, data, SIZE, on_written, &o[i]), 0);
    }
    while (aif_loop_fini(&loop) == UV_EBUSY) {
        (void)usleep(1000);
    }
    for (unsigned i = 0; i < 8; i++) {
        calls += o[i].calls;
        CHECK(o[i].code == 0 || o[i].code == UV_ECANCELED);
    }
    CHECK_EQ_INT(calls, 8);
    CHECK_EQ_INT(aif_pwrite(&loop, fd, 0, data, 1, on_written, &o[0]),
                 AIF_ECLOSED);
    (void)close(fd);
}

int
main(void)
{
    CHECK_EQ_INT(aif_loop_init(&loop), 0);
    test_written();
    test_closed_meanwhile();
    test_failures();
    test_end();
    CHECK(aif_mem_live() == 0);
    return check_failures();
}
