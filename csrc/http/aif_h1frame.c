/* aif_h1frame -- the framing fields of a head, judged.
 *
 * One rule: whatever two readers could understand differently is refused, be
 * it legal or not. A client that guesses the end of a response wrong hands
 * bytes of one answer to the next request.
 */
#include "http/aif_h1frame.h"

#include "base/aif_ascii.h"

void
aif_h1frame_reset(aif_h1frame *f)
{
    f->length = 0;
    f->lengths = 0;
    f->codings = 0;
    f->at = 0;
    f->chunked = 0;
    f->says_close = 0;
    f->says_keep = 0;
}

int
aif_h1frame_name(aif_h1frame *f, aif_slice name, unsigned at,
                 const char **wrong)
{
    /* The length is asked first: it tells nearly all other names apart. */
    if (name.len == 14 && aif_ascii_is(name.ptr, 14, "content-length")) {
        f->lengths++;
    }
    else if (name.len == 17 && aif_ascii_is(name.ptr, 17, "transfer-encoding"))
    {
        f->codings++;
    }
    else {
        return 0;
    }
    f->at = at;
    if (f->lengths > 0 && f->codings > 0) {
        *wrong = "Content-Length with Transfer-Encoding (RFC 9112 6.1)";
    }
    else if (f->lengths > 1) {
        *wrong = "repeated Content-Length (RFC 9112 6.3)";
    }
    else if (f->codings > 1) {
        *wrong = "repeated Transfer-Encoding (RFC 9112 6.1)";
    }
    return 1;
}

void
aif_h1frame_field(aif_h1frame *f, const aif_header *h)
{
    const unsigned last = h->count - 1;
    const aif_slice name = aif_header_name(h, last);
    aif_slice value;

    if (name.len != 10 || !aif_ascii_is(name.ptr, 10, "connection")) {
        return;
    }
    value = aif_header_value(h, last);
    /* What nearly every response says that says anything. */
    if (aif_ascii_is(value.ptr, value.len, "keep-alive")) {
        f->says_keep = 1;
        return;
    }
    if (aif_ascii_has_token(value.ptr, value.len, "close")) {
        f->says_close = 1;
    }
    if (aif_ascii_has_token(value.ptr, value.len, "keep-alive")) {
        f->says_keep = 1;
    }
}

const char *
aif_h1frame_check(aif_h1frame *f, const aif_header *h, int minor)
{
    aif_slice value;
    uint64_t length;

    if (f->codings > 0 && minor == 0) {
        return "Transfer-Encoding in HTTP/1.0 (RFC 9112 6.1)";
    }
    if (f->codings + f->lengths == 0) {
        return NULL;
    }
    value = aif_header_value(h, f->at);
    if (f->codings > 0) {
        if (!aif_ascii_is(value.ptr, value.len, "chunked")) {
            return "Transfer-Encoding is not \"chunked\" (RFC 9112 6.1)";
        }
        f->chunked = 1;
        return NULL;
    }
    if (aif_ascii_u64(value.ptr, value.len, INT64_MAX, &length) != 0) {
        return "Content-Length is not a length (RFC 9112 6.3)";
    }
    f->length = (int64_t)length;
    return NULL;
}
