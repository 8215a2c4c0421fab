/* aif_decode -- content codings undone, one filter behind the other.
 *
 * A decoder is a row of filters in the order in which they are undone, the
 * last coding of the header first. What a filter gives goes to the next one
 * before it is asked for more, so that nothing ever waits for memory: a bomb
 * costs time in steps that the sink may end, and one buffer for each filter.
 *
 * Rules: every turn of a filter takes input or gives output, or its loop ends;
 * and members (gzip, zstd frames) that give nothing are counted, because there
 * can be one for every few bytes of input.
 *
 * All memory comes from aif_mem but for zstd's: its hooks belong to the part
 * of its interface that a shared library does not promise.
 */
#include "http/aif_decode.h"

#include <brotli/decode.h>
#include <stdint.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "base/aif_ascii.h"
#include "base/aif_buf.h"
#include "base/aif_mem.h"

/* What a filter hands to the next one at a time; the last one's buffer, which
 * the sink sees, has AIF_DECODE_STEP. */
#define INNER_STEP (16u * 1024u)

/* gzip members or zstd frames without content in one body. */
#define MAX_EMPTY_MEMBERS 1000u

/* 8 MiB: what a browser has to offer, and may not go beyond (RFC 9659). */
#define ZSTD_WINDOW_LOG 23

#define ZSTD_HEADER 18u /* of a frame, at most (RFC 8878 3.1.1.1) */

#define GZIP_WINDOW (15 + 16) /* for inflateInit2(): a gzip wrapper only */

/* What one turn of a filter came to. */
enum turn {
    TURN_MORE, /* call again if there is input left or the buffer is full */
    TURN_END,  /* the coding has ended */
    TURN_FAIL  /* |code| and |text| of the filter say why */
};

typedef struct filter filter;

typedef struct coding {
    const char *name;
    int (*open)(filter *f); /* 0 or AIF_ENOMEM */
    /* Decodes from |in| to |out|; advances both. */
    enum turn (*turn)(filter *f);
    void (*close)(filter *f); /* after open() succeeded */
    unsigned has_members : 1; /* another one may follow its end */
} coding;

struct filter {
    const coding *coding;
    union {
        z_stream z;
        BrotliDecoderState *br;
        struct {
            ZSTD_DCtx *ctx;
            uint64_t given; /* bytes of the present frame's content */
            size_t head_len;
            unsigned char head[ZSTD_HEADER];
        } zstd;
    } u;
    const unsigned char *in;
    size_t in_len;
    unsigned char *buf; /* owned */
    size_t cap;
    size_t out_len; /* bytes in |buf| */
    unsigned empty; /* members that gave nothing */
    int code;
    const char *text;
    unsigned open : 1;
    unsigned ended : 1;    /* stands behind the end of a member */
    unsigned gave : 1;     /* the present member has given output */
    unsigned chosen : 1;   /* deflate: zlib or raw is known */
    unsigned has_held : 1; /* deflate: |held| waits for its second byte */
    unsigned char held;
};

struct aif_decode {
    unsigned count;
    unsigned fed : 1;
    int code; /* final once it is not 0 */
    filter filters[AIF_MAX_CODINGS];
};

static enum turn
refuse(filter *f, int code, const char *text)
{
    f->code = code;
    f->text = text;
    return TURN_FAIL;
}

/* --- gzip and deflate --------------------------------------------------- */

static void *
zlib_alloc(void *user, uInt items, uInt size)
{
    (void)user;
    if (size != 0 && items > SIZE_MAX / size) {
        return NULL;
    }
    return aif_mem_alloc((size_t)items * size);
}

static void
zlib_free(void *user, void *ptr)
{
    (void)user;
    aif_mem_free(ptr);
}

static int
zlib_open(filter *f, int window)
{
    memset(&f->u.z, 0, sizeof(f->u.z));
    f->u.z.zalloc = zlib_alloc;
    f->u.z.zfree = zlib_free;
    return inflateInit2(&f->u.z, window) == Z_OK ? 0 : AIF_ENOMEM;
}

