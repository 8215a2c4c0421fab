/* aif_h1scan -- the bytes between the parts of an HTTP/1 message.
 *
 * The ceiling on chunk framing shortens the input before it is walked over,
 * so that no loop asks for it at every byte.
 */
#include "http/aif_h1scan.h"

#include "base/aif_ascii.h"
#include "http/aif_h1byte.h"

/* Body bytes buy this many framing bytes each: a chunk of one byte needs five
 * beside it, and a sender that writes byte by byte is slow, not hostile. */
#define CREDIT_PER_BYTE 16u

void
aif_h1scan_reset(aif_h1scan *sc)
{
    sc->leading = 0;
    sc->credit = AIF_MAX_CHUNK_FRAMING;
    sc->size = 0;
    sc->fault = AIF_H1_FAULT_NONE;
    aif_h1scan_next(sc);
}

static aif_scan
bad(aif_h1scan *sc, aif_h1_fault fault)
{
    sc->fault = fault;
    return AIF_SCAN_BAD;
}

/* The byte behind a CR. */
static aif_scan
scan_lf(aif_h1scan *sc, char c, size_t *i)
{
    if (c == '\n') {
        (*i)++;
        return AIF_SCAN_END;
    }
    if (sc->rules & AIF_H1_LONE_CR) {
        return AIF_SCAN_END;
    }
    return bad(sc, AIF_H1_FAULT_BARE_CR);
}

/* An LF where none has to be. */
static aif_scan
lone_lf(aif_h1scan *sc, size_t *i)
{
    if (sc->rules & AIF_H1_LONE_LF) {
        (*i)++;
        return AIF_SCAN_END;
    }
    return bad(sc, AIF_H1_FAULT_BARE_LF);
}

/* --- Empty lines -------------------------------------------------------- */

aif_scan
aif_h1scan_lead(aif_h1scan *sc, const char *s, size_t len, size_t *n)
{
    aif_scan rc;
    size_t i = 0;

    *n = 0;
    while (i < len) {
        if (sc->line == AIF_LINE_BEGIN && s[i] != '\r' && s[i] != '\n') {
            return AIF_SCAN_END;
        }
        if (sc->leading >= AIF_MAX_LEADING_CRLF) {
            return bad(sc, AIF_H1_FAULT_LEADING);
        }
        rc = AIF_SCAN_MORE;
        if (sc->line == AIF_LINE_CR) {
            rc = scan_lf(sc, s[i], &i);
        }
        else if (s[i] == '\n') {
            rc = lone_lf(sc, &i);
        }
        else {
            i++;
        }
        if (rc == AIF_SCAN_BAD) {
            return rc;
        }
        sc->leading++;
        sc->line = rc == AIF_SCAN_END ? AIF_LINE_BEGIN : AIF_LINE_CR;
        *n = i;
    }
    return AIF_SCAN_MORE;
}

/* --- Chunks ------------------------------------------------------------- */

/* A byte of a chunk-size line in front of its extensions: 1*HEXDIG, then
 * blanks, which some servers pad with. Leading zeros count as digits, or a
 * size could be endless. */
static aif_scan
size_byte(aif_h1scan *sc, char c, size_t line_max, size_t *i)
{
    const int value = aif_ascii_hex(c);

    if (value >= 0 && sc->line == AIF_LINE_BEGIN) {
        if (sc->digits == AIF_H1SCAN_DIGITS) {
            return bad(sc, AIF_H1_FAULT_SIZE_LONG);
        }
        sc->size = (sc->digits == 0 ? 0 : sc->size << 4) | (uint64_t)value;
        sc->digit[sc->digits++] = c;
    }
    else if (c == '\n' && (sc->digits == 0 || !(sc->rules & AIF_H1_LONE_LF))) {
        return bad(sc, AIF_H1_FAULT_BARE_LF);
    }
    else if (sc->digits == 0) {
        return bad(sc, AIF_H1_FAULT_SIZE_NONE);
    }
    else if (sc->line == AIF_LINE_BLANK && (sc->rules & AIF_H1_BARE_SIZES)
             && (c == '\r' || c == '\n'))
    {
        return bad(sc, AIF_H1_FAULT_SIZE);
    }
    else if (c == '\n') {
        return lone_lf(sc, i);
    }
    else if (c == '\r') {
        sc->line = AIF_LINE_CR;
        (*i)++;
        return AIF_SCAN_MORE;
    }
    else if (c == ';') {
        sc->line = AIF_LINE_EXT;
    }
    else if (c == ' ' || c == '\t') {
        sc->line = AIF_LINE_BLANK;
    }
    else {
        return bad(sc, AIF_H1_FAULT_SIZE);
    }
    if (sc->line_len >= line_max) {
        return bad(sc, AIF_H1_FAULT_SIZE_LINE);
    }
    sc->line_len++;
    (*i)++;
    return AIF_SCAN_MORE;
}

