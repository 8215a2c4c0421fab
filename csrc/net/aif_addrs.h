/* aif_addrs -- a counted, immutable list of addresses.
 *
 * Owner:    whoever holds a reference; the last one frees it.
 * Thread:   the loop's.
 */
#ifndef AIF_ADDRS_H
#define AIF_ADDRS_H

#include <netdb.h>
#include <sys/socket.h>

#define AIF_ADDRS_MAX 64u /* addresses kept of one answer */

typedef struct aif_addrs {
    unsigned refs;
    unsigned count;
    struct sockaddr_storage addr[]; /* as they came; ports are 0 */
} aif_addrs;

/* One more reference; returns |a|. */
aif_addrs *aif_addrs_ref(aif_addrs *a);

/* NULL is allowed. */
void aif_addrs_unref(aif_addrs *a);

/* The IPv4 and IPv6 addresses of a getaddrinfo() answer, in its order, at most
 * AIF_ADDRS_MAX. NULL and *|code|: UV_EAI_NODATA if there are none, or
 * AIF_ENOMEM. */
aif_addrs *aif_addrs_from(const struct addrinfo *found, int *code);

/* Reads the address literal |host|, or several with commas between them: those
 * of |family| or of any (AF_UNSPEC), at most AIF_ADDRS_MAX; an IPv6 one may
 * have a zone. 1 and *|out|; 0 if one of them is a name; or a negative code:
 * UV_EAI_ADDRFAMILY if none is left, UV_EAI_NONAME for an unknown zone,
 * AIF_ENOMEM. */
int aif_addrs_parse(const char *host, int family, aif_addrs **out);

#endif
