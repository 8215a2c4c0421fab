/* aif_pread -- reads parts of a file in libuv's threads, one at a time.
 *
 * Owner:    whoever called aif_pread_new(); aif_pread_close() gives it up, and
 *           the memory goes when no thread works on it any more.
 * Thread:   the loop's. Re-entry: the callback may start the next read or
 *           close.
 */
#ifndef AIF_PREAD_H
#define AIF_PREAD_H

#include "net/aif_loop.h"

typedef struct aif_pread aif_pread;

/* |n| > 0 bytes, valid until the next start or the close; 0 at the end of the
 * file; or a libuv code. */
typedef void (*aif_pread_cb)(void *user, const char *data, ssize_t n);

/* A reader of at most |room| bytes at a time of a duplicate of |fd|. NULL with
 * a code in *|code|. */
aif_pread *aif_pread_new(aif_loop *loop, int fd, size_t room,
                         aif_pread_cb on_read, void *user, int *code);

/* Reads |len| bytes, at most the room, at |offset|; fewer may come. Only while
 * no read is on its way. 0 or a code. */
int aif_pread_start(aif_pread *p, uint64_t offset, size_t len);

/* No callback comes from here on. NULL is allowed. */
void aif_pread_close(aif_pread *p);

#endif
