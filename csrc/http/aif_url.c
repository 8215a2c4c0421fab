/* aif_url -- URLs as a client needs them: taken apart, checked, put together
 * again in one normal form.
 *
 * A parse looks at each byte about once through the table of aif_urlbyte,
 * computes the exact size of the result and writes it into one allocation.
 * The texts of failures hold nothing of the input: a URL that does not parse
 * may have its password anywhere.
 */
#include "http/aif_url.h"

#include <assert.h>
#include <string.h>

#include "base/aif_ascii.h"
#include "base/aif_ipaddr.h"
#include "http/aif_urlbyte.h"

typedef struct scheme {
    const char *name;
    uint16_t port;
    unsigned char len;
    int secure;
} scheme;

static const scheme schemes[] = {
    {"https", 443, 5, 1},
    {"http", 80, 4, 0},
    {"wss", 443, 3, 1},
    {"ws", 80, 2, 0},
};

/* Pieces of the input, and how much longer quoting makes each. */
typedef struct split {
    const scheme *scheme;
    aif_slice userinfo;
    aif_slice host; /* without brackets */
    aif_slice path;
    aif_slice query; /* with its '?' */
    aif_slice fragment;
    size_t userinfo_grows;
    size_t tail_grows; /* path, query and fragment together */
    uint16_t port;
    unsigned has_userinfo : 1;
    unsigned has_fragment : 1;
    unsigned is_ipv6 : 1;
    unsigned raw_host : 1; /* has bytes above 0x7f */
} split;

static const char text_control[] = "the URL has a line break or a NUL in it";
static const char text_too_long[] = "the URL is too long";
static const char text_no_memory[] = "out of memory for the URL";

void
aif_url_reset(aif_url *u)
{
    aif_buf text = u->text;

    memset(u, 0, sizeof(*u));
    u->text = text;
    u->text.len = 0;
}

void
aif_url_init(aif_url *u)
{
    aif_buf_init(&u->text, AIF_MAX_URL);
    aif_url_reset(u);
}

void
aif_url_fini(aif_url *u)
{
    aif_buf_fini(&u->text);
    aif_url_reset(u);
}

static aif_slice
cut(const char *from, const char *to)
{
    aif_slice s = {from, (size_t)(to - from)};

    return s;
}

static int
is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static char *
put(char *to, const char *s, size_t n)
{
    memcpy(to, s, n);
    return to + n;
}

size_t
aif_url_scheme_length(const char *s, size_t n)
{
    size_t i;
    char c;

    for (i = 0; i < n; i++) {
        c = aif_ascii_lower(s[i]);
        if (c == ':') {
            return i;
        }
        if (!(c >= 'a' && c <= 'z')
            && (i == 0
                || !((c >= '0' && c <= '9') || c == '+' || c == '-'
                     || c == '.')))
        {
            return 0;
        }
    }
    return 0;
}

static int
split_scheme(split *p, const char *s, size_t n, aif_err *err)
{
    const size_t len = aif_url_scheme_length(s, n);
    size_t i;

    for (i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
        if (schemes[i].len == len && aif_ascii_equal(s, schemes[i].name, len))
        {
            p->scheme = &schemes[i];
            break;
        }
    }
    if (p->scheme == NULL) {
        return aif_err_set(err, AIF_EINVAL,
                           len == 0 ? "the URL has no scheme, such as http://"
                                    : "the scheme of the URL is not http, "
                                      "https, ws or wss");
    }
    if (n - len < 3 || s[len + 1] != '/' || s[len + 2] != '/') {
        return aif_err_set(err, AIF_EINVAL,
                           "the URL has no // after its scheme");
    }
    return 0;
}

static int
split_port(split *p, const char *s, const char *end, aif_err *err)
{
    uint64_t port;

    p->port = p->scheme->port;
    if (s == end) {
        return 0;
    }
    if (*s != ':') {
        return aif_err_set(err, AIF_EINVAL,
                           "the URL has something other than a port after "
                           "its IPv6 address");
    }
    s++;
    /* RFC 3986 3.2.3: a colon with nothing behind it means the default. */
    if (s == end) {
        return 0;
    }
    if (aif_ascii_u64(s, (size_t)(end - s), UINT16_MAX, &port) != 0) {
        return aif_err_set(err, AIF_EINVAL,
                           "the port of the URL is not a number up to 65535");
    }
    p->port = (uint16_t)port;
    return 0;
}

/* Host and port, [s, end). */
static int
split_host(split *p, const char *s, const char *end, aif_err *err)
{
    const char *at = s;

    if (s < end && *s == '[') {
        at = memchr(s, ']', (size_t)(end - s));
        if (at == NULL || !aif_ipaddr_is_v6(s + 1, (size_t)(at - s - 1))) {
            return aif_err_set(err, AIF_EINVAL,
                               "the URL has brackets around something other "
                               "than an IPv6 address");
        }
        p->is_ipv6 = 1;
        p->host = cut(s + 1, at);
        return split_port(p, at + 1, end, err);
    }
    for (at = aif_urlbyte_skip_name(s, end); at < end;
         at = aif_urlbyte_skip_name(at + 1, end))
    {
        if (*at == ':') {
            break;
        }
        if ((unsigned char)*at < 0x80) {
            return aif_err_set(err, AIF_EINVAL,
                               "the host of the URL has a character that "
                               "no host name may have");
        }
        p->raw_host = 1;
    }
    p->host = cut(s, at);
    if (p->host.len == 0) {
        return aif_err_set(err, AIF_EINVAL, "the URL has no host");
    }
    return split_port(p, at, end, err);
}

