/* aif_url_split -- a request target or a URL taken apart as it stands (RFC
 * 9112 3.2, RFC 3986 3): nothing is decoded, folded or put in order.
 *
 * aif_url is for what a client sends; this is for what a server was sent:
 * "/path?query", "*", "any-scheme://user@host:1/path?query#fragment". It is
 * strict: visible ASCII only, an authority of the generic grammar, a port of
 * 16 bits.
 */
#ifndef AIF_URL_SPLIT_H
#define AIF_URL_SPLIT_H

#include "base/aif_buf.h"

/* Slices of the input; a part that is not there, or is empty, has |ptr| NULL.
 * |host| is without the brackets of an IP literal. */
typedef struct aif_url_parts {
    aif_slice scheme, userinfo, host, path, query, fragment;
    int port; /* -1 without one */
} aif_url_parts;

/* Splits |s|. 0, or -1 if it is no target and no URL with an authority. The
 * first '@' ends the userinfo. Linear in |n|. */
int aif_url_split(aif_url_parts *parts, const char *s, size_t n);

#endif
