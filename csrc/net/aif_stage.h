/* aif_stage -- one stage of a connection: tcp at the bottom, tls or a tunnel
 * above it, and a user (HTTP, or a transport) on top.
 *
 * A stage has a static type (the vtable) and, unless it is the bottom one, the
 * stage below, which it owns. Bytes go down by aif_stage_write() and come up
 * by the callbacks.
 *
 * Owner:    one user; aif_stage_close() gives the stage up. From then on no
 *           callback comes and the memory goes when libuv lets go of it.
 * Thread:   the loop's. Re-entry: any callback may call any function here,
 *           aif_stage_close() included; a stage never touches itself after a
 *           callback without looking whether it was closed.
 */
#ifndef AIF_STAGE_H
#define AIF_STAGE_H

#include <stddef.h>
#include <uv.h>

#include "base/aif_err.h"
#include "net/aif_loop.h"

typedef struct aif_stage aif_stage;
typedef struct aif_write aif_write;

/* What a stage tells its user. on_read is required. */
typedef struct aif_stage_cbs {
    /* Bytes may be written: the handshake is over. Not called for a stage that
     * was open when its user took it. */
    void (*on_open)(void *user);
    /* Where the next bytes should go: sets *|buf| and *|len|, or leaves them
     * for the slab. May be NULL. */
    void (*on_space)(void *user, char **buf, size_t *len);
    /* Nothing had come: what on_space gave is not needed. May be NULL. */
    void (*on_spare)(void *user);
    /* |len| > 0 bytes; valid until the callback returns. */
    void (*on_read)(void *user, const char *data, size_t len);
    /* The peer will send no more. For TLS: it said so (close_notify). */
    void (*on_eof)(void *user);
    /* The stage is dead; |err| says why. The user closes it. Called once, and
     * after the completions of all pending writes. TLS ended without
     * close_notify is AIF_ETRUNCATED. */
    void (*on_fail)(void *user, const aif_err *err);
} aif_stage_cbs;

/* One write, embedded in whoever owns the bytes. The bytes and this struct
 * stay untouched until it completes; on_written is called only if
 * aif_stage_write() returned 0, exactly once, also when the stage is closed
 * (UV_ECANCELED). */
struct aif_write {
    uv_buf_t *bufs; /* borrowed; advanced in place as bytes leave */
    unsigned count;
    void (*on_written)(aif_write *w, int code);
    /* For bytes that may change later, or NULL: called before the write is
     * queued, with |bufs| and |count| standing for what has not left. The
     * owner may point the bufs to a copy. 0, or a code that fails the write.
     */
    int (*on_keep)(aif_write *w);
    void *user;
    aif_list link; /* the stage's */
    void *detail;  /* the stage's */
};

typedef struct aif_stage_type {
    const char *name; /* "tcp", "tls", "tunnel" */
    int (*write)(aif_stage *s, aif_write *w);
    int (*read)(aif_stage *s, int on);
    int (*probe)(aif_stage *s);
    int (*shutdown)(aif_stage *s);
    int (*socket)(aif_stage *s); /* NULL: there is more to it than a socket */
    void (*expect)(aif_stage *s, size_t n); /* may be NULL */
    void (*close)(aif_stage *s);
} aif_stage_type;

struct aif_stage {
    const aif_stage_type *type;
    aif_loop *loop;
    aif_stage *below;         /* owned; NULL at the bottom */
    const aif_stage_cbs *cbs; /* the user's, borrowed; NULL: nobody listens */
    void *user;
};

/* For the stages: what they do before they queue |w|. */
static inline int
aif_write_keep(aif_write *w)
{
    return w->on_keep == NULL ? 0 : w->on_keep(w);
}

static inline void
aif_stage_set_user(aif_stage *s, const aif_stage_cbs *cbs, void *user)
{
    s->cbs = cbs;
    s->user = user;
}

/* Writes all of |w|. 1 if everything left at once (no callback follows); 0 if
 * on_written will be called; a negative code if the stage is dead or the write
 * failed at once (no callback for it; on_fail may follow). */
static inline int
aif_stage_write(aif_stage *s, aif_write *w)
{
    return s->type->write(s, w);
}

/* Starts or stops reading; idempotent. A new stage does not read. 0 or a
 * libuv code. */
static inline int
aif_stage_read(aif_stage *s, int on)
{
    return s->type->read(s, on);
}

/* For a connection that should be silent: looks, without waiting, whether
 * the peer has said anything that would reach the user, or has left. 0 if it
 * is silent and open, AIF_EDISCONNECTED if not. */
static inline int
aif_stage_probe(aif_stage *s)
{
    return s->type->probe(s);
}

/* The socket, for bytes that go to it as they are and past the stage: see
 * aif_sendfile.h. Borrowed. -1 for a stage that makes something else of bytes,
 * and while a write is pending. */
static inline int
aif_stage_socket(aif_stage *s)
{
    return s->type->socket == NULL ? -1 : s->type->socket(s);
}

/* At least |n| bytes will come, and their user is in no hurry: he need not be
 * told before so many are there, the peer has ended, or the socket is full. 0,
 * as at the beginning: tell of any byte. Only a hint. */
static inline void
aif_stage_expect(aif_stage *s, size_t n)
{
    if (s->type->expect != NULL) {
        s->type->expect(s, n);
    }
}

/* Says that no more bytes will be written (FIN, close_notify) once those that
 * are queued have left. 0 or a negative code. */
static inline int
aif_stage_shutdown(aif_stage *s)
{
    return s->type->shutdown(s);
}

/* Gives the stage and those below it up, at once. Pending writes complete with
 * UV_ECANCELED before this returns. NULL is allowed. */
static inline void
aif_stage_close(aif_stage *s)
{
    if (s != NULL) {
        s->type->close(s);
    }
}

#endif