/* Userinfo, host and port, [s, end). A second '@' is refused with the host:
 * readers of URLs differ on which of them ends the password, and a wrong
 * guess sends it to the wrong host. */
static int
split_authority(split *p, const char *s, const char *end, aif_err *err)
{
    const char *at = NULL;
    ptrdiff_t grows;

    if (end > s && memchr(s, '\\', (size_t)(end - s)) != NULL) {
        return aif_err_set(err, AIF_EINVAL,
                           "the URL has a backslash before its path, which "
                           "some readers take for a slash");
    }
    if (end > s) {
        at = memchr(s, '@', (size_t)(end - s));
    }
    if (at != NULL) {
        grows = aif_urlbyte_count(s, at);
        if (grows < 0) {
            return aif_err_set(err, AIF_EINVAL, "%s", text_control);
        }
        p->has_userinfo = 1;
        p->userinfo = cut(s, at);
        p->userinfo_grows = (size_t)grows;
        s = at + 1;
        if (end > s && memchr(s, '@', (size_t)(end - s)) != NULL) {
            return aif_err_set(err, AIF_EINVAL,
                               "the URL has more than one @ before its path: "
                               "write %%40 in a user name or password");
        }
    }
    return split_host(p, s, end, err);
}

/* Where the authority that starts at |s| ends. */
static const char *
authority_end(const char *s, const char *end)
{
    for (s = aif_urlbyte_skip_name(s, end); s < end;
         s = aif_urlbyte_skip_name(s + 1, end))
    {
        if (*s == '/' || *s == '?' || *s == '#') {
            break;
        }
    }
    return s;
}

/* Path, query and fragment, [s, end). */
static int
split_tail(split *p, const char *s, const char *end, aif_err *err)
{
    const char *query = NULL;
    const char *fragment = NULL;
    const char *from = s;
    unsigned char kind;
    size_t grows = 0;

    for (s = aif_urlbyte_skip_plain(s, end); s < end;
         s = aif_urlbyte_skip_plain(s + 1, end))
    {
        kind = AIF_URLBYTE(*s) & AIF_URLBYTE_SPECIAL;
        if (kind == AIF_URLBYTE_FATAL) {
            return aif_err_set(err, AIF_EINVAL, "%s", text_control);
        }
        if (kind == AIF_URLBYTE_QUOTE) {
            grows += 2;
        }
        else if (*s == '%') {
            grows += aif_urlbyte_is_escape(s, end) ? 0 : 2;
        }
        else if (fragment == NULL && *s == '#') {
            fragment = s;
        }
        else if (fragment == NULL && query == NULL) {
            query = s;
        }
    }
    if (fragment != NULL) {
        p->has_fragment = 1;
        p->fragment = cut(fragment + 1, end);
        end = fragment;
    }
    if (query == NULL) {
        query = end;
    }
    p->query = cut(query, end);
    p->path = cut(from, query);
    p->tail_grows = grows;
    return 0;
}

static int
split_url(split *p, const char *s, size_t n, aif_err *err)
{
    const char *end, *at;
    int rc;

    if (n == 0) {
        return aif_err_set(err, AIF_EINVAL, "the URL is empty");
    }
    end = s + n;
    if (is_blank(*s) || is_blank(end[-1])) {
        return aif_err_set(err, AIF_EINVAL,
                           "the URL has a blank at its start or end");
    }
    rc = split_scheme(p, s, n, err);
    if (rc < 0) {
        return rc;
    }
    s += p->scheme->len + 3;
    at = authority_end(s, end);
    rc = split_authority(p, s, at, err);
    if (rc < 0) {
        return rc;
    }
    return split_tail(p, at, end, err);
}

/* An upper bound for the normal form that is exact up to the port. */
static size_t
text_size(const split *p)
{
    return (size_t)p->scheme->len + 3 + p->userinfo.len + p->userinfo_grows
           + p->has_userinfo + p->host.len + 2 * (size_t)p->is_ipv6
           + p->path.len + p->query.len + p->tail_grows + (p->path.len == 0)
           + p->has_fragment + p->fragment.len;
}

static char *
put_piece(char *to, aif_slice s, size_t grows)
{
    /* A piece that is not there is NULL. */
    if (s.len == 0) {
        return to;
    }
    if (grows != 0) {
        return aif_urlbyte_quote(to, s.ptr, s.ptr + s.len);
    }
    return put(to, s.ptr, s.len);
}

static size_t
put_port(char to[6], uint16_t port)
{
    char digits[5];
    size_t at = sizeof(digits);

    do {
        digits[--at] = (char)('0' + port % 10);
        port /= 10;
    } while (port != 0);
    *to = ':';
    memcpy(to + 1, digits + at, sizeof(digits) - at);
    return 1 + sizeof(digits) - at;
}

