/* Every allocation fails once, in turn, under whole requests; and then every
 * one from there on. The core's own (aif_mem), and what it makes libuv ask for
 * (uv_replace_allocator).
 *
 * Each fetch comes to its end, with what the scene expects or with ENOMEM; no
 * block and no connection is left; and the same pool serves the next request.
 * How many allocations a request on a kept connection may take is here too.
 */
#include <brotli/encode.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
#include <zlib.h>

#include "base/aif_mem.h"
#include "client/aif_upload.h"
#include "fetching.h"
#include "http/aif_url.h"
#include "veil.h"

#define CALLS 3

/* What a scene has started. */
static call calls[CALLS];
static unsigned begun;
static int went_well;

/* ---- what libuv asks for ------------------------------------------------ */

static long uv_made, uv_fail_in, uv_live;
static int uv_sticky;

/* libuv's threads ask as well, but not while a walk counts. */
static int
uv_must_fail(void)
{
    uv_made++;
    if (uv_fail_in == 0 || --uv_fail_in > 0) {
        return 0;
    }
    uv_fail_in = uv_sticky;
    return 1;
}

static void *
uv_malloc_(size_t size)
{
    void *p = uv_must_fail() ? NULL : malloc(size);

    uv_live += p != NULL;
    return p;
}

static void *
uv_calloc_(size_t n, size_t size)
{
    void *p = uv_must_fail() ? NULL : calloc(n, size);

    uv_live += p != NULL;
    return p;
}

static void *
uv_realloc_(void *old, size_t size)
{
    void *p = uv_must_fail() ? NULL : realloc(old, size);

    uv_live += old == NULL && p != NULL;
    return p;
}

static void
uv_free_(void *p)
{
    uv_live -= p != NULL;
    free(p);
}

/* libuv ends the process where its table of descriptors cannot grow: it is
 * made large before. */
static void
grow_table(void)
{
    static uv_poll_t watch;
    int ends[2], high;

    CHECK_EQ_INT(pipe(ends), 0);
    high = fcntl(ends[0], F_DUPFD, 500);
    CHECK(high >= 500);
    CHECK_EQ_INT(uv_poll_init(&b.loop.uv, &watch, high), 0);
    CHECK_EQ_INT(uv_poll_start(&watch, UV_READABLE, NULL), 0);
    CHECK_EQ_INT(uv_poll_stop(&watch), 0);
    uv_close((uv_handle_t *)&watch, NULL);
    (void)uv_run(&b.loop.uv, UV_RUN_NOWAIT);
    (void)close(high);
    (void)close(ends[0]);
    (void)close(ends[1]);
}

/* ---- the server --------------------------------------------------------- */

#define CHUNKED OK_HEAD "Transfer-Encoding: chunked\r\n\r\n"

static char coded[8192];
static step say_coded[] = {{STEP_SAY, coded, 0, 0}, END};
static char moved[256];
static char big[200000];
static size_t big_len;

static const step say_hi[] = {SAY(OK("2", "hi")), END};
static const step say_nothing[] = {END};

/* What |target| is answered with; the body of a chunked request comes here as
 * well, as if it were one. */
static const struct page {
    const char *start;
    const step *steps;
} pages[] = {
    {"GET /chunked",
     (const step[]){SAY(CHUNKED "2;a=b\r\nh"), NAP(1),
                    SAY("i\r\n0\r\nSum: 7\r\nOther: 8\r\n\r\n"), END}},
    {"GET /until",
     (const step[]){SAY(OK_HEAD "\r\nh"), NAP(1), SAY("i"), CLOSE}},
    {"GET /hints",
     (const step[]){SAY("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"),
                    NAP(1), SAY(OK("2", "hi")), END}},
    {"GET /coded", say_coded},
    {"GET /moved",
     (const step[]){{STEP_SAY, moved, 0, 0}, NAP(1), SAY("ok"), END}},
    {"GET /half",
     (const step[]){SAY(OK_HEAD "Content-Length: 9\r\n\r\nhi"), END}},
    {"GET /mute", say_nothing},
    {"GET /bad", (const step[]){SAY("HTTP/1.1 2x0 OK\r\n\r\n"), END}},
    {"GET /cut", (const step[]){SAY(CHUNKED "5\r\nhi"), CLOSE}},
    {"GET /reset", (const step[]){RESET}},
    {"GET /big", (const step[]){{STEP_SAY, big, 0, 0}, END}},
    {"PUT /chunked", say_nothing},
    {"PUT /expect", (const step[]){SAY("HTTP/1.1 100 Continue\r\n\r\n"), END}},
    {NULL, say_hi},
};

