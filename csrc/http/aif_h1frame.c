/* aif_h1frame -- the framing fields of a head, judged one by one.
 *
 * One rule: whatever two readers could understand differently is refused, be
 * it legal or not, unless the owner's rules say otherwise. A client that
 * guesses the end of a response wrong hands bytes of one answer to the next
 * request.
 */
#include "http/aif_h1frame.h"

#include <string.h>

#include "base/aif_ascii.h"
#include "http/aif_h1scan.h"

static const char length_name[] = "Content-Length";
static const char coding_name[] = "Transfer-Encoding";

#define LENGTH_NAME (sizeof(length_name) - 1)
#define CODING_NAME (sizeof(coding_name) - 1)
/* No two readers differ about so many digits without a zero in front. */
#define PLAIN_DIGITS 18u
/* Digits that a second reader sees: more than 64 bits have. */
#define NOTED_DIGITS 20u

void
aif_h1frame_reset(aif_h1frame *f)
{
    f->length = 0;
    f->lengths = 0;
    f->codings = 0;
    f->chunked = 0;
    f->coded = 0;
    f->says_close = 0;
    f->says_keep = 0;
    f->says_upgrade = 0;
    f->upgrade = 0;
    f->note_len = 0;
}

/* Writes a field down. 0, or -1 if it does not fit. */
static int
note(aif_h1frame *f, const char *name, size_t name_len, aif_slice value)
{
    char *to = f->note + f->note_len;

    /* Two more bytes are for the empty line behind the fields. */
    if (name_len + value.len + 6 > sizeof(f->note) - f->note_len) {
        return -1;
    }
    memcpy(to, name, name_len);
    to += name_len;
    *to++ = ':';
    *to++ = ' ';
    memcpy(to, value.ptr, value.len);
    to += value.len;
    *to++ = '\r';
    *to++ = '\n';
    f->note_len = (unsigned)(to - f->note);
    return 0;
}

static aif_h1_fault
length_field(aif_h1frame *f, aif_slice value)
{
    uint64_t length;

    f->lengths++;
    if (f->codings > 0) {
        return f->rules & AIF_H1_LENGTH_TOO ? AIF_H1_FAULT_NONE
                                            : AIF_H1_FAULT_LENGTH_AND_CODING;
    }
    if (f->lengths > 1) {
        return AIF_H1_FAULT_LENGTH_TWICE;
    }
    if (aif_ascii_u64(value.ptr, value.len, INT64_MAX, &length) != 0) {
        return AIF_H1_FAULT_LENGTH;
    }
    f->length = (int64_t)length;
    if (value.len <= PLAIN_DIGITS && *value.ptr != '0') {
        return AIF_H1_FAULT_NONE;
    }
    while (value.len > NOTED_DIGITS && *value.ptr == '0') {
        value.ptr++;
        value.len--;
    }
    return note(f, length_name, LENGTH_NAME, value) == 0 ? AIF_H1_FAULT_NONE
                                                         : AIF_H1_FAULT_LENGTH;
}

/* One member of the list of codings (RFC 9112 6.1). */
static aif_h1_fault
coding(aif_h1frame *f, const char *s, size_t n)
{
    const int is_chunked = aif_ascii_is(s, n, "chunked");

    if (f->rules & AIF_H1_ANY_CODING) {
        f->chunked = is_chunked != 0;
        f->coded |= !is_chunked;
        return AIF_H1_FAULT_NONE;
    }
    /* Nothing may come behind "chunked", and it may come once. */
    if (f->chunked || n == 0) {
        return AIF_H1_FAULT_CODING;
    }
    if (is_chunked) {
        f->chunked = 1;
        return AIF_H1_FAULT_NONE;
    }
    f->coded = 1;
    return f->rules & AIF_H1_CODINGS && aif_ascii_is_token(s, n)
               ? AIF_H1_FAULT_NONE
               : AIF_H1_FAULT_CODING;
}

static aif_h1_fault
coding_field(aif_h1frame *f, aif_slice value)
{
    const unsigned loose = f->rules & (AIF_H1_CODINGS | AIF_H1_ANY_CODING);
    const char *s = value.ptr;
    const char *end = s + value.len;
    const char *comma, *last;
    aif_h1_fault fault = AIF_H1_FAULT_NONE;

    f->codings++;
    if (f->lengths > 0) {
        if (!(f->rules & AIF_H1_LENGTH_TOO)) {
            return AIF_H1_FAULT_LENGTH_AND_CODING;
        }
        f->length = 0;
    }
    if (f->codings > 1 && !loose) {
        return AIF_H1_FAULT_CODING_TWICE;
    }
    do {
        comma = memchr(s, ',', (size_t)(end - s));
        last = comma != NULL ? comma : end;
        while (last > s && last[-1] == ' ') {
            last--;
        }
        fault = coding(f, s, (size_t)(last - s));
        if (comma != NULL) {
            for (s = comma + 1; s < end && *s == ' '; s++) {
            }
        }
    } while (comma != NULL && fault == AIF_H1_FAULT_NONE);
    if (fault == AIF_H1_FAULT_NONE
        && note(f, coding_name, CODING_NAME, value) < 0)
    {
        fault = AIF_H1_FAULT_CODING;
    }
    return fault;
}

static void
connection_field(aif_h1frame *f, aif_slice value)
{
    /* What nearly every message says that says anything. */
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
    if (aif_ascii_has_token(value.ptr, value.len, "upgrade")) {
        f->says_upgrade = 1;
    }
}

int
aif_h1frame_is_framing(aif_slice name)
{
    return (name.len == LENGTH_NAME
            && aif_ascii_equal(name.ptr, length_name, LENGTH_NAME))
           || (name.len == CODING_NAME
               && aif_ascii_equal(name.ptr, coding_name, CODING_NAME));
}

aif_h1_fault
aif_h1frame_field(aif_h1frame *f, aif_slice name, aif_slice value,
                  aif_slice raw)
{
    /* The length is asked first: it tells nearly all other names apart. */
    switch (name.len) {
    case 7:
        if (aif_ascii_equal(name.ptr, "upgrade", 7)) {
            f->upgrade = 1;
        }
        return AIF_H1_FAULT_NONE;
    case 10:
        if (aif_ascii_equal(name.ptr, "connection", 10)) {
            connection_field(f, value);
        }
        return AIF_H1_FAULT_NONE;
    case LENGTH_NAME:
    case CODING_NAME:
        if (!aif_h1frame_is_framing(name)) {
            return AIF_H1_FAULT_NONE;
        }
        break;
    default:
        return AIF_H1_FAULT_NONE;
    }
    /* A blank by RFC 9110 5.6.3, but one that readers disagree about. */
    if (memchr(raw.ptr, '\t', raw.len) != NULL) {
        return AIF_H1_FAULT_FRAMING_TAB;
    }
    return name.len == LENGTH_NAME ? length_field(f, value)
                                   : coding_field(f, value);
}
