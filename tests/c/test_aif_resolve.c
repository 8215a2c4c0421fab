/* Tests of aif_resolve. The program brings its own getaddrinfo(), which
 * libuv's threads call: names under .test answer as their first letters say,
 * and those that begin with "gate" only when the gate is open. */
#include "net/aif_resolve.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/aif_err.h"
#include "base/aif_mem.h"
#include "check.h"

#define MS 1000000u
#ifndef PATIENCE_MS
#    define PATIENCE_MS 20000
#endif

/* -- The resolver of this program --------------------------------------- */

static uv_mutex_t gate_lock;
static uv_cond_t gate_moved;
static int gate_open;
static int at_gate; /* threads that wait */
static int last_family;
static int last_flags;
static int last_type;

static void
gate(int open)
{
    uv_mutex_lock(&gate_lock);
    gate_open = open;
    uv_cond_broadcast(&gate_moved);
    uv_mutex_unlock(&gate_lock);
}

static void
pass_gate(const struct addrinfo *hints, int blocks)
{
    uv_mutex_lock(&gate_lock);
    last_family = hints->ai_family;
    last_flags = hints->ai_flags;
    last_type = hints->ai_socktype;
    at_gate += blocks;
    while (blocks && !gate_open) {
        uv_cond_wait(&gate_moved, &gate_lock);
    }
    at_gate -= blocks;
    uv_mutex_unlock(&gate_lock);
}

static int
waiting_at_gate(void)
{
    int n;

    uv_mutex_lock(&gate_lock);
    n = at_gate;
    uv_mutex_unlock(&gate_lock);
    return n;
}

/* |text| is an address, or a word for an address of no family we know. */
static struct addrinfo *
answer(const char *text, struct addrinfo *next)
{
    struct addrinfo *ai = calloc(1, sizeof(*ai) + sizeof(struct sockaddr_in6));
    struct sockaddr_in *in = (void *)(ai + 1);
    struct sockaddr_in6 *in6 = (void *)(ai + 1);

    ai->ai_addr = (void *)(ai + 1);
    ai->ai_next = next;
    ai->ai_family = AF_APPLETALK;
    ai->ai_addrlen = 2;
    if (inet_pton(AF_INET, text, &in->sin_addr) == 1) {
        ai->ai_family = AF_INET;
        ai->ai_addrlen = sizeof(*in);
    }
    else if (inet_pton(AF_INET6, text, &in6->sin6_addr) == 1) {
        ai->ai_family = AF_INET6;
        ai->ai_addrlen = sizeof(*in6);
    }
    ai->ai_addr->sa_family = (sa_family_t)ai->ai_family;
    return ai;
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

/* Copies a system answer, so that one freeaddrinfo() serves all. */
static int
ask_system(const char *host, const char *service, const struct addrinfo *hints,
           struct addrinfo **out)
{
    int (*ask)(const char *, const char *, const struct addrinfo *,
               struct addrinfo **);
    struct addrinfo *found = NULL;
    char text[INET6_ADDRSTRLEN];
    void *symbol = dlsym(RTLD_NEXT, "getaddrinfo");
    void *release = dlsym(RTLD_NEXT, "freeaddrinfo");
    void (*give_back)(struct addrinfo *);
    int rc;

    memcpy(&ask, &symbol, sizeof(ask));
    memcpy(&give_back, &release, sizeof(give_back));
    rc = ask(host, service, hints, &found);
    if (rc == 0) {
        CHECK_EQ_INT(getnameinfo(found->ai_addr, found->ai_addrlen, text,
                                 sizeof(text), NULL, 0, NI_NUMERICHOST),
                     0);
        *out = answer(text, NULL);
        give_back(found);
    }
    return rc;
}

__attribute__((visibility("default"))) int
getaddrinfo(const char *host, const char *service,
            const struct addrinfo *hints, struct addrinfo **out)
{
    pass_gate(hints, strncmp(host, "gate", 4) == 0);
    *out = NULL;
    if (strstr(host, ".test") == NULL) {
        return ask_system(host, service, hints, out);
    }
    if (strncmp(host, "none", 4) == 0) {
        return EAI_NONAME;
    }
    if (strncmp(host, "odd", 3) == 0) {
        *out = answer("odd", NULL);
        return 0;
    }
    if (strncmp(host, "many", 4) == 0) {
        for (int i = 0; i < 200; i++) {
            *out = answer("192.0.2.9", *out);
        }
        return 0;
    }
    *out = answer("192.0.2.2", NULL);
    *out = answer("odd", *out);
    *out = answer("2001:db8::1", *out);
    return 0;
}

/* -- Asking ------------------------------------------------------------- */

static aif_loop loop;
static unsigned wanted;

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
    gate(0);
}