static int
gzip_open(filter *f)
{
    return zlib_open(f, GZIP_WINDOW);
}

/* Raw, until the first two bytes have told. */
static int
deflate_open(filter *f)
{
    return zlib_open(f, -MAX_WBITS);
}

static void
zlib_close(filter *f)
{
    (void)inflateEnd(&f->u.z);
}

static enum turn
zlib_turn(filter *f)
{
    z_stream *z = &f->u.z;
    const size_t room = f->cap - f->out_len;
    const uInt in = f->in_len < UINT32_MAX ? (uInt)f->in_len : UINT32_MAX;
    int rc;

    z->next_in = (z_const Bytef *)f->in;
    z->avail_in = in;
    z->next_out = f->buf + f->out_len;
    z->avail_out = (uInt)room;
    rc = inflate(z, Z_NO_FLUSH);
    f->in += in - z->avail_in;
    f->in_len -= in - z->avail_in;
    f->out_len += room - z->avail_out;
    switch (rc) {
    case Z_OK:
    case Z_BUF_ERROR: /* nothing to do without more input */
        return TURN_MORE;
    case Z_STREAM_END:
        /* Ready for a next member; reset cannot fail on a sound stream. */
        (void)inflateReset(z);
        return TURN_END;
    case Z_MEM_ERROR:
        return refuse(f, AIF_ENOMEM, "no memory to decode");
    default:
        return refuse(f, AIF_EDECODE, z->msg != NULL ? z->msg : "bad stream");
    }
}

/* A zlib header (RFC 1950 2.2): method 8, a window that exists, and a check
 * that a raw stream passes once in thirty-one times; but a raw stream whose
 * first byte has 8 in its low half opens with a stored block and a length
 * that senders of "deflate" do not produce. */
static int
is_zlib_header(unsigned char a, unsigned char b)
{
    return (a & 0x0f) == 8 && a >> 4 <= 7 && ((a << 8) | b) % 31 == 0;
}

static enum turn
deflate_turn(filter *f)
{
    const unsigned char *in;
    enum turn rc;
    size_t len;

    if (f->chosen) {
        return zlib_turn(f);
    }
    if (!f->has_held) {
        f->held = *f->in++;
        f->in_len--;
        f->has_held = 1;
        return TURN_MORE;
    }
    f->chosen = 1;
    if (is_zlib_header(f->held, *f->in)
        && inflateReset2(&f->u.z, MAX_WBITS) != Z_OK)
    {
        return refuse(f, AIF_ENOMEM, "no memory to decode");
    }
    /* The byte kept back goes first; it ends nothing and gives nothing. */
    in = f->in;
    len = f->in_len;
    f->in = &f->held;
    f->in_len = 1;
    rc = zlib_turn(f);
    f->in = in;
    f->in_len = len;
    return rc == TURN_MORE ? zlib_turn(f) : rc;
}

/* --- br ----------------------------------------------------------------- */

static void *
brotli_alloc(void *user, size_t size)
{
    (void)user;
    return aif_mem_alloc(size);
}

static void
brotli_free(void *user, void *ptr)
{
    (void)user;
    aif_mem_free(ptr);
}

static int
brotli_open(filter *f)
{
    f->u.br = BrotliDecoderCreateInstance(brotli_alloc, brotli_free, NULL);
    return f->u.br != NULL ? 0 : AIF_ENOMEM;
}

static void
brotli_close(filter *f)
{
    BrotliDecoderDestroyInstance(f->u.br);
}

static enum turn
brotli_turn(filter *f)
{
    unsigned char *out = f->buf + f->out_len;
    size_t room = f->cap - f->out_len;
    BrotliDecoderErrorCode code;
    BrotliDecoderResult rc;

    rc = BrotliDecoderDecompressStream(f->u.br, &f->in_len, &f->in, &room,
                                       &out, NULL);
    f->out_len = f->cap - room;
    if (rc == BROTLI_DECODER_RESULT_SUCCESS) {
        return TURN_END;
    }
    if (rc != BROTLI_DECODER_RESULT_ERROR) {
        return TURN_MORE;
    }
    code = BrotliDecoderGetErrorCode(f->u.br);
    if (code <= BROTLI_DECODER_ERROR_ALLOC_CONTEXT_MODES
        && code >= BROTLI_DECODER_ERROR_ALLOC_BLOCK_TYPE_TREES)
    {
        return refuse(f, AIF_ENOMEM, "no memory to decode");
    }
    return refuse(f, AIF_EDECODE, BrotliDecoderErrorString(code));
}

