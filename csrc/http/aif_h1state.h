/* aif_h1state -- the parts of a parser, for the files that make it up:
 * aif_h1parse (birth, feeding, the second reader), aif_h1head and aif_h1body.
 *
 *     LEAD -> START -> FIELDS -+-> LENGTH -----------------------+-> DONE
 *      ^                 |     +-> CLOSE (until eof) ------------+
 *      +---- 1xx --------+     +-> SIZE -> DATA -> CRLF -> SIZE  |
 *                        |          +-> TRAILER -----------------+
 *                        +---------- no body --------------------+
 */
#ifndef AIF_H1STATE_H
#define AIF_H1STATE_H

#include "http/aif_h1field.h"
#include "http/aif_h1frame.h"
#include "http/aif_h1parse.h"
#include "http/aif_h1scan.h"
#include "http/aif_h1start.h"

typedef enum aif_h1_phase {
    AIF_H1_LEAD,    /* empty lines before a start line */
    AIF_H1_START,   /* the start line */
    AIF_H1_FIELDS,  /* field lines up to the empty one */
    AIF_H1_LENGTH,  /* a body of |left| bytes */
    AIF_H1_CLOSE,   /* a body until the stream ends */
    AIF_H1_SIZE,    /* a chunk-size line */
    AIF_H1_DATA,    /* |left| bytes of a chunk */
    AIF_H1_CRLF,    /* the end of a chunk's data */
    AIF_H1_TRAILER, /* field lines after the last chunk */
    AIF_H1_DONE
} aif_h1_phase;

struct aif_h1parse {
    const aif_h1parse_cbs *cbs; /* borrowed */
    void *user;
    aif_h1parse_limits limits; /* with the defaults filled in */
    aif_h1parse_limits asked;
    aif_h1_kind kind;
    unsigned rules;

    aif_h1_phase phase;
    aif_h1scan scan;
    aif_h1start start;
    aif_h1field field;
    aif_h1frame frame;
    uint64_t at;       /* bytes of this message so far */
    uint64_t head_end; /* where its body begins */
    uint64_t left;     /* bytes to come of the body or chunk */
    unsigned informational;

    aif_header header;
    aif_header trailer;
    aif_h1_fault fault; /* what is wrong, if the bytes are */
    aif_err err;        /* a code in it is final */

    unsigned head_request : 1;
    unsigned started : 1;
    unsigned has_head : 1;
    unsigned no_body : 1;
    unsigned until_close : 1;
    unsigned upgrade : 1;
};

/* The first failure stays; |i| is relative to the bytes of this step. */
void aif_h1state_fail(aif_h1parse *p, size_t i, aif_h1_fault fault);

/* Notes what an upcall returned. */
static inline void
aif_h1state_upcall(aif_h1parse *p, int rc)
{
    if (rc < 0) {
        (void)aif_err_set(&p->err, rc, "an upcall ended the message");
    }
}

/* Whether the second reader agrees with |frame|, or with the size of the chunk
 * whose line was read. */
int aif_h1state_agrees_head(aif_h1parse *p);
int aif_h1state_agrees_size(aif_h1parse *p);

/* Makes ready for a head: the message's first, or the next after a 1xx. What
 * is counted over all heads of a message is left alone. */
void aif_h1head_begin(aif_h1parse *p);

/* Each takes a piece of |s| in the phases of its name and tells how long it
 * was. */
size_t aif_h1head_step(aif_h1parse *p, const char *s, size_t len);
size_t aif_h1body_step(aif_h1parse *p, const char *s, size_t len);

/* The field that p->field has just come to the end of. */
void aif_h1head_field(aif_h1parse *p, size_t i);

/* The head is whole: on to what follows it. */
void aif_h1body_begin(aif_h1parse *p);

/* The message is whole. */
void aif_h1body_finish(aif_h1parse *p);

#endif
