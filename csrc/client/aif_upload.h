/* aif_upload -- the body of a request that comes in pieces.
 *
 *   IDLE --> EXPECTING --> OPEN <--> BUSY --> ENDED
 *     \____________________/ \________/ \________/
 *        from each: IDLE, as the request goes out once more; STOPPED
 *
 * The owner gives one piece at a time and hears when it has left, so that the
 * slowest of peer, socket and source sets the pace. Reading goes on
 * meanwhile: a response may come, and be whole, before the body is.
 *
 * Owner:    whoever set aif_fetch.upload; it stays until on_end, and the bytes
 *           of a piece until on_taken or on_stop.
 * Thread:   the loop's.
 * Re-entry: an upcall may call anything of the fetch; giving from inside one
 *           is left for later, since pieces come from Python.
 */
#ifndef AIF_UPLOAD_H
#define AIF_UPLOAD_H

#include "base/aif_buf.h"
#include "base/aif_err.h"
#include "http/aif_header.h"
#include "http/aif_h1write.h"
#include "net/aif_deadline.h"
#include "net/aif_pread.h"
#include "net/aif_sendfile.h"
#include "net/aif_stage.h"

struct aif_conn;
struct aif_fetch;
typedef struct aif_upload aif_upload;

typedef enum aif_upload_state {
    AIF_UPLOAD_IDLE,      /* no connection yet, or not any more */
    AIF_UPLOAD_EXPECTING, /* 100 (Continue) is to come first */
    AIF_UPLOAD_OPEN,      /* the next piece may be given */
    AIF_UPLOAD_BUSY,      /* a piece, or the end, is on its way */
    AIF_UPLOAD_ENDED,     /* all of it has left */
    AIF_UPLOAD_STOPPED    /* nobody takes any more */
} aif_upload_state;

typedef struct aif_upload_cbs {
    /* OPEN: the body is wanted, from its beginning. Comes again, after
     * on_stop, if the request goes out once more. */
    void (*on_start)(void *user, aif_upload *u);
    /* What a give has left pending is gone: OPEN or ENDED. A negative |code|
     * says that the file could not be read as announced; the owner then fails
     * the upload. */
    void (*on_taken)(void *user, aif_upload *u, int code);
    /* This attempt takes no more, and does not look at the last piece any
     * more. Once for each on_start that has not come to ENDED. */
    void (*on_stop)(void *user, aif_upload *u);
    /* The fetch is over; exactly once for a fetch that was started. */
    void (*on_end)(void *user, aif_upload *u);
} aif_upload_cbs;

struct aif_upload {
    /* Set by the owner before the start. */
    const aif_upload_cbs *cbs;
    void *user;
    int64_t length;          /* in bytes, or AIF_H1_CHUNKED; of 0 bytes none
                                is asked for */
    uint64_t expect;         /* ns to wait for 100 (Continue); 0: send at once
                                (RFC 9110 10.1.1) */
    unsigned replayable : 1; /* may be given again from its beginning */

    /* To be read by the owner. */
    aif_upload_state state;
    uint64_t sent;           /* bytes of body handed to the socket */
    unsigned attempts;       /* how often on_start was called */
    unsigned unexpected : 1; /* a final response came instead of 100 */

    /* The machine's own. */
    struct aif_fetch *fetch;
    struct aif_conn *conn;
    uint64_t given;
    aif_buf frame; /* chunk line; or last chunk with trailers */
    aif_write write;
    uv_buf_t bufs[3];
    size_t piece; /* bytes of body in |write| */
    aif_deadline patience;
    aif_pread *file[2]; /* the piece is part of a file: one is sent while
                           the other reads ahead */
    aif_sendfile *raw;  /* ... or the kernel sends it */
    uint64_t file_at;
    uint64_t file_left; /* to be read, or sent by the kernel */
    const char *ahead;  /* read and not sent */
    size_t ahead_len;
    int file_code;     /* why it cannot be read; 0 */
    unsigned slot : 1; /* which one reads next */
    unsigned reading : 1;
    unsigned sending : 1;
    unsigned ending : 1;  /* the last chunk is on its way */
    unsigned started : 1; /* on_start came, neither ENDED nor on_stop */
};

/* An upload of |length| bytes or AIF_H1_CHUNKED. Allocates nothing. */
void aif_upload_init(aif_upload *u, const aif_upload_cbs *cbs, void *user,
                     int64_t length);

/* Frees what it holds; only before the start or after on_end. */
void aif_upload_fini(aif_upload *u);

/* In OPEN: the next |len| bytes of the body. 1: they have left; 0: on_taken
 * will come, until when they stay untouched. AIF_EINVAL with |err| if the body
 * were longer than announced; AIF_ECLOSED if the connection does not take any,
 * of which on_stop tells. In another state AIF_EINVAL. */
int aif_upload_give(aif_upload *u, const char *data, size_t len, aif_err *err);

/* The same for |len| bytes at |offset| of a file: the kernel sends them where
 * they go to a socket as they are (no TLS, not chunked), else they are read in
 * libuv's threads. The descriptor is duplicated. Never 1, unless |len| is 0.
 * What the file grows by meanwhile is not sent; if it shrinks, on_taken says
 * AIF_ETRUNCATED. */
int aif_upload_give_file(aif_upload *u, int fd, uint64_t offset, uint64_t len,
                         aif_err *err);

/* In OPEN or ENDED: the body is whole. |trailer| (may be NULL) is for chunked
 * bodies (RFC 9112 7.1.2). Results as above; AIF_EINVAL also if the body is
 * shorter than announced or a trailer may not be sent. */
int aif_upload_end(aif_upload *u, const aif_header *trailer, aif_err *err);

/* The source has failed: the fetch ends with |code|, its connection closes.
 * Harmless where nothing was asked for. */
void aif_upload_fail(aif_upload *u, int code, const aif_err *err);

/* What the connection and the fetch tell; not for owners. */
void aif_upload_attach(aif_upload *u, struct aif_conn *c, struct aif_fetch *f);
void aif_upload_continue(aif_upload *u); /* 100 has come */
void aif_upload_refuse(aif_upload *u);   /* a final head has come */
void aif_upload_stop(aif_upload *u);     /* the attempt is over */
void aif_upload_over(aif_upload *u);     /* and with it the fetch */

/* ---- between the two files of the upload -------------------------------- */

/* Whether |len| more bytes may be given: 0 or a code with |err|. */
int aif_upload_may_give(aif_upload *u, uint64_t len, aif_err *err);

/* Puts |data| between its chunk's frame, if there is one, into u->bufs. The
 * number of buffers, or a code. */
int aif_upload_frame(aif_upload *u, const char *data, size_t len);

/* Writes |count| of u->bufs, of which |piece| bytes are body. 1, 0 or
 * AIF_ECLOSED. */
int aif_upload_send(aif_upload *u, unsigned count, size_t piece);

/* A write of u->piece bytes is over, well or not. */
void aif_upload_written(aif_upload *u, int code);

/* A part of a file has left; 1 if it was the last. */
int aif_upload_file_written(aif_upload *u);
void aif_upload_file_close(aif_upload *u);

#endif