static void
end(void)
{
    CHECK_EQ_INT(aif_loop_fini(&loop), 0);
    CHECK_EQ_INT(aif_mem_live(), 0);
}

static void
turn(void)
{
    struct pollfd fd = {.fd = aif_loop_fd(&loop), .events = POLLIN};

    if (wanted || poll(&fd, 1, 5) > 0) {
        wanted = 0;
        aif_loop_run(&loop);
    }
}

#define UNTIL(condition)                                                      \
    do {                                                                      \
        uint64_t end_ = uv_hrtime() + (uint64_t)PATIENCE_MS * MS;             \
        while (!(condition) && uv_hrtime() < end_) {                          \
            turn();                                                           \
        }                                                                     \
        CHECK(condition);                                                     \
    } while (0)

typedef struct asker {
    aif_query *query;
    aif_addrs *addrs;
    int cached;
    int code;
    unsigned answers;
    struct asker *victim; /* cancelled from inside the answer */
    const char *again;    /* asked from inside the answer */
    int again_rc;
    int forgets;
} asker;

static int ask(asker *a, const char *host, int family, unsigned ttl_ms);

static void
on_answer(void *user, aif_addrs *addrs, int code)
{
    asker *a = user;

    a->answers++;
    a->code = code;
    a->query = NULL;
    CHECK((addrs != NULL) == (code == 0));
    aif_addrs_unref(a->addrs);
    a->addrs = addrs;
    if (a->victim != NULL && a->victim->query != NULL) {
        aif_query_cancel(a->victim->query);
        a->victim->query = NULL;
    }
    if (a->forgets) {
        aif_resolve_forget(&loop, NULL);
    }
    if (a->again != NULL) {
        const char *host = a->again;

        a->again = NULL;
        a->again_rc = ask(a, host, AF_UNSPEC, 10000);
    }
}

static int
ask(asker *a, const char *host, int family, unsigned ttl_ms)
{
    aif_addrs *addrs = NULL;
    int rc = aif_resolve(&loop, host, family, ttl_ms, on_answer, a, &a->query,
                         &addrs, &a->cached);

    CHECK((rc == 1) == (addrs != NULL));
    CHECK((rc == 0) == (a->query != NULL));
    if (rc == 1) {
        aif_addrs_unref(a->addrs);
        a->addrs = addrs;
    }
    return rc;
}

static void
drop(asker *a)
{
    aif_addrs_unref(a->addrs);
    memset(a, 0, sizeof(*a));
}

static const char *
text_of(const asker *a, unsigned i)
{
    static char text[INET6_ADDRSTRLEN];
    const struct sockaddr_storage *addr;

    if (a->addrs == NULL || i >= a->addrs->count) {
        return "none";
    }
    addr = &a->addrs->addr[i];
    if (addr->ss_family == AF_INET) {
        CHECK_EQ_INT(((const struct sockaddr_in *)addr)->sin_port, 0);
        (void)inet_ntop(AF_INET, &((const struct sockaddr_in *)addr)->sin_addr,
                        text, sizeof(text));
    }
    else {
        CHECK_EQ_INT(((const struct sockaddr_in6 *)addr)->sin6_port, 0);
        (void)inet_ntop(AF_INET6,
                        &((const struct sockaddr_in6 *)addr)->sin6_addr, text,
                        sizeof(text));
    }
    return text;
}

/* -- Literals ----------------------------------------------------------- */

