/* aif_h1scan -- one pass over framing bytes, in front of any parser.
 *
 * Texts are walked over eight bytes at a time up to the next control byte;
 * all that matters in a line is one. Ceilings on a section or on chunk framing
 * shorten the input before it is walked over, so that no loop asks for them
 * at every byte.
 */
#include "http/aif_h1scan.h"

#include <string.h>

#include "base/aif_ascii.h"
#include "base/aif_err.h"

#define LANES(byte) (UINT64_C(0x0101010101010101) * (byte))

/* Body bytes buy this many framing bytes each: a chunk of one byte needs five
 * beside it, and a sender that writes byte by byte is slow, not hostile. */
#define CREDIT_PER_BYTE 16u

static const char bare_lf[] = "bare LF ends a line (RFC 9112 2.2)";
static const char bare_cr[] = "bare CR in a line (RFC 9112 2.2)";

void
aif_h1scan_reset(aif_h1scan *sc)
{
    sc->section = 0;
    sc->fields = 0;
    sc->leading = 0;
    sc->credit = AIF_MAX_CHUNK_FRAMING;
    sc->size = 0;
    sc->code = 0;
    sc->text = NULL;
    aif_h1scan_next(sc);
}

void
aif_h1scan_next(aif_h1scan *sc)
{
    sc->line = AIF_LINE_BEGIN;
    sc->line_len = 0;
    sc->digits = 0;
}

static aif_scan
bad(aif_h1scan *sc, int code, const char *text)
{
    sc->code = code;
    sc->text = text;
    return AIF_SCAN_BAD;
}

static size_t
min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Bit 7 of each lane of |w| that holds a control byte, or more of them above
 * the lowest one: a lane below 0x20 borrows from bit 7 without having had it,
 * and may so disturb the lanes above. The same finds a zero lane in w ^ 0x7f.
 */
static uint64_t
control_lanes(uint64_t w)
{
    const uint64_t del = w ^ LANES(0x7f);

    return (((w - LANES(0x20)) & ~w) | ((del - LANES(1)) & ~del))
           & LANES(0x80);
}

/* The first control byte at or after |s|, or |end|. */
static const char *
find_control(const char *s, const char *end)
{
    uint64_t w, found;

    while (end - s >= (ptrdiff_t)sizeof(w)) {
        memcpy(&w, s, sizeof(w));
        found = control_lanes(w);
        if (found != 0) {
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
            return s + (__builtin_ctzll(found) >> 3);
#else
            break;
#endif
        }
        s += sizeof(w);
    }
    while (s < end && (unsigned char)*s >= 0x20 && *s != 0x7f) {
        s++;
    }
    return s;
}

/* Text of a line from s[*i] on: up to behind the CR that ends it, to |stop|,
 * or to a byte that may not be there. */
static aif_scan
scan_text(aif_h1scan *sc, const char *s, size_t stop, size_t max, size_t *i)
{
    const size_t here = min_size(stop - *i, max - sc->line_len);
    const char *end = find_control(s + *i, s + *i + here);
    char c;

    sc->line_len += (size_t)(end - (s + *i));
    *i = (size_t)(end - s);
    if (*i == stop) {
        return AIF_SCAN_MORE;
    }
    c = s[*i];
    if (c == '\r') {
        sc->line = AIF_LINE_CR;
        (*i)++;
        return AIF_SCAN_MORE;
    }
    if (c == '\n') {
        return bad(sc, AIF_EPARSE, bare_lf);
    }
    if (c != '\t' && ((unsigned char)c < 0x20 || c == 0x7f)) {
        return bad(sc, AIF_EPARSE, "control byte in a line (RFC 9110 5.5)");
    }
    if (sc->line_len >= max) {
        return bad(sc, AIF_ETOOBIG, "a line is too long");
    }
    sc->line_len++;
    (*i)++;
    return AIF_SCAN_MORE;
}

static aif_scan
scan_lf(aif_h1scan *sc, const char *s, size_t *i)
{
    if (s[*i] != '\n') {
        return bad(sc, AIF_EPARSE, bare_cr);
    }
    (*i)++;
    return AIF_SCAN_END;
}

/* --- Start lines -------------------------------------------------------- */

