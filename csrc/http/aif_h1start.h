/* aif_h1start -- the first line of an HTTP/1 message (RFC 9112 3, 4), judged
 * byte by byte as it comes, so that a peer which speaks something else is
 * found out at once.
 *
 * Owner:    embedded in aif_h1parse, which is its only user.
 * Rule:     whatever way the input is cut, the same byte is refused for the
 *           same reason.
 *
 * The functions that take |s| and |len| behave as those of aif_h1scan.
 */
#ifndef AIF_H1START_H
#define AIF_H1START_H

#include "http/aif_h1scan.h"

#define AIF_H1START_STATUS 13u /* bytes of a status line up to the reason */

typedef struct aif_h1start {
    aif_buf text; /* the line so far, without its end */
    unsigned char state;
    unsigned char at;      /* how many bytes of the version were there */
    unsigned char connect; /* the method is CONNECT */
    unsigned char major;   /* of the version, once the line is whole */
    unsigned char minor;
    unsigned rules;      /* set by the owner; enum aif_h1_rule */
    uint32_t method_len; /* a request's, in |text| */
    uint32_t target_len; /* one byte behind the method */
    int status;          /* a response's, once the line is whole */
    aif_h1_fault fault;
} aif_h1start;

/* |line_max| is the ceiling for a line without its end. Allocates nothing. */
void aif_h1start_init(aif_h1start *st, size_t line_max);
void aif_h1start_fini(aif_h1start *st);
/* Ready for the next line; |rules| and some memory stay. */
void aif_h1start_reset(aif_h1start *st);

/* A request line with its end. The method is any token, or one that is known
 * (AIF_H1_METHODS); the target is visible ASCII in one of its four forms. */
aif_scan aif_h1start_request(aif_h1start *st, const char *s, size_t len,
                             size_t *n);

/* A status line with its end. */
aif_scan aif_h1start_response(aif_h1start *st, const char *s, size_t len,
                              size_t *n);

/* Slices of a whole line, borrowed until the reset; empty before. */
static inline aif_slice
aif_h1start_method(const aif_h1start *st)
{
    return aif_buf_slice(&st->text, 0, st->method_len);
}

static inline aif_slice
aif_h1start_target(const aif_h1start *st)
{
    return aif_buf_slice(&st->text,
                         st->target_len > 0 ? st->method_len + 1u : 0,
                         st->target_len);
}

static inline aif_slice
aif_h1start_reason(const aif_h1start *st)
{
    const size_t from = AIF_H1START_STATUS;
    const int some = st->status != 0 && st->text.len > from;

    return aif_buf_slice(&st->text, some ? from : 0,
                         some ? st->text.len - from : 0);
}

#endif
