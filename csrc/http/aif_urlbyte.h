/* aif_urlbyte -- what the bytes of a URL may be, and percent-encoding.
 *
 * Which byte may stand where is said in aif_url.h; this is the table of it and
 * the loops that run over every URL.
 */
#ifndef AIF_URLBYTE_H
#define AIF_URLBYTE_H

#include <stddef.h>

#define AIF_URLBYTE_QUOTE 1 /* not in a request target: percent-encode it */
#define AIF_URLBYTE_FATAL 2 /* CR, LF, NUL: nowhere */
#define AIF_URLBYTE_MARK 4  /* '?', '#', '%', which mean something there */
#define AIF_URLBYTE_NAME 8  /* in a host's name (RFC 3986 3.2.2), less '%' */

/* What makes a byte of a target worth a second look. */
#define AIF_URLBYTE_SPECIAL                                                   \
    (AIF_URLBYTE_QUOTE | AIF_URLBYTE_FATAL | AIF_URLBYTE_MARK)

extern const unsigned char aif_urlbyte_class[256];

#define AIF_URLBYTE(c) (aif_urlbyte_class[(unsigned char)(c)])

/* The first byte of [s, end) that is special, or |end|. */
const char *aif_urlbyte_skip_plain(const char *s, const char *end);

/* The first byte of [s, end) that no name may have, or |end|. */
const char *aif_urlbyte_skip_name(const char *s, const char *end);

/* 1 if a percent sign at |s| opens a valid escape before |end|. */
int aif_urlbyte_is_escape(const char *s, const char *end);

/* How many bytes quoting adds to [s, end); -1 if it holds a byte that is
 * refused. */
ptrdiff_t aif_urlbyte_count(const char *s, const char *end);

/* Copies [s, end) to |to| with what must be quoted quoted, and returns where
 * the copy ends. There is room for aif_urlbyte_count() bytes more. */
char *aif_urlbyte_quote(char *to, const char *s, const char *end);

#endif