static const step *
route(server *s, const char *head)
{
    static step sized[8];
    static const step gone[] = {NAP(1), CLOSE};
    const struct page *page = pages;

    /* The second request of the first connection finds it gone. */
    if (strncmp(head, "GET /stale", 10) == 0 && s->requests == 2
        && s->accepted == 1)
    {
        return gone;
    }
    while (page->start != NULL
           && strncmp(head, page->start, strlen(page->start)) != 0)
    {
        page++;
    }
    if (page->steps[0].text != moved && page->steps[0].text != big) {
        return page->steps;
    }
    memcpy(sized, page->steps,
           (page->steps[0].text == moved ? 4 : 2) * sizeof(step));
    sized[0].len = sized[0].text == big ? big_len : strlen(moved);
    return sized;
}

/* "hi", in gzip and then in br. */
static void
make_coded(void)
{
    unsigned char zipped[256], both[256];
    size_t len = sizeof(both);
    z_stream z = {0};
    int head;

    CHECK(deflateInit2(&z, 6, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY) == Z_OK);
    z.next_in = (z_const Bytef *)(uintptr_t)"hi";
    z.avail_in = 2;
    z.next_out = zipped;
    z.avail_out = sizeof(zipped);
    CHECK(deflate(&z, Z_FINISH) == Z_STREAM_END);
    CHECK(deflateEnd(&z) == Z_OK);
    CHECK(BrotliEncoderCompress(5, BROTLI_DEFAULT_WINDOW, BROTLI_DEFAULT_MODE,
                                sizeof(zipped) - z.avail_out, zipped, &len,
                                both)
          == BROTLI_TRUE);
    head = snprintf(coded, sizeof(coded),
                    OK_HEAD "Content-Encoding: gzip, br\r\n"
                            "Content-Length: %zu\r\n\r\n",
                    len);
    memcpy(coded + head, both, len);
    say_coded[0].len = (size_t)head + len;
}

/* ---- starting and ending ------------------------------------------------ */

/* One more fetch of |target|; NULL if it could not even be made. */
static call *
make(const char *target)
{
    call *c = &calls[begun];

    memset(c, 0, sizeof(*c));
    c->method = "GET";
    c->target = target;
    c->port = b.server[0].port;
    c->f = aif_fetch_new(&call_cbs, c);
    if (c->f == NULL) {
        went_well = 0;
        return NULL;
    }
    c->f->idempotent = 1;
    c->f->decode_body = 1;
    begun++;
    return c;
}

/* Starts it; 0 if there was no memory for that. */
static int
start(call *c)
{
    int rc = call_start(c);

    if (rc == 0) {
        return 1;
    }
    CHECK(c->f->err.code == rc && (rc == AIF_ENOMEM || rc == AIF_ECLOSED));
    CHECK_EQ_INT(c->dones, 0);
    CHECK(c->f->state == AIF_FETCH_NEW);
    went_well = 0;
    return 0;
}

static call *
begin(const char *target)
{
    call *c = make(target);

    return c != NULL && start(c) ? c : NULL;
}

static int
is_memory(int code)
{
    return code == AIF_ENOMEM || code == UV_ENOMEM;
}

/* |c| (may be NULL) comes to |code|, and |body|, or has no memory. */
static void
finish(call *c, int code, const char *body)
{
    if (c == NULL) {
        return;
    }
    UNTIL(c->dones > 0);
    CHECK_EQ_INT(c->dones, 1);
    if (c->code != code) {
        went_well = 0;
        if (!CHECK(is_memory(c->code))) {
            (void)printf("    %d: %s\n", c->code, c->err.text);
        }
        return;
    }
    if (body != NULL) {
        CHECK_EQ_INT(c->status, 200);
        CHECK_EQ_INT(c->body_len, strlen(body));
        CHECK(memcmp(c->body, body, strlen(body)) == 0);
    }
}

/* ---- the scenes --------------------------------------------------------- */

static void
scene_plain(void)
{
    finish(begin("/"), 0, "hi");
    finish(begin("/"), 0, "hi");
}

