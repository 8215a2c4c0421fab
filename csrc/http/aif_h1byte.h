/* aif_h1byte -- where runs of ordinary bytes end: loops over 16 or 8 bytes at
 * a time. Header only, because each is called for every field.
 *
 * Pure functions; none reads at or behind |end|.
 */
#ifndef AIF_H1BYTE_H
#define AIF_H1BYTE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/aif_ascii.h"

#if defined(__SSE2__) && defined(__GNUC__)
#    include <emmintrin.h>
#    define AIF_H1BYTE_SSE2 1
#else
#    define AIF_H1BYTE_SSE2 0
#endif

#define AIF_H1BYTE_LANES(byte) (UINT64_C(0x0101010101010101) * (byte))

/* 1 if |c| may not stand in a line: a control byte but HTAB. */
static inline int
aif_h1byte_is_control(char c)
{
    return ((unsigned char)c < 0x20 && c != '\t') || c == 0x7f;
}

/* 1 if |c| is visible ASCII. */
static inline int
aif_h1byte_is_visible(char c)
{
    return c > 0x20 && c < 0x7f;
}

#if AIF_H1BYTE_SSE2

/* Bit i is set if byte i of the 16 at |s| is a control byte but HTAB. */
static inline unsigned
aif_h1byte_control_mask(const char *s)
{
    const __m128i v = _mm_loadu_si128((const __m128i *)(const void *)s);
    const __m128i low = _mm_set1_epi8(0x1f);
    __m128i bad = _mm_cmpeq_epi8(_mm_min_epu8(v, low), v);

    bad = _mm_andnot_si128(_mm_cmpeq_epi8(v, _mm_set1_epi8('\t')), bad);
    bad = _mm_or_si128(bad, _mm_cmpeq_epi8(v, _mm_set1_epi8(0x7f)));
    return (unsigned)_mm_movemask_epi8(bad);
}

/* The same for bytes that are not visible ASCII; those from 0x80 on are
 * negative and so too small. */
static inline unsigned
aif_h1byte_hidden_mask(const char *s)
{
    const __m128i v = _mm_loadu_si128((const __m128i *)(const void *)s);
    const __m128i good = _mm_cmpgt_epi8(v, _mm_set1_epi8(0x20));
    const __m128i del = _mm_cmpeq_epi8(v, _mm_set1_epi8(0x7f));

    return (unsigned)_mm_movemask_epi8(_mm_andnot_si128(del, good)) ^ 0xffffu;
}

/* Bit i is set if byte i of the 16 at |s| is not a letter, a digit or '-',
 * which is all that most names are made of. */
static inline unsigned
aif_h1byte_unusual_mask(const char *s)
{
    const __m128i v = _mm_loadu_si128((const __m128i *)(const void *)s);
    const __m128i none = _mm_setzero_si128();
    __m128i letter = _mm_or_si128(v, _mm_set1_epi8(0x20));
    __m128i digit = _mm_sub_epi8(v, _mm_set1_epi8('0'));
    __m128i good = _mm_cmpeq_epi8(v, _mm_set1_epi8('-'));

    letter = _mm_sub_epi8(letter, _mm_set1_epi8('a'));
    letter = _mm_subs_epu8(letter, _mm_set1_epi8(25));
    digit = _mm_subs_epu8(digit, _mm_set1_epi8(9));
    good = _mm_or_si128(good, _mm_cmpeq_epi8(letter, none));
    good = _mm_or_si128(good, _mm_cmpeq_epi8(digit, none));
    return (unsigned)_mm_movemask_epi8(good) ^ 0xffffu;
}

#else

/* Not 0 if one of the 8 bytes at |s| is a control byte. A lane below 0x20
 * borrows from bit 7 without having had it and may disturb those above it, so
 * this does not tell which; HTAB counts too. */
static inline uint64_t
aif_h1byte_control_lanes(const char *s)
{
    uint64_t w, del;

    memcpy(&w, s, sizeof(w));
    del = w ^ AIF_H1BYTE_LANES(0x7f);
    return (((w - AIF_H1BYTE_LANES(0x20)) & ~w)
            | ((del - AIF_H1BYTE_LANES(1)) & ~del))
           & AIF_H1BYTE_LANES(0x80);
}

#endif

/* The first control byte but HTAB at or after |s|, or |end|. */
static inline const char *
aif_h1byte_find_control(const char *s, const char *end)
{
#if AIF_H1BYTE_SSE2
    while (end - s >= 16) {
        const unsigned found = aif_h1byte_control_mask(s);

        if (found != 0) {
            return s + __builtin_ctz(found);
        }
        s += 16;
    }
#else
    while (end - s >= 8 && aif_h1byte_control_lanes(s) == 0) {
        s += 8;
    }
#endif
    while (s < end && !aif_h1byte_is_control(*s)) {
        s++;
    }
    return s;
}

/* The first byte at or after |s| that is not a tchar (RFC 9110 5.6.2), or
 * |end|. */
static inline const char *
aif_h1byte_find_name_end(const char *s, const char *end)
{
#if AIF_H1BYTE_SSE2
    while (end - s >= 16) {
        const unsigned found = aif_h1byte_unusual_mask(s);

        if (found != 0) {
            s += __builtin_ctz(found);
            break;
        }
        s += 16;
    }
#endif
    while (s < end && aif_ascii_is_tchar(*s)) {
        s++;
    }
    return s;
}

/* The first byte at or after |s| that is not visible ASCII, or |end|. */
static inline const char *
aif_h1byte_find_hidden(const char *s, const char *end)
{
#if AIF_H1BYTE_SSE2
    while (end - s >= 16) {
        const unsigned found = aif_h1byte_hidden_mask(s);

        if (found != 0) {
            return s + __builtin_ctz(found);
        }
        s += 16;
    }
#endif
    while (s < end && aif_h1byte_is_visible(*s)) {
        s++;
    }
    return s;
}

#endif
