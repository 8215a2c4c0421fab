/* Tests of aif_dial on the loopback network: 127.0.0.1 and ::1 listen,
 * 127.0.0.2 and others refuse, 127.0.0.3 hangs. The program brings its own
 * getaddrinfo(), for which a name is a list of such addresses, and its own
 * connect(), for which two public addresses are 127.0.0.1 and 127.0.0.2. */
#include "net/aif_dial.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/aif_mem.h"
#include "check.h"
#include "net/aif_resolve.h"

#define MS 1000000u
#ifndef PATIENCE_MS
#    define PATIENCE_MS 20000
#endif
#define FILLERS 8

/* -- Names of this program ---------------------------------------------- */

static uv_sem_t gate;

/* "a-b.test" has the addresses of the letters a and b, in this order. */
static const char *
address_of_letter(char letter)
{
    switch (letter) {
    case 'l':
        return "127.0.0.1"; /* listens */
    case 'r':
        return "127.0.0.2"; /* refuses */
    case 'h':
        return "127.0.0.3"; /* hangs */
    case 's':
        return "127.0.0.4"; /* refuses, too */
    case 'p':
        return "192.31.196.1"; /* public, listens */
    case 'q':
        return "192.31.196.2"; /* public, refuses */
    default:
        return "::1"; /* listens */
    }
}

__attribute__((visibility("default"))) void
freeaddrinfo(struct addrinfo *ai)
{
    while (ai != NULL) {
        struct addrinfo *next = ai->ai_next;

        free(ai);
        ai = next;
    }
}

__attribute__((visibility("default"))) int
getaddrinfo(const char *host, const char *service,
            const struct addrinfo *hints, struct addrinfo **out)
{
    struct addrinfo **at = out;

    (void)service;
    *out = NULL;
    if (strcmp(host, "gate.test") == 0) {
        uv_sem_wait(&gate);
        host = "l.test";
    }
    if (strcmp(host, "none.test") == 0) {
        return EAI_NONAME;
    }
    for (; *host != '.'; host += host[1] == '-' ? 2 : 1) {
        const char *text = address_of_letter(*host);
        int family = strchr(text, ':') != NULL ? AF_INET6 : AF_INET;
        struct addrinfo *ai =
            calloc(1, sizeof(*ai) + sizeof(struct sockaddr_in6));
        struct sockaddr_in6 *in6 = (void *)(ai + 1);

        if (hints->ai_family != AF_UNSPEC && hints->ai_family != family) {
            free(ai);
            continue;
        }
        in6->sin6_family = (sa_family_t)family;
        (void)inet_pton(family, text,
                        family == AF_INET6
                            ? (void *)&in6->sin6_addr
                            : (void *)&((struct sockaddr_in *)in6)->sin_addr);
        ai->ai_family = family;
        ai->ai_addr = (struct sockaddr *)in6;
        ai->ai_addrlen = family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                            : sizeof(struct sockaddr_in);
        *at = ai;
        at = &ai->ai_next;
    }
    return *out != NULL ? 0 : EAI_NODATA;
}

/* -- Public addresses of this program ----------------------------------- */

static unsigned connects; /* calls of connect() */

__attribute__((visibility("default"))) int
connect(int fd, __CONST_SOCKADDR_ARG arg, socklen_t len)
{
    static int (*real)(int, __CONST_SOCKADDR_ARG, socklen_t);
    const struct sockaddr *addr = arg.__sockaddr__;
    struct sockaddr_in loopback;

    if (real == NULL) {
        *(void **)&real = dlsym(RTLD_NEXT, "connect");
    }
    connects++;
    if (addr->sa_family == AF_INET) {
        memcpy(&loopback, addr, sizeof(loopback));
        if ((ntohl(loopback.sin_addr.s_addr) >> 8) == 0xc01fc4) {
            loopback.sin_addr.s_addr =
                htonl(0x7f000000u | (ntohl(loopback.sin_addr.s_addr) & 0xff));
            addr = (struct sockaddr *)&loopback;
            return real(fd, addr, len);
        }
    }
    return real(fd, arg, len);
}