static void
scene_chunked(void)
{
    call *c = begin("/chunked");

    finish(c, 0, "hi");
    CHECK(c == NULL || c->code != 0 || c->trailers == 2);
    finish(begin("/hints"), 0, "hi");
    finish(begin("/until"), 0, "hi");
}

static void
scene_coded(void)
{
    finish(begin("/coded"), 0, "hi");
}

static int
direct_on_head(void *user, aif_fetch *f, aif_h1parse *p)
{
    call *c = user;
    size_t len = (size_t)aif_h1parse_length(p);

    (void)f;
    c->heads++;
    c->status = aif_h1parse_status(p);
    c->space = aif_mem_alloc(len);
    c->space_len = len;
    return c->space == NULL ? AIF_ENOMEM : 0;
}

static void
scene_large(void)
{
    static aif_fetch_cbs cbs;
    call *c = make("/big");

    cbs = direct_cbs;
    cbs.on_head = direct_on_head;
    if (c != NULL) {
        c->f->cbs = &cbs;
        if (start(c)) {
            finish(c, 0, NULL);
            CHECK(c->code != 0 || (c->spaces > 0 && c->body_len > 199000));
        }
        aif_mem_free(c->space);
    }
}

static aif_url there;

/* A redirect's next target is made as the owner of the core makes it. */
static int
moved_on_head(void *user, aif_fetch *f, aif_h1parse *p)
{
    static const char base_text[] = "http://localhost/a/b?c";
    aif_header *h = aif_h1parse_header(p);
    aif_url base;
    aif_slice to;
    int rc, i = aif_header_find(h, "location", 0);

    CHECK(i >= 0);
    to = aif_header_value(h, (unsigned)i);
    aif_url_init(&base);
    rc = aif_url_parse(&base, base_text, sizeof(base_text) - 1, &f->err);
    if (rc == 0) {
        rc = aif_url_resolve(&there, &base, to.ptr, to.len, &f->err);
    }
    aif_url_fini(&base);
    (void)user;
    return rc == 0 ? AIF_FETCH_DISCARD : rc;
}

/* The second hop's host is a name, and its connection another one. */
static void
scene_redirect(void)
{
    static aif_fetch_cbs cbs;
    aif_target target = {0};
    call *c = make("/moved"), *next;
    aif_h1head head;

    cbs = call_cbs;
    cbs.on_head = moved_on_head;
    aif_url_init(&there);
    if (c != NULL) {
        c->f->cbs = &cbs;
    }
    if (c != NULL && start(c)) {
        finish(c, 0, NULL);
        next = c->code == 0 ? make("/") : NULL;
        if (next != NULL) {
            target.host = aif_url_host(&there);
            target.port = there.port;
            memset(&head, 0, sizeof(head));
            head.method = slice("GET");
            head.target = aif_url_target(&there);
            head.authority = aif_url_authority(&there);
            head.body = AIF_H1_NO_BODY;
            if (aif_fetch_start(next->f, b.pool, &target, &head) == 0) {
                finish(next, 0, "hi");
            }
            else {
                CHECK_EQ_INT(next->f->err.code, AIF_ENOMEM);
                went_well = 0;
            }
        }
    }
    aif_url_fini(&there);
}

static void
scene_secure(void)
{
    for (int i = 0; i < 2; i++) {
        call *c = make("/");

        if (c != NULL) {
            c->secure = 1;
            finish(start(c) ? c : NULL, 0, "hi");
        }
    }
}

/* Cancelled while it dials, waits for its head, is in its body. */
static void
scene_cancel(void)
{
    static const char *const target[] = {"/mute", "/mute", "/half"};

    for (unsigned i = 0; i < 3; i++) {
        call *c = begin(target[i]);

        if (c == NULL) {
            continue;
        }
        UNTIL(c->dones > 0 || (i == 0 && c->f->state == AIF_FETCH_DIALING)
              || (i == 1 && c->f->state == AIF_FETCH_HEAD) || c->bodies > 0);
        aif_fetch_cancel(c->f);
        finish(c, AIF_ECANCELLED, NULL);
    }
}

/* Three for one connection, and one of them finds it closed. */
static void
scene_wait(void)
{
    call *c[CALLS];

    for (unsigned i = 0; i < CALLS; i++) {
        c[i] = begin("/stale");
    }
    for (unsigned i = 0; i < CALLS; i++) {
        finish(c[i], 0, "hi");
    }
}

