/* aif_coding.c -- gzip and deflate over zlib, br over libbrotlidec, zstd over
 * libzstd.
 *
 * All memory comes from aif_mem but for zstd's: its hooks belong to the part
 * of its interface that a shared library does not promise.
 */
#include "http/aif_coding.h"

#include <string.h>
#include <zstd_errors.h>

#include "base/aif_ascii.h"
#include "base/aif_err.h"
#include "base/aif_mem.h"

/* 8 MiB: what a browser has to offer, and may not go beyond (RFC 9659). */
#define ZSTD_WINDOW_LOG 23

#define GZIP_WINDOW (15 + 16) /* for inflateInit2(): a gzip wrapper only */

aif_turn
aif_coding_refuse(aif_filter *f, int code, const char *text)
{
    f->code = code;
    f->text = text;
    return AIF_TURN_FAIL;
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
zlib_open(aif_filter *f, int window)
{
    memset(&f->u.z, 0, sizeof(f->u.z));
    f->u.z.zalloc = zlib_alloc;
    f->u.z.zfree = zlib_free;
    return inflateInit2(&f->u.z, window) == Z_OK ? 0 : AIF_ENOMEM;
}

static int
gzip_open(aif_filter *f)
{
    return zlib_open(f, GZIP_WINDOW);
}

/* Raw, until the first two bytes have told. */
static int
deflate_open(aif_filter *f)
{
    return zlib_open(f, -MAX_WBITS);
}

static void
zlib_close(aif_filter *f)
{
    (void)inflateEnd(&f->u.z);
}

static aif_turn
zlib_turn(aif_filter *f)
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
        return AIF_TURN_MORE;
    case Z_STREAM_END:
        /* Ready for a next member; reset cannot fail on a sound stream. */
        (void)inflateReset(z);
        return AIF_TURN_END;
    case Z_MEM_ERROR:
        return aif_coding_refuse(f, AIF_ENOMEM, "no memory to decode");
    default:
        return aif_coding_refuse(f, AIF_EDECODE,
                                 z->msg != NULL ? z->msg : "bad stream");
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

static aif_turn
deflate_turn(aif_filter *f)
{
    const unsigned char *in;
    aif_turn rc;
    size_t len;

    if (f->chosen) {
        return zlib_turn(f);
    }
    if (!f->has_held) {
        f->held = *f->in++;
        f->in_len--;
        f->has_held = 1;
        return AIF_TURN_MORE;
    }
    f->chosen = 1;
    if (is_zlib_header(f->held, *f->in)
        && inflateReset2(&f->u.z, MAX_WBITS) != Z_OK)
    {
        return aif_coding_refuse(f, AIF_ENOMEM, "no memory to decode");
    }
    /* The byte kept back goes first; it ends nothing and gives nothing. */
    in = f->in;
    len = f->in_len;
    f->in = &f->held;
    f->in_len = 1;
    rc = zlib_turn(f);
    f->in = in;
    f->in_len = len;
    return rc == AIF_TURN_MORE ? zlib_turn(f) : rc;
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
brotli_open(aif_filter *f)
{
    f->u.br = BrotliDecoderCreateInstance(brotli_alloc, brotli_free, NULL);
    return f->u.br != NULL ? 0 : AIF_ENOMEM;
}

static void
brotli_close(aif_filter *f)
{
    BrotliDecoderDestroyInstance(f->u.br);
}

static aif_turn
brotli_turn(aif_filter *f)
{
    unsigned char *out = f->buf + f->out_len;
    size_t room = f->cap - f->out_len;
    BrotliDecoderErrorCode code;
    BrotliDecoderResult rc;

    rc = BrotliDecoderDecompressStream(f->u.br, &f->in_len, &f->in, &room,
                                       &out, NULL);
    f->out_len = f->cap - room;
    if (rc == BROTLI_DECODER_RESULT_SUCCESS) {
        return AIF_TURN_END;
    }
    if (rc != BROTLI_DECODER_RESULT_ERROR) {
        return AIF_TURN_MORE;
    }
    code = BrotliDecoderGetErrorCode(f->u.br);
    if (code <= BROTLI_DECODER_ERROR_ALLOC_CONTEXT_MODES
        && code >= BROTLI_DECODER_ERROR_ALLOC_BLOCK_TYPE_TREES)
    {
        return aif_coding_refuse(f, AIF_ENOMEM, "no memory to decode");
    }
    return aif_coding_refuse(f, AIF_EDECODE, BrotliDecoderErrorString(code));
}

/* --- zstd --------------------------------------------------------------- */

static int
zstd_open(aif_filter *f)
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
zstd_close(aif_filter *f)
{
    (void)ZSTD_freeDCtx(f->u.zstd.ctx);
}

/* In a stream libzstd may pass over the length that a frame's header announces
 * (1.5.4 does when the last block is empty). So the header is kept, and asked
 * at the end. */
static aif_turn
zstd_frame_end(aif_filter *f)
{
    const unsigned long long size =
        ZSTD_getFrameContentSize(f->u.zstd.head, f->u.zstd.head_len);
    const uint64_t given = f->u.zstd.given;

    f->u.zstd.given = 0;
    f->u.zstd.head_len = 0;
    if (size != ZSTD_CONTENTSIZE_UNKNOWN && size != ZSTD_CONTENTSIZE_ERROR
        && size != given)
    {
        return aif_coding_refuse(f, AIF_EDECODE,
                                 "the content is not as long as it says");
    }
    return AIF_TURN_END;
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
static aif_turn
zstd_turn(aif_filter *f)
{
    ZSTD_inBuffer in = {f->in, f->in_len, 0};
    ZSTD_outBuffer out = {f->buf, f->cap, f->out_len};
    size_t at = f->u.zstd.head_len;
    size_t rc;

    if (at < 4 && in.size > 0) {
        if (!is_zstd_magic(at, f->u.zstd.head[0], *f->in)) {
            return aif_coding_refuse(f, AIF_EDECODE, "not a zstd frame");
        }
        in.size = 1;
    }
    rc = ZSTD_decompressStream(f->u.zstd.ctx, &out, &in);
    while (at < AIF_ZSTD_HEADER && at - f->u.zstd.head_len < in.pos) {
        f->u.zstd.head[at] = f->in[at - f->u.zstd.head_len];
        at++;
    }
    f->u.zstd.head_len = at;
    f->u.zstd.given += out.pos - f->out_len;
    f->in += in.pos;
    f->in_len -= in.pos;
    f->out_len = out.pos;
    if (!ZSTD_isError(rc)) {
        return rc == 0 ? zstd_frame_end(f) : AIF_TURN_MORE;
    }
    if (ZSTD_getErrorCode(rc) == ZSTD_error_memory_allocation) {
        return aif_coding_refuse(f, AIF_ENOMEM, "no memory to decode");
    }
    return aif_coding_refuse(f, AIF_EDECODE, ZSTD_getErrorName(rc));
}

/* ---- the table --------------------------------------------------------- */

static const aif_coding codings[] = {
    {"gzip", gzip_open, zlib_turn, zlib_close, 1},
    {"deflate", deflate_open, deflate_turn, zlib_close, 0},
    {"br", brotli_open, brotli_turn, brotli_close, 0},
    {"zstd", zstd_open, zstd_turn, zstd_close, 1},
    {"x-gzip", gzip_open, zlib_turn, zlib_close, 1},
};

#define CODINGS (sizeof(codings) / sizeof(codings[0]))

const char *
aif_coding_accept(void)
{
    return "gzip, deflate, br, zstd";
}

const aif_coding *
aif_coding_find(const char *name, size_t len)
{
    size_t i;

    for (i = 0; i < CODINGS; i++) {
        if (aif_ascii_is(name, len, codings[i].name)) {
            return &codings[i];
        }
    }
    return NULL;
}
