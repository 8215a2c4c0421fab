/* aif_url_split -- a request target or a URL taken apart as it stands.
 *
 * The delimiters are looked for first, from the left as RFC 3986 appendix B
 * has it; then each part is held against its own set of bytes.
 */
#include "http/aif_url_split.h"

#include <string.h>

#include "base/aif_ascii.h"
#include "http/aif_h1byte.h"

static int
is_alpha(char c)
{
    const char low = aif_ascii_lower(c);

    return low >= 'a' && low <= 'z';
}

static int
is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* unreserved, pct-encoded, sub-delims and ':' (RFC 3986 3.2.1). */
static int
is_userinfo(char c)
{
    return is_alpha(c) || is_digit(c)
           || (c != '\0' && strchr("-._~%!$&'()*+,;=:", c) != NULL);
}

/* Of a name that can be looked up. */
static int
is_name(char c)
{
    return is_alpha(c) || is_digit(c) || c == '-' || c == '.';
}

static int
is_address(char c)
{
    return aif_ascii_hex(c) >= 0 || c == ':' || c == '.';
}

static int
is_zone(char c)
{
    return is_name(c) || c == '%' || c == '_' || c == '~';
}

static size_t
run_of(int (*is_member)(char), const char *s, size_t n)
{
    size_t i = 0;

    while (i < n && is_member(s[i])) {
        i++;
    }
    return i;
}

static void
set_part(aif_slice *part, const char *s, size_t n)
{
    part->ptr = n > 0 ? s : NULL;
    part->len = n;
}

/* What follows '[': an address, perhaps with a zone, and ']'. Returns how long
 * it is, or 0. */
static size_t
literal_length(const char *s, size_t n)
{
    size_t i = run_of(is_address, s, n);

    if (i == 0) {
        return 0;
    }
    if (i < n && s[i] == '%') {
        i++;
        i += run_of(is_zone, s + i, n - i);
        if (s[i - 1] == '%') {
            return 0;
        }
    }
    return i < n && s[i] == ']' ? i : 0;
}

/* A port with its colon, or nothing. */
static int
split_port(aif_url_parts *parts, const char *s, size_t n)
{
    uint64_t port;

    if (n == 0) {
        return 0;
    }
    if (*s != ':' || aif_ascii_u64(s + 1, n - 1, UINT16_MAX, &port) != 0) {
        return -1;
    }
    parts->port = (int)port;
    return 0;
}

static int
split_authority(aif_url_parts *parts, const char *s, size_t n)
{
    const char *at = memchr(s, '@', n);
    size_t len;

    if (at != NULL) {
        len = (size_t)(at - s);
        if (run_of(is_userinfo, s, len) != len) {
            return -1;
        }
        set_part(&parts->userinfo, s, len);
        s = at + 1;
        n -= len + 1;
    }
    if (n > 0 && *s == '[') {
        len = literal_length(s + 1, n - 1);
        set_part(&parts->host, s + 1, len);
        len += len > 0 ? 2 : 0;
    }
    else {
        len = run_of(is_name, s, n);
        set_part(&parts->host, s, len);
    }
    return len > 0 ? split_port(parts, s + len, n - len) : -1;
}

/* Path, query and fragment; all bytes are visible ASCII. */
static void
split_target(aif_url_parts *parts, const char *s, const char *end)
{
    const char *hash = memchr(s, '#', (size_t)(end - s));
    const char *to = hash != NULL ? hash : end;
    const char *query = memchr(s, '?', (size_t)(to - s));

    set_part(&parts->path, s, (size_t)((query != NULL ? query : to) - s));
    if (query != NULL) {
        set_part(&parts->query, query + 1, (size_t)(to - query - 1));
    }
    if (hash != NULL) {
        /* Empty fragments in front of one are passed over. */
        while (hash < end && *hash == '#') {
            hash++;
        }
        set_part(&parts->fragment, hash, (size_t)(end - hash));
    }
}

int
aif_url_split(aif_url_parts *parts, const char *s, size_t n)
{
    const char *end = s + n;
    const char *from;
    size_t len;

    memset(parts, 0, sizeof(*parts));
    parts->port = -1;
    if (n == 0 || aif_h1byte_find_hidden(s, end) != end) {
        return -1;
    }
    if (*s != '/' && *s != '*') {
        len = run_of(is_alpha, s, n);
        if (len == 0 || n - len < 3 || memcmp(s + len, "://", 3) != 0) {
            return -1;
        }
        set_part(&parts->scheme, s, len);
        from = s + len + 3;
        for (s = from; s < end && *s != '/' && *s != '?'; s++) {
        }
        if (split_authority(parts, from, (size_t)(s - from)) < 0) {
            return -1;
        }
    }
    split_target(parts, s, end);
    return 0;
}
