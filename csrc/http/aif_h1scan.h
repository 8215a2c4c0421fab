/* aif_h1scan -- the lines of HTTP/1 framing, walked over byte by byte: start
 * lines, field lines, chunk-size lines. It splits nothing and stores nothing;
 * it finds where each piece ends, refuses bytes that may not stand there, and
 * counts against the ceilings.
 *
 * Owner:    embedded in aif_h1parse, which is its only user.
 * Rule:     whatever way the input is cut, the same byte is refused for the
 *           same reason.
 *
 * Every aif_h1scan_* function that takes |s| and |len| walks over at most
 * |len| bytes, puts into *|n| how many of them are good, and returns
 * AIF_SCAN_MORE (all were), AIF_SCAN_END (the piece ends with the last good
 * one) or AIF_SCAN_BAD (s[*n] is refused; |code| and |text| say why).
 */
#ifndef AIF_H1SCAN_H
#define AIF_H1SCAN_H

#include <stddef.h>
#include <stdint.h>

#include "base/aif_buf.h"

#define AIF_H1SCAN_DIGITS 16u /* of a chunk size */

typedef enum aif_scan { AIF_SCAN_MORE, AIF_SCAN_END, AIF_SCAN_BAD } aif_scan;

/* Where in a line the scanner stands. */
typedef enum aif_scan_line {
    AIF_LINE_BEGIN, /* before its first byte; inside a chunk size */
    AIF_LINE_TEXT,
    AIF_LINE_BLANK, /* behind a chunk size, before ';' */
    AIF_LINE_CR,    /* LF has to follow and ends the line */
    AIF_LINE_LAST   /* the same in the empty line that ends a section */
} aif_scan_line;

typedef struct aif_h1scan {
    aif_scan_line line;
    size_t line_len;  /* bytes of the line without its end */
    size_t section;   /* bytes of the head or the trailer section */
    unsigned fields;  /* field lines of it */
    unsigned leading; /* bytes of empty lines before start lines */
    uint64_t credit;  /* framing bytes that chunks may still spend */
    uint64_t size;    /* of the chunk whose line is or was read */
    unsigned digits;  /* how many of it are in |digit| */
    char digit[AIF_H1SCAN_DIGITS + 2]; /* with room for a line end */
    int code;                          /* why AIF_SCAN_BAD */
    const char *text;                  /* static */
} aif_h1scan;

/* Ready for a message. */
void aif_h1scan_reset(aif_h1scan *sc);

/* Ready for the next piece: a start line, a section of fields (|section| and
 * |fields| count on; the caller sets them back), a chunk line, a CRLF. */
void aif_h1scan_next(aif_h1scan *sc);

/* Empty lines in front of a start line. Ends in front of the first other
 * byte, which may be the first of all. */
aif_scan aif_h1scan_lead(aif_h1scan *sc, const char *s, size_t len, size_t *n);

/* A start line with its CRLF, up to |line_max| bytes, within the head's
 * |head_max|. *|text_len| receives how many of the *|n| are not its end. */
aif_scan aif_h1scan_start(aif_h1scan *sc, const char *s, size_t len,
                          size_t line_max, size_t head_max, size_t *n,
                          size_t *text_len);

/* Field lines up to and with the empty one. */
aif_scan aif_h1scan_fields(aif_h1scan *sc, const char *s, size_t len,
                           size_t line_max, size_t section_max,
                           unsigned fields_max, size_t *n);

/* A chunk-size line; at its end |size| and |digit| hold the size. Extensions
 * are passed over (RFC 9112 7.1.1), blanks behind the size too. */
aif_scan aif_h1scan_size(aif_h1scan *sc, const char *s, size_t len,
                         size_t line_max, size_t *n);

/* The CRLF behind a chunk's data. */
aif_scan aif_h1scan_crlf(aif_h1scan *sc, const char *s, size_t len, size_t *n);

/* |bytes| of a chunk's data earn credit for framing. */
void aif_h1scan_earn(aif_h1scan *sc, size_t bytes);

/* NULL if |c| may be byte |i| of a status line (RFC 9112 4), or what is wrong.
 * A line of 12 bytes and more that has passed is "HTTP/1.x NNN[ reason]". */
const char *aif_h1scan_status_byte(size_t i, char c);

/* Splits a request line (RFC 9112 3). NULL, or what is wrong. The method is
 * any token, the target any visible ASCII. */
const char *aif_h1scan_request(const char *s, size_t len, aif_slice *method,
                               aif_slice *target, int *minor);

#endif