/* --- zstd --------------------------------------------------------------- */

static int
zstd_open(filter *f)
{
    size_t rc;

    f->u.zstd.given = 0;
    f->u.zstd.head_len = 0;
    f->u.zstd.ctx = ZSTD_createDCtx();
    if (f->u.zstd.ctx == NULL) {
        return AIF_ENOMEM;
    }
    rc = ZSTD_DCtx_setParameter(f->u.zstd.ctx, ZSTD_d_windowLogMax,
                                ZSTD_WINDOW_LOG);
    if (ZSTD_isError(rc)) {
        (void)ZSTD_freeDCtx(f->u.zstd.ctx);
        return AIF_ENOMEM;
    }
    return 0;
}

static void
zstd_close(filter *f)
{
    (void)ZSTD_freeDCtx(f->u.zstd.ctx);
}

/* In a stream libzstd may pass over the length that a frame's header announces
 * (1.5.4 does when the last block is empty). So the header is kept, and asked
 * at the end. */
static enum turn
zstd_frame_end(filter *f)
{
    const unsigned long long size =
        ZSTD_getFrameContentSize(f->u.zstd.head, f->u.zstd.head_len);
    const uint64_t given = f->u.zstd.given;

    f->u.zstd.given = 0;
    f->u.zstd.head_len = 0;
    if (size != ZSTD_CONTENTSIZE_UNKNOWN && size != ZSTD_CONTENTSIZE_ERROR
        && size != given)
    {
        return refuse(f, AIF_EDECODE, "the content is not as long as it says");
    }
    return TURN_END;
}

/* 1 if |c| may be byte |i| < 4 of a frame that begins with |first|: a zstd
 * frame or one to skip (RFC 8878 3.1). */
static int
is_zstd_magic(size_t i, unsigned char first, unsigned char c)
{
    static const unsigned char frame[] = {0x28, 0xb5, 0x2f, 0xfd};
    static const unsigned char skip[] = {0x50, 0x2a, 0x4d, 0x18};

    if (i == 0) {
        return c == frame[0] || (c & 0xf0) == skip[0];
    }
    return c == (first == frame[0] ? frame[i] : skip[i]);
}

/* What a frame begins with is judged here and passed on byte by byte, so that
 * the verdict does not depend on how the bytes arrive. libzstd would take a
 * frame that lies in one piece before it another way, which refuses other
 * frames; and a build of it may know formats from before the standard. */
static enum turn
zstd_turn(filter *f)
{
    ZSTD_inBuffer in = {f->in, f->in_len, 0};
    ZSTD_outBuffer out = {f->buf, f->cap, f->out_len};
    size_t at = f->u.zstd.head_len;
    size_t rc;

    if (at < 4 && in.size > 0) {
        if (!is_zstd_magic(at, f->u.zstd.head[0], *f->in)) {
            return refuse(f, AIF_EDECODE, "not a zstd frame");
        }
        in.size = 1;
    }
    rc = ZSTD_decompressStream(f->u.zstd.ctx, &out, &in);
    while (at < ZSTD_HEADER && at - f->u.zstd.head_len < in.pos) {
        f->u.zstd.head[at] = f->in[at - f->u.zstd.head_len];
        at++;
    }
    f->u.zstd.head_len = at;
    f->u.zstd.given += out.pos - f->out_len;
    f->in += in.pos;
    f->in_len -= in.pos;
    f->out_len = out.pos;
    if (!ZSTD_isError(rc)) {
        return rc == 0 ? zstd_frame_end(f) : TURN_MORE;
    }
    if (ZSTD_getErrorCode(rc) == ZSTD_error_memory_allocation) {
        return refuse(f, AIF_ENOMEM, "no memory to decode");
    }
    return refuse(f, AIF_EDECODE, ZSTD_getErrorName(rc));
}