/* The pool is closed with one that reads, one that waits for a head and one
 * in the queue. */
static void
scene_close(void)
{
    call *c[CALLS] = {begin("/half"), begin("/mute"), begin("/")};

    UNTIL((c[0] == NULL || c[0]->bodies > 0 || c[0]->dones > 0)
          && (c[1] == NULL || c[1]->f->state == AIF_FETCH_HEAD
              || c[1]->dones > 0));
    aif_pool_close(b.pool);
    CHECK_EQ_INT(b.pool->open, 0);
    for (unsigned i = 0; i < CALLS; i++) {
        if (c[i] != NULL) {
            /* The last one may have had its turn, if another failed. */
            CHECK_EQ_INT(c[i]->dones, 1);
            finish(c[i], c[i]->code == 0 ? 0 : AIF_ECLOSED, NULL);
        }
    }
}

static void
scene_broken(void)
{
    static const struct {
        const char *target;
        int code;
    } row[] = {
        {"/bad", AIF_EPARSE},
        {"/cut", AIF_ETRUNCATED},
        {"/reset", UV_ECONNRESET},
    };

    for (unsigned i = 0; i < 3; i++) {
        call *c = make(row[i].target);

        if (c != NULL) {
            c->f->idempotent = 0;
            finish(start(c) ? c : NULL, row[i].code, NULL);
        }
    }
}

/* A limit ends the request, whatever there was no memory for. */
static void
late(aif_limit limit)
{
    call *c = make("/mute");

    if (c == NULL) {
        return;
    }
    if (limit == AIF_LIMIT_TOTAL) {
        c->f->limits.total_due = uv_hrtime() + 5 * MS;
    }
    else if (limit == AIF_LIMIT_WAIT) {
        c->f->limits.wait = 5 * MS;
    }
    else {
        c->f->limits.read = 5 * MS;
    }
    finish(start(c) ? c : NULL, AIF_ETIMEOUT, NULL);
}

static void
scene_late(void)
{
    late(AIF_LIMIT_TOTAL);
}

static void
scene_late_head(void)
{
    late(AIF_LIMIT_WAIT);
}

static void
scene_late_read(void)
{
    late(AIF_LIMIT_READ);
}

/* The rest of a body is read away for nobody, then the connection serves. */
static void
scene_discard(void)
{
    call *c = make("/chunked");

    if (c != NULL) {
        c->in_head = RETURN_DISCARD;
        finish(start(c) ? c : NULL, 0, NULL);
    }
    finish(begin("/"), 0, "hi");
}

/* ---- uploads ------------------------------------------------------------ */

typedef struct source {
    aif_upload u; /* first: the upcalls' user finds it */
    FILE *file;
    uint64_t file_len;
    unsigned given, ends;
} source;

/* Two pieces, or a file, and the end; with a trailer where one may be. */
static void
source_give(source *s)
{
    aif_err err = {0};
    aif_header trailer;
    int rc = 1;

    while (rc == 1 && s->given < 2 && s->file == NULL) {
        rc = aif_upload_give(&s->u, "hello", 5, &err);
        s->given += rc >= 0;
    }
    if (rc == 1 && s->given == 0 && s->file != NULL) {
        rc =
            aif_upload_give_file(&s->u, fileno(s->file), 0, s->file_len, &err);
        s->given += rc >= 0;
    }
    if (rc == 1 && s->u.state == AIF_UPLOAD_OPEN) {
        aif_header_init(&trailer, AIF_MAX_TRAILER, AIF_MAX_FIELDS);
        if (s->u.length == AIF_H1_CHUNKED) {
            rc = aif_header_add(&trailer, "Sum", 3, "7", 1);
        }
        if (rc >= 0) {
            rc = aif_upload_end(&s->u, &trailer, &err);
        }
        aif_header_fini(&trailer);
    }
    if (rc < 0) {
        aif_err_set(&err, rc, "the source has failed");
        aif_upload_fail(&s->u, rc, &err);
    }
}

static void
source_on_start(void *user, aif_upload *u)
{
    (void)u;
    ((source *)user)->given = 0;
    source_give(user);
}

