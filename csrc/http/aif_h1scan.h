/* aif_h1scan -- the bytes between the parts of an HTTP/1 message: empty lines,
 * chunk-size lines, the ends of chunks. It stores nothing but a size; it finds
 * where each piece ends, refuses bytes that may not stand there, and counts
 * against the ceilings.
 *
 * Owner:    embedded in aif_h1parse, which is its only user.
 * Rule:     whatever way the input is cut, the same byte is refused for the
 *           same reason.
 *
 * Every aif_h1scan_* function that takes |s| and |len| walks over at most
 * |len| bytes, puts into *|n| how many of them are good, and returns
 * AIF_SCAN_MORE (all were), AIF_SCAN_END (the piece ends with the last good
 * one) or AIF_SCAN_BAD (s[*n] is refused; |fault| says why).
 */
#ifndef AIF_H1SCAN_H
#define AIF_H1SCAN_H

#include <stddef.h>
#include <stdint.h>

#include "base/aif_buf.h"
#include "http/aif_h1fault.h"

#define AIF_H1SCAN_DIGITS 16u /* of a chunk size */

/* What differs from the usual; bits of a set. Those up to AIF_H1_ANY_CODING
 * let a peer be understood in two ways: not for one that is not trusted. */
enum aif_h1_rule {
    AIF_H1_FOLDS = 1,         /* obs-fold; control bytes in values */
    AIF_H1_LONE_LF = 2,       /* LF ends a line */
    AIF_H1_LONE_CR = 4,       /* CR ends a line */
    AIF_H1_NO_CHUNK_END = 8,  /* a chunk's data without its CRLF */
    AIF_H1_VERSIONS = 16,     /* any digits around the version's dot */
    AIF_H1_LENGTH_TOO = 32,   /* Transfer-Encoding wins over a length */
    AIF_H1_ANY_CODING = 64,   /* whatever codings in whatever order */
    AIF_H1_CODINGS = 128,     /* other codings before "chunked" */
    AIF_H1_METHODS = 256,     /* only methods that are known */
    AIF_H1_SIMPLE = 512,      /* a request line without a version */
    AIF_H1_UPGRADES = 1024,   /* an upgrade ends the message at its head */
    AIF_H1_EACH_HEAD = 2048,  /* 1xx heads are messages of their own */
    AIF_H1_BARE_SIZES = 4096, /* no blanks at the end of a chunk-size line */
    AIF_H1_NO_FIELDS = 8192   /* without on_field, fields are not kept */
};

typedef enum aif_scan { AIF_SCAN_MORE, AIF_SCAN_END, AIF_SCAN_BAD } aif_scan;

/* Where in a line the scanner stands. */
typedef enum aif_scan_line {
    AIF_LINE_BEGIN,    /* before its first byte; inside a chunk size */
    AIF_LINE_BLANK,    /* behind a chunk size, before ';' */
    AIF_LINE_EXT,      /* behind ';': the name of an extension */
    AIF_LINE_NAME,     /* inside it */
    AIF_LINE_NAMED,    /* blanks behind it */
    AIF_LINE_EQUALS,   /* behind '=': its value */
    AIF_LINE_VALUE,    /* inside one that is a token */
    AIF_LINE_QUOTED,   /* inside one in quotes */
    AIF_LINE_ESCAPED,  /* behind its backslash */
    AIF_LINE_UNQUOTED, /* behind its last quote */
    AIF_LINE_VALUED,   /* blanks behind a value */
    AIF_LINE_CR        /* LF has to follow and ends the line */
} aif_scan_line;

typedef struct aif_h1scan {
    aif_scan_line line;
    unsigned rules;   /* set by the owner; enum aif_h1_rule */
    size_t line_len;  /* bytes of the line without its end */
    uint64_t credit;  /* framing bytes that chunks may still spend */
    uint64_t size;    /* of the chunk whose line is or was read */
    unsigned leading; /* bytes of empty lines before start lines */
    unsigned digits;  /* how many of the size are in |digit| */
    char digit[AIF_H1SCAN_DIGITS + 2]; /* with room for a line end */
    aif_h1_fault fault;                /* why AIF_SCAN_BAD */
} aif_h1scan;

/* Ready for a message; |rules| stay. */
void aif_h1scan_reset(aif_h1scan *sc);

/* Ready for the next piece: empty lines, a chunk line, a CRLF. */
static inline void
aif_h1scan_next(aif_h1scan *sc)
{
    sc->line = AIF_LINE_BEGIN;
    sc->line_len = 0;
    sc->digits = 0;
}

/* Empty lines in front of a start line. Ends in front of the first other
 * byte, which may be the first of all. */
aif_scan aif_h1scan_lead(aif_h1scan *sc, const char *s, size_t len, size_t *n);

/* A chunk-size line; at its end |size| and |digit| hold the size. Extensions
 * have to be some (RFC 9112 7.1.1) and are passed over, blanks behind the size
 * too. */
aif_scan aif_h1scan_size(aif_h1scan *sc, const char *s, size_t len,
                         size_t line_max, size_t *n);

/* The CRLF behind a chunk's data. */
aif_scan aif_h1scan_crlf(aif_h1scan *sc, const char *s, size_t len, size_t *n);

/* |bytes| of a chunk's data earn credit for framing. */
void aif_h1scan_earn(aif_h1scan *sc, size_t bytes);

#endif