/* -- The network -------------------------------------------------------- */

static uint16_t port;
static int listener = -1;
static int listener6 = -1; /* -1: this machine has no ::1 */
static int hanging = -1;
static int fillers[FILLERS];

static void
nonblocking(int fd)
{
    CHECK_EQ_INT(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK), 0);
}

static int
try_listen(const char *text, int backlog)
{
    struct sockaddr_storage addr = {0};
    struct sockaddr_in *in = (void *)&addr;
    struct sockaddr_in6 *in6 = (void *)&addr;
    socklen_t len = sizeof(*in);
    int on = 1;
    int fd;

    if (inet_pton(AF_INET, text, &in->sin_addr) == 1) {
        in->sin_family = AF_INET;
        in->sin_port = htons(port);
    }
    else {
        (void)inet_pton(AF_INET6, text, &in6->sin6_addr);
        in6->sin6_family = AF_INET6;
        in6->sin6_port = htons(port);
        len = sizeof(*in6);
    }
    fd = socket(addr.ss_family, SOCK_STREAM, 0);
    if (fd < 0) {
        return -1;
    }
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(fd, (struct sockaddr *)&addr, len) < 0 || listen(fd, backlog) < 0)
    {
        close(fd);
        return -1;
    }
    if (port == 0) {
        CHECK_EQ_INT(getsockname(fd, (struct sockaddr *)&addr, &len), 0);
        port = ntohs(in->sin_port);
    }
    nonblocking(fd);
    return fd;
}

/* Connections fill the backlog until the kernel answers no more. */
static void
fill_backlog(void)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(port)};

    addr.sin_addr.s_addr = htonl(0x7f000003);
    for (int i = 0; i < FILLERS; i++) {
        fillers[i] = socket(AF_INET, SOCK_STREAM, 0);
        nonblocking(fillers[i]);
        (void)connect(fillers[i], (struct sockaddr *)&addr, sizeof(addr));
    }
    usleep(20000);
}

static void
build_network(void)
{
    listener = try_listen("127.0.0.1", 1024);
    CHECK(listener >= 0);
    listener6 = try_listen("::1", 16);
    hanging = try_listen("127.0.0.3", 0);
    CHECK(hanging >= 0);
    fill_backlog();
}

static void
drain_listener(void)
{
    int fd;

    while ((fd = accept(listener, NULL, NULL)) >= 0) {
        close(fd);
    }
}

static void
tear_down_network(void)
{
    for (int i = 0; i < FILLERS; i++) {
        close(fillers[i]);
    }
    close(hanging);
    close(listener);
    if (listener6 >= 0) {
        close(listener6);
    }
}

/* -- Dialling ----------------------------------------------------------- */

static aif_loop loop;
static unsigned wanted;
static uint64_t run_at; /* when the host has to run without being asked */
static int inside_start;

static void
on_wanted(void *user)
{
    (void)user;
    wanted = 1;
}

static void
begin(void)
{
    CHECK_EQ_INT(aif_loop_init(&loop), 0);
    loop.on_wanted = on_wanted;
    wanted = 0;
    run_at = UINT64_MAX;
}

static void
end(void)
{
    CHECK_EQ_INT(aif_loop_fini(&loop), 0);
    CHECK_EQ_INT(aif_mem_live(), 0);
}

/* One turn of the lazy host, waiting |limit| ms at most. It looks at the
 * timeout after a run and never else: what is started between two runs must
 * ask for the next one. */
static void
turn(int limit)
{
    struct pollfd fd = {.fd = aif_loop_fd(&loop), .events = POLLIN};
    uint64_t now = uv_hrtime();
    int timeout = 0;

    if (!wanted && run_at > now) {
        timeout = limit;
        if (run_at - now < (uint64_t)limit * MS) {
            timeout = (int)((run_at - now) / MS) + 1;
        }
    }
    if (poll(&fd, 1, timeout) > 0 || wanted || uv_hrtime() >= run_at) {
        wanted = 0;
        aif_loop_run(&loop);
        timeout = aif_loop_timeout(&loop);
        run_at =
            timeout < 0 ? UINT64_MAX : uv_hrtime() + (uint64_t)timeout * MS;
    }
}

