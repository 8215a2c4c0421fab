/* aif_url -- an http(s) URL, parsed for the wire; RFC 3986 with the WHATWG
 * leniencies that people rely on.
 *
 * Rule 1: bytes go out as given. Nothing is decoded, no dot segment of an
 *         absolute URL is touched; only bytes that may not stand in a request
 *         target (RFC 3986 3.3, 3.4) are percent-encoded: space, controls
 *         other than those refused, non-ASCII (the input is UTF-8),
 *         '"' '<' '>' '\' '^' '`' '{' '|' '}', and '%' without two hex digits.
 *         Userinfo and fragment are quoted by the same rule.
 * Rule 2: CR, LF and NUL are refused anywhere, as is any control byte or
 *         space in the host, an empty host, a port above 65535, a '@', '#',
 *         '%', '/', '\' inside a host, and whatever else RFC 3986 3.2.2 has
 *         no place for in a name. So there may be one '@' before the path, and
 *         no IPv6 zone. Leading and trailing blanks (space, tab) are not
 *         trimmed but refused. A port may be empty, which is the default.
 *
 * Owner:    embedded; aif_url_fini() releases it.
 * Linear in the input's length, bounded by AIF_MAX_URL.
 */
#ifndef AIF_URL_H
#define AIF_URL_H

#include <stdint.h>

#include "base/aif_buf.h"
#include "base/aif_err.h"

/* All parts live in |text|, in this order, and are read by the slice functions
 * below: scheme "://" userinfo "@" host ":" port target "#" fragment. The host
 * is in lower case, IPv6 literals without their brackets in aif_url_host() but
 * with them in aif_url_authority(). */
typedef struct aif_url {
    aif_buf text; /* the normal form; offsets below point into it */
    uint32_t scheme_len;
    uint32_t userinfo_off, userinfo_len;
    uint32_t authority_off, authority_len; /* host[:port if not the default] */
    uint32_t host_off, host_len;
    uint32_t target_off, target_len; /* path and query; "/" at least */
    uint32_t path_len;               /* of the target, the path alone */
    uint32_t fragment_off, fragment_len;
    uint16_t port;       /* explicit or the scheme's default */
    unsigned secure : 1; /* https, wss */
    unsigned has_userinfo : 1;
    unsigned has_fragment : 1;
    unsigned is_ipv6 : 1;
} aif_url;

/* An init allocates nothing; all slices of an empty URL are empty. */
void aif_url_init(aif_url *u);
void aif_url_fini(aif_url *u);
/* Empties |u| and keeps its memory. */
void aif_url_reset(aif_url *u);

/* Parses the absolute URL |s|. Schemes: http, https, ws, wss, in any case.
 * 0; AIF_EINVAL with a text in |err| that never quotes the userinfo;
 * AIF_EIDNA if all is well but for a host with bytes above 0x7f, which then
 * stands raw in aif_url_host(): encode it (IDNA) and parse again; AIF_ETOOBIG;
 * AIF_ENOMEM. On failure |u| is empty but for the AIF_EIDNA case. A |u| that
 * holds a URL is overwritten and its memory reused; |s| must not point into
 * it. Parsing a normal form gives the same normal form. */
int aif_url_parse(aif_url *u, const char *s, size_t n, aif_err *err);

/* The length of the scheme that |s| starts with (RFC 3986 3.1), whichever it
 * is, without the colon; 0 for a relative reference. */
size_t aif_url_scheme_length(const char *s, size_t n);

/* Resolves the reference |s| against |base| (RFC 3986 5.2, dot segments of a
 * relative path removed, which a path that starts with one '/' is too) and
 * parses the result into |u|. An absolute or
 * network-path reference does not look at the base's path. A base's userinfo
 * is kept only for a reference without authority. Without a fragment of its
 * own the result takes the base's (RFC 9110 10.2.2). Results as
 * aif_url_parse(); |u| and |base| must differ. */
int aif_url_resolve(aif_url *u, const aif_url *base, const char *s, size_t n,
                    aif_err *err);

/* Appends |extra| ("a=1&b=2", already encoded) to the query, with '?' or '&'
 * or, behind an empty query, neither; nothing if |n| is 0. 0; AIF_EINVAL for a
 * byte that would have to be quoted, a '#' or an empty |u|; AIF_ETOOBIG;
 * AIF_ENOMEM. On failure |u| is as it was. */
int aif_url_add_query(aif_url *u, const char *extra, size_t n, aif_err *err);

static inline aif_slice
aif_url_scheme(const aif_url *u)
{
    return aif_buf_slice(&u->text, 0, u->scheme_len);
}

static inline aif_slice
aif_url_userinfo(const aif_url *u)
{
    return aif_buf_slice(&u->text, u->userinfo_off, u->userinfo_len);
}

/* What the Host field carries. */
static inline aif_slice
aif_url_authority(const aif_url *u)
{
    return aif_buf_slice(&u->text, u->authority_off, u->authority_len);
}

static inline aif_slice
aif_url_host(const aif_url *u)
{
    return aif_buf_slice(&u->text, u->host_off, u->host_len);
}

static inline aif_slice
aif_url_target(const aif_url *u)
{
    return aif_buf_slice(&u->text, u->target_off, u->target_len);
}

static inline aif_slice
aif_url_fragment(const aif_url *u)
{
    return aif_buf_slice(&u->text, u->fragment_off, u->fragment_len);
}

/* 1 if both have the same scheme, host and port; 0 if one is empty. */
int aif_url_same_origin(const aif_url *a, const aif_url *b);

#endif
