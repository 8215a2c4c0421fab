/* aif_urlbyte -- the table of a URL's bytes and the loops over it.
 *
 * Every request's URL goes through here, so a byte costs one look-up, and the
 * usual one no branch of its own.
 */
#include "http/aif_urlbyte.h"

#include "base/aif_ascii.h"

/* clang-format off */

/* One letter for each, so that a row of sixteen fits a line. */
#define X AIF_URLBYTE_FATAL
#define Q AIF_URLBYTE_QUOTE
#define M AIF_URLBYTE_MARK
#define h AIF_URLBYTE_NAME

const unsigned char aif_urlbyte_class[256] = {
    X, Q, Q, Q, Q, Q, Q, Q, Q, Q, X, Q, Q, X, Q, Q, /* controls */
    Q, Q, Q, Q, Q, Q, Q, Q, Q, Q, Q, Q, Q, Q, Q, Q, /* controls */
    Q, h, Q, M, h, M, h, h, h, h, h, h, h, h, h, 0, /*  !"#$%&'()*+,-./ */
    h, h, h, h, h, h, h, h, h, h, 0, h, Q, h, Q, M, /* 0123456789:;<=>? */
    0, h, h, h, h, h, h, h, h, h, h, h, h, h, h, h, /* @A..O */
    h, h, h, h, h, h, h, h, h, h, h, 0, Q, 0, Q, h, /* P..Z[\]^_ */
    Q, h, h, h, h, h, h, h, h, h, h, h, h, h, h, h, /* `a..o */
    h, h, h, h, h, h, h, h, h, h, h, Q, Q, Q, h, Q, /* p..z{|}~ DEL */
    Q, Q, Q, Q, Q, Q, Q, Q, Q, Q, Q, Q, Q, Q, Q, Q, /* from 0x80 on */
    Q, Q, Q, Q, Q, Q, Q, Q, Q, Q, Q, Q, Q, Q, Q, Q, /* 0x90 */
    Q, Q, Q, Q, Q, Q, Q, Q, Q, Q, Q, Q, Q, Q, Q, Q, /* 0xa0 */
    Q, Q, Q, Q, Q, Q, Q, Q, Q, Q, Q, Q, Q, Q, Q, Q, /* 0xb0 */
    Q, Q, Q, Q, Q, Q, Q, Q, Q, Q, Q, Q, Q, Q, Q, Q, /* 0xc0 */
    Q, Q, Q, Q, Q, Q, Q, Q, Q, Q, Q, Q, Q, Q, Q, Q, /* 0xd0 */
    Q, Q, Q, Q, Q, Q, Q, Q, Q, Q, Q, Q, Q, Q, Q, Q, /* 0xe0 */
    Q, Q, Q, Q, Q, Q, Q, Q, Q, Q, Q, Q, Q, Q, Q, Q, /* 0xf0 */
};

#undef X
#undef Q
#undef M
#undef h

/* clang-format on */

/* In fours, because targets are long and seldom have one. */
const char *
aif_urlbyte_skip_plain(const char *s, const char *end)
{
    while (end - s >= 4
           && ((AIF_URLBYTE(s[0]) | AIF_URLBYTE(s[1]) | AIF_URLBYTE(s[2])
                | AIF_URLBYTE(s[3]))
               & AIF_URLBYTE_SPECIAL)
                  == 0)
    {
        s += 4;
    }
    while (s < end && (AIF_URLBYTE(*s) & AIF_URLBYTE_SPECIAL) == 0) {
        s++;
    }
    return s;
}

const char *
aif_urlbyte_skip_name(const char *s, const char *end)
{
    while (end - s >= 4
           && ((AIF_URLBYTE(s[0]) & AIF_URLBYTE(s[1]) & AIF_URLBYTE(s[2])
                & AIF_URLBYTE(s[3]))
               & AIF_URLBYTE_NAME)
                  != 0)
    {
        s += 4;
    }
    while (s < end && (AIF_URLBYTE(*s) & AIF_URLBYTE_NAME) != 0) {
        s++;
    }
    return s;
}

int
aif_urlbyte_is_escape(const char *s, const char *end)
{
    return end - s > 2 && aif_ascii_hex(s[1]) >= 0 && aif_ascii_hex(s[2]) >= 0;
}

ptrdiff_t
aif_urlbyte_count(const char *s, const char *end)
{
    ptrdiff_t grows = 0;
    unsigned char kind;

    for (s = aif_urlbyte_skip_plain(s, end); s < end;
         s = aif_urlbyte_skip_plain(s + 1, end))
    {
        kind = AIF_URLBYTE(*s) & AIF_URLBYTE_SPECIAL;
        if (kind == AIF_URLBYTE_FATAL) {
            return -1;
        }
        if (kind == AIF_URLBYTE_QUOTE
            || (*s == '%' && !aif_urlbyte_is_escape(s, end)))
        {
            grows += 2;
        }
    }
    return grows;
}

char *
aif_urlbyte_quote(char *to, const char *s, const char *end)
{
    static const char hex[] = "0123456789ABCDEF";
    unsigned char c;

    for (; s < end; s++) {
        c = (unsigned char)*s;
        if ((aif_urlbyte_class[c] & AIF_URLBYTE_QUOTE) != 0
            || (c == '%' && !aif_urlbyte_is_escape(s, end)))
        {
            *to++ = '%';
            *to++ = hex[c >> 4];
            *to++ = hex[c & 15];
        }
        else {
            *to++ = (char)c;
        }
    }
    return to;
}
