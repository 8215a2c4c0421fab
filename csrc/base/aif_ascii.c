/* aif_ascii -- byte classes and the small scans of HTTP grammar.
 *
 * These run over every name and value of every message, so membership is a
 * table look-up and longer texts are looked at eight bytes at a time.
 */
#include "base/aif_ascii.h"

#include <string.h>

/* clang-format off */

/* tchar of RFC 9110 5.6.2, one row for sixteen bytes; what is not listed,
 * from 0x80 on, is 0. */
const unsigned char aif_ascii_tchars[256] = {
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 1, 0, 1, 1, 1, 1, 1, 0, 0, 1, 1, 0, 1, 1, 0,
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0,
    0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 1, 1,
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 1, 0, 1, 0,
};

/* clang-format on */

/* One byte in each lane of a word. */
#define LANES(byte) (UINT64_C(0x0101010101010101) * (byte))

/* Eight bytes with their letters made small. In seven bits neither sum leaves
 * its lane: the first has the top bit from 'A' on, the second behind 'Z', so
 * that they differ in capitals. */
static uint64_t
fold_word(const char *s)
{
    uint64_t w, low, upper;

    memcpy(&w, s, sizeof(w));
    low = w & LANES(0x7f);
    upper = (low + LANES(0x80 - 'A')) ^ (low + LANES(0x7f - 'Z'));
    return w | ((upper & ~w & LANES(0x80)) >> 2);
}

void
aif_ascii_fold(char *dst, const char *src, size_t n)
{
    uint64_t w;
    size_t i;

    while (n >= sizeof(w)) {
        w = fold_word(src);
        memcpy(dst, &w, sizeof(w));
        src += sizeof(w);
        dst += sizeof(w);
        n -= sizeof(w);
    }
    for (i = 0; i < n; i++) {
        dst[i] = aif_ascii_lower(src[i]);
    }
}

int
aif_ascii_equal(const char *a, const char *b, size_t n)
{
    const size_t word = sizeof(uint64_t);
    size_t i;

    if (n >= word) {
        for (i = 0; i < n - word; i += word) {
            if (fold_word(a + i) != fold_word(b + i)) {
                return 0;
            }
        }
        /* The last word overlaps the one before it. */
        return fold_word(a + n - word) == fold_word(b + n - word);
    }
    for (i = 0; i < n; i++) {
        if (aif_ascii_lower(a[i]) != aif_ascii_lower(b[i])) {
            return 0;
        }
    }
    return 1;
}

int
aif_ascii_is(const char *a, size_t n, const char *text)
{
    return n == strlen(text) && aif_ascii_equal(a, text, n);
}

int
aif_ascii_is_token(const char *s, size_t n)
{
    unsigned char all = n > 0;
    size_t i;

    /* Names are short and nearly always right: no way out of the loop. */
    for (i = 0; i < n; i++) {
        all &= aif_ascii_tchars[(unsigned char)s[i]];
    }
    return all;
}

/* 1 if any lane of |w| is below |least| or is 0x7f. A lane below |least|
 * borrows from 0x80 without having had that bit; the same trick finds a zero
 * lane in w ^ 0x7f. Exact as a yes or no, which is all that is asked. */
static int
has_control(uint64_t w, unsigned char least)
{
    uint64_t del = w ^ LANES(0x7f);
    uint64_t low = (w - LANES(least)) & ~w;

    return ((low | ((del - LANES(1)) & ~del)) & LANES(0x80)) != 0;
}

int
aif_ascii_is_visible(const char *s, size_t n)
{
    const int some = n > 0;
    uint64_t w;

    while (n >= sizeof(w)) {
        memcpy(&w, s, sizeof(w));
        if ((w & LANES(0x80)) != 0 || has_control(w, 0x21)) {
            return 0;
        }
        s += sizeof(w);
        n -= sizeof(w);
    }
    while (n > 0) {
        if (*s < '!' || *s > '~') {
            return 0;
        }
        s++;
        n--;
    }
    return some;
}

static int
is_value_byte(char c)
{
    return ((unsigned char)c >= 0x20 && c != 0x7f) || c == '\t';
}

int
aif_ascii_is_value(const char *s, size_t n)
{
    uint64_t w;
    size_t i;

    while (n >= sizeof(w)) {
        memcpy(&w, s, sizeof(w));
        if (has_control(w, 0x20)) {
            /* Perhaps only a tab: look closer. */
            for (i = 0; i < sizeof(w); i++) {
                if (!is_value_byte(s[i])) {
                    return 0;
                }
            }
        }
        s += sizeof(w);
        n -= sizeof(w);
    }
    for (i = 0; i < n; i++) {
        if (!is_value_byte(s[i])) {
            return 0;
        }
    }
    return 1;
}

static int
is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* The end of the list element that starts at |s|: the first comma outside a
 * quoted string, or the end. An unfinished quote runs to the end, so that
 * what it holds is never taken for a token. */
static const char *
element_end(const char *s, const char *end)
{
    int quoted = 0;

    for (; s < end; s++) {
        if (*s == '"') {
            quoted = !quoted;
        }
        else if (quoted && *s == '\\' && end - s > 1) {
            s++;
        }
        else if (!quoted && *s == ',') {
            break;
        }
    }
    return s;
}

int
aif_ascii_has_token(const char *s, size_t n, const char *token)
{
    const char *end, *stop, *last;

    if (n == 0) {
        return 0;
    }
    end = s + n;
    while (s < end) {
        if (is_blank(*s) || *s == ',') {
            s++;
            continue;
        }
        stop = element_end(s, end);
        last = memchr(s, ';', (size_t)(stop - s));
        if (last == NULL) {
            last = stop;
        }
        while (last > s && is_blank(last[-1])) {
            last--;
        }
        if (last > s && aif_ascii_is(s, (size_t)(last - s), token)) {
            return 1;
        }
        s = stop;
    }
    return 0;
}

int
aif_ascii_u64(const char *s, size_t n, uint64_t max, uint64_t *out)
{
    uint64_t value = 0;
    uint64_t digit;
    size_t i;

    if (n == 0) {
        return -1;
    }
    for (i = 0; i < n; i++) {
        if (s[i] < '0' || s[i] > '9') {
            return -1;
        }
        digit = (uint64_t)(s[i] - '0');
        /* value * 10 + digit <= max, asked without computing it. */
        if (digit > max || value > (max - digit) / 10) {
            return -1;
        }
        value = value * 10 + digit;
    }
    *out = value;
    return 0;
}

int
aif_ascii_hex(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c = aif_ascii_lower(c);
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return -1;
}
