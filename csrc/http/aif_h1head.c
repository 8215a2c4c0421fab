/* aif_h1head -- the phases of a parser up to the end of the head.
 *
 * A byte is judged when it comes, whatever way the input is cut; upcalls are
 * made between the pieces.
 */
#include "http/aif_h1state.h"

void
aif_h1head_begin(aif_h1parse *p)
{
    p->phase = AIF_H1_LEAD;
    p->no_body = 0;
    p->until_close = 0;
    p->upgrade = 0;
    aif_h1scan_next(&p->scan);
    aif_h1start_reset(&p->start);
    aif_h1field_reset(&p->field, p->limits.head, p->limits.fields,
                      p->field.section);
    aif_h1frame_reset(&p->frame);
    aif_header_reset(&p->header);
}

static size_t
step_lead(aif_h1parse *p, const char *s, size_t len)
{
    size_t n;

    switch (aif_h1scan_lead(&p->scan, s, len, &n)) {
    case AIF_SCAN_BAD:
        aif_h1state_fail(p, n, p->scan.fault);
        break;
    case AIF_SCAN_END:
        p->phase = AIF_H1_START;
        if (p->cbs->on_begin != NULL) {
            aif_h1state_upcall(p, p->cbs->on_begin(p->user, p));
        }
        break;
    case AIF_SCAN_MORE:
        break;
    }
    return n;
}

static size_t
step_start(aif_h1parse *p, const char *s, size_t len)
{
    const size_t room = p->limits.head - p->field.section;
    const size_t stop = len < room ? len : room;
    size_t n;
    const aif_scan rc = p->kind == AIF_H1_RESPONSE
                            ? aif_h1start_response(&p->start, s, stop, &n)
                            : aif_h1start_request(&p->start, s, stop, &n);

    p->field.section += n;
    if (rc == AIF_SCAN_BAD) {
        aif_h1state_fail(p, n, p->start.fault);
    }
    else if (rc == AIF_SCAN_MORE && stop < len) {
        aif_h1state_fail(p, n, AIF_H1_FAULT_SECTION);
    }
    else if (rc == AIF_SCAN_END) {
        p->phase = AIF_H1_FIELDS;
        if (p->cbs->on_start != NULL) {
            aif_h1state_upcall(p, p->cbs->on_start(p->user, p));
        }
    }
    return n;
}

/* --- The end of the head ------------------------------------------------ */

static aif_h1_fault
check_head(aif_h1parse *p)
{
    const aif_h1frame *f = &p->frame;
    const unsigned loose = p->rules & AIF_H1_ANY_CODING;

    if (f->codings > 0 && !loose
        && (p->start.major == 0
            || (p->start.major == 1 && p->start.minor == 0)))
    {
        return AIF_H1_FAULT_CODING_OLD;
    }
    if (p->kind == AIF_H1_REQUEST) {
        if (f->codings > 0 && !f->chunked && !loose) {
            return AIF_H1_FAULT_CODING;
        }
        if (p->start.connect && (f->codings > 0 || f->length > 0)) {
            return AIF_H1_FAULT_CONNECT;
        }
    }
    else if (p->start.status == 101 && !(p->rules & AIF_H1_UPGRADES)) {
        return AIF_H1_FAULT_SWITCHING;
    }
    return aif_h1state_agrees_head(p) ? AIF_H1_FAULT_NONE
                                      : AIF_H1_FAULT_AMBIGUOUS;
}

/* Decides how the body is framed (RFC 9112 6.3). */
static void
frame_body(aif_h1parse *p)
{
    const aif_h1frame *f = &p->frame;
    const int asked = f->upgrade && f->says_upgrade;
    const int status = p->start.status;

    if (p->kind == AIF_H1_REQUEST) {
        p->upgrade = p->start.connect != 0 || asked;
        p->until_close = f->codings > 0 && !f->chunked;
        p->no_body = p->start.connect != 0;
    }
    else {
        p->upgrade = status == 101 && asked;
        p->no_body =
            p->head_request || status < 200 || status == 204 || status == 304;
        p->until_close =
            !p->no_body && !f->chunked && (f->codings > 0 || f->lengths == 0);
    }
    if (p->upgrade && (p->rules & AIF_H1_UPGRADES)) {
        p->no_body = 1;
    }
    if (p->no_body) {
        p->until_close = 0;
    }
}

static void
finish_informational(aif_h1parse *p, size_t n)
{
    if (p->informational >= p->limits.informational) {
        aif_h1state_fail(p, n, AIF_H1_FAULT_INFORMATIONAL);
        return;
    }
    p->informational++;
    if (p->cbs->on_informational != NULL) {
        aif_h1state_upcall(p, p->cbs->on_informational(p->user, p));
    }
    if (p->err.code == 0) {
        aif_h1head_begin(p);
    }
}

static void
finish_head(aif_h1parse *p, size_t n)
{
    const aif_h1_fault fault = check_head(p);

    if (fault != AIF_H1_FAULT_NONE) {
        aif_h1state_fail(p, n, fault);
        return;
    }
    if (p->kind == AIF_H1_RESPONSE && p->start.status < 200
        && !(p->rules & AIF_H1_EACH_HEAD))
    {
        finish_informational(p, n);
        return;
    }
    frame_body(p);
    p->has_head = 1;
    p->head_end = p->at + n;
    aif_h1body_begin(p);
}

/* --- Fields ------------------------------------------------------------- */

void
aif_h1head_field(aif_h1parse *p, size_t i)
{
    const aif_h1field *f = &p->field;
    aif_h1_fault fault;
    int rc;

    if (!p->has_head) {
        fault = aif_h1frame_field(&p->frame, f->name, f->value, f->raw);
    }
    else {
        fault = aif_h1frame_is_framing(f->name) ? AIF_H1_FAULT_TRAILER
                                                : AIF_H1_FAULT_NONE;
    }
    if (fault != AIF_H1_FAULT_NONE) {
        aif_h1state_fail(p, i, fault);
        return;
    }
    if (p->cbs->on_field != NULL) {
        aif_h1state_upcall(p, p->cbs->on_field(p->user, f->name, f->value));
        return;
    }
    if (p->rules & AIF_H1_NO_FIELDS) {
        return;
    }
    rc = aif_header_add(p->has_head ? &p->trailer : &p->header, f->name.ptr,
                        f->name.len, f->value.ptr, f->value.len);
    if (rc < 0) {
        aif_h1state_fail(p, i, AIF_H1_FAULT_MEMORY);
    }
}

static size_t
step_fields(aif_h1parse *p, const char *s, size_t len)
{
    aif_scan rc;
    size_t at = 0;
    size_t n;

    do {
        rc = aif_h1field_next(&p->field, s + at, len - at, &n);
        at += n;
        if (rc == AIF_SCAN_END && !p->field.ended) {
            aif_h1head_field(p, at);
        }
    } while (rc == AIF_SCAN_END && !p->field.ended && p->err.code == 0);
    if (rc == AIF_SCAN_BAD) {
        aif_h1state_fail(p, at, p->field.fault);
    }
    else if (p->field.ended && p->phase == AIF_H1_FIELDS) {
        finish_head(p, at);
    }
    else if (p->field.ended) {
        aif_h1body_finish(p);
    }
    return at;
}

size_t
aif_h1head_step(aif_h1parse *p, const char *s, size_t len)
{
    switch (p->phase) {
    case AIF_H1_LEAD:
        return step_lead(p, s, len);
    case AIF_H1_START:
        return step_start(p, s, len);
    default:
        return step_fields(p, s, len);
    }
}
