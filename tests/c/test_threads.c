/* Several loops at once, each in a thread of its own: pools, name lookups,
 * files read and sent in libuv's threads, which all loops share. Nothing of
 * the core is shared but the counters of aif_mem; the thread sanitizer looks
 * at that (make tsan), and each answer is the one to its own request. */
#include <stdio.h>
#include <unistd.h>

#define BENCH_LOCAL _Thread_local

#include "client/aif_upload.h"
#include "fetching.h"

#define THREADS 6
#define ROUNDS 15
#define AT_ONCE 8

typedef struct worker {
    uv_thread_t thread;
    unsigned number;
    unsigned good, cancelled;
    char answer[128]; /* the response of this thread's servers */
    char body[16];
} worker;

static _Thread_local worker *own;

#ifdef __SANITIZE_THREAD__
#    include <dlfcn.h>

void AnnotateIgnoreWritesBegin(const char *file, int line);
void AnnotateIgnoreWritesEnd(const char *file, int line);

/* libuv closes by the bare system call, which the sanitizer does not see: it
 * takes the next descriptor of that number for the old one, and its close for
 * a race with whoever had that. */
int
close(int fd)
{
    static _Thread_local int (*real)(int fd);
    int rc;

    if (real == NULL) {
        *(void **)&real = dlsym(RTLD_NEXT, "close");
    }
    AnnotateIgnoreWritesBegin(__FILE__, __LINE__);
    rc = real(fd);
    AnnotateIgnoreWritesEnd(__FILE__, __LINE__);
    return rc;
}
#endif

/* A peer may stand in its steps while another one gets its own. */
static const step *
route(server *s, const char *head)
{
    static _Thread_local step slow[3], fast[2];
    const step say = {STEP_SAY, own->answer, strlen(own->answer), 0};
    const step nap = NAP(1), end = END;

    (void)s;
    slow[0] = nap;
    slow[1] = fast[0] = say;
    slow[2] = fast[1] = end;
    return strncmp(head, "GET /slow", 9) == 0 ? slow : fast;
}

static void
named_start(call *c, const char *host)
{
    aif_target target = {.host = slice(host), .port = c->port};
    aif_h1head head = {
        .method = slice(c->method),
        .target = slice(c->target),
        .authority = slice("server.test"),
        .body = AIF_H1_NO_BODY,
    };

    CHECK_EQ_INT(aif_fetch_start(c->f, b.pool, &target, &head), 0);
}

/* Some at once, over literals and over names; every fourth is cancelled. */
static void
fetch_some(void)
{
    call c[AT_ONCE];

    for (unsigned i = 0; i < AT_ONCE; i++) {
        call_init(&c[i], 0);
        c[i].target = i & 1 ? "/slow" : "/";
        named_start(&c[i], i & 2 ? "localhost" : "127.0.0.1");
    }
    for (unsigned i = 0; i < AT_ONCE; i++) {
        if (i % 4 == 3) {
            turn();
            aif_fetch_cancel(c[i].f);
        }
        UNTIL(c[i].dones > 0);
        if (c[i].code == 0) {
            CHECK_EQ_INT(c[i].body_len, strlen(own->body));
            CHECK(memcmp(c[i].body, own->body, strlen(own->body)) == 0);
            own->good++;
        }
        else {
            CHECK_EQ_INT(c[i].code, AIF_ECANCELLED);
            own->cancelled++;
        }
        aif_fetch_free(c[i].f);
    }
}

/* ---- files -------------------------------------------------------------- */

typedef struct sent {
    aif_upload u;
    FILE *file;
} sent;

static void
sent_on_start(void *user, aif_upload *u)
{
    aif_err err = {0};

    CHECK_EQ_INT(aif_upload_give_file(u, fileno(((sent *)user)->file), 0,
                                      (uint64_t)u->length, &err),
                 0);
}

static void
sent_on_taken(void *user, aif_upload *u, int code)
{
    aif_err err = {0};

    (void)user;
    CHECK_EQ_INT(code, 0);
    CHECK(aif_upload_end(u, NULL, &err) >= 0);
}

static void
sent_on_over(void *user, aif_upload *u)
{
    (void)user;
    (void)u;
}

static const aif_upload_cbs sent_cbs = {
    .on_start = sent_on_start,
    .on_taken = sent_on_taken,
    .on_stop = sent_on_over,
    .on_end = sent_on_over,
};

/* By the kernel, since it goes to a socket as it is. */
static void
send_file(int64_t length)
{
    sent s = {.file = tmpfile()};
    aif_target target = {.host = slice("127.0.0.1")};
    aif_h1head head = {
        .method = slice("PUT"),
        .target = slice("/"),
        .authority = slice("server.test"),
        .body = length,
    };
    call c;

    CHECK(s.file != NULL);
    CHECK_EQ_INT(ftruncate(fileno(s.file), (off_t)length), 0);
    call_init(&c, 0);
    target.port = c.port;
    aif_upload_init(&s.u, &sent_cbs, &s, length);
    c.f->upload = &s.u;
    CHECK_EQ_INT(aif_fetch_start(c.f, b.pool, &target, &head), 0);
    call_good(&c, own->body);
    CHECK_EQ_INT(s.u.sent, length);
    aif_upload_fini(&s.u);
    (void)fclose(s.file);
}

/* ---- the threads -------------------------------------------------------- */

static void
work(void *arg)
{
    own = arg;
    (void)snprintf(own->body, sizeof(own->body), "own %u", own->number);
    (void)snprintf(own->answer, sizeof(own->answer),
                   OK_HEAD "Content-Length: %zu\r\n\r\n%s", strlen(own->body),
                   own->body);
    for (unsigned i = 0; i < ROUNDS; i++) {
        bench_open();
        b.settings.limit = i % 3;
        server_open(&b.server[0], &b.loop.uv, NULL, 0);
        b.server[0].route = route;
        bench_pool();
        fetch_some();
        send_file(i & 1 ? 70000 : 1000);
        fetch_some();
        bench_close();
    }
}

static void
test_loops_in_threads(void)
{
    static worker workers[THREADS];
    unsigned good = 0, cancelled = 0;

    for (unsigned i = 0; i < THREADS; i++) {
        workers[i].number = i;
        CHECK_EQ_INT(uv_thread_create(&workers[i].thread, work, &workers[i]),
                     0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        CHECK_EQ_INT(uv_thread_join(&workers[i].thread), 0);
        good += workers[i].good;
        cancelled += workers[i].cancelled;
    }
    CHECK_EQ_INT(good + cancelled, THREADS * ROUNDS * 2 * AT_ONCE);
    CHECK(good > THREADS * ROUNDS * AT_ONCE && cancelled > 0);
    (void)printf("        %u requests in %d threads, %u cancelled\n", good,
                 THREADS, cancelled);
}

int
main(void)
{
    static const check_test tests[] = {
        CHECK_TEST(test_loops_in_threads),
    };

    return CHECK_RUN(tests);
}
