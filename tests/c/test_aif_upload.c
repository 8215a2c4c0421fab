/* Bodies in pieces: pace, framing, 100 (Continue), early ends, replay. */
#include "client/aif_upload.h"

#include <stdio.h>
#include <unistd.h>

#include "base/aif_mem.h"
#include "fetching.h"

#define TOTAL 300000u

/* A source that gives |total| bytes in pieces of |piece|. */
typedef struct source {
    aif_upload u;
    call c;
    uint64_t total, given;
    size_t piece;
    unsigned starts, takens, stops, ends;
    int end_early, refused;
    act in_start, in_taken;
} source;

static char bytes[TOTAL];

static void
source_give(source *s)
{
    aif_err err = {0};
    int rc = 1;

    while (rc == 1 && s->given < s->total) {
        uint64_t left = s->total - s->given;
        size_t n = left < s->piece ? (size_t)left : s->piece;

        rc = aif_upload_give(&s->u, bytes, n, &err);
        if (rc >= 0) {
            s->given += n;
        }
    }
    if (rc == 1 && s->u.state == AIF_UPLOAD_OPEN) {
        rc = aif_upload_end(&s->u, NULL, &err);
    }
    if (rc < 0) {
        s->refused = rc;
        CHECK_EQ_INT(err.code, rc);
        aif_upload_fail(&s->u, AIF_ECALLBACK, &err);
    }
}

static void
source_on_start(void *user, aif_upload *u)
{
    source *s = user;

    CHECK_EQ_INT(u->state, AIF_UPLOAD_OPEN);
    CHECK(s->starts >= s->stops);
    s->starts++;
    s->given = 0;
    (void)call_act(&s->c, s->in_start);
    if (s->in_start == DO_NOTHING) {
        source_give(s);
    }
}

static void
source_on_taken(void *user, aif_upload *u, int code)
{
    source *s = user;

    CHECK_EQ_INT(code, 0);
    CHECK(u->state == AIF_UPLOAD_OPEN || u->state == AIF_UPLOAD_ENDED);
    s->takens++;
    (void)call_act(&s->c, s->in_taken);
    if (s->in_taken == DO_NOTHING) {
        source_give(s);
    }
}

static void
source_on_stop(void *user, aif_upload *u)
{
    source *s = user;

    CHECK(u->state == AIF_UPLOAD_IDLE || u->state == AIF_UPLOAD_STOPPED);
    s->stops++;
    CHECK(s->starts >= s->stops);
}

static void
source_on_end(void *user, aif_upload *u)
{
    source *s = user;

    CHECK(u->fetch == NULL && u->conn == NULL);
    s->ends++;
}

static const aif_upload_cbs source_cbs = {
    .on_start = source_on_start,
    .on_taken = source_on_taken,
    .on_stop = source_on_stop,
    .on_end = source_on_end,
};

static int
source_start(source *s)
{
    aif_target target = {.host = slice("127.0.0.1"), .port = s->c.port};
    aif_h1head head = {
        .method = slice("PUT"),
        .target = slice("/"),
        .authority = slice("server.test"),
        .body = s->u.length,
    };

    return aif_fetch_start(s->c.f, b.pool, &target, &head);
}

static void
source_init(source *s, int64_t length, uint64_t total, size_t piece)
{
    memset(s, 0, sizeof(*s));
    call_init(&s->c, 0);
    aif_upload_init(&s->u, &source_cbs, s, length);
    s->c.f->upload = &s->u;
    s->total = total;
    s->piece = piece;
}

static void
source_end(source *s, int code)
{
    call_end(&s->c, code);
    CHECK_EQ_INT(s->ends, 1);
    CHECK_EQ_INT(s->u.state, AIF_UPLOAD_STOPPED);
    aif_upload_fini(&s->u);
}

static void
test_sized(void)
{
    static const step take[] = {REQUEST, SAY(OK("2", "hi")), AGAIN};
    static const size_t pieces[] = {1, 7, 1000, TOTAL};
    source s;

    bench_open();
    SERVE(0, take);
    for (unsigned i = 0; i < 4; i++) {
        uint64_t total = i == 0 ? 300 : TOTAL;

        source_init(&s, (int64_t)total, total, pieces[i]);
        CHECK_EQ_INT(source_start(&s), 0);
        source_end(&s, 0);
        CHECK_EQ_INT(s.c.reused, i > 0);
        CHECK_EQ_INT(s.u.sent, total);
        CHECK_EQ_INT(s.starts, 1);
        CHECK_EQ_INT(s.stops, 0);
    }
    bench_close();
}

