/* aif_tcp_address -- both addresses of a tcp stage, and addresses as text.
 */
#include "net/aif_tcp.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

static int
address_of(const aif_tcp *t, int (*ask)(int, struct sockaddr *, socklen_t *),
           struct sockaddr_storage *out, int *len)
{
    socklen_t size = sizeof(*out);
    int fd = aif_tcp_fd(t);

    memset(out, 0, sizeof(*out));
    *len = 0;
    if (fd < 0) {
        return UV_EBADF;
    }
    if (ask(fd, (struct sockaddr *)out, &size) < 0) {
        return uv_translate_sys_error(errno);
    }
    *len = (int)size;
    return 0;
}

static int
ask_peer(int fd, struct sockaddr *addr, socklen_t *size)
{
    return getpeername(fd, addr, size);
}

static int
ask_local(int fd, struct sockaddr *addr, socklen_t *size)
{
    return getsockname(fd, addr, size);
}

int
aif_tcp_peer(const aif_tcp *t, struct sockaddr_storage *out, int *len)
{
    return address_of(t, ask_peer, out, len);
}

int
aif_tcp_local(const aif_tcp *t, struct sockaddr_storage *out, int *len)
{
    return address_of(t, ask_local, out, len);
}

void
aif_tcp_format_address(const struct sockaddr *addr, char *out, size_t size)
{
    char text[INET6_ADDRSTRLEN];

    if (addr->sa_family == AF_INET) {
        const struct sockaddr_in *in = (const void *)addr;

        (void)uv_inet_ntop(AF_INET, &in->sin_addr, text, sizeof(text));
        (void)snprintf(out, size, "%s:%u", text, ntohs(in->sin_port));
    }
    else if (addr->sa_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const void *)addr;

        (void)uv_inet_ntop(AF_INET6, &in6->sin6_addr, text, sizeof(text));
        if (in6->sin6_scope_id != 0) {
            (void)snprintf(out, size, "[%s%%%u]:%u", text,
                           (unsigned)in6->sin6_scope_id,
                           ntohs(in6->sin6_port));
        }
        else {
            (void)snprintf(out, size, "[%s]:%u", text, ntohs(in6->sin6_port));
        }
    }
    else if (addr->sa_family == AF_UNIX) {
        const struct sockaddr_un *un = (const void *)addr;

        /* The kernel's paths need not end in NUL. */
        (void)snprintf(out, size, "unix:%.*s", (int)sizeof(un->sun_path),
                       un->sun_path);
    }
    else {
        (void)snprintf(out, size, "unknown");
    }
}