#define UNTIL(condition)                                                      \
    do {                                                                      \
        uint64_t end_ = uv_hrtime() + (uint64_t)PATIENCE_MS * MS;             \
        while (!(condition) && uv_hrtime() < end_) {                          \
            turn(20);                                                         \
        }                                                                     \
        CHECK(condition);                                                     \
    } while (0)

static void
live(int ms)
{
    uint64_t until = uv_hrtime() + (uint64_t)ms * MS;

    while (uv_hrtime() < until) {
        turn(5);
    }
}

typedef struct caller {
    aif_dial *dial;
    aif_tcp *tcp;
    aif_err err;
    unsigned resolved;
    unsigned done;
    int cached;
    int cancel_when_resolved;
    int cancel_when_done;
} caller;

static void
on_resolved(void *user, int cached)
{
    caller *c = user;

    CHECK_EQ_INT(c->done, 0);
    c->resolved++;
    c->cached = cached;
    if (c->cancel_when_resolved) {
        aif_dial_cancel(c->dial);
        c->dial = NULL;
    }
}

static void
on_done(void *user, aif_tcp *tcp, const aif_err *err)
{
    caller *c = user;

    CHECK(!inside_start);
    CHECK((tcp != NULL) != (err != NULL));
    c->done++;
    c->tcp = tcp;
    if (err != NULL) {
        c->err = *err;
    }
    if (c->cancel_when_done) {
        aif_dial_cancel(c->dial);
    }
    c->dial = NULL;
}

static const aif_dial_cbs cbs = {
    .on_resolved = on_resolved,
    .on_done = on_done,
};

static int
dial_with(caller *c, const aif_dial_options *options)
{
    int rc;

    inside_start = 1;
    rc = aif_dial_start(&loop, options, &cbs, c, &c->dial);
    inside_start = 0;
    CHECK((rc == 0) == (c->dial != NULL));
    return rc;
}

static int
dial(caller *c, const char *host, unsigned race_ms)
{
    aif_dial_options options = {
        .host = host, .port = port, .family = AF_UNSPEC, .race_ms = race_ms};

    memset(c, 0, sizeof(*c));
    return dial_with(c, &options);
}

static void
hang_up(caller *c)
{
    if (c->tcp != NULL) {
        aif_stage_close(&c->tcp->stage);
        c->tcp = NULL;
    }
}

static const char *
peer_text(const caller *c)
{
    static char text[128];
    struct sockaddr_storage addr;
    int len;

    if (c->tcp == NULL || aif_tcp_peer(c->tcp, &addr, &len) < 0) {
        return "nobody";
    }
    aif_tcp_format_address((struct sockaddr *)&addr, text, sizeof(text));
    return text;
}

static const char *
with_port(const char *format)
{
    static char text[128];
    const char *mark = strchr(format, '#');
    int before = (int)(mark - format);

    (void)snprintf(text, sizeof(text), "%.*s%u%s", before, format, port,
                   mark + 1);
    return text;
}

/* -- What connects ------------------------------------------------------ */

static void
test_literal(void)
{
    caller c;

    begin();
    CHECK_EQ_INT(dial(&c, "127.0.0.1", 250), 0);
    CHECK_EQ_INT(c.resolved, 1);
    CHECK_EQ_INT(c.cached, 0);
    UNTIL(c.done == 1);
    CHECK_EQ_STR(peer_text(&c), with_port("127.0.0.1:#"));
    CHECK(c.tcp != NULL && !c.tcp->reading);
    CHECK_EQ_INT(aif_stage_probe(&c.tcp->stage), 0);
    CHECK_EQ_INT(loop.deadlines.count, 0);
    hang_up(&c);
    drain_listener();
    end();
}

