/* aif_ipaddr -- is this text an IP address?
 *
 * Pure functions; nothing is resolved. Neither takes brackets, a port, blanks
 * or a zone identifier.
 */
#ifndef AIF_IPADDR_H
#define AIF_IPADDR_H

#include <stddef.h>

/* 1 if |s| is four decimal numbers up to 255 without leading zeros, with dots
 * between them (IPv4address of RFC 3986 3.2.2). */
int aif_ipaddr_is_v4(const char *s, size_t n);

/* 1 if |s| is an IPv6address of RFC 3986 3.2.2: groups in either case, at
 * most one "::", and an IPv4 address in the place of the last two groups. */
int aif_ipaddr_is_v6(const char *s, size_t n);

#endif
