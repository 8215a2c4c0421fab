/* aif_header -- a list of header fields in one arena of bytes.
 *
 * Fields are offsets into the arena, so growing never invalidates them and no
 * field has an allocation of its own. Order and repeats are kept as received.
 *
 * Owner:    embedded; aif_header_fini() releases it, aif_header_take() moves
 *           it.
 */
#ifndef AIF_HEADER_H
#define AIF_HEADER_H

#include <stdint.h>

#include "base/aif_buf.h"

typedef struct aif_field {
    uint32_t name_off, name_len;
    uint32_t value_off, value_len;
} aif_field;

typedef struct aif_header {
    aif_buf bytes;
    aif_field *fields; /* owned */
    unsigned count;
    unsigned cap;
    unsigned max_fields;
    unsigned in_value : 1; /* the open field has reached its value */
    unsigned open : 1;     /* aif_header_add_name() without an end yet */
} aif_header;

/* An empty list that may grow to |max_bytes| of names and values (at most
 * UINT32_MAX, the reach of an offset) and to |max_fields| fields. Allocates
 * nothing. */
void aif_header_init(aif_header *h, size_t max_bytes, unsigned max_fields);

/* Other ceilings for what is added from now on. */
void aif_header_limit(aif_header *h, size_t max_bytes, unsigned max_fields);
void aif_header_fini(aif_header *h);
/* Empties the list and keeps its memory (up to 16 KiB of bytes). */
void aif_header_reset(aif_header *h);

/* Moves all of |src| to |dst|, which must be empty of memory (init or fini);
 * |src| stays usable and empty, with the same ceilings. A field that has not
 * ended is dropped. */
void aif_header_take(aif_header *dst, aif_header *src);

/* Appends a field, copied. 0, AIF_ETOOBIG (bytes or count), AIF_ENOMEM. */
int aif_header_add(aif_header *h, const char *name, size_t name_len,
                   const char *value, size_t value_len);

/* The same piece by piece, for a parser: any number of name pieces, then any
 * number of value pieces, then the end, which trims blanks around the value
 * (RFC 9112 5.1). Results as aif_header_add(). A field is counted and can be
 * found from its end on. After a failure the list may only be reset, taken or
 * released; a call out of order (a value without a name, a whole field inside
 * an open one) is AIF_EINVAL and changes nothing. */
int aif_header_add_name(aif_header *h, const char *data, size_t len);
int aif_header_add_value(aif_header *h, const char *data, size_t len);
int aif_header_end_field(aif_header *h);

static inline aif_slice
aif_header_name(const aif_header *h, unsigned i)
{
    return aif_buf_slice(&h->bytes, h->fields[i].name_off,
                         h->fields[i].name_len);
}

static inline aif_slice
aif_header_value(const aif_header *h, unsigned i)
{
    return aif_buf_slice(&h->bytes, h->fields[i].value_off,
                         h->fields[i].value_len);
}

/* The index of the first field called |name| (NUL-terminated, compared without
 * regard to case) at or after |from|; -1 if there is none. */
int aif_header_find(const aif_header *h, const char *name, unsigned from);

/* 1 if any field called |name| has |token| in its comma-separated list. */
int aif_header_has_token(const aif_header *h, const char *name,
                         const char *token);

#endif