static void
test_name_and_cache(void)
{
    caller c = {0};
    aif_dial_options options = {
        .host = "l.test", .port = port, .race_ms = 250, .ttl_ms = 10000};

    begin();
    for (unsigned i = 0; i < 2; i++) {
        CHECK_EQ_INT(dial_with(&c, &options), 0);
        /* From the cache: told from inside aif_dial_start(). */
        CHECK_EQ_INT(c.resolved, i);
        UNTIL(c.done == 1);
        CHECK_EQ_INT(c.resolved, 1);
        CHECK_EQ_INT(c.cached, (int)i);
        hang_up(&c);
        memset(&c, 0, sizeof(c));
    }
    CHECK_EQ_INT(loop.lookups_started, 1);
    drain_listener();
    end();
}

/* A refusal starts the next address at once, without waiting for its turn. */
static void
test_refused_first(void)
{
    static const unsigned races[] = {0, 60000};
    caller c;

    begin();
    for (size_t i = 0; i < 2; i++) {
        CHECK_EQ_INT(dial(&c, "r-s-l.test", races[i]), 0);
        UNTIL(c.done == 1);
        CHECK_EQ_STR(peer_text(&c), with_port("127.0.0.1:#"));
        hang_up(&c);
    }
    CHECK_EQ_INT(loop.deadlines.count, 0);
    drain_listener();
    end();
}

/* A silent one is overtaken after |race_ms|, and closed when it has lost. */
static void
test_race(void)
{
    caller c;
    uint64_t start;

    begin();
    start = uv_hrtime();
    CHECK_EQ_INT(dial(&c, "h-l.test", 60), 0);
    UNTIL(c.done == 1);
    CHECK(uv_hrtime() - start >= 60 * MS);
    CHECK(uv_hrtime() - start < 900 * MS);
    CHECK_EQ_STR(peer_text(&c), with_port("127.0.0.1:#"));
    live(5);
    CHECK_EQ_INT(loop.handles, 2); /* the timer and the winner */
    hang_up(&c);
    /* Without a race there is no overtaking. */
    CHECK_EQ_INT(dial(&c, "h-l.test", 0), 0);
    live(100);
    CHECK_EQ_INT(c.done, 0);
    aif_dial_cancel(c.dial);
    /* A refusal after the last one has been started does not end the race. */
    CHECK_EQ_INT(dial(&c, "h-r.test", 20), 0);
    live(100);
    CHECK_EQ_INT(c.done, 0);
    aif_dial_cancel(c.dial);
    live(5);
    CHECK_EQ_INT(loop.handles, 1);
    drain_listener();
    end();
}

static void
test_families_take_turns(void)
{
    caller c;

    if (listener6 < 0) {
        return;
    }
    begin();
    /* ::1 is the last of the list and the second to be tried. */
    CHECK_EQ_INT(dial(&c, "r-l-6.test", 0), 0);
    UNTIL(c.done == 1);
    CHECK_EQ_STR(peer_text(&c), with_port("[::1]:#"));
    hang_up(&c);
    /* The first one's family is first. */
    CHECK_EQ_INT(dial(&c, "6-l.test", 250), 0);
    UNTIL(c.done == 1);
    CHECK_EQ_STR(peer_text(&c), with_port("[::1]:#"));
    hang_up(&c);
    CHECK_EQ_INT(dial(&c, "l-6-6-6.test", 250), 0);
    UNTIL(c.done == 1);
    CHECK_EQ_STR(peer_text(&c), with_port("127.0.0.1:#"));
    hang_up(&c);
    drain_listener();
    end();
}

/* -- What does not ------------------------------------------------------ */