static void
test_lists_of_literals(void)
{
    char many[70 * 10 + 1];
    size_t used = 0;
    asker a = {0};

    begin();
    CHECK_EQ_INT(ask(&a, "::1,127.0.0.1,192.0.2.7", AF_UNSPEC, 0), 1);
    CHECK_EQ_INT(a.addrs->count, 3);
    CHECK(strcmp(text_of(&a, 0), "::1") == 0);
    CHECK(strcmp(text_of(&a, 2), "192.0.2.7") == 0);
    CHECK_EQ_INT(ask(&a, "::1,127.0.0.1", AF_INET, 0), 1);
    CHECK_EQ_INT(a.addrs->count, 1);
    CHECK(strcmp(text_of(&a, 0), "127.0.0.1") == 0);
    CHECK_EQ_INT(ask(&a, "::1,::2", AF_INET, 0), UV_EAI_ADDRFAMILY);
    for (int i = 0; i < 70; i++) {
        memcpy(many + used, "127.0.0.1,", 10);
        used += 10;
    }
    many[used - 1] = '\0';
    CHECK_EQ_INT(ask(&a, many, AF_UNSPEC, 0), 1);
    CHECK_EQ_INT(a.addrs->count, AIF_ADDRS_MAX);
    drop(&a);
    end();
}

static void
test_literals(void)
{
    static const char *const bad[] = {"fe80::1%nosuchinterface", "fe80::1%",
                                      "fe80::1%4294967296"};
    asker a = {0};

    begin();
    CHECK_EQ_INT(ask(&a, "192.0.2.7", AF_UNSPEC, 10000), 1);
    CHECK_EQ_INT(a.addrs->count, 1);
    CHECK_EQ_STR(text_of(&a, 0), "192.0.2.7");
    CHECK_EQ_INT(a.cached, 0);
    CHECK_EQ_INT(ask(&a, "192.0.2.7", AF_INET, 0), 1);
    CHECK_EQ_INT(ask(&a, "192.0.2.7", AF_INET6, 0), UV_EAI_ADDRFAMILY);
    CHECK_EQ_INT(ask(&a, "2001:DB8::7", AF_UNSPEC, 0), 1);
    CHECK_EQ_STR(text_of(&a, 0), "2001:db8::7");
    CHECK_EQ_INT(ask(&a, "::1", AF_INET, 0), UV_EAI_ADDRFAMILY);
    CHECK_EQ_INT(ask(&a, "fe80::1%7", AF_INET6, 0), 1);
    CHECK_EQ_STR(text_of(&a, 0), "fe80::1");
    CHECK_EQ_INT(((struct sockaddr_in6 *)a.addrs->addr)->sin6_scope_id, 7);
    if (if_nametoindex("lo") != 0) {
        CHECK_EQ_INT(ask(&a, "fe80::1%lo", AF_UNSPEC, 0), 1);
        CHECK_EQ_INT(((struct sockaddr_in6 *)a.addrs->addr)->sin6_scope_id,
                     if_nametoindex("lo"));
    }
    for (size_t i = 0; i < 3; i++) {
        CHECK_EQ_INT(ask(&a, bad[i], AF_UNSPEC, 0), UV_EAI_NONAME);
    }
    aif_mem_fail_at(1, 0);
    CHECK_EQ_INT(ask(&a, "192.0.2.7", AF_UNSPEC, 0), AIF_ENOMEM);
    aif_mem_fail_at(0, 0);
    CHECK_EQ_INT(loop.lookups_started, 0);
    drop(&a);
    end();
}

static void
test_refused_names(void)
{
    char name[AIF_RESOLVE_NAME + 1];
    asker a = {0};

    begin();
    CHECK_EQ_INT(ask(&a, "", AF_UNSPEC, 0), UV_EAI_NONAME);
    memset(name, 'a', sizeof(name));
    name[AIF_RESOLVE_NAME] = '\0';
    CHECK_EQ_INT(ask(&a, name, AF_UNSPEC, 0), UV_EAI_NONAME);
    /* Shorter, and still too long for libuv: refused, and nothing is left. */
    name[AIF_RESOLVE_NAME - 1] = '\0';
    CHECK(ask(&a, name, AF_UNSPEC, 0) < 0);
    aif_resolve_forget(&loop, name);
    aif_resolve_forget(&loop, "");
    CHECK_EQ_INT(a.answers, 0);
    end();
}

/* -- The cache ---------------------------------------------------------- */

