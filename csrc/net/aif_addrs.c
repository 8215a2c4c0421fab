/* aif_addrs -- a list of addresses, from text or from getaddrinfo().
 */
#include "net/aif_addrs.h"

#include <net/if.h>
#include <netinet/in.h>
#include <string.h>
#include <uv.h>

#include "base/aif_ascii.h"
#include "base/aif_err.h"
#include "base/aif_mem.h"

void
aif_addrs_unref(aif_addrs *a)
{
    if (a != NULL && --a->refs == 0) {
        aif_mem_free(a);
    }
}

aif_addrs *
aif_addrs_ref(aif_addrs *a)
{
    a->refs++;
    return a;
}

static aif_addrs *
addrs_new(unsigned count)
{
    aif_addrs *a = aif_mem_zalloc(sizeof(*a) + count * sizeof(a->addr[0]));

    if (a != NULL) {
        a->refs = 1;
        a->count = count;
    }
    return a;
}

static int
is_inet(const struct addrinfo *ai)
{
    return (ai->ai_family == AF_INET
            && ai->ai_addrlen == sizeof(struct sockaddr_in))
           || (ai->ai_family == AF_INET6
               && ai->ai_addrlen == sizeof(struct sockaddr_in6));
}

aif_addrs *
aif_addrs_from(const struct addrinfo *found, int *code)
{
    unsigned count = 0;
    aif_addrs *a;

    for (const struct addrinfo *ai = found; ai != NULL; ai = ai->ai_next) {
        count += is_inet(ai) && count < AIF_ADDRS_MAX;
    }
    if (count == 0) {
        *code = UV_EAI_NODATA;
        return NULL;
    }
    a = addrs_new(count);
    if (a == NULL) {
        *code = AIF_ENOMEM;
        return NULL;
    }
    count = 0;
    for (const struct addrinfo *ai = found; count < a->count; ai = ai->ai_next)
    {
        if (is_inet(ai)) {
            memcpy(&a->addr[count], ai->ai_addr, ai->ai_addrlen);
            count++;
        }
    }
    return a;
}

/* The interface of a zone id: a name, or a number (RFC 4007 11). 0: none. */
static uint32_t
zone_index(const char *zone)
{
    uint64_t number;
    uint32_t index = if_nametoindex(zone);

    if (index == 0
        && aif_ascii_u64(zone, strlen(zone), UINT32_MAX, &number) == 0)
    {
        index = (uint32_t)number;
    }
    return index;
}

static int
parse_inet6(const char *host, struct sockaddr_in6 *out)
{
    char text[INET6_ADDRSTRLEN];
    const char *zone = strchr(host, '%');
    size_t len = zone != NULL ? (size_t)(zone - host) : strlen(host);

    if (len >= sizeof(text)) {
        return -1;
    }
    memcpy(text, host, len);
    text[len] = '\0';
    if (uv_inet_pton(AF_INET6, text, &out->sin6_addr) != 0) {
        return -1;
    }
    out->sin6_family = AF_INET6;
    if (zone != NULL) {
        out->sin6_scope_id = zone_index(zone + 1);
        return out->sin6_scope_id != 0 ? 0 : UV_EAI_NONAME;
    }
    return 0;
}

/* Reads one literal, without a comma. 1, 0 or a negative code. */
static int
parse_one(const char *host, int family, struct sockaddr_storage *addr)
{
    int rc;

    memset(addr, 0, sizeof(*addr));
    if (uv_inet_pton(AF_INET, host, &((struct sockaddr_in *)addr)->sin_addr)
        == 0)
    {
        addr->ss_family = AF_INET;
    }
    else {
        rc = parse_inet6(host, (struct sockaddr_in6 *)addr);
        if (rc != 0) {
            return rc == -1 ? 0 : rc;
        }
    }
    return family != AF_UNSPEC && family != addr->ss_family ? UV_EAI_ADDRFAMILY
                                                            : 1;
}

/* The next of the literals at |*at|, which moves behind it. As parse_one(). */
static int
parse_next(const char **at, int family, struct sockaddr_storage *addr)
{
    char text[INET6_ADDRSTRLEN + IF_NAMESIZE + 1];
    size_t len = strcspn(*at, ",");

    if (len >= sizeof(text)) {
        return 0;
    }
    memcpy(text, *at, len);
    text[len] = '\0';
    *at += (*at)[len] == ',' ? len + 1 : len;
    return parse_one(text, family, addr);
}

int
aif_addrs_parse(const char *host, int family, aif_addrs **out)
{
    struct sockaddr_storage addr[AIF_ADDRS_MAX];
    unsigned count = 0;
    int rc;

    do {
        rc = parse_next(&host, family, &addr[count]);
        if (rc <= 0 && rc != UV_EAI_ADDRFAMILY) {
            return rc;
        }
        count += rc == 1;
    } while (*host != '\0' && count < AIF_ADDRS_MAX);
    if (count == 0) {
        return UV_EAI_ADDRFAMILY;
    }
    *out = addrs_new(count);
    if (*out == NULL) {
        return AIF_ENOMEM;
    }
    memcpy((*out)->addr, addr, count * sizeof(addr[0]));
    return 1;
}
