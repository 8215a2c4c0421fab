/* aif_tcp -- the bottom stage: a connected uv_tcp_t or uv_pipe_t.
 *
 * Writes try the socket first (uv_try_write) and queue only what did not fit.
 * Reads go to the user's space (on_space) or the loop's slab. TCP_NODELAY is
 * set.
 *
 * Owner and rules: aif_stage.h.
 */
#ifndef AIF_TCP_H
#define AIF_TCP_H

#include <sys/socket.h>

#include "net/aif_stage.h"

typedef struct aif_tcp {
    aif_stage stage; /* first member: a tcp stage is an aif_stage */
    union {
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    } handle;
    uv_write_t write_req; /* the one write that libuv has, if |writing| */
    uv_shutdown_t shutdown_req;
    aif_list link;   /* in loop->stages */
    aif_list writes; /* aif_write in order, the first one partly sent */
    unsigned is_pipe : 1;
    unsigned reading : 1;
    unsigned closed : 1; /* the user gave it up */
    unsigned failed : 1;
    unsigned eof : 1;
    unsigned shutting : 1; /* shutdown asked for */
    unsigned shut : 1;     /* and handed to libuv */
    unsigned writing : 1;  /* the head of |writes| is with libuv */
    unsigned asking : 1;   /* inside on_space, where libuv bears no stop */
    unsigned gone : 1;     /* libuv has let go of the handle */
    int low_water;         /* SO_RCVLOWAT as we set it; 0: as it was */
    int write_code;        /* why nothing more can be written; 0: it can */
    unsigned depth;        /* callbacks on the stack */
} aif_tcp;

/* A stage around a new, unconnected handle: |family| AF_INET, AF_INET6 or
 * AF_UNIX. Used by aif_dial, which connects it. NULL when out of memory or out
 * of descriptors; *|code| says which. */
aif_tcp *aif_tcp_new(aif_loop *loop, int family, int *code);

/* A stage that takes over the connected, non-blocking socket |fd|. On failure
 * the socket stays the caller's. */
aif_tcp *aif_tcp_adopt(aif_loop *loop, int fd, int family, int *code);

/* Bytes of the first queued write that the socket has not taken yet. */
size_t aif_tcp_unsent(const aif_tcp *t);

/* The descriptor, or -1. Borrowed: callers neither read nor close it. */
int aif_tcp_fd(const aif_tcp *t);

/* The peer's and our own address, the rest of *|out| zeroed. 0 or a libuv
 * code. */
int aif_tcp_peer(const aif_tcp *t, struct sockaddr_storage *out, int *len);
int aif_tcp_local(const aif_tcp *t, struct sockaddr_storage *out, int *len);

/* Reads what the socket holds now, without waiting, past libuv: for the probe
 * of a stage above. > 0 bytes in |buf|; 0 at the end of the stream; UV_EAGAIN
 * if there is nothing; another libuv code. */
int aif_tcp_read_now(aif_tcp *t, char *buf, size_t len);

/* Reads what the socket holds now, without waiting and past libuv, and passes
 * it up as libuv would have. 1 if that was all there is; 0 if there is
 * nothing, or may be more. For aif_loop_run_expected(). */
int aif_tcp_read_expected(aif_tcp *t);

/* "192.0.2.1:443", "[2001:db8::1]:443" or "unix:/path" into |out|; cut if it
 * does not fit |size| > 0. */
void aif_tcp_format_address(const struct sockaddr *addr, char *out,
                            size_t size);

/* Used by aif_loop_fini() only: closes without any upcall. */
void aif_tcp_abort(aif_tcp *t);

#endif