static void
test_nothing_to_send(void)
{
    static const step take[] = {REQUEST, SAY(OK("2", "hi")), AGAIN};
    source s;

    bench_open();
    SERVE(0, take);
    for (int i = 0; i < 2; i++) {
        source_init(&s, 0, 0, 1);
        CHECK_EQ_INT(source_start(&s), 0);
        source_end(&s, 0);
        CHECK_EQ_INT(s.c.reused, i);
        CHECK_EQ_INT(s.starts, 0);
    }
    bench_close();
}

/* The peer reads nothing: the source is not asked for more than the socket
 * takes, and the end of the fetch ends it. */
static void
test_pace(void)
{
    static const step deaf[] = {HEAD, NAP(5000)};
    source s;

    bench_open();
    SERVE(0, deaf);
    source_init(&s, 1000000000, 1000000000, TOTAL);
    CHECK_EQ_INT(source_start(&s), 0);
    UNTIL(s.u.state == AIF_UPLOAD_BUSY);
    settle(50);
    CHECK(s.given < 30000000);
    CHECK_EQ_INT(s.u.state, AIF_UPLOAD_BUSY);
    aif_fetch_cancel(s.c.f);
    CHECK_EQ_INT(s.stops, 1);
    source_end(&s, AIF_ECANCELLED);
    bench_close();
}

static void
test_too_much_and_too_little(void)
{
    static const step deaf[] = {HEAD, NAP(5000)};
    static const int64_t announced[] = {999, 1001, 1};
    source s;

    bench_open();
    SERVE(0, deaf);
    for (unsigned i = 0; i < 3; i++) {
        source_init(&s, announced[i], 1000, 100);
        CHECK_EQ_INT(source_start(&s), 0);
        source_end(&s, AIF_ECALLBACK);
        CHECK_EQ_INT(s.refused, AIF_EINVAL);
        CHECK(strstr(s.c.err.text, "announced") != NULL);
        CHECK_EQ_INT(b.pool->open, 0);
    }
    bench_close();
}

/* The response comes while the body is on its way: it is received, and the
 * connection is not used again. */
static void
test_early_response(void)
{
    static const step early[] = {HEAD, SAY(OK("2", "hi")), NAP(5000)};
    source s;

    bench_open();
    SERVE(0, early);
    for (unsigned i = 0; i < 2; i++) {
        source_init(&s, i == 0 ? 1000000000 : AIF_H1_CHUNKED, 1000000000,
                    TOTAL);
        CHECK_EQ_INT(source_start(&s), 0);
        source_end(&s, 0);
        CHECK_EQ_INT(s.c.status, 200);
        CHECK_EQ_INT(s.c.reused, 0);
        CHECK_EQ_INT(s.stops, 1);
        CHECK_EQ_INT(b.pool->open, 0);
    }
    bench_close();
}

static void
test_continue(void)
{
    static const step go[] = {HEAD, NAP(20),
                              SAY("HTTP/1.1 100 Continue\r\n\r\n"
                                  "HTTP/1.1 200 OK\r\n"
                                  "Content-Length: 2\r\n\r\nhi"),
                              NAP(5000)};
    static const step no[] = {HEAD,
                              SAY("HTTP/1.1 417 No\r\n"
                                  "Content-Length: 0\r\n\r\n"),
                              NAP(5000)};
    static const step mute[] = {REQUEST, SAY(OK("2", "hi")), NAP(5000)};
    source s;

    bench_open();
    SERVE(0, go, no, mute, mute);
    for (unsigned i = 0; i < 4; i++) {
        source_init(&s, 5, 5, 5);
        s.u.expect = i == 2 ? 30 * MS : 5000 * MS;
        CHECK_EQ_INT(source_start(&s), 0);
        if (i == 3) {
            UNTIL(s.u.state == AIF_UPLOAD_EXPECTING);
            aif_fetch_cancel(s.c.f);
        }
        source_end(&s, i == 3 ? AIF_ECANCELLED : 0);
        CHECK_EQ_INT(s.u.unexpected, i == 1);
        CHECK_EQ_INT(s.starts, i != 1 && i != 3);
        CHECK_EQ_INT(s.u.sent, i != 1 && i != 3 ? 5 : 0);
        if (i > 0) {
            CHECK_EQ_INT(s.c.status, i == 1 ? 417 : i == 2 ? 200 : 0);
        }
        aif_pool_close_idle(b.pool);
    }
    bench_close();
}

