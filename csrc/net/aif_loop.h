/* aif_loop -- one libuv loop and what all its connections share.
 *
 * The loop is driven by somebody else: a host calls aif_loop_run() whenever
 * the loop's backend descriptor is readable or aif_loop_timeout() has passed.
 * C tests simply call uv_run() on |uv|.
 *
 * Owner:    the host. Thread: one. Re-entry: aif_loop_run() is never called
 * from inside an upcall.
 */
#ifndef AIF_LOOP_H
#define AIF_LOOP_H

#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "base/aif_list.h"
#include "net/aif_deadline.h"

/* One read buffer for all connections of a loop: bytes are consumed or copied
 * before the upcall that carries them returns. */
#define AIF_SLAB_SIZE (256u * 1024u)

/* Where bytes are that outlive an upcall by a little: lent, and given back. */
#define AIF_BLOCK_SIZE (256u * 1024u)
#define AIF_LOOP_BLOCKS 3u /* that are kept for the next */

struct aif_tcp;

typedef struct aif_loop {
    uv_loop_t uv;
    aif_deadlines deadlines;
    char *slab; /* owned; AIF_SLAB_SIZE bytes, made at first use */
    char *blocks[AIF_LOOP_BLOCKS]; /* owned; |spare_blocks| of them */
    unsigned spare_blocks;
    struct aif_tcp *expected; /* the one that wrote last, or NULL */
    aif_list stages;          /* every open tcp stage, for aif_loop_fini() */
    aif_list dials;           /* every dial in progress, likewise */
    unsigned handles; /* uv handles whose close callback has not come */
    unsigned lookups; /* requests in libuv's threads, not called back */
    uint64_t lookups_started; /* a counter for tests and statistics */
    void *resolver; /* the cache of aif_resolve, opaque here; owned */
    void (*resolver_free)(struct aif_loop *loop); /* set with it */
    /* The host's: a watcher was started outside of aif_loop_run(), libuv will
     * only see it in the next run. May be NULL. */
    void (*on_wanted)(void *user);
    void *user;
    unsigned running : 1; /* inside aif_loop_run() */
    unsigned wanted : 1;  /* on_wanted was called since the last run */
    unsigned closing : 1; /* aif_loop_fini() was called */
    unsigned silent : 1;  /* aif_loop_after_fork() was called */
} aif_loop;

/* 0 or a libuv code. */
int aif_loop_init(aif_loop *loop);

/* One turn without waiting: due timers, ready descriptors, closed handles. If
 * upcalls started watchers, a second turn hands them to the kernel. */
void aif_loop_run(aif_loop *loop);

/* The same for who knows that something has come and nothing else is due: the
 * connection that wrote last is read first, past libuv, and if its answer was
 * there that is all. What others have is for the next call. */
void aif_loop_run_expected(aif_loop *loop);

/* Asks the host for a run soon, once until that run. Called by whoever starts
 * a handle or request; inside aif_loop_run() it asks for a second turn of
 * that run instead. */
void aif_loop_want(aif_loop *loop);

/* The descriptor that turns readable when there is something to run. */
int aif_loop_fd(const aif_loop *loop);

/* Milliseconds until aif_loop_run() has something to do without a descriptor
 * becoming readable: 0 now, -1 never. Stays right until on_wanted is called or
 * the next run. May wake a host for a deadline that was cleared meanwhile. */
int aif_loop_timeout(const aif_loop *loop);

/* The loop's monotonic clock, in nanoseconds. A fresh reading. */
uint64_t aif_loop_now(const aif_loop *loop);

/* In the child of a fork: the sockets are the parent's, and so is what the
 * kernel watches for the loop. From here on the loop has a watch of its own,
 * and its stages send nothing, not even an end (AIF_ECLOSED): all that is left
 * is to close them, which the parent does not notice. */
void aif_loop_after_fork(aif_loop *loop);

/* The slab, NULL when out of memory. */
char *aif_loop_slab(aif_loop *loop);

/* A block of AIF_BLOCK_SIZE bytes, NULL when out of memory. It is the
 * caller's, to be given back or freed (aif_mem_free). */
char *aif_loop_take_block(aif_loop *loop);
void aif_loop_give_block(aif_loop *loop, char *block);

/* Ends the loop: closes every dial and stage that is still open without any
 * upcall (on_written included; their owners must not touch them afterwards),
 * frees the resolver's cache, runs the close callbacks. Returns 0 when
 * everything is gone, or UV_EBUSY while a name lookup or a read of a file
 * still runs in libuv's threads; then the struct must stay where it is and
 * aif_loop_fini() be called again later. From the first call on nothing new
 * can be started (AIF_ECLOSED). Never waits. */
int aif_loop_fini(aif_loop *loop);

#endif
