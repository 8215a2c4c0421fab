/* py_tls_records -- which TLS records are whole, told by their headers alone
 * (RFC 8446 5.1). Header only.
 */
#ifndef PY_TLS_RECORDS_H
#define PY_TLS_RECORDS_H

#include <stddef.h>
#include <stdint.h>

#define TLS_RECORD_HEADER 5u
#define TLS_RECORD_MAX (16384u + 2048u) /* RFC 5246 6.2.3, the longer one */

typedef struct tls_records {
    unsigned whole;  /* records that have come whole; the owner's to lower */
    size_t head_len; /* bytes of a header seen */
    size_t left;     /* bytes of the present record to come */
    unsigned char head[TLS_RECORD_HEADER];
} tls_records;

/* A header that no record has. Its length means nothing: to wait for that many
 * bytes would hide the error that OpenSSL finds in it at once. */
static inline int
tls_records_is_broken(const unsigned char *head, size_t len)
{
    return head[0] < 20 || head[0] > 24 || head[1] != 3
           || len > TLS_RECORD_MAX;
}

/* Counts the records that |data| makes whole. */
static inline void
tls_records_follow(tls_records *r, const unsigned char *data, size_t len)
{
    while (len > 0) {
        if (r->left > 0) {
            size_t n = r->left < len ? r->left : len;

            r->left -= n;
            data += n;
            len -= n;
            r->whole += r->left == 0;
            continue;
        }
        r->head[r->head_len++] = *data++;
        len--;
        if (r->head_len == TLS_RECORD_HEADER) {
            r->head_len = 0;
            r->left = ((size_t)r->head[3] << 8) | r->head[4];
            if (tls_records_is_broken(r->head, r->left)) {
                r->left = SIZE_MAX; /* All the rest is rubbish. */
                r->whole++;
            }
            r->whole += r->left == 0;
        }
    }
}

/* 1 if a record has begun to come and is not whole. */
static inline int
tls_records_is_inside(const tls_records *r)
{
    return r->head_len > 0 || r->left > 0;
}

#endif
