/* A getaddrinfo() for tests: loaded before the C library's, it answers for the
 * names under .test as SLOW_NAMES says, and passes all others on.
 *
 *   SLOW_NAMES="name=milliseconds=address,address;..."
 *
 * An address may be followed by "|" and others: the first lookup gets the first,
 * the second the next, and so on; the last one stays.
 *
 * SLOW_ROUTE="public=address" sends what connects to |public| to |address|, on
 * machines without a network; SLOW_CONNECTS is a file with a line for each
 * address that was connected to.
 *
 * Each lookup under .test writes its name as a line to the file SLOW_LOG. A
 * name that is not listed is unknown at once.
 */
#include <arpa/inet.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

typedef int (*lookup)(const char *, const char *, const struct addrinfo *,
                      struct addrinfo **);

static void
note(const char *file, const char *name)
{
    const char *path = getenv(file);
    int fd = path == NULL ? -1 : open(path, O_WRONLY | O_APPEND | O_CREAT, 0600);
    char line[300];
    int len = snprintf(line, sizeof(line), "%s\n", name);

    if (fd >= 0) {
        if (write(fd, line, (size_t)len) != len) {
            abort();
        }
        close(fd);
    }
}

static void
wait_for(long ms)
{
    struct timespec rest = {ms / 1000, (ms % 1000) * 1000000};

    while (nanosleep(&rest, &rest) != 0) {
    }
}

/* The chain of all |addresses|, as the C library would give it. */
static int
resolve_all(lookup real, char *addresses, const char *service,
            const struct addrinfo *hints, struct addrinfo **out)
{
    struct addrinfo numeric = {.ai_socktype = SOCK_STREAM};
    struct addrinfo **tail = out;
    char *rest = NULL, *one;

    numeric.ai_flags = AI_NUMERICHOST;
    numeric.ai_family = hints == NULL ? AF_UNSPEC : hints->ai_family;
    *out = NULL;
    for (one = strtok_r(addresses, ",", &rest); one != NULL;
         one = strtok_r(NULL, ",", &rest)) {
        if (real(one, service, &numeric, tail) == 0) {
            while (*tail != NULL) {
                tail = &(*tail)->ai_next;
            }
        }
    }
    return *out == NULL ? EAI_NONAME : 0;
}

/* Which of "a|b|c" this lookup gets. */
static char *
variant_of(char *addresses)
{
    static unsigned lookups; /* of names that have variants */
    char *bar = strchr(addresses, '|');

    if (bar == NULL) {
        return addresses;
    }
    for (unsigned skip = lookups++; skip > 0 && bar != NULL; skip--) {
        addresses = bar + 1;
        bar = strchr(addresses, '|');
    }
    if (bar != NULL) {
        *bar = '\0';
    }
    return addresses;
}

int
connect(int fd, __CONST_SOCKADDR_ARG arg, socklen_t len)
{
    static int (*real)(int, __CONST_SOCKADDR_ARG, socklen_t);
    const char *route = getenv("SLOW_ROUTE");
    const struct sockaddr *addr = arg.__sockaddr__;
    struct sockaddr_in to;
    char text[INET6_ADDRSTRLEN] = "other";

    if (real == NULL) {
        *(void **)&real = dlsym(RTLD_NEXT, "connect");
    }
    if (addr->sa_family == AF_INET) {
        memcpy(&to, addr, sizeof(to));
        (void)inet_ntop(AF_INET, &to.sin_addr, text, sizeof(text));
    }
    else if (addr->sa_family == AF_INET6) {
        (void)inet_ntop(AF_INET6,
                        &((const struct sockaddr_in6 *)addr)->sin6_addr, text,
                        sizeof(text));
    }
    note("SLOW_CONNECTS", text);
    if (route != NULL && strncmp(route, text, strlen(text)) == 0
        && route[strlen(text)] == '='
        && inet_pton(AF_INET, route + strlen(text) + 1, &to.sin_addr) == 1) {
        addr = (struct sockaddr *)&to;
        return real(fd, addr, len);
    }
    return real(fd, arg, len);
}

int
getaddrinfo(const char *node, const char *service,
            const struct addrinfo *hints, struct addrinfo **out)
{
    lookup real = (lookup)dlsym(RTLD_NEXT, "getaddrinfo");
    size_t len = node == NULL ? 0 : strlen(node);
    const char *names = getenv("SLOW_NAMES");
    char *copy, *rest = NULL, *entry;
    int rc = EAI_NONAME;

    if (len < 5 || strcmp(node + len - 5, ".test") != 0) {
        return real(node, service, hints, out);
    }
    note("SLOW_LOG", node);
    copy = strdup(names == NULL ? "" : names);
    for (entry = strtok_r(copy, ";", &rest); entry != NULL;
         entry = strtok_r(NULL, ";", &rest)) {
        if (strncmp(entry, node, len) == 0 && entry[len] == '=') {
            char *addresses = NULL;

            wait_for(strtol(entry + len + 1, &addresses, 10));
            rc = resolve_all(real, variant_of(addresses + 1), service, hints, out);
            break;
        }
    }
    free(copy);
    return rc;
}