static void
test_refused(void)
{
    caller c;

    begin();
    CHECK_EQ_INT(dial(&c, "127.0.0.2", 250), 0);
    CHECK_EQ_INT(c.done, 0);
    UNTIL(c.done == 1);
    CHECK_EQ_INT(c.err.code, UV_ECONNREFUSED);
    CHECK_EQ_INT(c.err.sys, UV_ECONNREFUSED);
    CHECK_EQ_STR(c.err.text,
                 with_port("connect to 127.0.0.2:#: connection refused"));
    /* The last one's error, and each was tried. */
    CHECK_EQ_INT(dial(&c, "r-s.test", 250), 0);
    UNTIL(c.done == 1);
    CHECK_EQ_STR(c.err.text,
                 with_port("connect to 127.0.0.4:#: connection refused"));
    end();
}

static void
test_name_errors(void)
{
    caller c = {0};
    aif_dial_options v6 = {
        .host = "127.0.0.1", .port = port, .family = AF_INET6};

    begin();
    CHECK_EQ_INT(dial(&c, "none.test", 250), 0);
    UNTIL(c.done == 1);
    CHECK_EQ_INT(c.err.code, AIF_EDNS);
    CHECK_EQ_INT(c.err.sys, UV_EAI_NONAME);
    CHECK_EQ_STR(c.err.text, "resolve none.test: unknown node or service");
    CHECK_EQ_INT(c.resolved, 0);
    /* Known at once, told later. */
    CHECK_EQ_INT(dial(&c, "", 250), 0);
    UNTIL(c.done == 1);
    CHECK_EQ_INT(c.err.code, AIF_EDNS);
    memset(&c, 0, sizeof(c));
    CHECK_EQ_INT(dial_with(&c, &v6), 0);
    UNTIL(c.done == 1);
    CHECK_EQ_INT(c.err.sys, UV_EAI_ADDRFAMILY);
    end();
}

static void
test_unreachable(void)
{
    caller c;

    begin();
    /* A multicast address cannot be connected to: connect() itself fails. */
    CHECK_EQ_INT(dial(&c, "224.0.0.1", 250), 0);
    CHECK_EQ_INT(c.done, 0);
    UNTIL(c.done == 1);
    CHECK(c.err.code == UV_ENETUNREACH || c.err.code == UV_EINVAL
          || c.err.code == UV_EACCES || c.err.code == UV_EHOSTUNREACH);
    CHECK_EQ_INT(c.err.sys, c.err.code);
    end();
}

static void
test_no_descriptors(void)
{
    struct rlimit old;
    struct rlimit none;
    caller c;
    int first_free;

    begin();
    /* One turn, so that libuv has what it needs for itself. */
    CHECK_EQ_INT(dial(&c, "127.0.0.2", 250), 0);
    UNTIL(c.done == 1);
    live(5);
    first_free = dup(0);
    close(first_free);
    CHECK_EQ_INT(getrlimit(RLIMIT_NOFILE, &old), 0);
    none = old;
    none.rlim_cur = (rlim_t)first_free;
    CHECK_EQ_INT(setrlimit(RLIMIT_NOFILE, &none), 0);
    CHECK_EQ_INT(dial(&c, "127.0.0.1", 250), 0);
    UNTIL(c.done == 1);
    CHECK_EQ_INT(setrlimit(RLIMIT_NOFILE, &old), 0);
    CHECK_EQ_INT(c.err.code, UV_EMFILE);
    CHECK_EQ_STR(c.err.text,
                 with_port("connect to 127.0.0.1:#: too many open files"));
    end();
}

static void
test_out_of_memory(void)
{
    caller c;
    unsigned told = 0;
    unsigned refused = 0;

    for (long nth = 1; nth < 12; nth++) {
        int rc;

        begin();
        aif_mem_fail_at(nth, 0);
        rc = dial(&c, "l.test", 250);
        if (rc == 0) {
            UNTIL(c.done == 1);
            told += c.tcp == NULL;
            CHECK(c.tcp != NULL || c.err.code == AIF_ENOMEM);
        }
        else {
            CHECK_EQ_INT(rc, AIF_ENOMEM);
            refused++;
        }
        aif_mem_fail_at(0, 0);
        hang_up(&c);
        drain_listener();
        end();
    }
    /* The dial, its host, the resolver, the entry, the query, the lookup; then
     * the answer, the attempt, the stage. */
    CHECK_EQ_INT(refused, 6);
    CHECK_EQ_INT(told, 3);
}

