/* aif_fetch_body.c -- what a fetch receives: its ceilings, its decoding, and
 * the pauses of who reads it.
 *
 * A few coded bytes can stand for gigabytes. So decoding stops when the reader
 * wants a pause, or after a while for the sake of the loop; what has come and
 * is not decoded yet is held (the fetch is |pending|), the socket is left
 * alone, and the pool goes on with it in turns of its own. A message may be
 * whole long before its body is: its connection then serves others, and the
 * fetch ends (|over|) when the last byte is decoded.
 */
#include "client/aif_fetch.h"

#include "client/aif_conn.h"
#include "client/aif_pool.h"

/* How long one fetch may decode at a time. */
#define SLICE_NS (1000u * 1000u)

/* Joins all Content-Encoding fields: a sender may split the list. */
int
aif_fetch_make_decoder(aif_fetch *f, aif_header *h)
{
    int i = aif_header_find(h, "content-encoding", 0);
    aif_buf all;
    int rc = 0;

    if (i < 0) {
        return 0;
    }
    aif_buf_init(&all, AIF_MAX_LINE);
    for (; i >= 0 && rc == 0;
         i = aif_header_find(h, "content-encoding", (unsigned)i + 1))
    {
        aif_slice v = aif_header_value(h, (unsigned)i);

        rc = aif_buf_add(&all, v.ptr, v.len);
        if (rc == 0) {
            rc = aif_buf_add_str(&all, ",");
        }
    }
    if (rc == 0) {
        rc = aif_decode_new(&f->decode, all.data, all.len, &f->err);
    }
    else {
        aif_err_set(&f->err, rc, "Content-Encoding is too long");
    }
    aif_buf_fini(&all);
    return rc;
}

/* Frees what the body of a fetch that has ended needs, unless it is on the
 * stack. */
void
aif_fetch_drop_body(aif_fetch *f)
{
    if (!aif_fetch_is_under_way(f) && !f->decoding) {
        aif_decode_free(f->decode);
        f->decode = NULL;
        aif_buf_reset(&f->held, 0);
    }
}

static int
on_plain(aif_fetch *f, const char *data, size_t len)
{
    int rc;

    if (len > f->max_body - f->received) {
        return aif_err_set(&f->err, AIF_ETOOBIG,
                           "the body is larger than the limit");
    }
    f->received += len;
    rc = f->cbs->on_body(f->user, f, data, len);
    if (rc == 0 && f->state != AIF_FETCH_BODY) {
        rc = AIF_ECANCELLED; /* The upcall has ended it: no more of it. */
    }
    return rc;
}

/* ---- decoding ----------------------------------------------------------- */

/* Queues |f|, which is pending, where it belongs. */
static void
stall(aif_fetch *f)
{
    aif_list_unlink(&f->stalled);
    if (f->paused) {
        aif_list_push_tail(&f->pool->parked, &f->stalled);
    }
    else {
        aif_list_push_tail(&f->pool->stalled, &f->stalled);
        aif_pool_stalled(f->pool);
    }
}

/* Keeps |len| bytes, or only the decoder's own rest, for later. */
static int
hold(aif_fetch *f, const char *data, size_t len)
{
    int rc = aif_buf_add(&f->held, data, len);

    if (rc < 0) {
        return aif_err_set(&f->err, rc, "no room for bytes to be decoded");
    }
    if (!f->pending) {
        f->pending = 1;
        f->phase_due = 0; /* The peer is not late while nobody reads. */
        if (f->conn != NULL) {
            aif_conn_read(f->conn, 0);
        }
    }
    stall(f);
    return 0;
}

static int
check_ratio(aif_fetch *f, size_t len)
{
    if (f->max_ratio == 0 || f->received + len <= AIF_RATIO_FLOOR
        || (f->received + len) / f->max_ratio <= f->coded)
    {
        return 0;
    }
    f->excessive = 1;
    return aif_err_set(&f->err, AIF_ETOOBIG,
                       "the body decodes to more than %u times its size",
                       f->max_ratio);
}

/* Decodes until the bytes are used up (0), or the reader wants a pause or the
 * time is over (1). *|used| of them have been taken. */
static int
decode_slice(aif_fetch *f, const char *data, size_t len, size_t *used)
{
    uint64_t due = 0, now;
    size_t step;
    aif_slice out;
    int rc;

    *used = 0;
    f->decoding = 1;
    do {
        rc = aif_decode_step(f->decode, data + *used, len - *used, &step, &out,
                             &f->err);
        *used += step;
        f->coded += step;
        if (rc >= 0 && out.len > 0) {
            int code = check_ratio(f, out.len);

            if (code == 0) {
                code = on_plain(f, out.ptr, out.len);
            }
            rc = code < 0 ? code : rc;
        }
        if (rc == 1) {
            now = uv_hrtime();
            due = due == 0 ? now + SLICE_NS : due;
            if (f->paused || now >= due) {
                break;
            }
        }
    } while (rc == 1);
    f->decoding = 0;
    aif_fetch_drop_body(f);
    return rc;
}