/* Writes scheme, userinfo and authority of |p| to the start of the text. */
static char *
fill_front(aif_url *u, const split *p, const char *port, size_t port_len)
{
    char *const start = u->text.data;
    char *to = start;

    to = put(to, p->scheme->name, p->scheme->len);
    to = put(to, "://", 3);
    u->scheme_len = p->scheme->len;
    u->userinfo_off = (uint32_t)(to - start);
    if (p->has_userinfo) {
        to = put_piece(to, p->userinfo, p->userinfo_grows);
        u->userinfo_len = (uint32_t)(to - start) - u->userinfo_off;
        *to++ = '@';
    }
    u->authority_off = (uint32_t)(to - start);
    if (p->is_ipv6) {
        *to++ = '[';
    }
    u->host_off = (uint32_t)(to - start);
    u->host_len = (uint32_t)p->host.len;
    aif_ascii_fold(to, p->host.ptr, p->host.len);
    to += p->host.len;
    if (p->is_ipv6) {
        *to++ = ']';
    }
    to = put(to, port, port_len);
    u->authority_len = (uint32_t)(to - start) - u->authority_off;
    return to;
}

/* Writes target and fragment behind the front that ends at |to|. */
static void
fill_tail(aif_url *u, const split *p, char *to)
{
    char *const start = u->text.data;

    u->target_off = (uint32_t)(to - start);
    if (p->path.len == 0) {
        *to++ = '/';
    }
    to = put_piece(to, p->path, p->tail_grows);
    u->path_len = (uint32_t)(to - start) - u->target_off;
    to = put_piece(to, p->query, p->tail_grows);
    u->target_len = (uint32_t)(to - start) - u->target_off;
    if (p->has_fragment) {
        *to++ = '#';
    }
    u->fragment_off = (uint32_t)(to - start);
    to = put_piece(to, p->fragment, p->tail_grows);
    u->fragment_len = (uint32_t)(to - start) - u->fragment_off;
    u->text.len = (size_t)(to - start);
}

int
aif_url_parse(aif_url *u, const char *s, size_t n, aif_err *err)
{
    split p = {.scheme = NULL};
    char port[6];
    size_t port_len;
    int rc;

    aif_url_reset(u);
    rc = split_url(&p, s, n, err);
    if (rc < 0) {
        return rc;
    }
    assert(p.scheme != NULL);
    port_len = p.port == p.scheme->port ? 0 : put_port(port, p.port);
    rc = aif_buf_reserve(&u->text, text_size(&p) + port_len);
    if (rc < 0) {
        return aif_err_set(err, rc, "%s",
                           rc == AIF_ETOOBIG ? text_too_long : text_no_memory);
    }
    fill_tail(u, &p, fill_front(u, &p, port, port_len));
    u->port = p.port;
    u->secure = p.scheme->secure != 0;
    u->has_userinfo = p.has_userinfo;
    u->has_fragment = p.has_fragment;
    u->is_ipv6 = p.is_ipv6;
    if (p.raw_host) {
        return aif_err_set(err, AIF_EIDNA, "the host of the URL is not ASCII");
    }
    return 0;
}

int
aif_url_add_query(aif_url *u, const char *extra, size_t n, aif_err *err)
{
    const size_t at = (size_t)u->target_off + u->target_len;
    const uint32_t query_len = u->target_len - u->path_len;
    char *to;
    size_t gap;
    int rc;

    if (n == 0) {
        return 0;
    }
    if (u->text.len == 0 || aif_urlbyte_count(extra, extra + n) != 0
        || memchr(extra, '#', n) != NULL)
    {
        return aif_err_set(
            err, AIF_EINVAL,
            u->text.len == 0
                ? "there is no URL to add a query to"
                : "the query has a character that must be encoded");
    }
    /* A query that is there but empty ("/?") needs no '&'. */
    gap = query_len == 1 ? 0 : 1;
    rc = n > AIF_MAX_URL ? AIF_ETOOBIG : aif_buf_reserve(&u->text, n + gap);
    if (rc < 0) {
        return aif_err_set(err, rc, "%s",
                           rc == AIF_ETOOBIG ? text_too_long : text_no_memory);
    }
    to = u->text.data + at;
    memmove(to + gap + n, to, u->text.len - at);
    if (gap != 0) {
        *to++ = query_len == 0 ? '?' : '&';
    }
    memcpy(to, extra, n);
    u->text.len += n + gap;
    u->target_len += (uint32_t)(n + gap);
    u->fragment_off += (uint32_t)(n + gap);
    return 0;
}

static int
is_same(aif_slice a, aif_slice b)
{
    return a.len == b.len && memcmp(a.ptr, b.ptr, a.len) == 0;
}

int
aif_url_same_origin(const aif_url *a, const aif_url *b)
{
    return a->text.len > 0 && a->port == b->port
           && is_same(aif_url_host(a), aif_url_host(b))
           && is_same(aif_url_scheme(a), aif_url_scheme(b));
}
