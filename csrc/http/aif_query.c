/* aif_query -- keys and values of a query, escaped. */
#include "http/aif_query.h"

#include "base/aif_ascii.h"

/* A bit for each byte that stands as it is: letters, digits and -._~
 * (RFC 3986 2.3), and !$'()*,/:?@ which mean nothing between two '&'. */
static const uint32_t plain[8] = {
    0, 0x87fff792u, 0x87ffffffu, 0x47fffffeu, 0, 0, 0, 0,
};

static int
is_plain(unsigned char c)
{
    return (int)(plain[c >> 5] >> (c & 31u) & 1u);
}

size_t
aif_query_size(const char *s, size_t n)
{
    size_t size = n;

    for (size_t i = 0; i < n; i++) {
        if (!is_plain((unsigned char)s[i]) && s[i] != ' ') {
            size += 2;
        }
    }
    return size;
}

char *
aif_query_put(char *to, const char *s, size_t n)
{
    static const char digits[] = "0123456789ABCDEF";

    for (size_t i = 0; i < n; i++) {
        const unsigned char c = (unsigned char)s[i];

        if (is_plain(c)) {
            *to++ = s[i];
        }
        else if (c == ' ') {
            *to++ = '+';
        }
        else {
            *to++ = '%';
            *to++ = digits[c >> 4];
            *to++ = digits[c & 15u];
        }
    }
    return to;
}

int
aif_query_add(aif_buf *out, aif_slice key, aif_slice value)
{
    const size_t size = aif_query_size(key.ptr, key.len) + 1
                        + aif_query_size(value.ptr, value.len);
    const size_t gap = out->len > 0 ? 1 : 0;
    char *to;
    int rc = aif_buf_reserve(out, size + gap);

    if (rc < 0) {
        return rc;
    }
    to = out->data + out->len;
    if (gap) {
        *to++ = '&';
    }
    to = aif_query_put(to, key.ptr, key.len);
    *to++ = '=';
    (void)aif_query_put(to, value.ptr, value.len);
    out->len += size + gap;
    return 0;
}