/* Where the byte |c| of an extension leads from |line| (RFC 9112 7.1.1), or
 * AIF_LINE_BEGIN if it may not stand there. */
static aif_scan_line
extension_byte(aif_scan_line line, char c)
{
    const int blank = c == ' ' || c == '\t';
    const int token = aif_ascii_is_tchar(c);

    switch (line) {
    case AIF_LINE_EXT:
        return blank ? line : token ? AIF_LINE_NAME : AIF_LINE_BEGIN;
    case AIF_LINE_EQUALS:
        if (c == '"') {
            return AIF_LINE_QUOTED;
        }
        return blank ? line : token ? AIF_LINE_VALUE : AIF_LINE_BEGIN;
    case AIF_LINE_QUOTED:
        return c == '"'    ? AIF_LINE_UNQUOTED
               : c == '\\' ? AIF_LINE_ESCAPED
                           : line;
    case AIF_LINE_ESCAPED:
        return AIF_LINE_QUOTED;
    default:
        break;
    }
    if (c == ';') {
        return AIF_LINE_EXT;
    }
    if (line == AIF_LINE_NAME || line == AIF_LINE_NAMED) {
        if (c == '=') {
            return AIF_LINE_EQUALS;
        }
        return blank                            ? AIF_LINE_NAMED
               : token && line == AIF_LINE_NAME ? line
                                                : AIF_LINE_BEGIN;
    }
    return blank                             ? AIF_LINE_VALUED
           : token && line == AIF_LINE_VALUE ? line
                                             : AIF_LINE_BEGIN;
}

/* 1 if the line may end inside its extensions. */
static int
may_end(const aif_h1scan *sc)
{
    switch (sc->line) {
    case AIF_LINE_NAME:
    case AIF_LINE_VALUE:
    case AIF_LINE_UNQUOTED:
        return 1;
    case AIF_LINE_NAMED:
    case AIF_LINE_VALUED:
        return !(sc->rules & AIF_H1_BARE_SIZES);
    default:
        return 0;
    }
}

/* The byte s[*i] of an extension, or the first of the line's end. */
static aif_scan
scan_extension(aif_h1scan *sc, char c, size_t line_max, size_t *i)
{
    aif_scan_line next;

    if (c == '\r' || c == '\n') {
        if (c == '\n' && !(sc->rules & AIF_H1_LONE_LF)) {
            return bad(sc, AIF_H1_FAULT_BARE_LF);
        }
        if (!may_end(sc)) {
            return bad(sc, AIF_H1_FAULT_EXTENSION);
        }
        if (c == '\n') {
            return lone_lf(sc, i);
        }
        next = AIF_LINE_CR;
    }
    else if (aif_h1byte_is_control(c)) {
        return bad(sc, AIF_H1_FAULT_CONTROL);
    }
    else if (sc->line_len >= line_max) {
        return bad(sc, AIF_H1_FAULT_LINE);
    }
    else {
        next = extension_byte(sc->line, c);
        sc->line_len++;
    }
    if (next == AIF_LINE_BEGIN) {
        return bad(sc, AIF_H1_FAULT_EXTENSION);
    }
    sc->line = next;
    (*i)++;
    return AIF_SCAN_MORE;
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
            rc = scan_lf(sc, s[i], &i);
        }
        else if (sc->line == AIF_LINE_BEGIN || sc->line == AIF_LINE_BLANK) {
            rc = size_byte(sc, s[i], line_max, &i);
        }
        else {
            rc = scan_extension(sc, s[i], line_max, &i);
        }
    }
    sc->credit -= i;
    *n = i;
    if (rc == AIF_SCAN_MORE && i < len) {
        return bad(sc, AIF_H1_FAULT_BUDGET);
    }
    return rc;
}

aif_scan
aif_h1scan_crlf(aif_h1scan *sc, const char *s, size_t len, size_t *n)
{
    aif_scan rc = AIF_SCAN_MORE;
    size_t i = 0;

    *n = 0;
    while (rc == AIF_SCAN_MORE && i < len) {
        if (sc->line == AIF_LINE_BEGIN && s[i] != '\r' && s[i] != '\n'
            && (sc->rules & AIF_H1_NO_CHUNK_END))
        {
            return AIF_SCAN_END;
        }
        if (sc->credit == 0) {
            return bad(sc, AIF_H1_FAULT_BUDGET);
        }
        if (sc->line == AIF_LINE_CR) {
            rc = scan_lf(sc, s[i], &i);
        }
        else if (s[i] == '\n') {
            rc = lone_lf(sc, &i);
        }
        else if (s[i] == '\r') {
            sc->line = AIF_LINE_CR;
            i++;
        }
        else {
            rc = AIF_SCAN_BAD;
        }
        if (rc == AIF_SCAN_BAD) {
            return bad(sc, AIF_H1_FAULT_CHUNK_END);
        }
        sc->credit -= i - *n;
        *n = i;
    }
    return rc;
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