/* -- Cancelling --------------------------------------------------------- */

static void
test_cancel_anywhere(void)
{
    caller c = {0};
    aif_dial_options literal = {.host = "127.0.0.1", .port = port};
    aif_dial_options name = {.host = "l.test", .port = port};
    aif_dial_options nowhere = {.unix_path = ""};

    begin();
    /* In on_resolved, inside aif_dial_start(). */
    c.cancel_when_resolved = 1;
    CHECK_EQ_INT(dial_with(&c, &literal), AIF_ECANCELLED);
    CHECK_EQ_INT(c.resolved, 1);
    /* In on_resolved, later. */
    CHECK_EQ_INT(dial_with(&c, &name), 0);
    UNTIL(c.resolved == 2);
    c.cancel_when_resolved = 0;
    /* While resolving. */
    CHECK_EQ_INT(dial(&c, "gate.test", 250), 0);
    live(5);
    aif_dial_cancel(c.dial);
    uv_sem_post(&gate);
    UNTIL(loop.lookups == 0);
    /* While connecting: at once, in a later turn, with two under way. */
    CHECK_EQ_INT(dial(&c, "127.0.0.1", 250), 0);
    aif_dial_cancel(c.dial);
    CHECK_EQ_INT(dial(&c, "127.0.0.3", 250), 0);
    live(5);
    aif_dial_cancel(c.dial);
    CHECK_EQ_INT(dial(&c, "h-h-h.test", 10), 0);
    live(60);
    CHECK_EQ_INT(loop.handles, 4);
    aif_dial_cancel(c.dial);
    live(5);
    CHECK_EQ_INT(loop.handles, 1);
    /* While a failure waits to be told. */
    memset(&c, 0, sizeof(c));
    CHECK_EQ_INT(dial_with(&c, &nowhere), 0);
    aif_dial_cancel(c.dial);
    live(5);
    CHECK_EQ_INT(c.done, 0);
    /* In on_done it is too late, and harmless. */
    CHECK_EQ_INT(dial(&c, "127.0.0.1", 250), 0);
    c.cancel_when_done = 1;
    UNTIL(c.done == 1);
    CHECK(c.tcp != NULL);
    hang_up(&c);
    drain_listener();
    end();
}

static void
test_fini_while_dialling(void)
{
    caller c[4];
    int busy;

    begin();
    CHECK_EQ_INT(dial(&c[0], "gate.test", 250), 0);
    CHECK_EQ_INT(dial(&c[1], "127.0.0.3", 250), 0);
    CHECK_EQ_INT(dial(&c[2], "h-h-r.test", 5), 0);
    CHECK_EQ_INT(dial(&c[3], "127.0.0.1", 5), 0);
    while (c[2].resolved == 0) {
        turn(5);
    }
    live(20);
    busy = aif_loop_fini(&loop);
    CHECK_EQ_INT(busy, UV_EBUSY);
    uv_sem_post(&gate);
    for (int i = 0; i < 2000 && busy != 0; i++) {
        usleep(1000);
        busy = aif_loop_fini(&loop);
    }
    CHECK_EQ_INT(busy, 0);
    CHECK_EQ_INT(aif_mem_live(), 0);
    CHECK_EQ_INT(c[0].done + c[1].done + c[2].done, 0);
    drain_listener();
}

/* -- Unix sockets and local addresses ----------------------------------- */

