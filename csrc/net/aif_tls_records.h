/* aif_tls_records -- which TLS records are whole, told by their headers alone
 * (RFC 8446 5.1). Header only.
 */
#ifndef AIF_TLS_RECORDS_H
#define AIF_TLS_RECORDS_H

#include <stddef.h>
#include <stdint.h>

#define AIF_TLS_HEADER 5u
#define AIF_TLS_RECORD (16384u + 2048u) /* RFC 5246 6.2.3, the longer one */

typedef struct aif_tls_records {
    unsigned whole;  /* records that have come whole; the owner's to lower */
    size_t head_len; /* bytes of a header seen */
    size_t left;     /* bytes of the present record to come */
    unsigned char head[AIF_TLS_HEADER];
} aif_tls_records;

/* The length that the header at |head| states; 0 where no record begins so. To
 * wait for that many bytes would hide the error that OpenSSL finds at once. A
 * record of no bytes is one of these: no version of TLS sends it. */
static inline size_t
aif_tls_record_length(const unsigned char *head)
{
    size_t len = ((size_t)head[3] << 8) | head[4];

    if (head[0] < 20 || head[0] > 24 || head[1] != 3 || len > AIF_TLS_RECORD) {
        return 0;
    }
    return len;
}

/* Counts the records that |data| makes whole. */
static inline void
aif_tls_records_follow(aif_tls_records *r, const unsigned char *data,
                       size_t len)
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
        if (r->head_len == AIF_TLS_HEADER) {
            r->head_len = 0;
            r->left = aif_tls_record_length(r->head);
            if (r->left == 0) {
                r->left = SIZE_MAX; /* All the rest is rubbish. */
                r->whole++;
            }
        }
    }
}

/* 1 if a record has begun to come and is not whole. */
static inline int
aif_tls_records_is_inside(const aif_tls_records *r)
{
    return r->head_len > 0 || r->left > 0;
}

#endif
