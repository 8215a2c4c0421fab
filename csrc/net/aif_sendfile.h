/* aif_sendfile -- parts of a file to a socket without a copy of ours, one part
 * at a time. The kernel reads the file, so it is asked in libuv's threads: a
 * disk may make it wait. A full socket is waited for in the loop.
 *
 * Owner:    whoever called aif_sendfile_new(); aif_sendfile_close() gives it
 *           up, at the latest before aif_loop_fini(), and the memory goes when
 *           no thread works on it any more.
 * Thread:   the loop's. Re-entry: the callback may start the next part or
 *           close.
 */
#ifndef AIF_SENDFILE_H
#define AIF_SENDFILE_H

#include "net/aif_loop.h"

typedef struct aif_sendfile aif_sendfile;

/* |n| > 0 bytes have left, maybe fewer than were asked for; 0: the file ends
 * here; or a libuv code, of the file or of the socket. */
typedef void (*aif_sendfile_cb)(void *user, ssize_t n);

/* From a duplicate of |fd| to a duplicate of the non-blocking socket |sock|,
 * which nobody else writes to meanwhile. NULL with a code in *|code|. */
aif_sendfile *aif_sendfile_new(aif_loop *loop, int sock, int fd,
                               aif_sendfile_cb on_sent, void *user, int *code);

/* Sends |len| > 0 bytes at |offset|. Only while no part is on its way. 0 or a
 * code: then no callback comes. */
int aif_sendfile_start(aif_sendfile *s, uint64_t offset, size_t len);

/* The duplicate of the file; borrowed until the close. */
int aif_sendfile_file(const aif_sendfile *s);

/* No callback comes from here on. What a thread is about to send is stopped by
 * shutting the connection down: the socket is good for nothing then. NULL is
 * allowed. */
void aif_sendfile_close(aif_sendfile *s);

#endif