/* A kept connection that is lost under the request: the body is given again,
 * if it can be. */
static void
test_replay(void)
{
    static const step once[] = {REQUEST, SAY(OK("2", "hi")), HEAD, RESET};
    static const step take[] = {REQUEST, SAY(OK("2", "hi")), NAP(5000)};
    source s;

    for (unsigned again = 0; again < 2; again++) {
        bench_open();
        SERVE(0, once, take);
        CHECK_EQ_INT(get_good(0, "hi"), 0);
        source_init(&s, TOTAL, TOTAL, 1000);
        s.u.replayable = again & 1;
        CHECK_EQ_INT(source_start(&s), 0);
        if (again) {
            source_end(&s, 0);
            CHECK_EQ_INT(s.starts, 2);
            CHECK_EQ_INT(s.u.attempts, 2);
            CHECK_EQ_INT(s.u.sent, TOTAL);
            CHECK_EQ_INT(s.c.retried, 1);
        }
        else {
            UNTIL(s.c.dones > 0);
            CHECK(strstr(s.c.err.text, "cannot be replayed") != NULL);
            source_end(&s, s.c.code);
            CHECK(s.c.code < 0);
            CHECK_EQ_INT(s.starts, 1);
        }
        bench_close();
    }
}

static void
test_harm_in_every_upcall(void)
{
    static const step take[] = {REQUEST, SAY(OK("2", "hi")), AGAIN};
    static const act harm[] = {DO_CANCEL, DO_FREE, DO_CLOSE_POOL};
    source s;

    for (unsigned i = 0; i < 6; i++) {
        bench_open();
        SERVE(0, take);
        source_init(&s, 100000000, 100000000, TOTAL);
        *(i < 3 ? &s.in_start : &s.in_taken) = harm[i % 3];
        CHECK_EQ_INT(source_start(&s), 0);
        UNTIL(s.ends > 0);
        CHECK_EQ_INT(s.ends, 1);
        CHECK_EQ_INT(s.starts, 1);
        CHECK_EQ_INT(s.stops, 1);
        aif_fetch_free(s.c.f);
        aif_upload_fini(&s.u);
        bench_close();
    }
}

/* ---- files -------------------------------------------------------------- */

/* How a file goes: by the kernel, or read as where there is TLS. */
typedef enum way { BY_KERNEL, BY_READING } way;

typedef struct filed {
    source s; /* first: the upcalls' user */
    FILE *file;
    uint64_t offset, len;
    way way;
    int code;
} filed;

static aif_stage_type opaque;

static void
filed_on_start(void *user, aif_upload *u)
{
    filed *f = user;
    aif_err err = {0};
    int rc;

    if (f->way == BY_READING) {
        opaque = *u->conn->stage->type;
        opaque.socket = NULL;
        u->conn->stage->type = &opaque;
    }
    rc = aif_upload_give_file(u, fileno(f->file), f->offset, f->len, &err);
    f->s.starts++;
    CHECK_EQ_INT(rc, 0);
    CHECK_EQ_INT(u->state, AIF_UPLOAD_BUSY);
    CHECK_EQ_INT(u->raw != NULL, f->way == BY_KERNEL && f->len > 65536);
    CHECK_EQ_INT(aif_upload_give(u, "x", 1, &err), AIF_EINVAL);
}

static void
filed_on_taken(void *user, aif_upload *u, int code)
{
    filed *f = user;
    aif_err err = {0};

    f->s.takens++;
    f->code = code;
    CHECK(u->raw == NULL && u->file[0] == NULL);
    if (code < 0) {
        aif_upload_fail(u, code, &err);
    }
    else {
        CHECK(aif_upload_end(u, NULL, &err) >= 0);
    }
}

static const aif_upload_cbs filed_cbs = {
    .on_start = filed_on_start,
    .on_taken = filed_on_taken,
    .on_stop = source_on_stop,
    .on_end = source_on_end,
};