static void
test_cache(void)
{
    asker a = {0};

    begin();
    CHECK_EQ_INT(ask(&a, "one.test", AF_UNSPEC, 10000), 0);
    CHECK_EQ_INT(a.answers, 0);
    UNTIL(a.answers == 1);
    CHECK_EQ_INT(a.code, 0);
    CHECK_EQ_INT(a.addrs->count, 2);
    CHECK_EQ_STR(text_of(&a, 0), "2001:db8::1");
    CHECK_EQ_STR(text_of(&a, 1), "192.0.2.2");
    CHECK_EQ_INT(last_family, AF_UNSPEC);
    CHECK_EQ_INT(last_flags, AI_ADDRCONFIG);
    CHECK_EQ_INT(last_type, SOCK_STREAM);

    CHECK_EQ_INT(ask(&a, "ONE.Test", AF_UNSPEC, 10000), 1);
    CHECK_EQ_INT(a.cached, 1);
    CHECK_EQ_INT(loop.lookups_started, 1);
    /* Another family is another question. */
    CHECK_EQ_INT(ask(&a, "one.test", AF_INET, 10000), 0);
    CHECK_EQ_INT(a.cached, 0);
    UNTIL(a.answers == 2);
    CHECK_EQ_INT(last_family, AF_INET);
    /* Bypassed, although it is there; and it stays there. */
    CHECK_EQ_INT(ask(&a, "one.test", AF_UNSPEC, 0), 0);
    UNTIL(a.answers == 3);
    CHECK_EQ_INT(loop.lookups_started, 3);
    CHECK_EQ_INT(ask(&a, "one.test", AF_UNSPEC, 10000), 1);

    /* Old for one asker, young for the other, then renewed for both. */
    usleep(20000);
    CHECK_EQ_INT(ask(&a, "one.test", AF_UNSPEC, 10000), 1);
    CHECK_EQ_INT(ask(&a, "one.test", AF_UNSPEC, 10), 0);
    UNTIL(a.answers == 4);
    CHECK_EQ_INT(ask(&a, "one.test", AF_UNSPEC, 10000), 1);
    CHECK_EQ_INT(loop.lookups_started, 4);

    /* Who bypasses does not fill it either. */
    CHECK_EQ_INT(ask(&a, "two.test", AF_UNSPEC, 0), 0);
    UNTIL(a.answers == 5);
    CHECK_EQ_INT(ask(&a, "two.test", AF_UNSPEC, 10000), 0);
    UNTIL(a.answers == 6);

    aif_resolve_forget(&loop, "oNe.test");
    CHECK_EQ_INT(ask(&a, "two.test", AF_UNSPEC, 10000), 1);
    CHECK_EQ_INT(ask(&a, "one.test", AF_UNSPEC, 10000), 0);
    UNTIL(a.answers == 7);
    aif_resolve_forget(&loop, NULL);
    CHECK_EQ_INT(ask(&a, "two.test", AF_UNSPEC, 10000), 0);
    UNTIL(a.answers == 8);
    drop(&a);
    end();
}

static void
test_failures_are_not_cached(void)
{
    asker a = {0};

    begin();
    for (unsigned i = 1; i <= 2; i++) {
        CHECK_EQ_INT(ask(&a, "none.test", AF_UNSPEC, 10000), 0);
        UNTIL(a.answers == i);
        CHECK_EQ_INT(a.code, UV_EAI_NONAME);
    }
    CHECK_EQ_INT(loop.lookups_started, 2);
    CHECK_EQ_INT(ask(&a, "odd.test", AF_UNSPEC, 10000), 0);
    UNTIL(a.answers == 3);
    CHECK_EQ_INT(a.code, UV_EAI_NODATA);
    CHECK_EQ_INT(ask(&a, "many.test", AF_UNSPEC, 10000), 0);
    UNTIL(a.answers == 4);
    CHECK_EQ_INT(a.addrs->count, AIF_ADDRS_MAX);
    drop(&a);
    end();
}

static void
test_the_oldest_goes(void)
{
    static asker many[AIF_RESOLVE_CACHE + 2];
    char name[32];
    unsigned answered = 0;

    begin();
    memset(many, 0, sizeof(many));
    for (unsigned i = 0; i < AIF_RESOLVE_CACHE + 2; i++) {
        (void)snprintf(name, sizeof(name), "n%u.test", i);
        CHECK_EQ_INT(ask(&many[i], name, AF_UNSPEC, 100000), 0);
        /* One after the other, so that their ages are known. */
        UNTIL(many[i].answers == 1);
        answered += many[i].code == 0;
        drop(&many[i]);
    }
    CHECK_EQ_INT(answered, AIF_RESOLVE_CACHE + 2);
    for (unsigned i = 2; i < AIF_RESOLVE_CACHE + 2; i++) {
        (void)snprintf(name, sizeof(name), "n%u.test", i);
        CHECK_EQ_INT(ask(&many[i], name, AF_UNSPEC, 100000), 1);
        drop(&many[i]);
    }
    for (unsigned i = 0; i < 2; i++) {
        (void)snprintf(name, sizeof(name), "n%u.test", i);
        CHECK_EQ_INT(ask(&many[i], name, AF_UNSPEC, 100000), 0);
    }
    UNTIL(many[0].answers == 1 && many[1].answers == 1);
    drop(&many[0]);
    drop(&many[1]);
    end();
}

