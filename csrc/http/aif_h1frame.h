/* aif_h1frame -- what the fields of a head say about the end of its message
 * (RFC 9112 6) and about the connection (RFC 9110 7.6.1, 7.8).
 *
 * Owner:    embedded in aif_h1parse, which is its only user.
 */
#ifndef AIF_H1FRAME_H
#define AIF_H1FRAME_H

#include <stdint.h>

#include "base/aif_buf.h"
#include "http/aif_h1fault.h"

#define AIF_H1FRAME_NOTE 160u

typedef struct aif_h1frame {
    int64_t length;          /* Content-Length; 0 without one */
    unsigned lengths;        /* Content-Length fields */
    unsigned codings;        /* Transfer-Encoding fields */
    unsigned rules;          /* set by the owner; enum aif_h1_rule */
    unsigned chunked : 1;    /* it is the last coding */
    unsigned coded : 1;      /* there are others */
    unsigned says_close : 1; /* Connection holds it */
    unsigned says_keep : 1;
    unsigned says_upgrade : 1;
    unsigned upgrade : 1; /* there is an Upgrade field */
    /* What a second reader is asked about: the framing fields as lines, but
     * for a length that is a plain number. */
    unsigned note_len;
    char note[AIF_H1FRAME_NOTE];
} aif_h1frame;

/* Forgets everything but the rules. */
void aif_h1frame_reset(aif_h1frame *f);

/* Takes notice of a whole field; |raw| is the value with the blanks around it.
 * What is wrong with it, or AIF_H1_FAULT_NONE. */
aif_h1_fault aif_h1frame_field(aif_h1frame *f, aif_slice name, aif_slice value,
                               aif_slice raw);

/* 1 if |name| is one of the fields that frame a message. */
int aif_h1frame_is_framing(aif_slice name);

#endif
