/* aif_mem -- the one door between the core and the C library's allocator.
 *
 * Release builds add nothing but the rule for size 0. Debug builds count what
 * is outstanding and can make an allocation fail, so that a test can walk
 * through every allocation of a scenario and watch it being missed.
 */
#include "base/aif_mem.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifdef AIF_DEBUG

#    include <stdatomic.h>
#    ifdef __APPLE__
#        include <malloc/malloc.h>
#        define SIZE_OF(ptr) malloc_size(ptr)
#    else
#        include <malloc.h>
#        define SIZE_OF(ptr) malloc_usable_size(ptr)
#    endif

/* Process-wide, as the allocator is. Atomic because nothing forbids a second
 * loop on a second thread, and a torn count would hide a leak. */
static atomic_long live;
static atomic_long made;
static atomic_size_t bytes;
static atomic_size_t most;
static atomic_long fail_in;
static atomic_int fail_sticky;

/* 1 if the allocation that is about to happen is to fail. */
static int
must_fail(void)
{
    long left = atomic_load(&fail_in);

    atomic_fetch_add(&made, 1);
    if (left == 0) {
        return 0;
    }
    if (left > 1) {
        atomic_store(&fail_in, left - 1);
        return 0;
    }
    if (!atomic_load(&fail_sticky)) {
        atomic_store(&fail_in, 0);
    }
    return 1;
}

static void
count_bytes(void *ptr)
{
    size_t size = SIZE_OF(ptr);
    size_t now = atomic_fetch_add(&bytes, size) + size;

    if (now > atomic_load(&most)) {
        atomic_store(&most, now);
    }
}

static void *
count_new(void *ptr)
{
    if (ptr != NULL) {
        atomic_fetch_add(&live, 1);
        count_bytes(ptr);
    }
    return ptr;
}

static void
count_gone(void *ptr)
{
    atomic_fetch_sub(&live, 1);
    atomic_fetch_sub(&bytes, SIZE_OF(ptr));
}

/* A block that merely moves stays one outstanding allocation. */
static void *
move(void *old, size_t size)
{
    size_t before = SIZE_OF(old);
    void *ptr = realloc(old, size);

    if (ptr != NULL) {
        atomic_fetch_sub(&bytes, before);
        count_bytes(ptr);
    }
    return ptr;
}

long
aif_mem_live(void)
{
    return atomic_load(&live);
}

long
aif_mem_made(void)
{
    return atomic_load(&made);
}

size_t
aif_mem_most(void)
{
    size_t now = atomic_load(&bytes);

    return atomic_exchange(&most, now) - now;
}

void
aif_mem_fail_at(long nth, int sticky)
{
    atomic_store(&fail_sticky, sticky);
    atomic_store(&fail_in, nth > 0 ? nth : 0);
}

#else

static inline int
must_fail(void)
{
    return 0;
}

static inline void *
count_new(void *ptr)
{
    return ptr;
}

static inline void
count_gone(void *ptr)
{
    (void)ptr;
}

static inline void *
move(void *old, size_t size)
{
    return realloc(old, size);
}

long
aif_mem_live(void)
{
    return 0;
}

long
aif_mem_made(void)
{
    return 0;
}

size_t
aif_mem_most(void)
{
    return 0;
}

void
aif_mem_fail_at(long nth, int sticky)
{
    (void)nth;
    (void)sticky;
}

#endif

void *
aif_mem_alloc(size_t size)
{
    if (must_fail()) {
        return NULL;
    }
    return count_new(malloc(size == 0 ? 1 : size));
}

void *
aif_mem_zalloc(size_t size)
{
    if (must_fail()) {
        return NULL;
    }
    return count_new(calloc(1, size == 0 ? 1 : size));
}

void *
aif_mem_realloc(void *old, size_t size)
{
    if (must_fail()) {
        return NULL;
    }
    if (size == 0) {
        size = 1;
    }
    return old != NULL ? move(old, size) : count_new(malloc(size));
}

void
aif_mem_free(void *ptr)
{
    if (ptr == NULL) {
        return;
    }
    count_gone(ptr);
    free(ptr);
}

char *
aif_mem_dup(const char *data, size_t len)
{
    char *copy;

    if (len == SIZE_MAX) {
        return NULL;
    }
    copy = aif_mem_alloc(len + 1);
    if (copy == NULL) {
        return NULL;
    }
    if (len > 0) {
        memcpy(copy, data, len);
    }
    copy[len] = '\0';
    return copy;
}