static void
filed_init(filed *f, way how, uint64_t len, uint64_t size)
{
    memset(f, 0, sizeof(*f));
    source_init(&f->s, (int64_t)len, len, 0);
    f->s.u.cbs = &filed_cbs;
    f->way = how;
    f->offset = 3;
    f->len = len;
    f->file = tmpfile();
    CHECK(f->file != NULL);
    CHECK_EQ_INT(ftruncate(fileno(f->file), (off_t)size), 0);
}

static void
test_file(void)
{
    static const step take[] = {REQUEST, SAY(OK("2", "hi")), AGAIN};
    static const uint64_t lengths[] = {1,      65536,   65537,  524288,
                                       524289, 2162689, 5000000};
    filed f;

    for (way how = BY_KERNEL; how <= BY_READING; how++) {
        bench_open();
        SERVE(0, take);
        for (unsigned i = 0; i < 7; i++) {
            filed_init(&f, how, lengths[i], lengths[i] + 3);
            CHECK_EQ_INT(source_start(&f.s), 0);
            source_end(&f.s, 0);
            CHECK_EQ_INT(f.s.takens, 1);
            CHECK_EQ_INT(f.s.u.sent, lengths[i]);
            CHECK_EQ_INT(f.s.c.reused, i > 0);
            (void)fclose(f.file);
        }
        bench_close();
    }
}

/* Too short by a byte, at each place of the two buffers. */
static void
test_file_that_is_short(void)
{
    static const step deaf[] = {REQUEST, NAP(5000)};
    static const uint64_t lengths[] = {2, 65538, 1048577, 4194305};
    filed f;

    bench_open();
    SERVE(0, deaf);
    for (unsigned i = 0; i < 8; i++) {
        filed_init(&f, i & 1 ? BY_READING : BY_KERNEL, lengths[i / 2],
                   lengths[i / 2] + 2);
        CHECK_EQ_INT(source_start(&f.s), 0);
        source_end(&f.s, AIF_ETRUNCATED);
        CHECK_EQ_INT(f.code, AIF_ETRUNCATED);
        CHECK_EQ_INT(b.pool->open, 0);
        (void)fclose(f.file);
    }
    bench_close();
}

/* The end comes while a thread works, and while the socket is full. */
static void
test_file_is_cancelled(void)
{
    static const step deaf[] = {HEAD, NAP(5000)};
    filed f;

    bench_open();
    SERVE(0, deaf);
    for (unsigned i = 0; i < 8; i++) {
        filed_init(&f, i & 1 ? BY_READING : BY_KERNEL, 50000000, 50000003);
        CHECK_EQ_INT(source_start(&f.s), 0);
        UNTIL(f.s.starts > 0);
        if (i > 1) {
            settle(i * 10);
            CHECK(f.s.u.sent > 0 && f.s.u.sent < 50000000);
        }
        aif_fetch_cancel(f.s.c.f);
        CHECK_EQ_INT(f.s.stops, 1);
        source_end(&f.s, AIF_ECANCELLED);
        (void)fclose(f.file);
    }
    bench_close();
}

/* The peer answers and leaves in the middle: what it said counts. */
static void
test_file_is_answered_early(void)
{
    static const step early[] = {HEAD, SAY(OK("2", "hi")), NAP(5000)};
    static const step rude[] = {HEAD, RESET};
    filed f;

    bench_open();
    SERVE(0, early, early, rude, rude);
    for (unsigned i = 0; i < 4; i++) {
        filed_init(&f, i & 1 ? BY_READING : BY_KERNEL, 50000000, 50000003);
        CHECK_EQ_INT(source_start(&f.s), 0);
        UNTIL(f.s.c.dones > 0);
        CHECK_EQ_INT(f.s.c.status, i < 2 ? 200 : 0);
        CHECK_EQ_INT(f.s.c.code == 0, i < 2);
        source_end(&f.s, f.s.c.code);
        CHECK_EQ_INT(b.pool->open, 0);
        (void)fclose(f.file);
    }
    bench_close();
}

/* A file that the kernel does not send is read; and one that cannot be read
 * either is the file's fault, not the connection's. */
