/* aif_h1body -- the phases of a parser behind the head.
 *
 * Body bytes are counted and passed on, never looked at.
 */
#include "http/aif_h1state.h"

void
aif_h1body_finish(aif_h1parse *p)
{
    if (p->frame.chunked && !p->no_body && p->cbs->on_chunk_end != NULL) {
        aif_h1state_upcall(p, p->cbs->on_chunk_end(p->user, p));
        if (p->err.code != 0) {
            return;
        }
    }
    p->phase = AIF_H1_DONE;
    if (p->cbs->on_message != NULL) {
        aif_h1state_upcall(p, p->cbs->on_message(p->user, p));
    }
}

void
aif_h1body_begin(aif_h1parse *p)
{
    p->left = p->no_body ? 0 : (uint64_t)p->frame.length;
    aif_h1scan_next(&p->scan);
    if (p->until_close) {
        p->phase = AIF_H1_CLOSE;
    }
    else if (p->frame.chunked && !p->no_body) {
        p->phase = AIF_H1_SIZE;
    }
    else {
        p->phase = AIF_H1_LENGTH;
    }
    if (p->cbs->on_head != NULL) {
        aif_h1state_upcall(p, p->cbs->on_head(p->user, p));
    }
    if (p->err.code == 0 && p->phase == AIF_H1_LENGTH && p->left == 0) {
        aif_h1body_finish(p);
    }
}

static size_t
step_data(aif_h1parse *p, const char *s, size_t len)
{
    size_t n = len;

    if (p->phase != AIF_H1_CLOSE && n > p->left) {
        n = (size_t)p->left;
    }
    if (p->cbs->on_body != NULL) {
        aif_h1state_upcall(p, p->cbs->on_body(p->user, s, n));
    }
    if (p->err.code != 0 || p->phase == AIF_H1_CLOSE) {
        return n;
    }
    p->left -= n;
    if (p->phase == AIF_H1_DATA) {
        aif_h1scan_earn(&p->scan, n);
    }
    if (p->left == 0 && p->phase == AIF_H1_DATA) {
        p->phase = AIF_H1_CRLF;
        aif_h1scan_next(&p->scan);
        if (p->cbs->on_chunk != NULL) {
            aif_h1state_upcall(p, p->cbs->on_chunk(p->user));
        }
    }
    else if (p->left == 0) {
        aif_h1body_finish(p);
    }
    return n;
}

/* Nobody reads chunk extensions (RFC 9112 7.1.1); the size is all of the line
 * that counts. */
static void
finish_size(aif_h1parse *p, size_t n)
{
    if (!aif_h1state_agrees_size(p)) {
        aif_h1state_fail(p, n, AIF_H1_FAULT_SIZE_AMBIGUOUS);
        return;
    }
    p->left = p->scan.size;
    if (p->left > 0) {
        p->phase = AIF_H1_DATA;
    }
    else {
        p->phase = AIF_H1_TRAILER;
        aif_h1field_reset(&p->field, p->limits.trailer, p->limits.fields, 0);
    }
    if (p->cbs->on_size != NULL) {
        aif_h1state_upcall(p, p->cbs->on_size(p->user, p));
    }
}

static size_t
step_size(aif_h1parse *p, const char *s, size_t len)
{
    size_t n;

    switch (aif_h1scan_size(&p->scan, s, len, p->limits.chunk_line, &n)) {
    case AIF_SCAN_BAD:
        aif_h1state_fail(p, n, p->scan.fault);
        break;
    case AIF_SCAN_END:
        finish_size(p, n);
        break;
    case AIF_SCAN_MORE:
        break;
    }
    return n;
}

static size_t
step_crlf(aif_h1parse *p, const char *s, size_t len)
{
    size_t n;

    switch (aif_h1scan_crlf(&p->scan, s, len, &n)) {
    case AIF_SCAN_BAD:
        aif_h1state_fail(p, n, p->scan.fault);
        break;
    case AIF_SCAN_END:
        p->phase = AIF_H1_SIZE;
        aif_h1scan_next(&p->scan);
        if (p->cbs->on_chunk_end != NULL) {
            aif_h1state_upcall(p, p->cbs->on_chunk_end(p->user, p));
        }
        break;
    case AIF_SCAN_MORE:
        break;
    }
    return n;
}

size_t
aif_h1body_step(aif_h1parse *p, const char *s, size_t len)
{
    switch (p->phase) {
    case AIF_H1_SIZE:
        return step_size(p, s, len);
    case AIF_H1_CRLF:
        return step_crlf(p, s, len);
    default:
        return step_data(p, s, len);
    }
}
