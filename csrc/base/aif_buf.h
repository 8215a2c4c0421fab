/* aif_buf -- growable bytes with a mandatory ceiling, and the slice.
 *
 * Owner:    embedded in the object that fills it.
 * Rule:     every buffer names its ceiling at birth; all ceilings of the core
 *           stand in the table below.
 */
#ifndef AIF_BUF_H
#define AIF_BUF_H

#include <stddef.h>
#include <stdint.h>

/* Ceilings, in bytes unless said otherwise. The head, field and trailer ones
 * are defaults that a caller may change (aif_h1parse_limits). */
#define AIF_MAX_URL (64u * 1024u)           /* one URL after quoting */
#define AIF_MAX_REQUEST_HEAD (256u * 1024u) /* request line and fields */
#define AIF_MAX_HEAD (64u * 1024u)          /* response head, 1xx included */
#define AIF_MAX_LINE 8190u                  /* status line or one field */
#define AIF_MAX_FIELDS 128u                 /* fields in a head, a count */
#define AIF_MAX_TRAILER (16u * 1024u)       /* trailer section */
#define AIF_MAX_CHUNK_LINE (4u * 1024u)     /* chunk size with extensions */
#define AIF_MAX_CHUNK_FRAMING (16u * 1024u) /* framing, plus 16 x body */
#define AIF_MAX_INFORMATIONAL 16u           /* 1xx heads before a final one */
#define AIF_MAX_LEADING_CRLF 16u            /* bytes before a status line */
#define AIF_MAX_CODINGS 5u                  /* stacked content codings */
#define AIF_MAX_HELD (512u * 1024u)         /* coded bytes that wait */
#define AIF_MAX_CIPHER (1024u * 1024u)      /* TLS records that wait */

/* Borrowed bytes; not NUL-terminated. */
typedef struct aif_slice {
    const char *ptr;
    size_t len;
} aif_slice;

typedef struct aif_buf {
    char *data; /* owned; NULL until the first byte */
    size_t len;
    size_t cap;
    size_t max; /* the ceiling for len */
} aif_buf;

/* An empty buffer that may grow to |max| bytes. Allocates nothing. */
void aif_buf_init(aif_buf *b, size_t max);
void aif_buf_fini(aif_buf *b);

/* Empties |b|; keeps its memory for reuse unless it exceeds |keep| bytes. */
void aif_buf_reset(aif_buf *b, size_t keep);

/* Makes room for |extra| more bytes at data + len. 0, AIF_ETOOBIG past the
 * ceiling (the buffer is unchanged), or AIF_ENOMEM. */
int aif_buf_reserve(aif_buf *b, size_t extra);

/* Appends. Results as aif_buf_reserve(). |data| must not point into |b|. */
int aif_buf_add(aif_buf *b, const char *data, size_t len);
int aif_buf_add_str(aif_buf *b, const char *text);
int aif_buf_add_u64(aif_buf *b, uint64_t value); /* decimal */
int aif_buf_add_hex(aif_buf *b, uint64_t value); /* lower-case hex */

/* Moves the bytes out: the caller owns the result (aif_mem_free) and |b| is
 * empty again. *|len| receives the length. NULL if nothing was stored (|b|
 * then keeps what memory it has). */
char *aif_buf_take(aif_buf *b, size_t *len);

/* Borrowed bytes of |b|, valid until it grows or is emptied. The pointer is
 * never NULL, so an empty slice of an empty buffer may go to memcpy(). */
static inline aif_slice
aif_buf_slice(const aif_buf *b, size_t from, size_t len)
{
    aif_slice s = {b->data == NULL ? "" : b->data + from, len};
    return s;
}

#endif