static void
test_file_that_the_kernel_does_not_send(void)
{
    static const step take[] = {REQUEST, SAY(OK("2", "hi")), AGAIN};
    int ends[2];
    filed f;

    bench_open();
    SERVE(0, take);
    filed_init(&f, BY_KERNEL, TOTAL, 0);
    (void)fclose(f.file);
    f.file = fopen("/proc/self/mem", "r");
    if (f.file != NULL) {
        f.offset = (uint64_t)(uintptr_t)bytes;
        CHECK_EQ_INT(source_start(&f.s), 0);
        source_end(&f.s, 0);
        CHECK_EQ_INT(f.s.u.sent, TOTAL);
        (void)fclose(f.file);
    }
    else { /* not Linux */
        aif_fetch_free(f.s.c.f);
        aif_upload_fini(&f.s.u);
    }
    filed_init(&f, BY_KERNEL, TOTAL, 0);
    (void)fclose(f.file);
    CHECK_EQ_INT(pipe(ends), 0);
    f.file = fdopen(ends[0], "r");
    CHECK_EQ_INT(source_start(&f.s), 0);
    source_end(&f.s, UV_ESPIPE);
    CHECK_EQ_INT(f.code, UV_ESPIPE);
    (void)fclose(f.file);
    (void)close(ends[1]);
    bench_close();
}

static void
only_start(void *user, aif_upload *u)
{
    (void)u;
    ((source *)user)->starts++;
}

/* Without memory for either way: the piece was not given. */
static void
test_file_without_memory(void)
{
    static const step take[] = {REQUEST, SAY(OK("2", "hi")), NAP(5000)};
    aif_upload_cbs cbs = source_cbs;
    aif_err err = {0};
    source s;

    bench_open();
    SERVE(0, take);
    source_init(&s, 100000, 5, 5);
    cbs.on_start = only_start;
    s.u.cbs = &cbs;
    CHECK_EQ_INT(source_start(&s), 0);
    UNTIL(s.starts > 0);
    aif_mem_fail_at(1, 1);
    CHECK_EQ_INT(aif_upload_give_file(&s.u, 0, 0, 100000, &err), AIF_ENOMEM);
    aif_mem_fail_at(0, 0);
    CHECK(s.u.raw == NULL && s.u.file[0] == NULL);
    CHECK_EQ_INT(s.u.state, AIF_UPLOAD_OPEN);
    CHECK_EQ_INT(aif_upload_give(&s.u, bytes, 100000, &err), 1);
    source_end(&s, 0);
    CHECK_EQ_INT(s.u.sent, 100000);
    bench_close();
}

static void
test_given_out_of_time(void)
{
    aif_err err = {0};
    source s;

    bench_open();
    bench_pool();
    source_init(&s, 5, 5, 5);
    CHECK_EQ_INT(aif_upload_give(&s.u, bytes, 5, &err), AIF_ECLOSED);
    CHECK_EQ_INT(aif_upload_end(&s.u, NULL, &err), AIF_ECLOSED);
    CHECK_EQ_INT(aif_upload_give_file(&s.u, 0, 0, 5, &err), AIF_ECLOSED);
    aif_upload_fail(&s.u, AIF_ECALLBACK, &err);
    aif_upload_continue(&s.u);
    CHECK_EQ_INT(s.u.state, AIF_UPLOAD_IDLE);
    aif_fetch_free(s.c.f);
    aif_upload_fini(&s.u);
    CHECK_EQ_INT(s.ends, 0);
    bench_close();
}

int
main(void)
{
    static const check_test tests[] = {
        CHECK_TEST(test_sized),
        CHECK_TEST(test_nothing_to_send),
        CHECK_TEST(test_pace),
        CHECK_TEST(test_too_much_and_too_little),
        CHECK_TEST(test_early_response),
        CHECK_TEST(test_continue),
        CHECK_TEST(test_replay),
        CHECK_TEST(test_harm_in_every_upcall),
        CHECK_TEST(test_file),
        CHECK_TEST(test_file_that_is_short),
        CHECK_TEST(test_file_is_cancelled),
        CHECK_TEST(test_file_is_answered_early),
        CHECK_TEST(test_file_that_the_kernel_does_not_send),
        CHECK_TEST(test_file_without_memory),
        CHECK_TEST(test_given_out_of_time),
    };

    return CHECK_RUN(tests);
}