/* --- The row of filters ------------------------------------------------- */

static const coding codings[] = {
    {"gzip", gzip_open, zlib_turn, zlib_close, 1},
    {"deflate", deflate_open, deflate_turn, zlib_close, 0},
    {"br", brotli_open, brotli_turn, brotli_close, 0},
    {"zstd", zstd_open, zstd_turn, zstd_close, 1},
    {"x-gzip", gzip_open, zlib_turn, zlib_close, 1},
};

#define CODINGS (sizeof(codings) / sizeof(codings[0]))

const char *
aif_decode_accept(void)
{
    return "gzip, deflate, br, zstd";
}

static const coding *
find_coding(const char *name, size_t len)
{
    size_t i;

    for (i = 0; i < CODINGS; i++) {
        if (aif_ascii_is(name, len, codings[i].name)) {
            return &codings[i];
        }
    }
    return NULL;
}

/* The next element of the list at *|s|, without the blanks around it; moves
 * *|s| behind its comma. */
static aif_slice
next_element(const char **s, const char *end)
{
    const char *comma = memchr(*s, ',', (size_t)(end - *s));
    const char *stop = comma != NULL ? comma : end;
    aif_slice e;

    e.ptr = *s;
    *s = comma != NULL ? comma + 1 : end;
    while (stop > e.ptr && (stop[-1] == ' ' || stop[-1] == '\t')) {
        stop--;
    }
    while (e.ptr < stop && (*e.ptr == ' ' || *e.ptr == '\t')) {
        e.ptr++;
    }
    e.len = (size_t)(stop - e.ptr);
    return e;
}

/* Fills |row| in the order of the list. The count, or a negative code. */
static int
read_list(const coding **row, const char *s, size_t len, aif_err *err)
{
    const char *end;
    const coding *c;
    aif_slice e;
    int count = 0;

    if (len == 0) {
        return 0;
    }
    for (end = s + len; s < end;) {
        e = next_element(&s, end);
        if (e.len == 0 || aif_ascii_is(e.ptr, e.len, "identity")) {
            continue;
        }
        c = find_coding(e.ptr, e.len);
        if (c == NULL) {
            return aif_err_set(err, AIF_EDECODE,
                               "the content coding \"%.*s\" is not known",
                               e.len < 40 ? (int)e.len : 40, e.ptr);
        }
        if (count == (int)AIF_MAX_CODINGS) {
            return aif_err_set(err, AIF_EDECODE,
                               "more than %u content codings",
                               AIF_MAX_CODINGS);
        }
        row[count++] = c;
    }
    return count;
}

static int
filter_open(filter *f, const coding *c, size_t cap)
{
    int rc;

    f->coding = c;
    f->cap = cap;
    f->buf = aif_mem_alloc(cap);
    if (f->buf == NULL) {
        return AIF_ENOMEM;
    }
    rc = c->open(f);
    f->open = rc == 0;
    return rc;
}

int
aif_decode_new(aif_decode **out, const char *list, size_t len, aif_err *err)
{
    const coding *row[AIF_MAX_CODINGS];
    aif_decode *d = NULL;
    unsigned i;
    int count, rc;

    *out = NULL;
    count = read_list(row, list, len, err);
    if (count <= 0) {
        return count;
    }
    d = aif_mem_zalloc(sizeof(*d));
    if (d == NULL) {
        rc = AIF_ENOMEM;
        goto fail;
    }
    d->count = (unsigned)count;
    for (i = 0; i < d->count; i++) {
        rc = filter_open(&d->filters[i], row[d->count - 1 - i],
                         i + 1 == d->count ? AIF_DECODE_STEP : INNER_STEP);
        if (rc < 0) {
            goto fail;
        }
    }
    *out = d;
    return 0;

fail:
    aif_decode_free(d);
    return aif_err_set(err, rc, "no memory for a decoder");
}