static void
test_unix(void)
{
    char directory[] = "/tmp/aif-dial-XXXXXX";
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    char too_long[sizeof(un.sun_path) + 1];
    aif_dial_options options = {.unix_path = un.sun_path};
    caller c = {0};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    begin();
    CHECK(mkdtemp(directory) != NULL);
    (void)snprintf(un.sun_path, sizeof(un.sun_path), "%s/s", directory);
    CHECK_EQ_INT(dial_with(&c, &options), 0);
    UNTIL(c.done == 1);
    CHECK_EQ_INT(c.err.code, UV_ENOENT);
    CHECK(strncmp(c.err.text, "connect to unix:/tmp/aif-dial-", 30) == 0);
    CHECK(strstr(c.err.text, "/s: no such file or directory") != NULL);

    CHECK_EQ_INT(bind(fd, (struct sockaddr *)&un, sizeof(un)), 0);
    CHECK_EQ_INT(listen(fd, 4), 0);
    memset(&c, 0, sizeof(c));
    CHECK_EQ_INT(dial_with(&c, &options), 0);
    UNTIL(c.done == 1);
    CHECK(c.tcp != NULL && c.tcp->is_pipe);
    CHECK_EQ_INT(c.resolved, 0);
    CHECK(strncmp(peer_text(&c), "unix:/tmp/aif-dial-", 19) == 0);
    CHECK_EQ_INT(aif_stage_probe(&c.tcp->stage), 0);
    hang_up(&c);

    memset(&c, 0, sizeof(c));
    CHECK_EQ_INT(dial_with(&c, &options), 0);
    aif_dial_cancel(c.dial);
    c.dial = NULL;
    memset(too_long, 'a', sizeof(too_long) - 1);
    too_long[sizeof(too_long) - 1] = '\0';
    options.unix_path = too_long;
    CHECK_EQ_INT(dial_with(&c, &options), 0);
    UNTIL(c.done == 1);
    CHECK_EQ_INT(c.err.code, UV_ENAMETOOLONG);
    (void)unlink(un.sun_path);
    (void)rmdir(directory);
    close(fd);
    end();
}

static void
test_local_address(void)
{
    struct sockaddr_in local = {.sin_family = AF_INET};
    struct sockaddr_un odd = {.sun_family = AF_UNIX};
    struct sockaddr_in from;
    socklen_t len = sizeof(from);
    caller c = {0};
    aif_dial_options options = {.host = "6-l.test",
                                .port = port,
                                .local_addr = (struct sockaddr *)&local};
    int fd;

    begin();
    local.sin_addr.s_addr = htonl(0x7f000005);
    /* An IPv4 address to bind to asks for IPv4 addresses. */
    CHECK_EQ_INT(dial_with(&c, &options), 0);
    UNTIL(c.done == 1);
    CHECK_EQ_STR(peer_text(&c), with_port("127.0.0.1:#"));
    fd = accept(listener, (struct sockaddr *)&from, &len);
    CHECK(fd >= 0);
    CHECK_EQ_INT(ntohl(from.sin_addr.s_addr), 0x7f000005);
    close(fd);
    hang_up(&c);

    local.sin_addr.s_addr = htonl(0xc0000201);
    memset(&c, 0, sizeof(c));
    CHECK_EQ_INT(dial_with(&c, &options), 0);
    UNTIL(c.done == 1);
    CHECK_EQ_INT(c.err.code, UV_EADDRNOTAVAIL);

    options.family = AF_INET6;
    CHECK_EQ_INT(dial_with(&c, &options), UV_EINVAL);
    options.local_addr = (struct sockaddr *)&odd;
    CHECK_EQ_INT(dial_with(&c, &options), UV_EAFNOSUPPORT);
    end();
}

/* -- Public addresses only ---------------------------------------------- */

/* Dials with |public_only|, and waits for the end. */
static void
dial_public(caller *c, const char *host)
{
    aif_dial_options options = {.host = host,
                                .port = port,
                                .family = AF_UNSPEC,
                                .race_ms = 250,
                                .ttl_ms = 60000,
                                .public_only = 1};

    memset(c, 0, sizeof(*c));
    CHECK_EQ_INT(dial_with(c, &options), 0);
    UNTIL(c->done == 1);
}