aif_scan
aif_h1scan_lead(aif_h1scan *sc, const char *s, size_t len, size_t *n)
{
    size_t i;

    *n = 0;
    for (i = 0; i < len; i++) {
        *n = i;
        if (sc->line == AIF_LINE_BEGIN && s[i] != '\r') {
            return s[i] == '\n' ? bad(sc, AIF_EPARSE, bare_lf) : AIF_SCAN_END;
        }
        if (sc->line == AIF_LINE_CR && s[i] != '\n') {
            return bad(sc, AIF_EPARSE, bare_cr);
        }
        if (sc->leading >= AIF_MAX_LEADING_CRLF) {
            return bad(sc, AIF_ETOOBIG, "too many empty lines");
        }
        sc->leading++;
        sc->line = sc->line == AIF_LINE_CR ? AIF_LINE_BEGIN : AIF_LINE_CR;
    }
    *n = len;
    return AIF_SCAN_MORE;
}

aif_scan
aif_h1scan_start(aif_h1scan *sc, const char *s, size_t len, size_t line_max,
                 size_t head_max, size_t *n, size_t *text_len)
{
    const size_t stop = min_size(len, head_max - sc->section);
    const size_t before = sc->line_len;
    aif_scan rc = AIF_SCAN_MORE;
    size_t i = 0;

    while (rc == AIF_SCAN_MORE && i < stop) {
        if (sc->line == AIF_LINE_CR) {
            rc = scan_lf(sc, s, &i);
        }
        else {
            rc = scan_text(sc, s, stop, line_max, &i);
        }
    }
    sc->section += i;
    *n = i;
    *text_len = sc->line_len - before;
    if (rc == AIF_SCAN_MORE && i < len) {
        return bad(sc, AIF_ETOOBIG, "the section is too big");
    }
    return rc;
}

static int
is_digit(char c)
{
    return c >= '0' && c <= '9';
}

const char *
aif_h1scan_status_byte(size_t i, char c)
{
    static const char name[] = "HTTP/1.";

    if (i < 5) {
        return c == name[i] ? NULL : "not an HTTP/1 status line";
    }
    if (i < 7) {
        return c == name[i] ? NULL : "the version is not HTTP/1.0 or 1.1";
    }
    switch (i) {
    case 7:
        return c == '0' || c == '1' ? NULL
                                    : "the version is not HTTP/1.0 or 1.1";
    case 8:
    case 12:
        return c == ' ' ? NULL : "no space around the status";
    case 9:
        return is_digit(c) && c != '0' ? NULL : "the status is not 100 to 999";
    case 10:
    case 11:
        return is_digit(c) ? NULL : "the status is not 100 to 999";
    default:
        return NULL;
    }
}

const char *
aif_h1scan_request(const char *s, size_t len, aif_slice *method,
                   aif_slice *target, int *minor)
{
    static const char version[] = " HTTP/1.";
    const char *end = s + len;
    const char *p = s;

    while (p < end && *p != ' ') {
        p++;
    }
    method->ptr = s;
    method->len = (size_t)(p - s);
    if (p == end || !aif_ascii_is_token(s, method->len)) {
        return "the method is not a token";
    }
    target->ptr = ++p;
    while (p < end && *p > 0x20 && *p < 0x7f) {
        p++;
    }
    target->len = (size_t)(p - target->ptr);
    if (target->len == 0 || (p < end && *p != ' ')) {
        return "the request target is not visible ASCII";
    }
    if (end - p != 9 || memcmp(p, version, 8) != 0
        || (p[8] != '0' && p[8] != '1'))
    {
        return "the version is not HTTP/1.0 or 1.1";
    }
    *minor = p[8] - '0';
    return NULL;
}

/* --- Fields ------------------------------------------------------------- */

/* The first byte of a field line, looked at but not taken. */
static aif_scan
begin_field(aif_h1scan *sc, char c, unsigned max)
{
    if (c == '\n') {
        return bad(sc, AIF_EPARSE, bare_lf);
    }
    if (c == ' ' || c == '\t') {
        return bad(sc, AIF_EPARSE,
                   "a field line begins with a blank (RFC 9112 5.2)");
    }
    if (c == ':') {
        return bad(sc, AIF_EPARSE, "a field has no name (RFC 9112 5.1)");
    }
    if (sc->fields >= max) {
        return bad(sc, AIF_ETOOBIG, "too many fields");
    }
    sc->fields++;
    sc->line_len = 0;
    sc->line = AIF_LINE_TEXT;
    return AIF_SCAN_MORE;
}

