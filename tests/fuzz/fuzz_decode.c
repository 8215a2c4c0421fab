/* Fuzzes aif_decode: whole or in pieces, the verdict is the same, and so are
 * the bytes of a body that is whole.
 *
 * Input: the list of codings, a seed for the cuts, then the coded body.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/aif_mem.h"
#include "http/aif_decode.h"

#define MOST (256u * 1024u) /* decoded bytes for one input */

typedef struct reading {
    uint64_t hash;
    uint64_t total;
    int code;
} reading;

static const char *const lists[] = {
    "gzip",       "deflate",       "br",
    "zstd",       "gzip, br",      "zstd,gzip",
    "br,deflate", "deflate, zstd", "gzip,gzip,gzip,gzip,gzip",
};

static void
must(int condition)
{
    if (!condition) {
        abort();
    }
}

/* All of |len| bytes, step by step. */
static int
feed(aif_decode *d, const char *data, size_t len, reading *r, aif_err *err)
{
    aif_slice out;
    size_t used, i;
    int rc;

    do {
        rc = aif_decode_step(d, data, len, &used, &out, err);
        must(used <= len && out.len <= AIF_DECODE_STEP);
        data += used;
        len -= used;
        for (i = 0; i < out.len; i++) {
            r->hash = (r->hash ^ (unsigned char)out.ptr[i])
                      * UINT64_C(1099511628211);
        }
        r->total += out.len;
        if (r->total > MOST) {
            return AIF_ETOOBIG;
        }
    } while (rc == 1);
    must(rc < 0 || len == 0);
    return rc;
}

static void
read_all(reading *r, const char *list, const uint8_t *data, size_t len,
         uint32_t seed)
{
    aif_decode *d = NULL;
    size_t at = 0;
    size_t n = len;
    aif_err err;
    char *copy;

    must(aif_decode_new(&d, list, strlen(list), &err) == 0 && d != NULL);
    while (r->code == 0 && at < len) {
        if (seed != 0) {
            seed = seed * 1664525u + 1013904223u;
            n = 1 + (seed >> 20) % 32;
        }
        n = n < len - at ? n : len - at;
        copy = malloc(n);
        must(copy != NULL);
        memcpy(copy, data + at, n);
        r->code = feed(d, copy, n, r, &err);
        free(copy);
        at += n;
    }
    if (r->code == 0) {
        r->code = aif_decode_end(d, &err);
    }
    else if (r->code != AIF_ETOOBIG) {
        must(aif_decode_end(d, NULL) == r->code);
    }
    must(r->code == 0 || r->code == AIF_EDECODE || r->code == AIF_ETRUNCATED
         || r->code == AIF_ETOOBIG);
    must(r->code == 0 || r->code == AIF_ETOOBIG || err.text[0] != '\0');
    aif_decode_free(d);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    reading whole = {0, 0, 0};
    reading cut = {0, 0, 0};
    const char *list;

    if (size < 2) {
        return 0;
    }
    list = lists[data[0] % (sizeof(lists) / sizeof(lists[0]))];
    read_all(&whole, list, data + 2, size - 2, 0);
    read_all(&cut, list, data + 2, size - 2, data[1] + 1u);
    /* Where the fuzzer gives up depends on the cuts. */
    if (whole.code != AIF_ETOOBIG && cut.code != AIF_ETOOBIG) {
        must(whole.code == cut.code);
        must(whole.code != 0
             || (whole.hash == cut.hash && whole.total == cut.total));
    }
    must(aif_mem_live() == 0);
    return 0;
}