/* No socket was connected on the way to this refusal. */
static void
check_forbidden(const char *host, const char *text)
{
    unsigned before = connects;
    caller c;

    check_row = host;
    dial_public(&c, host);
    CHECK(c.tcp == NULL);
    CHECK_EQ_INT(c.err.code, AIF_EFORBIDDEN);
    CHECK_EQ_INT(c.err.sys, 0);
    CHECK(strstr(c.err.text, text) != NULL);
    CHECK_EQ_INT(connects, before);
    hang_up(&c);
    check_row = NULL;
}

static void
test_public_only(void)
{
    aif_dial_options unix_options = {.unix_path = "/tmp/none",
                                     .public_only = 1};
    unsigned before;
    caller c = {0};

    begin();
    check_forbidden("127.0.0.1", with_port("127.0.0.1:#: a loopback address"));
    check_forbidden("::1", with_port("[::1]:#: a loopback address"));
    check_forbidden("::ffff:10.1.2.3", "a private address");
    check_forbidden("64:ff9b::a9fe:a9fe", "a metadata address");
    check_forbidden("169.254.169.254", "a metadata address");
    check_forbidden("l.test", with_port("127.0.0.1:#: a loopback address"));
    check_forbidden("l.test", "a loopback address"); /* from the cache */
    check_forbidden("l-s-6.test", "a loopback address");

    CHECK_EQ_INT(dial_with(&c, &unix_options), 0);
    UNTIL(c.done == 1);
    CHECK_EQ_INT(c.err.code, AIF_EFORBIDDEN);
    CHECK(strstr(c.err.text, "unix:/tmp/none: a Unix socket") != NULL);

    /* A public address is dialled, and is the only one among others. */
    dial_public(&c, "192.31.196.1");
    CHECK_EQ_STR(peer_text(&c), with_port("127.0.0.1:#"));
    hang_up(&c);
    before = connects;
    dial_public(&c, "l-p-6.test");
    CHECK_EQ_STR(peer_text(&c), with_port("127.0.0.1:#"));
    CHECK_EQ_INT(connects, before + 1);
    hang_up(&c);
    dial_public(&c, "l-q-6.test");
    CHECK_EQ_INT(c.err.code, UV_ECONNREFUSED);
    CHECK_EQ_INT(connects, before + 2);
    drain_listener();
    end();
}

/* -- Many --------------------------------------------------------------- */

/* As many as are asked for, descriptors or not. */
static void
test_ten_thousand(void)
{
    enum { COUNT = 10000 };
    caller *c = calloc(COUNT, sizeof(*c));
    unsigned done = 0;
    unsigned strange = 0;

    begin();
    for (unsigned i = 0; i < COUNT; i++) {
        CHECK_EQ_INT(dial(&c[i], i % 2 ? "127.0.0.2" : "r-s.test", 250), 0);
    }
    for (unsigned i = 0; i < COUNT; i++) {
        UNTIL(c[i].done == 1);
        done += c[i].done;
        strange += c[i].err.code != UV_ECONNREFUSED
                   && c[i].err.code != UV_EMFILE
                   && c[i].err.code != UV_EADDRNOTAVAIL;
    }
    CHECK_EQ_INT(done, COUNT);
    CHECK_EQ_INT(strange, 0);
    CHECK_EQ_INT(loop.lookups_started, 1);
    end();
    free(c);
}

int
main(void)
{
    (void)signal(SIGPIPE, SIG_IGN);
    CHECK_EQ_INT(uv_sem_init(&gate, 0), 0);
    build_network();
    test_literal();
    test_name_and_cache();
    test_refused_first();
    test_race();
    test_families_take_turns();
    test_refused();
    test_name_errors();
    test_unreachable();
    test_no_descriptors();
    test_out_of_memory();
    test_cancel_anywhere();
    test_fini_while_dialling();
    test_unix();
    test_local_address();
    test_public_only();
    test_ten_thousand();
    tear_down_network();
    return check_failures();
}