static int
on_coded(aif_fetch *f, const char *data, size_t len)
{
    size_t used = 0;
    int rc = 1;

    /* While others wait for their turn, this one does too: what is read in one
     * turn of the loop may belong to many. */
    if (!f->pending && !f->paused && aif_list_empty(&f->pool->stalled)) {
        rc = decode_slice(f, data, len, &used);
    }
    return rc == 1 ? hold(f, data + used, len - used) : rc;
}

int
aif_fetch_on_body(aif_fetch *f, const char *data, size_t len)
{
    int rc;

    aif_fetch_ref(f);
    f->has_body = 1;
    rc = f->decode == NULL ? on_plain(f, data, len) : on_coded(f, data, len);
    aif_fetch_unref(f);
    return rc;
}

void
aif_fetch_on_chunk(aif_fetch *f)
{
    if (f->cbs->on_chunk != NULL && f->state == AIF_FETCH_BODY && !f->pending)
    {
        f->cbs->on_chunk(f->user, f);
    }
}

/* ---- the end of the message --------------------------------------------- */

static int
tell_trailer(aif_fetch *f, aif_header *trailer)
{
    int rc = 0;

    if (trailer->count > 0 && f->cbs->on_trailer != NULL) {
        aif_fetch_ref(f);
        rc = f->cbs->on_trailer(f->user, f, trailer);
        aif_fetch_unref(f);
    }
    return rc;
}

int
aif_fetch_on_message(aif_fetch *f, aif_h1parse *p)
{
    int rc;

    if (f->pending) {
        f->over = 1;
        aif_header_take(&f->trailer, aif_h1parse_trailer(p));
        return 0;
    }
    rc = f->decode == NULL ? 0 : aif_decode_end(f->decode, &f->err);
    /* No byte at all is a whole coded body only where the framing says so. */
    if (rc == 0 && f->decode != NULL && !f->has_body
        && aif_h1parse_length(p) < 0 && !aif_h1parse_is_chunked(p))
    {
        rc = aif_err_set(&f->err, AIF_ETRUNCATED,
                         "the connection ended before the coded body");
    }
    return rc == 0 ? tell_trailer(f, aif_h1parse_trailer(p)) : rc;
}

void
aif_fetch_whole(aif_fetch *f)
{
    if (!f->over) {
        aif_fetch_end(f, 0);
    }
}

/* All that came is decoded: on with the socket, or to the end. */
static int
caught_up(aif_fetch *f)
{
    int rc;

    f->pending = 0;
    aif_list_unlink(&f->stalled);
    if (f->over) {
        rc = aif_decode_end(f->decode, &f->err);
        if (rc == 0) {
            rc = tell_trailer(f, &f->trailer);
        }
        if (rc == 0) {
            aif_fetch_end(f, 0);
        }
        return rc;
    }
    if (!f->paused && f->conn != NULL) {
        aif_fetch_limit_phase(f, AIF_LIMIT_READ, f->limits.read, uv_hrtime());
        aif_conn_read(f->conn, 1);
    }
    return 0;
}

void
aif_fetch_go_on(aif_fetch *f)
{
    size_t used;
    int rc;

    if (f->paused) {
        stall(f);
        return;
    }
    aif_fetch_ref(f);
    rc = decode_slice(f, f->held.data + f->held_at, f->held.len - f->held_at,
                      &used);
    f->held_at += used;
    if (rc == 0) {
        aif_buf_reset(&f->held, 0);
        f->held_at = 0;
        rc = caught_up(f);
    }
    else if (rc == 1) {
        stall(f);
    }
    if (rc < 0 && aif_fetch_is_under_way(f)) {
        if (f->conn != NULL) {
            aif_conn_fail(f->conn, rc, NULL);
        }
        else {
            aif_fetch_end(f, rc);
        }
    }
    aif_fetch_unref(f);
}

/* ---- what the reader wants ---------------------------------------------- */

char *
aif_fetch_space(aif_fetch *f, size_t *len)
{
    if (f->state != AIF_FETCH_BODY || f->decode != NULL
        || f->cbs->on_space == NULL)
    {
        return NULL;
    }
    return f->cbs->on_space(f->user, f, len);
}

void
aif_fetch_pause(aif_fetch *f)
{
    if (f->state == AIF_FETCH_BODY && !f->paused) {
        f->paused = 1;
        f->phase_due = 0; /* The peer is not late while nobody reads. */
        if (f->conn != NULL) {
            aif_conn_read(f->conn, 0);
        }
    }
}

void
aif_fetch_resume(aif_fetch *f)
{
    if (f->state != AIF_FETCH_BODY || !f->paused) {
        return;
    }
    f->paused = 0;
    if (f->pending) {
        stall(f);
    }
    else if (f->conn != NULL) {
        aif_fetch_limit_phase(f, AIF_LIMIT_READ, f->limits.read, uv_hrtime());
        aif_conn_read(f->conn, 1);
    }
}
