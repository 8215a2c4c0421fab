/* Parts of a file, read in libuv's threads. */
#include "net/aif_pread.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/aif_err.h"
#include "base/aif_mem.h"
#include "check.h"

#define SIZE 100000u

static aif_loop loop;
static aif_pread *reader;
static FILE *file;
static char content[SIZE];
static unsigned calls;
static ssize_t got;
static int close_inside;

static void
on_read(void *user, const char *data, ssize_t n)
{
    uint64_t *at = user;

    calls++;
    got = n;
    if (n > 0) {
        CHECK(memcmp(data, content + *at, (size_t)n) == 0);
        *at += (uint64_t)n;
    }
    if (close_inside) {
        aif_pread_close(reader);
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
}

static void
read_once(uint64_t at, size_t len)
{
    unsigned before = calls;

    CHECK_EQ_INT(aif_pread_start(reader, at, len), 0);
    while (calls == before) {
        (void)uv_run(&loop.uv, UV_RUN_ONCE);
    }
}

static void
test_reads_all_of_it(void)
{
    uint64_t at = 0;
    int code = 0;

    begin();
    reader = aif_pread_new(&loop, fileno(file), 4096, on_read, &at, &code);
    CHECK(reader != NULL);
    /* The descriptor is its own; the room is the most it reads. */
    CHECK_EQ_INT(fseek(file, 17, SEEK_SET), 0);
    do {
        read_once(at, 1000000);
        CHECK(got <= 4096);
    } while (got > 0);
    CHECK_EQ_INT(got, 0);
    CHECK_EQ_INT(at, SIZE);
    CHECK_EQ_INT(ftell(file), 17);
    at = 90000;
    read_once(at, 10);
    CHECK_EQ_INT(at, 90010);
    aif_pread_close(reader);
    end();
}

static void
test_close_at_any_time(void)
{
    uint64_t at = 0;
    int code = 0;

    begin();
    aif_pread_close(NULL);
    for (int i = 0; i < 3; i++) {
        reader = aif_pread_new(&loop, fileno(file), 4096, on_read, &at, &code);
        CHECK(reader != NULL);
        if (i == 1) { /* in flight: no callback comes */
            CHECK_EQ_INT(aif_pread_start(reader, 0, 4096), 0);
        }
        if (i == 2) {
            close_inside = 1;
            at = 0;
            read_once(0, 4096);
        }
        else {
            aif_pread_close(reader);
        }
    }
    CHECK_EQ_INT(calls, 1);
    end();
}

static void
test_what_cannot_be_read(void)
{
    uint64_t at = 0;
    int code = 0, ends[2];

    begin();
    CHECK(aif_pread_new(&loop, 9999, 16, on_read, &at, &code) == NULL);
    CHECK_EQ_INT(code, UV_EBADF);
    aif_mem_fail_at(1, 0);
    CHECK(aif_pread_new(&loop, fileno(file), 16, on_read, &at, &code) == NULL);
    aif_mem_fail_at(0, 0);
    CHECK_EQ_INT(code, AIF_ENOMEM);
    CHECK_EQ_INT(pipe(ends), 0);
    reader = aif_pread_new(&loop, ends[1], 16, on_read, &at, &code);
    CHECK(reader != NULL);
    read_once(0, 16);
    CHECK(got < 0);
    aif_pread_close(reader);
    (void)close(ends[0]);
    (void)close(ends[1]);
    end();
    CHECK(aif_pread_new(&loop, 0, 16, on_read, &at, &code) == NULL);
    CHECK_EQ_INT(code, AIF_ECLOSED);
}

int
main(void)
{
    static const check_test tests[] = {
        CHECK_TEST(test_reads_all_of_it),
        CHECK_TEST(test_close_at_any_time),
        CHECK_TEST(test_what_cannot_be_read),
    };

    return CHECK_RUN(tests);
}