static void
source_on_taken(void *user, aif_upload *u, int code)
{
    aif_err err = {0};

    if (code < 0) {
        aif_err_set(&err, code, "the file has failed");
        aif_upload_fail(u, code, &err);
    }
    else {
        source_give(user);
    }
}

static void
source_on_stop(void *user, aif_upload *u)
{
    (void)user;
    (void)u;
}

static void
source_on_end(void *user, aif_upload *u)
{
    (void)u;
    ((source *)user)->ends++;
}

static const aif_upload_cbs source_cbs = {
    .on_start = source_on_start,
    .on_taken = source_on_taken,
    .on_stop = source_on_stop,
    .on_end = source_on_end,
};

static void
upload(const char *target, int64_t length, uint64_t expect, FILE *file)
{
    aif_target to = {.host = slice("127.0.0.1"), .port = b.server[0].port};
    aif_h1head head = {
        .method = slice("PUT"),
        .target = slice(target),
        .authority = slice("server.test"),
        .body = length,
    };
    source s = {.file = file, .file_len = length > 0 ? (uint64_t)length : 100};
    call *c = make(target);

    if (c == NULL) {
        return;
    }
    aif_upload_init(&s.u, &source_cbs, &s, length);
    s.u.expect = expect;
    s.u.replayable = 1;
    c->f->upload = &s.u;
    if (aif_fetch_start(c->f, b.pool, &to, &head) == 0) {
        finish(c, 0, "hi");
        CHECK_EQ_INT(s.ends, 1);
    }
    else {
        CHECK_EQ_INT(c->f->err.code, AIF_ENOMEM);
        went_well = 0;
    }
    aif_fetch_free(c->f);
    c->f = NULL;
    aif_upload_fini(&s.u);
}

static void
scene_upload(void)
{
    upload("/sized", 10, 0, NULL);
    upload("/chunked", AIF_H1_CHUNKED, 0, NULL);
    upload("/expect", AIF_H1_CHUNKED, 5000 * MS, NULL);
}

static void
scene_file(void)
{
    FILE *file = tmpfile();

    CHECK(file != NULL);
    CHECK_EQ_INT(fwrite(big + 1000, 1, 100000, file), 100000);
    CHECK_EQ_INT(fflush(file), 0);
    upload("/sized", 100000, 0, file);
    upload("/chunked", AIF_H1_CHUNKED, 0, file);
    (void)fclose(file);
}

/* ---- the walk ----------------------------------------------------------- */

enum { OURS, LIBUVS };

static const struct scene {
    const char *name;
    void (*run)(void);
    unsigned limit;
    int hooks;
} scenes[] = {
    {"plain", scene_plain, 0, 0},         {"chunked", scene_chunked, 0, 0},
    {"coded", scene_coded, 0, 0},         {"large", scene_large, 0, 0},
    {"redirect", scene_redirect, 0, 0},   {"secure", scene_secure, 0, 1},
    {"cancel", scene_cancel, 0, 0},       {"wait", scene_wait, 1, 0},
    {"close", scene_close, 2, 0},         {"broken", scene_broken, 0, 0},
    {"late", scene_late, 0, 0},           {"late head", scene_late_head, 0, 0},
    {"late read", scene_late_read, 0, 0}, {"discard", scene_discard, 1, 0},
    {"upload", scene_upload, 0, 0},       {"file", scene_file, 0, 0},
};

static void
fail_at(int whose, long nth, int sticky)
{
    if (whose == OURS) {
        aif_mem_fail_at(nth, sticky);
    }
    else {
        uv_fail_in = nth;
        uv_sticky = sticky;
    }
}

