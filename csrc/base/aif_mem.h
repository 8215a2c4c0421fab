/* aif_mem -- the core's only allocator.
 *
 * Everything the core allocates goes through here, so that tests can count
 * what is outstanding and make the n-th allocation fail.
 *
 * Thread:   any; the counters are exact only when one thread allocates.
 */
#ifndef AIF_MEM_H
#define AIF_MEM_H

#include <stddef.h>

/* malloc, calloc, realloc and free of the C library behind a test hook. A size
 * of 0 is served as 1; NULL means that there is no memory. */
void *aif_mem_alloc(size_t size);
void *aif_mem_zalloc(size_t size);
void *aif_mem_realloc(void *old, size_t size);
void aif_mem_free(void *ptr);

/* A NUL-terminated copy of |len| bytes at |data|; NULL when out of memory. */
char *aif_mem_dup(const char *data, size_t len);

/* How many allocations are outstanding now; counted in AIF_DEBUG builds, 0 in
 * others. */
long aif_mem_live(void);

/* How often memory was asked for, ever, a block that grows or moves too; and
 * the most bytes that were outstanding at once since the last call, beyond
 * those that are now. Counted in AIF_DEBUG builds, 0 in others. */
long aif_mem_made(void);
size_t aif_mem_most(void);

/* Test hook of AIF_DEBUG builds: the |nth| allocation from now on fails, and
 * so does each one after it if |sticky|; 0 turns it off. A no-op otherwise. */
void aif_mem_fail_at(long nth, int sticky);

#endif