void
aif_decode_free(aif_decode *d)
{
    unsigned i;

    if (d == NULL) {
        return;
    }
    for (i = 0; i < d->count; i++) {
        if (d->filters[i].open) {
            d->filters[i].coding->close(&d->filters[i]);
        }
        aif_mem_free(d->filters[i].buf);
    }
    aif_mem_free(d);
}

typedef struct outlet {
    aif_decode_sink sink;
    void *user;
    aif_err *err;
} outlet;

static int
filter_error(const filter *f, const outlet *o)
{
    return aif_err_set(o->err, f->code, "%s: %s", f->coding->name, f->text);
}

/* The end of a member: another may follow where the coding has members. */
static int
filter_ended(filter *f, const outlet *o)
{
    f->ended = 1;
    if (!f->gave && f->coding->has_members && ++f->empty > MAX_EMPTY_MEMBERS) {
        (void)refuse(f, AIF_EDECODE, "too many members without content");
        return filter_error(f, o);
    }
    f->gave = 0;
    return 0;
}

static int decode_step(aif_decode *d, unsigned at, const void *data,
                       size_t len, const outlet *o);

/* Hands on what filter |at| has in its buffer. */
static int
pass_on(aif_decode *d, unsigned at, const outlet *o)
{
    filter *f = &d->filters[at];
    const size_t len = f->out_len;

    if (len == 0) {
        return 0;
    }
    f->gave = 1;
    f->out_len = 0;
    if (at + 1 < d->count) {
        return decode_step(d, at + 1, f->buf, len, o);
    }
    return o->sink(o->user, (const char *)f->buf, len);
}

/* Runs filter |at| over all |len| bytes; recurses along the row, at most
 * AIF_MAX_CODINGS deep. */
static int
decode_step(aif_decode *d, unsigned at, const void *data, size_t len,
            const outlet *o)
{
    filter *f = &d->filters[at];
    enum turn turn;
    size_t before;
    int full, rc;

    f->in = data;
    f->in_len = len;
    do {
        if (f->ended && !f->coding->has_members) {
            (void)refuse(f, AIF_EDECODE, "bytes behind the end");
            return filter_error(f, o);
        }
        f->ended = 0;
        before = f->in_len;
        turn = f->coding->turn(f);
        full = f->out_len == f->cap;
        before -= f->in_len;
        if (before == 0 && f->out_len == 0 && turn == TURN_MORE) {
            /* Neither took nor gave: only for want of input. */
            if (f->in_len == 0) {
                break;
            }
            turn = refuse(f, AIF_EDECODE, "no progress");
        }
        rc = pass_on(d, at, o);
        if (rc < 0) {
            return rc;
        }
        if (turn == TURN_FAIL) {
            return filter_error(f, o);
        }
        if (turn == TURN_END) {
            rc = filter_ended(f, o);
            if (rc < 0) {
                return rc;
            }
            full = 0;
        }
    } while (f->in_len > 0 || full);
    return 0;
}

int
aif_decode_feed(aif_decode *d, const char *data, size_t len,
                aif_decode_sink sink, void *user, aif_err *err)
{
    const outlet o = {sink, user, err};
    int rc;

    if (d->code != 0) {
        return aif_err_set(err, d->code, "the decoder has failed before");
    }
    if (len == 0) {
        return 0;
    }
    d->fed = 1;
    rc = decode_step(d, 0, data, len, &o);
    if (rc < 0) {
        d->code = rc;
    }
    return rc < 0 ? rc : 0;
}

int
aif_decode_end(aif_decode *d, aif_err *err)
{
    unsigned i;

    if (d->code != 0) {
        return aif_err_set(err, d->code, "the decoder has failed before");
    }
    if (!d->fed) {
        return 0;
    }
    for (i = 0; i < d->count; i++) {
        if (!d->filters[i].ended) {
            return aif_err_set(err, AIF_ETRUNCATED,
                               "the body ended inside its %s coding",
                               d->filters[i].coding->name);
        }
    }
    return 0;
}
