/* aif_buf -- growable bytes under a ceiling.
 *
 * Two rules: len <= max always holds, so `max - len` never wraps; and memory
 * grows by doubling, so that n appended bytes cost O(n), but is never asked
 * for beyond the ceiling.
 */
#include "base/aif_buf.h"

#include <string.h>

#include "base/aif_err.h"
#include "base/aif_mem.h"

/* Below this a buffer would be moved several times for one short line. */
#define FIRST_CAP 64u

/* Digits of 2^64 - 1. */
#define MAX_DECIMAL 20
#define MAX_HEX 16

void
aif_buf_init(aif_buf *b, size_t max)
{
    b->data = NULL;
    b->len = 0;
    b->cap = 0;
    b->max = max;
}

void
aif_buf_fini(aif_buf *b)
{
    aif_mem_free(b->data);
    b->data = NULL;
    b->len = 0;
    b->cap = 0;
}

void
aif_buf_reset(aif_buf *b, size_t keep)
{
    if (b->cap > keep) {
        aif_buf_fini(b);
    }
    b->len = 0;
}

int
aif_buf_reserve(aif_buf *b, size_t extra)
{
    size_t need, cap;
    char *data;

    if (extra > b->max - b->len) {
        return AIF_ETOOBIG;
    }
    need = b->len + extra;
    if (need <= b->cap) {
        return 0;
    }
    /* max / 2 and not cap * 2: the product could wrap. */
    cap = b->cap > b->max / 2 ? b->max : b->cap * 2;
    if (cap < FIRST_CAP) {
        cap = b->max < FIRST_CAP ? b->max : FIRST_CAP;
    }
    if (cap < need) {
        cap = need;
    }
    data = aif_mem_realloc(b->data, cap);
    if (data == NULL) {
        return AIF_ENOMEM;
    }
    b->data = data;
    b->cap = cap;
    return 0;
}

int
aif_buf_add(aif_buf *b, const char *data, size_t len)
{
    int rc;

    /* An empty piece may come as NULL, which memcpy must not see. */
    if (len == 0) {
        return 0;
    }
    rc = aif_buf_reserve(b, len);
    if (rc < 0) {
        return rc;
    }
    memcpy(b->data + b->len, data, len);
    b->len += len;
    return 0;
}

int
aif_buf_add_str(aif_buf *b, const char *text)
{
    return aif_buf_add(b, text, strlen(text));
}

int
aif_buf_add_u64(aif_buf *b, uint64_t value)
{
    char digits[MAX_DECIMAL];
    size_t at = sizeof(digits);

    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    return aif_buf_add(b, digits + at, sizeof(digits) - at);
}

int
aif_buf_add_hex(aif_buf *b, uint64_t value)
{
    static const char hex[] = "0123456789abcdef";
    char digits[MAX_HEX];
    size_t at = sizeof(digits);

    do {
        digits[--at] = hex[value & 15];
        value >>= 4;
    } while (value != 0);
    return aif_buf_add(b, digits + at, sizeof(digits) - at);
}

char *
aif_buf_take(aif_buf *b, size_t *len)
{
    char *data = b->data;

    *len = b->len;
    if (b->len == 0) {
        return NULL;
    }
    b->data = NULL;
    b->len = 0;
    b->cap = 0;
    return data;
}
