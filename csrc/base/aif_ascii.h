/* aif_ascii -- bytes as protocols see them: no locale, no Unicode.
 *
 * Every function here is a pure function of its arguments.
 */
#ifndef AIF_ASCII_H
#define AIF_ASCII_H

#include <stddef.h>
#include <stdint.h>

/* The ASCII letter |c| in lower case; any other byte unchanged. */
static inline char
aif_ascii_lower(char c)
{
    return (c >= 'A' && c <= 'Z') ? (char)(c | 0x20) : c;
}

/* 1 for each byte that is a tchar (RFC 9110 5.6.2). */
extern const unsigned char aif_ascii_tchars[256];

static inline int
aif_ascii_is_tchar(char c)
{
    return aif_ascii_tchars[(unsigned char)c];
}

/* Lower-cases |n| bytes from |src| to |dst|; they may be the same. */
void aif_ascii_fold(char *dst, const char *src, size_t n);

/* 1 if |n| bytes at |a| equal |n| bytes at |b| without regard to case. */
int aif_ascii_equal(const char *a, const char *b, size_t n);

/* 1 if |a| (|n| bytes) equals the NUL-terminated |text|, ignoring case. */
int aif_ascii_is(const char *a, size_t n, const char *text);

/* 1 if all |n| > 0 bytes are tchar (RFC 9110 5.6.2); 0 for an empty token. */
int aif_ascii_is_token(const char *s, size_t n);

/* 1 if all |n| > 0 bytes are visible ASCII, 0x21 to 0x7e; 0 if empty. */
int aif_ascii_is_visible(const char *s, size_t n);

/* 1 if no byte may end or split a field value: refuses 0-8, 10-31 and 127
 * (RFC 9110 5.5; HTAB is allowed, bytes from 0x80 on too). */
int aif_ascii_is_value(const char *s, size_t n);

/* 1 if the comma-separated list |s| (RFC 9110 5.6.1) holds |token|, compared
 * without regard to case; parameters after ';' are ignored. */
int aif_ascii_has_token(const char *s, size_t n, const char *token);

/* Reads |n| > 0 decimal digits into *|out|. 0, or -1 for an empty string, a
 * byte that is not a digit, or a value above |max|. */
int aif_ascii_u64(const char *s, size_t n, uint64_t max, uint64_t *out);

/* The value of a hexadecimal digit, or -1. */
int aif_ascii_hex(char c);

#endif
