/* aif_pwrite -- writes bytes to a file in libuv's threads.
 *
 * Thread:   the loop's.
 */
#ifndef AIF_PWRITE_H
#define AIF_PWRITE_H

#include "net/aif_loop.h"

/* 0 once all is written, or a libuv code. Comes exactly once, also for a loop
 * that ends meanwhile (UV_ECANCELED, if it is not all written by then): the
 * thread works with the bytes until then. */
typedef void (*aif_pwrite_cb)(void *user, int code);

/* Writes |len| > 0 bytes at |data|, which stay until the callback, to |fd| at
 * |offset|. The descriptor is duplicated, and may be closed meanwhile. 0, or a
 * code: then nothing was started. */
int aif_pwrite(aif_loop *loop, int fd, uint64_t offset, const char *data,
               size_t len, aif_pwrite_cb on_written, void *user);

#endif
