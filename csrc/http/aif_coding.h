/* aif_coding -- the content codings one by one: gzip, deflate, br, zstd as
 * filters that aif_decode puts in a row.
 *
 * Owner:    aif_decode, which embeds the filters and owns their buffers.
 * Rule:     a turn does bounded work: it stops when its input is used up or
 *           its buffer is full.
 */
#ifndef AIF_CODING_H
#define AIF_CODING_H

#include <brotli/decode.h>
#include <stddef.h>
#include <stdint.h>
#include <zlib.h>
#include <zstd.h>

#define AIF_ZSTD_HEADER 18u /* of a frame, at most (RFC 8878 3.1.1.1) */

/* What one turn of a filter came to. */
typedef enum aif_turn {
    AIF_TURN_MORE, /* call again if there is input left or the buffer is
                      full */
    AIF_TURN_END,  /* the coding has ended */
    AIF_TURN_FAIL  /* |code| and |text| of the filter say why */
} aif_turn;

typedef struct aif_filter aif_filter;

typedef struct aif_coding {
    const char *name;
    int (*open)(aif_filter *f); /* 0 or AIF_ENOMEM */
    /* Decodes from |in| to |buf| behind |out_len|; advances all of them. */
    aif_turn (*turn)(aif_filter *f);
    void (*close)(aif_filter *f); /* after open() succeeded */
    unsigned has_members : 1;     /* another one may follow its end */
} aif_coding;

struct aif_filter {
    const aif_coding *coding;
    union {
        z_stream z;
        BrotliDecoderState *br;
        struct {
            ZSTD_DCtx *ctx;
            uint64_t given; /* bytes of the present frame's content */
            size_t head_len;
            unsigned char head[AIF_ZSTD_HEADER];
        } zstd;
    } u;
    const unsigned char *in; /* borrowed; what is not decoded yet */
    size_t in_len;
    unsigned char *buf; /* owned by the row */
    size_t cap;
    size_t out_len; /* bytes in |buf| */
    unsigned empty; /* members that gave nothing */
    int code;
    const char *text;
    unsigned open : 1;
    unsigned more : 1;     /* the buffer was full: there may be more inside */
    unsigned ended : 1;    /* stands behind the end of a member */
    unsigned gave : 1;     /* the present member has given output */
    unsigned chosen : 1;   /* deflate: zlib or raw is known */
    unsigned has_held : 1; /* deflate: |held| waits for its second byte */
    unsigned char held;
};

/* The coding of that name in any case, "x-gzip" included; NULL if there is
 * none. Static. */
const aif_coding *aif_coding_find(const char *name, size_t len);

/* All of them as a value of Accept-Encoding. Static. */
const char *aif_coding_accept(void);

/* Notes why a turn failed; |text| is static. AIF_TURN_FAIL. */
aif_turn aif_coding_refuse(aif_filter *f, int code, const char *text);

#endif