/* -- One flight for all ------------------------------------------------- */

static void
test_single_flight(void)
{
    asker a[100];

    begin();
    memset(a, 0, sizeof(a));
    for (unsigned i = 0; i < 100; i++) {
        CHECK_EQ_INT(ask(&a[i], "gate.test", AF_UNSPEC, i % 2 ? 1000 : 0), 0);
    }
    CHECK_EQ_INT(loop.lookups_started, 1);
    CHECK_EQ_INT(loop.lookups, 1);
    for (unsigned i = 10; i < 20; i++) {
        aif_query_cancel(a[i].query);
    }
    /* One cancels another from inside its answer, one asks again. */
    a[3].victim = &a[4];
    a[5].again = "gate.test";
    gate(1);
    UNTIL(a[99].answers == 1);
    for (unsigned i = 0; i < 100; i++) {
        CHECK_EQ_INT(a[i].answers, (i < 10 || i >= 20) && i != 4);
    }
    CHECK_EQ_INT(a[5].again_rc, 1);
    CHECK(a[0].addrs == a[99].addrs);
    CHECK_EQ_INT(loop.lookups_started, 1);
    for (unsigned i = 0; i < 100; i++) {
        drop(&a[i]);
    }
    end();
}

static void
test_last_one_cancels_the_other(void)
{
    asker a[2] = {{0}, {0}};

    begin();
    CHECK_EQ_INT(ask(&a[0], "none.test", AF_UNSPEC, 1000), 0);
    CHECK_EQ_INT(ask(&a[1], "none.test", AF_UNSPEC, 1000), 0);
    a[0].victim = &a[1];
    a[0].again = "none.test";
    a[0].forgets = 1;
    UNTIL(a[0].answers == 2);
    CHECK_EQ_INT(a[0].again_rc, 0);
    CHECK_EQ_INT(a[1].answers, 0);
    CHECK_EQ_INT(loop.lookups_started, 2);
    end();
}

/* A lookup that runs and that nobody waits for any more is joined by whoever
 * asks next, and its answer is kept. */
static void
test_cancel_while_it_runs(void)
{
    asker a = {0};

    begin();
    CHECK_EQ_INT(ask(&a, "gate.test", AF_UNSPEC, 1000), 0);
    UNTIL(waiting_at_gate() == 1);
    aif_query_cancel(a.query);
    CHECK_EQ_INT(ask(&a, "gate.test", AF_UNSPEC, 1000), 0);
    CHECK_EQ_INT(loop.lookups_started, 1);
    aif_query_cancel(a.query);
    gate(1);
    UNTIL(loop.lookups == 0);
    CHECK_EQ_INT(a.answers, 0);
    CHECK_EQ_INT(ask(&a, "gate.test", AF_UNSPEC, 1000), 1);
    drop(&a);
    end();
}

/* One that has not begun is withdrawn, and the next asker starts anew. */
static void
test_cancel_before_it_runs(void)
{
    asker a[12];
    char name[32];

    begin();
    memset(a, 0, sizeof(a));
    for (unsigned i = 0; i < 12; i++) {
        (void)snprintf(name, sizeof(name), "gate%u.test", i);
        CHECK_EQ_INT(ask(&a[i], name, AF_UNSPEC, 1000), 0);
    }
    UNTIL(waiting_at_gate() > 0);
    aif_query_cancel(a[11].query);
    CHECK_EQ_INT(ask(&a[11], "gate11.test", AF_UNSPEC, 1000), 0);
    CHECK_EQ_INT(loop.lookups_started, 13);
    aif_query_cancel(a[11].query);
    aif_query_cancel(a[10].query);
    UNTIL(loop.lookups == 10);
    gate(1);
    UNTIL(loop.lookups == 0);
    for (unsigned i = 0; i < 12; i++) {
        CHECK_EQ_INT(a[i].answers, i < 10);
        drop(&a[i]);
    }
    end();
}

