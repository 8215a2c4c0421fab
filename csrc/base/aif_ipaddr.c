/* aif_ipaddr -- the grammar of IP addresses in text.
 *
 * Written out instead of asking inet_pton(): that wants a terminated string,
 * and this layer does no I/O and includes no socket headers.
 */
#include "base/aif_ipaddr.h"

#include <stdint.h>

#include "base/aif_ascii.h"

#define V6_GROUPS 8u

int
aif_ipaddr_is_v4(const char *s, size_t n)
{
    unsigned parts = 1;
    uint64_t value;
    size_t from = 0;
    size_t i;

    for (i = 0; i <= n; i++) {
        if (i < n && s[i] != '.') {
            continue;
        }
        if (aif_ascii_u64(s + from, i - from, 255, &value) != 0
            || (s[from] == '0' && i - from > 1))
        {
            return 0;
        }
        if (i < n) {
            from = i + 1;
            parts++;
        }
    }
    return parts == 4;
}

int
aif_ipaddr_is_v6(const char *s, size_t n)
{
    unsigned groups = 0;
    unsigned gap = 0; /* groups that "::" stands for: at least one */
    size_t from;
    size_t i = 0;

    if (n >= 2 && s[0] == ':' && s[1] == ':') {
        gap = 1;
        i = 2;
    }
    while (i < n && groups < V6_GROUPS) {
        from = i;
        while (i < n && aif_ascii_hex(s[i]) >= 0) {
            i++;
        }
        if (i < n && s[i] == '.') {
            if (!aif_ipaddr_is_v4(s + from, n - from)) {
                return 0;
            }
            groups += 2;
            i = n;
            break;
        }
        if (i == from || i - from > 4) {
            return 0;
        }
        groups++;
        if (i == n) {
            break;
        }
        if (s[i++] != ':' || i == n) {
            return 0;
        }
        if (s[i] == ':') {
            if (gap) {
                return 0;
            }
            gap = 1;
            i++;
        }
    }
    return i == n && (gap ? groups < V6_GROUPS : groups == V6_GROUPS);
}
