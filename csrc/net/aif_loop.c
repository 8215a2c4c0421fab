/* aif_loop -- the guest loop: its turns, its clock, its beginning and end.
 *
 * libuv hands new watchers to the kernel only at the start of a poll, and does
 * not poll at all while no handle is active. Both matter to a guest: a watcher
 * started by an upcall would not be seen until something else happens, and a
 * timer that holds nothing alive would never be run. aif_loop_run() makes up
 * for the two.
 */
#include "net/aif_loop.h"

#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "base/aif_err.h"
#include "base/aif_mem.h"
#include "net/aif_dial.h"
#include "net/aif_tcp.h"

#define NS_PER_MS 1000000u

/* Close callbacks come in the turn after uv_close(); a cancelled lookup takes
 * one more. */
#define FINI_TURNS 4

/* libuv aborts the process where its first loop finds no descriptors for the
 * pipe of its signals. So as many as a loop takes are tried out before: 0, or
 * what hinders. */
static int
try_descriptors(void)
{
    int fds[6];
    int made = 0;
    int rc = 0;

    while (made < 6 && rc == 0) {
        rc = uv_pipe(&fds[made], 0, 0);
        made += rc == 0 ? 2 : 0;
    }
    while (made > 0) {
        (void)close(fds[--made]);
    }
    return rc;
}

int
aif_loop_init(aif_loop *loop)
{
    int rc;

    memset(loop, 0, sizeof(*loop));
    aif_list_init(&loop->stages);
    aif_list_init(&loop->dials);
    rc = try_descriptors();
    if (rc == 0) {
        rc = uv_loop_init(&loop->uv);
    }
    if (rc < 0) {
        return rc;
    }
    rc = aif_deadlines_init(&loop->deadlines, loop);
    if (rc < 0) {
        (void)uv_loop_close(&loop->uv);
    }
    return rc;
}

/* libuv's millisecond clock may lag, and it skips the timer of a loop that is
 * not alive: deadlines that are nearly due are looked at here once more. The
 * comparison costs no reading of a clock. */
static void
run_deadlines(aif_loop *loop)
{
    aif_deadlines *ds = &loop->deadlines;

    if (ds->armed != 0 && ds->armed <= (uv_now(&loop->uv) + 2) * NS_PER_MS
        && ds->armed <= uv_hrtime())
    {
        aif_deadlines_run(ds);
    }
}

void
aif_loop_run(aif_loop *loop)
{
    if (loop->running) {
        return;
    }
    loop->running = 1;
    loop->wanted = 0;
    (void)uv_run(&loop->uv, UV_RUN_NOWAIT);
    run_deadlines(loop);
    if (loop->wanted) {
        loop->wanted = 0;
        (void)uv_run(&loop->uv, UV_RUN_NOWAIT);
    }
    loop->running = 0;
    /* The second turn's upcalls may have started more. The host's own work
     * gets its chance before the third. */
    if (loop->wanted) {
        loop->wanted = 0;
        aif_loop_want(loop);
    }
}

void
aif_loop_run_expected(aif_loop *loop)
{
    int came = 0;

    if (loop->expected != NULL && !loop->running) {
        loop->running = 1;
        came = aif_tcp_read_expected(loop->expected);
        loop->running = 0;
    }
    if (!came || loop->wanted) {
        aif_loop_run(loop);
    }
}

void
aif_loop_want(aif_loop *loop)
{
    if (loop->wanted) {
        return;
    }
    loop->wanted = 1;
    if (!loop->running && loop->on_wanted != NULL) {
        loop->on_wanted(loop->user);
    }
}

int
aif_loop_fd(const aif_loop *loop)
{
    return uv_backend_fd(&loop->uv);
}

int
aif_loop_timeout(const aif_loop *loop)
{
    uint64_t now;
    uint64_t left;

    /* Zero for a loop that is not alive means nothing; for one that is, that
     * callbacks are waiting. Any other value is counted from a clock that
     * stood still while the host waited, and is of no use. */
    if (uv_loop_alive(&loop->uv) && uv_backend_timeout(&loop->uv) == 0) {
        return 0;
    }
    if (loop->deadlines.armed == 0) {
        return -1;
    }
    now = uv_hrtime();
    if (loop->deadlines.armed <= now) {
        return 0;
    }
    left = (loop->deadlines.armed - now - 1) / NS_PER_MS + 1;
    return left < INT_MAX ? (int)left : INT_MAX;
}

uint64_t
aif_loop_now(const aif_loop *loop)
{
    (void)loop;
    return uv_hrtime();
}

void
aif_loop_after_fork(aif_loop *loop)
{
    loop->silent = 1;
    /* Without a descriptor for it there is no watch at all, which is as good:
     * the loop will only be ended. */
    (void)uv_loop_fork(&loop->uv);
}

char *
aif_loop_slab(aif_loop *loop)
{
    if (loop->slab == NULL) {
        loop->slab = aif_mem_alloc(AIF_SLAB_SIZE);
    }
    return loop->slab;
}

char *
aif_loop_take_block(aif_loop *loop)
{
    if (loop->spare_blocks > 0) {
        return loop->blocks[--loop->spare_blocks];
    }
    return aif_mem_alloc(AIF_BLOCK_SIZE);
}

/* A loop that has ended keeps nothing: stages may be freed after it. */
void
aif_loop_give_block(aif_loop *loop, char *block)
{
    if (loop->spare_blocks < AIF_LOOP_BLOCKS && !loop->closing) {
        loop->blocks[loop->spare_blocks++] = block;
    }
    else {
        aif_mem_free(block);
    }
}

/* Dials go first, as they hold stages and queries; deadlines last, as
 * everything else may hold one. */
static void
close_everything(aif_loop *loop)
{
    aif_list *node;

    aif_dial_cancel_all(loop);
    while ((node = aif_list_head(&loop->stages)) != NULL) {
        aif_tcp_abort(AIF_LIST_ENTRY(node, aif_tcp, link));
    }
    if (loop->resolver_free != NULL) {
        loop->resolver_free(loop);
    }
    aif_deadlines_close(&loop->deadlines);
}

int
aif_loop_fini(aif_loop *loop)
{
    int rc;

    if (!loop->closing) {
        loop->closing = 1;
        loop->on_wanted = NULL;
        close_everything(loop);
    }
    for (int i = 0; i < FINI_TURNS; i++) {
        if (loop->handles == 0 && loop->lookups == 0) {
            break;
        }
        (void)uv_run(&loop->uv, UV_RUN_NOWAIT);
    }
    if (loop->handles != 0 || loop->lookups != 0) {
        return UV_EBUSY;
    }
    rc = uv_loop_close(&loop->uv);
    if (rc == 0) {
        aif_deadlines_fini(&loop->deadlines);
        aif_mem_free(loop->slab);
        loop->slab = NULL;
        while (loop->spare_blocks > 0) {
            aif_mem_free(loop->blocks[--loop->spare_blocks]);
        }
    }
    return rc;
}