static void
test_forget_in_flight(void)
{
    asker a[2] = {{0}, {0}};

    begin();
    CHECK_EQ_INT(ask(&a[0], "gate.test", AF_UNSPEC, 1000), 0);
    aif_resolve_forget(&loop, "gate.test");
    CHECK_EQ_INT(ask(&a[1], "gate.test", AF_UNSPEC, 1000), 0);
    CHECK_EQ_INT(loop.lookups_started, 2);
    aif_resolve_forget(&loop, NULL);
    gate(1);
    UNTIL(a[0].answers == 1 && a[1].answers == 1);
    /* Neither answer was kept. */
    drop(&a[0]);
    CHECK_EQ_INT(ask(&a[0], "gate.test", AF_UNSPEC, 1000), 0);
    aif_query_cancel(a[0].query);
    UNTIL(loop.lookups == 0);
    drop(&a[1]);
    end();
}

/* -- Without memory, and at the end ------------------------------------- */

static void
test_out_of_memory(void)
{
    asker a = {0};
    /* The resolver; then, for each try, the entry, the query, the lookup. */
    static const long points[] = {1, 2, 1, 2, 3};

    begin();
    for (size_t i = 0; i < sizeof(points) / sizeof(points[0]); i++) {
        aif_mem_fail_at(points[i], 0);
        CHECK_EQ_INT(ask(&a, "one.test", AF_UNSPEC, 1000), AIF_ENOMEM);
        aif_mem_fail_at(0, 0);
    }
    aif_mem_fail_at(4, 0);
    CHECK_EQ_INT(ask(&a, "one.test", AF_UNSPEC, 1000), 0);
    aif_mem_fail_at(0, 0);
    CHECK_EQ_INT(loop.lookups_started, 1);
    /* And when the answer comes. */
    aif_mem_fail_at(1, 0);
    UNTIL(a.answers == 1);
    aif_mem_fail_at(0, 0);
    CHECK_EQ_INT(a.code, AIF_ENOMEM);
    drop(&a);
    end();
}

static void
test_fini_with_lookups(void)
{
    asker a[12];
    char name[32];

    begin();
    memset(a, 0, sizeof(a));
    for (unsigned i = 0; i < 12; i++) {
        (void)snprintf(name, sizeof(name), "gate%u.test", i);
        CHECK_EQ_INT(ask(&a[i], name, AF_UNSPEC, 1000), 0);
    }
    UNTIL(waiting_at_gate() > 0);
    CHECK_EQ_INT(aif_loop_fini(&loop), UV_EBUSY);
    CHECK_EQ_INT(aif_loop_fini(&loop), UV_EBUSY);
    /* Those that had not begun are gone already. */
    CHECK(loop.lookups > 0 && loop.lookups <= 4);
    gate(1);
    for (int i = 0; i < 2000 && aif_loop_fini(&loop) == UV_EBUSY; i++) {
        usleep(1000);
    }
    CHECK_EQ_INT(loop.lookups, 0);
    CHECK_EQ_INT(aif_mem_live(), 0);
    for (unsigned i = 0; i < 12; i++) {
        CHECK_EQ_INT(a[i].answers, 0);
    }
}

static void
test_localhost(void)
{
    asker a = {0};

    begin();
    CHECK_EQ_INT(ask(&a, "localhost", AF_INET, 1000), 0);
    UNTIL(a.answers == 1);
    CHECK_EQ_STR(text_of(&a, 0), "127.0.0.1");
    drop(&a);
    end();
}

int
main(void)
{
    CHECK_EQ_INT(uv_mutex_init(&gate_lock), 0);
    CHECK_EQ_INT(uv_cond_init(&gate_moved), 0);
    test_literals();
    test_lists_of_literals();
    test_refused_names();
    test_cache();
    test_failures_are_not_cached();
    test_the_oldest_goes();
    test_single_flight();
    test_last_one_cancels_the_other();
    test_cancel_while_it_runs();
    test_cancel_before_it_runs();
    test_forget_in_flight();
    test_out_of_memory();
    test_fini_with_lookups();
    test_localhost();
    return check_failures();
}
