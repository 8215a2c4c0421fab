/* aif_h1frame -- what the fields of a head say about the end of its message
 * (RFC 9112 6) and about the connection (RFC 9110 7.6.1).
 *
 * Owner:    embedded in aif_h1parse, which is its only user.
 */
#ifndef AIF_H1FRAME_H
#define AIF_H1FRAME_H

#include <stdint.h>

#include "http/aif_header.h"

typedef struct aif_h1frame {
    int64_t length;   /* Content-Length; 0 without one */
    unsigned lengths; /* Content-Length fields */
    unsigned codings; /* Transfer-Encoding fields */
    unsigned at;      /* the index of the one of either kind */
    unsigned chunked : 1;
    unsigned says_close : 1; /* Connection holds it */
    unsigned says_keep : 1;
} aif_h1frame;

/* Forgets everything. */
void aif_h1frame_reset(aif_h1frame *f);

/* Takes notice of a field's |name| as soon as it is whole; |at| is the index
 * that the field will have. 1 for Content-Length and Transfer-Encoding, 0 for
 * all others. *|wrong| is set to what is wrong if this is one framing field
 * too many, and else left alone. */
int aif_h1frame_name(aif_h1frame *f, aif_slice name, unsigned at,
                     const char **wrong);

/* Takes notice of the last field of |h|, now that it is whole: what the
 * Connection field says. */
void aif_h1frame_field(aif_h1frame *f, const aif_header *h);

/* Judges the framing field of the whole head |h| of an HTTP/1.|minor| message
 * and sets |length| and |chunked|. NULL, or what is wrong. */
const char *aif_h1frame_check(aif_h1frame *f, const aif_header *h, int minor);

#endif