/* One scene with its |nth| allocation failing. 1 if it came to that. */
static int
once(const struct scene *s, int whose, long nth, int sticky)
{
    long before, live = aif_mem_live();
    int fired;
    call c;

    memset(&veil_of, 0, sizeof(veil_of));
    veil_of.mode = OPEN_AT_ONCE;
    bench_open();
    grow_table();
    server_open(&b.server[0], &b.loop.uv, NULL, 0);
    b.server[0].route = route;
    (void)snprintf(moved, sizeof(moved),
                   "HTTP/1.1 302 Found\r\nLocation: //localhost:%u/x/../?y\r\n"
                   "Content-Length: 4\r\n\r\nno",
                   b.server[0].port);
    b.settings.limit = s->limit;
    b.hooks = s->hooks ? &veil_hooks : NULL;
    b.user = &veil_of;
    begun = 0;
    went_well = 1;
    before = whose == OURS ? aif_mem_made() : uv_made;
    fail_at(whose, nth, sticky);
    b.pool = aif_pool_new(&b.loop, &b.settings, b.hooks, b.user);
    if (b.pool != NULL) {
        s->run();
    }
    fired = (whose == OURS ? aif_mem_made() : uv_made) - before >= nth;
    fail_at(whose, 0, 0);
    CHECK(fired || went_well);
    for (unsigned i = 0; i < begun; i++) {
        aif_fetch_free(calls[i].f);
    }
    /* The same pool goes on as if nothing had been. */
    if (b.pool != NULL && !b.pool->closed) {
        CHECK_EQ_INT(b.pool->busy + b.pool->dialing,
                     b.pool->open - b.pool->idle_count);
        call_begin(&c, 0);
        call_good(&c, "hi");
        settle(1);
        CHECK_EQ_INT(b.pool->waiting, 0);
    }
    bench_close();
    CHECK_EQ_INT(veil_of.made, veil_of.closed);
    CHECK_EQ_INT(aif_mem_live(), live);
    return fired;
}

static void
walk(int whose)
{
    char row[64];
    long all = 0;

    for (unsigned i = 0; i < sizeof(scenes) / sizeof(scenes[0]); i++) {
        for (int sticky = 0; sticky < 2; sticky++) {
            long nth = 1;

            check_row = row;
            do {
                (void)snprintf(row, sizeof(row), "%s, %s %ld%s",
                               scenes[i].name, whose == OURS ? "ours" : "uv",
                               nth, sticky ? " and on" : "");
            } while (once(&scenes[i], whose, nth, sticky) && nth++ < 500);
            CHECK(whose == LIBUVS || (nth > 15 && nth < 200));
            all += nth - 1;
        }
    }
    check_row = NULL;
    (void)printf("        %ld allocations of %s failed\n", all,
                 whose == OURS ? "the core" : "libuv");
}

static void
test_the_cores_memory(void)
{
    walk(OURS);
}

static void
test_libuvs_memory(void)
{
    long live = uv_live;

    walk(LIBUVS);
    CHECK_EQ_INT(uv_live, live);
}

/* ---- the budget --------------------------------------------------------- */

/* A request on a kept connection, its fetch included. */
static void
test_the_budget(void)
{
    static const char *const target[] = {"/", "/chunked", "/coded", "/big"};
    static const long made_at_most[] = {20, 20, 40, 20};
    static const size_t bytes_at_most[] = {64 << 10, 64 << 10, 1 << 20,
                                           64 << 10};

    bench_open();
    server_open(&b.server[0], &b.loop.uv, NULL, 0);
    b.server[0].route = route;
    bench_pool();
    for (unsigned i = 0; i < 4; i++) {
        for (int warm = 0; warm < 3; warm++) {
            long made = aif_mem_made() + uv_made;
            size_t most;

            (void)aif_mem_most();
            begun = 0;
            finish(begin(target[i]), 0, i < 3 ? "hi" : NULL);
            CHECK(warm == 0 || calls[0].reused);
            aif_fetch_free(calls[0].f);
            made = aif_mem_made() + uv_made - made;
            most = aif_mem_most();
            if (warm == 2) {
                (void)printf("        GET %s: %ld allocations, %zu bytes\n",
                             target[i], made, most);
                CHECK(made <= made_at_most[i]);
                CHECK(most <= bytes_at_most[i]);
            }
        }
    }
    bench_close();
}

int
main(void)
{
    static const char big_head[] = OK_HEAD "Content-Length: 199900\r\n\r\n";
    static const check_test tests[] = {
        CHECK_TEST(test_the_cores_memory),
        CHECK_TEST(test_libuvs_memory),
        CHECK_TEST(test_the_budget),
    };

    if (uv_replace_allocator(uv_malloc_, uv_realloc_, uv_calloc_, uv_free_)
        < 0)
    {
        return 1;
    }
    make_coded();
    memset(big, 'x', sizeof(big));
    big_len = 199900 + sizeof(big_head) - 1;
    memcpy(big, big_head, sizeof(big_head) - 1);
    return CHECK_RUN(tests);
}