aif_scan
aif_h1scan_fields(aif_h1scan *sc, const char *s, size_t len, size_t line_max,
                  size_t section_max, unsigned fields_max, size_t *n)
{
    const size_t stop = min_size(len, section_max - sc->section);
    aif_scan rc = AIF_SCAN_MORE;
    size_t i = 0;

    while (rc == AIF_SCAN_MORE && i < stop) {
        if (sc->line == AIF_LINE_TEXT) {
            rc = scan_text(sc, s, stop, line_max, &i);
        }
        else if (sc->line != AIF_LINE_BEGIN) {
            rc = scan_lf(sc, s, &i);
            if (rc == AIF_SCAN_END && sc->line == AIF_LINE_CR) {
                sc->line = AIF_LINE_BEGIN;
                rc = AIF_SCAN_MORE;
            }
        }
        else if (s[i] == '\r') {
            sc->line = AIF_LINE_LAST;
            i++;
        }
        else {
            rc = begin_field(sc, s[i], fields_max);
        }
    }
    sc->section += i;
    *n = i;
    if (rc == AIF_SCAN_MORE && i < len) {
        return bad(sc, AIF_ETOOBIG, "the section is too big");
    }
    return rc;
}

/* --- Chunks ------------------------------------------------------------- */

/* A byte of a chunk-size line in front of its extensions: 1*HEXDIG, then
 * blanks, which some servers pad with. Leading zeros count as digits, or a
 * size could be endless. */
static aif_scan
size_byte(aif_h1scan *sc, char c, size_t line_max)
{
    const int value = aif_ascii_hex(c);

    if (value >= 0 && sc->line == AIF_LINE_BEGIN) {
        if (sc->digits == AIF_H1SCAN_DIGITS) {
            return bad(sc, AIF_ETOOBIG, "a chunk size is too long");
        }
        sc->size = (sc->digits == 0 ? 0 : sc->size << 4) | (uint64_t)value;
        sc->digit[sc->digits++] = c;
    }
    else if (c == '\n') {
        return bad(sc, AIF_EPARSE, bare_lf);
    }
    else if (sc->digits == 0) {
        return bad(sc, AIF_EPARSE, "a chunk has no size (RFC 9112 7.1)");
    }
    else if (c == '\r') {
        sc->line = AIF_LINE_CR;
        return AIF_SCAN_MORE;
    }
    else if (c == ';') {
        sc->line = AIF_LINE_TEXT;
    }
    else if (c == ' ' || c == '\t') {
        sc->line = AIF_LINE_BLANK;
    }
    else {
        return bad(sc, AIF_EPARSE, "a chunk size is not a number");
    }
    if (sc->line_len >= line_max) {
        return bad(sc, AIF_ETOOBIG, "a chunk line is too long");
    }
    sc->line_len++;
    return AIF_SCAN_MORE;
}

static aif_scan
no_credit(aif_h1scan *sc)
{
    return bad(sc, AIF_ETOOBIG, "too much chunk framing for so few bytes");
}

aif_scan
aif_h1scan_size(aif_h1scan *sc, const char *s, size_t len, size_t line_max,
                size_t *n)
{
    const size_t stop = len < sc->credit ? len : (size_t)sc->credit;
    aif_scan rc = AIF_SCAN_MORE;
    size_t i = 0;

    while (rc == AIF_SCAN_MORE && i < stop) {
        if (sc->line == AIF_LINE_CR) {
            rc = scan_lf(sc, s, &i);
        }
        else if (sc->line == AIF_LINE_TEXT) {
            rc = scan_text(sc, s, stop, line_max, &i);
        }
        else {
            rc = size_byte(sc, s[i], line_max);
            i += rc == AIF_SCAN_MORE ? 1 : 0;
        }
    }
    sc->credit -= i;
    *n = i;
    return rc == AIF_SCAN_MORE && i < len ? no_credit(sc) : rc;
}

aif_scan
aif_h1scan_crlf(aif_h1scan *sc, const char *s, size_t len, size_t *n)
{
    size_t i;

    for (i = 0; i < len; i++) {
        *n = i;
        if (s[i] != (sc->line == AIF_LINE_CR ? '\n' : '\r')) {
            return bad(sc, AIF_EPARSE,
                       "chunk data is not followed by CRLF (RFC 9112 7.1)");
        }
        if (sc->credit == 0) {
            return no_credit(sc);
        }
        sc->credit--;
        if (sc->line == AIF_LINE_CR) {
            *n = i + 1;
            return AIF_SCAN_END;
        }
        sc->line = AIF_LINE_CR;
    }
    *n = len;
    return AIF_SCAN_MORE;
}

void
aif_h1scan_earn(aif_h1scan *sc, size_t bytes)
{
    const uint64_t most = UINT64_C(1) << 40;

    if (bytes > most / CREDIT_PER_BYTE) {
        bytes = (size_t)(most / CREDIT_PER_BYTE);
    }
    sc->credit += (uint64_t)bytes * CREDIT_PER_BYTE;
    if (sc->credit > most) {
        sc->credit = most;
    }
}
