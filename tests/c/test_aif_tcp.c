/* Tests of aif_tcp, and of what aif_stage promises: a stage on one end of a
 * loopback connection, a plain socket on the other, and a host that runs the
 * loop only when it has to. */
#include "net/aif_tcp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/aif_mem.h"
#include "check.h"

#define MS 1000000u
#define BIG (10u * 1024u * 1024u)
#ifndef PATIENCE_MS
#    define PATIENCE_MS 20000
#endif

static aif_loop loop;
static unsigned wanted;
static uint64_t run_at; /* when the host has to run without being asked */
static int expecting;   /* the host reads the stage before libuv's poll */
static unsigned expected_runs;

static void
on_wanted(void *user)
{
    (void)user;
    wanted = 1;
}

/* -- The stage's end ---------------------------------------------------- */

enum { NEVER, IN_SPACE, IN_READ, IN_EOF, IN_FAIL, IN_WRITTEN };

/* A user of a stage that writes down what it is told. */
typedef struct peer {
    aif_tcp *tcp;
    int fd;   /* the other end */
    char *in; /* where the bytes go */
    size_t in_cap;
    size_t in_len;
    unsigned reads;
    unsigned eofs;
    unsigned fails;
    unsigned written;
    unsigned written_at_fail;
    int last_code;
    int direct;   /* on_space gives the place in |in| */
    int close_in; /* an upcall that closes the stage */
    int stop_in;  /* an upcall that stops reading */
    int closed;
    aif_err err;
} peer;

static void
close_stage(peer *p)
{
    aif_stage_close(&p->tcp->stage);
    p->tcp = NULL;
    p->closed = 1;
}

static void
act(peer *p, int where)
{
    CHECK(!p->closed);
    if (p->stop_in == where) {
        CHECK_EQ_INT(aif_stage_read(&p->tcp->stage, 0), 0);
    }
    if (p->close_in == where) {
        close_stage(p);
    }
}

static void
on_space(void *user, char **buf, size_t *len)
{
    peer *p = user;

    if (p->direct && p->in_len < p->in_cap) {
        *buf = p->in + p->in_len;
        *len = p->in_cap - p->in_len;
    }
    act(p, IN_SPACE);
}

static void
on_read(void *user, const char *data, size_t len)
{
    peer *p = user;

    CHECK(len > 0);
    if (len > p->in_cap - p->in_len) {
        len = p->in_cap - p->in_len;
    }
    if (len > 0 && data != p->in + p->in_len) {
        memcpy(p->in + p->in_len, data, len);
        CHECK(!p->direct);
    }
    p->in_len += len;
    p->reads++;
    act(p, IN_READ);
}

static void
on_eof(void *user)
{
    peer *p = user;

    p->eofs++;
    act(p, IN_EOF);
}

static void
on_fail(void *user, const aif_err *err)
{
    peer *p = user;

    p->fails++;
    p->err = *err;
    p->written_at_fail = p->written;
    act(p, IN_FAIL);
}

static const aif_stage_cbs cbs = {
    .on_space = on_space,
    .on_read = on_read,
    .on_eof = on_eof,
    .on_fail = on_fail,
};

static void
on_written(aif_write *w, int code)
{
    peer *p = w->user;

    p->written++;
    p->last_code = code;
    if (p->close_in == IN_WRITTEN && !p->closed) {
        close_stage(p);
    }
}

static int
send_bufs(peer *p, aif_write *w, uv_buf_t *bufs, unsigned count)
{
    memset(w, 0x5a, sizeof(*w));
    w->bufs = bufs;
    w->count = count;
    w->on_written = on_written;
    w->on_keep = NULL;
    w->user = p;
    return aif_stage_write(&p->tcp->stage, w);
}

/* -- The other end ------------------------------------------------------ */

static void
nonblocking(int fd)
{
    CHECK_EQ_INT(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK), 0);
}

static void
tcp_pair(int pair[2])
{
    struct sockaddr_in addr = {.sin_family = AF_INET};
    socklen_t len = sizeof(addr);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK_EQ_INT(bind(fd, (struct sockaddr *)&addr, len), 0);
    CHECK_EQ_INT(listen(fd, 1), 0);
    CHECK_EQ_INT(getsockname(fd, (struct sockaddr *)&addr, &len), 0);
    pair[0] = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_EQ_INT(connect(pair[0], (struct sockaddr *)&addr, len), 0);
    pair[1] = accept(fd, NULL, NULL);
    CHECK(pair[1] >= 0);
    close(fd);
}

static void
send_buffer(int fd, int size)
{
    CHECK_EQ_INT(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)),
                 0);
}

static void
begin(peer *p, size_t in_cap)
{
    int pair[2];
    int code;

    CHECK_EQ_INT(aif_loop_init(&loop), 0);
    loop.on_wanted = on_wanted;
    wanted = 0;
    run_at = UINT64_MAX;
    memset(p, 0, sizeof(*p));
    p->in = aif_mem_zalloc(in_cap);
    p->in_cap = in_cap;
    tcp_pair(pair);
    nonblocking(pair[0]);
    nonblocking(pair[1]);
    p->fd = pair[1];
    p->tcp = aif_tcp_adopt(&loop, pair[0], AF_INET, &code);
    CHECK(p->tcp != NULL);
    aif_stage_set_user(&p->tcp->stage, &cbs, p);
    loop.expected = expecting ? p->tcp : NULL;
}

static void
end(peer *p)
{
    if (p->tcp != NULL) {
        close_stage(p);
    }
    if (p->fd >= 0) {
        close(p->fd);
    }
    aif_mem_free(p->in);
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
    int came;

    if (!wanted && run_at > now) {
        timeout = limit;
        if (run_at - now < (uint64_t)limit * MS) {
            timeout = (int)((run_at - now) / MS) + 1;
        }
    }
    came = poll(&fd, 1, timeout) > 0;
    if (came && expecting && !wanted) {
        expected_runs++;
        aif_loop_run_expected(&loop);
    }
    if (!expecting || wanted || uv_hrtime() >= run_at) {
        wanted = 0;
        aif_loop_run(&loop);
        timeout = aif_loop_timeout(&loop);
        run_at =
            timeout < 0 ? UINT64_MAX : uv_hrtime() + (uint64_t)timeout * MS;
    }
}

static uint64_t
patience(void)
{
    return uv_hrtime() + (uint64_t)PATIENCE_MS * MS;
}

#define UNTIL(condition)                                                      \
    do {                                                                      \
        uint64_t end_ = patience();                                           \
        while (!(condition) && uv_hrtime() < end_) {                          \
            turn(1);                                                          \
        }                                                                     \
        CHECK(condition);                                                     \
    } while (0)

static void
settle(void)
{
    for (int i = 0; i < 5; i++) {
        turn(2);
    }
}

static void
reset_by_peer(peer *p)
{
    struct linger linger = {.l_onoff = 1, .l_linger = 0};

    CHECK_EQ_INT(
        setsockopt(p->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)), 0);
    close(p->fd);
    p->fd = -1;
}

static char
pattern(size_t i)
{
    return (char)((i * 2654435761u) >> 13);
}

static char *
big_body(void)
{
    char *body = aif_mem_alloc(BIG);

    for (size_t i = 0; i < BIG; i++) {
        body[i] = pattern(i);
    }
    return body;
}

static size_t
wrong_bytes(const char *data, size_t from, size_t len)
{
    size_t bad = 0;

    for (size_t i = 0; i < len; i++) {
        bad += data[i] != pattern(from + i);
    }
    return bad;
}

/* The other end takes what is there; returns how much it has now. */
static size_t
drain(peer *p, size_t *got)
{
    static char buf[65536];
    ssize_t n;

    while ((n = recv(p->fd, buf, sizeof(buf), 0)) > 0) {
        CHECK_EQ_INT(wrong_bytes(buf, *got, (size_t)n), 0);
        *got += (size_t)n;
    }
    return *got;
}

/* The other end sends of |body| what the socket takes; returns how much it
 * has sent now. */
static size_t
fill(peer *p, const char *body, size_t *sent)
{
    ssize_t n;

    while (*sent < BIG && (n = send(p->fd, body + *sent, BIG - *sent, 0)) > 0)
    {
        *sent += (size_t)n;
    }
    return *sent;
}

/* -- Bytes -------------------------------------------------------------- */

static void
test_small(void)
{
    peer p;
    aif_write w;
    char got[16] = {0};
    uv_buf_t bufs[] = {{.base = NULL, .len = 0},
                       {.base = (char *)(uintptr_t)"GET ", .len = 4},
                       {.base = NULL, .len = 0},
                       {.base = (char *)(uintptr_t)"/", .len = 1}};

    begin(&p, 100);
    CHECK_EQ_STR(p.tcp->stage.type->name, "tcp");
    CHECK_EQ_INT(send_bufs(&p, &w, bufs, 4), 1);
    CHECK_EQ_INT(recv(p.fd, got, sizeof(got), 0), 5);
    CHECK_EQ_STR(got, "GET /");
    /* Nothing to write is written at once. */
    CHECK_EQ_INT(send_bufs(&p, &w, bufs, 1), 1);
    CHECK_EQ_INT(send_bufs(&p, &w, bufs, 0), 1);
    /* A new stage does not read. */
    CHECK_EQ_INT(send(p.fd, "200", 3, 0), 3);
    settle();
    CHECK_EQ_INT(p.reads, 0);
    CHECK_EQ_INT(aif_stage_read(&p.tcp->stage, 1), 0);
    CHECK_EQ_INT(aif_stage_read(&p.tcp->stage, 1), 0);
    UNTIL(p.in_len == 3);
    CHECK_EQ_INT(memcmp(p.in, "200", 3), 0);
    CHECK_EQ_INT(p.written, 0);
    end(&p);
}

static void
test_big_both_ways(int direct)
{
    peer p;
    aif_write w;
    char *body = big_body();
    size_t sent = 0;
    size_t got = 0;
    uv_buf_t bufs[3] = {
        {.base = body, .len = 1},
        {.base = body + 1, .len = BIG / 2},
        {.base = body + 1 + BIG / 2, .len = BIG - 1 - BIG / 2}};

    begin(&p, BIG);
    p.direct = direct;
    send_buffer(p.fd, 16384);
    send_buffer(aif_tcp_fd(p.tcp), 16384);
    CHECK_EQ_INT(aif_stage_read(&p.tcp->stage, 1), 0);
    CHECK_EQ_INT(send_bufs(&p, &w, bufs, 3), 0);
    UNTIL(fill(&p, body, &sent) + drain(&p, &got) == 2 * (size_t)BIG
          && p.in_len == BIG && p.written == 1);
    CHECK_EQ_INT(sent, BIG);
    CHECK_EQ_INT(p.last_code, 0);
    CHECK_EQ_INT(wrong_bytes(p.in, 0, BIG), 0);
    settle();
    CHECK_EQ_INT(p.written, 1);
    aif_mem_free(body);
    end(&p);
}

/* -- Order of writes ---------------------------------------------------- */

typedef struct numbered {
    aif_write write;
    uv_buf_t buf;
    peer *peer;
    unsigned number;
    struct numbered *follow_up; /* written from inside on_written */
} numbered;

static unsigned completed[16];
static unsigned completions;

static void
on_numbered(aif_write *w, int code)
{
    numbered *n = AIF_LIST_ENTRY(w, numbered, write);

    CHECK_EQ_INT(code, 0);
    if (completions < 16) {
        completed[completions] = n->number;
    }
    completions++;
    if (n->follow_up != NULL) {
        int rc = aif_stage_write(&n->peer->tcp->stage, &n->follow_up->write);

        CHECK(rc == 0 || rc == 1);
        if (rc == 1) {
            on_numbered(&n->follow_up->write, 0);
        }
    }
}

static void
test_order(void)
{
    peer p;
    char *body = big_body();
    numbered n[7];
    size_t piece = BIG / 8;
    size_t got = 0;

    begin(&p, 1);
    completions = 0;
    /* Small enough to queue; not so small that every segment has to wait for
     * its acknowledgement. */
    send_buffer(aif_tcp_fd(p.tcp), 262144);
    memset(n, 0, sizeof(n));
    for (unsigned i = 0; i < 7; i++) {
        n[i].buf = uv_buf_init(body + i * piece, (unsigned)piece);
        n[i].write.bufs = &n[i].buf;
        n[i].write.count = 1;
        n[i].write.on_written = on_numbered;
        n[i].peer = &p;
        n[i].number = i;
    }
    n[2].follow_up = &n[5];
    n[5].follow_up = &n[6];
    for (unsigned i = 0; i < 5; i++) {
        CHECK_EQ_INT(aif_stage_write(&p.tcp->stage, &n[i].write), 0);
    }
    /* The end is announced only after what has been queued. */
    UNTIL(drain(&p, &got) == 7 * piece);
    UNTIL(completions == 7);
    for (unsigned i = 0; i < 7; i++) {
        CHECK_EQ_INT(completed[i], i);
    }
    aif_mem_free(body);
    end(&p);
}

/* -- Bytes that the program may change ------------------------------------ */

static char *kept; /* the copy that on_kept() made */
static unsigned keeps;
static int keep_code;

static int
on_kept(aif_write *w)
{
    keeps++;
    if (keep_code == 0) {
        kept = aif_mem_dup(w->bufs->base, w->bufs->len);
        w->bufs->base = kept;
    }
    return keep_code;
}

/* What is queued is copied, once, and what leaves at once is not. */
static void
test_keep(void)
{
    peer p;
    char *body = big_body();
    numbered n[2];
    size_t got = 0, unsent;

    begin(&p, 1);
    completions = 0;
    keeps = 0;
    keep_code = 0;
    memset(n, 0, sizeof(n));
    n[0].buf = uv_buf_init(body, 100);
    n[1].buf = uv_buf_init(body + 100, BIG - 100);
    for (unsigned i = 0; i < 2; i++) {
        n[i].write.bufs = &n[i].buf;
        n[i].write.count = 1;
        n[i].write.on_written = on_numbered;
        n[i].write.on_keep = on_kept;
        n[i].peer = &p;
    }
    CHECK_EQ_INT(aif_stage_write(&p.tcp->stage, &n[0].write), 1);
    CHECK_EQ_INT(keeps, 0);
    CHECK_EQ_INT(aif_tcp_unsent(p.tcp), 0);
    CHECK_EQ_INT(aif_stage_write(&p.tcp->stage, &n[1].write), 0);
    CHECK_EQ_INT(keeps, 1);
    unsent = aif_tcp_unsent(p.tcp);
    CHECK(unsent > 0 && unsent < BIG);
    memset(body, 0, BIG);
    UNTIL(drain(&p, &got) == BIG);
    UNTIL(completions == 1);
    CHECK_EQ_INT(keeps, 1);
    CHECK_EQ_INT(aif_tcp_unsent(p.tcp), 0);
    aif_mem_free(kept);
    aif_mem_free(body);
    end(&p);
}

/* No memory for the copy: the write fails and nothing is called back. */
static void
test_keep_fails(void)
{
    peer p;
    char *body = big_body();
    numbered n = {.number = 0};

    begin(&p, 1);
    completions = 0;
    keep_code = AIF_ENOMEM;
    n.buf = uv_buf_init(body, BIG);
    n.write.bufs = &n.buf;
    n.write.count = 1;
    n.write.on_written = on_numbered;
    n.write.on_keep = on_kept;
    CHECK_EQ_INT(aif_stage_write(&p.tcp->stage, &n.write), AIF_ENOMEM);
    settle();
    CHECK_EQ_INT(completions, 0);
    aif_mem_free(body);
    end(&p);
}

/* -- Closing inside each callback --------------------------------------- */

static void
test_close_in_reading(int where)
{
    peer p;

    begin(&p, 100);
    p.close_in = where;
    CHECK_EQ_INT(aif_stage_read(&p.tcp->stage, 1), 0);
    settle();
    if (where == IN_EOF) {
        CHECK_EQ_INT(shutdown(p.fd, SHUT_WR), 0);
    }
    else if (where == IN_FAIL) {
        reset_by_peer(&p);
    }
    else {
        CHECK_EQ_INT(send(p.fd, "x", 1, 0), 1);
    }
    UNTIL(p.closed);
    settle();
    CHECK_EQ_INT(p.reads, where == IN_READ);
    CHECK_EQ_INT(p.eofs, where == IN_EOF);
    CHECK_EQ_INT(p.fails, where == IN_FAIL);
    CHECK_EQ_INT(loop.handles, 1); /* the deadlines' timer */
    end(&p);
}

/* Closed while writes are queued, from inside or from outside; each of them
 * is told, and the first one's bytes may go although libuv had them. */
static void
test_close_with_writes(int where)
{
    peer p;
    aif_write w[3];
    char *body = big_body();
    uv_buf_t bufs[3];

    begin(&p, 100);
    send_buffer(p.fd, 16384);
    send_buffer(aif_tcp_fd(p.tcp), 16384);
    for (int i = 0; i < 3; i++) {
        bufs[i] = uv_buf_init(body, BIG);
        CHECK_EQ_INT(send_bufs(&p, &w[i], &bufs[i], 1), 0);
    }
    p.close_in = where;
    CHECK_EQ_INT(aif_stage_read(&p.tcp->stage, 1), 0);
    settle();
    if (where == IN_READ || where == IN_SPACE) {
        CHECK_EQ_INT(send(p.fd, "x", 1, 0), 1);
        UNTIL(p.closed);
    }
    else {
        close_stage(&p);
    }
    CHECK_EQ_INT(p.written, 3);
    CHECK_EQ_INT(p.last_code, UV_ECANCELED);
    aif_mem_free(body);
    memset(w, 0, sizeof(w));
    settle();
    CHECK_EQ_INT(p.written, 3);
    end(&p);
}

static void
test_close_in_written(void)
{
    peer p;
    aif_write w[3];
    char *body = big_body();
    size_t got = 0;
    uv_buf_t bufs[3];

    begin(&p, 100);
    p.close_in = IN_WRITTEN;
    for (int i = 0; i < 3; i++) {
        bufs[i] = uv_buf_init(body, BIG);
        CHECK_EQ_INT(send_bufs(&p, &w[i], &bufs[i], 1), 0);
    }
    UNTIL(drain(&p, &got) > 0 && p.closed);
    /* The first is through, the others are told from inside the close. */
    CHECK_EQ_INT(p.written, 3);
    CHECK_EQ_INT(p.last_code, UV_ECANCELED);
    aif_mem_free(body);
    settle();
    end(&p);
}

/* -- The end of the stream ---------------------------------------------- */

static void
test_eof(void)
{
    peer p;
    aif_write w;
    char got[8] = {0};
    uv_buf_t buf = {.base = (char *)(uintptr_t)"more", .len = 4};

    begin(&p, 100);
    CHECK_EQ_INT(aif_stage_read(&p.tcp->stage, 1), 0);
    CHECK_EQ_INT(send(p.fd, "last", 4, 0), 4);
    CHECK_EQ_INT(shutdown(p.fd, SHUT_WR), 0);
    UNTIL(p.eofs == 1);
    CHECK_EQ_INT(p.in_len, 4);
    settle();
    /* Once, even if asked again; and our half is still open. */
    CHECK_EQ_INT(aif_stage_read(&p.tcp->stage, 1), 0);
    settle();
    CHECK_EQ_INT(p.eofs, 1);
    CHECK_EQ_INT(send_bufs(&p, &w, &buf, 1), 1);
    CHECK_EQ_INT(recv(p.fd, got, sizeof(got), 0), 4);
    CHECK_EQ_INT(aif_tcp_read_now(p.tcp, got, sizeof(got)), 0);
    CHECK_EQ_INT(p.fails, 0);
    end(&p);
}

static void
test_reset(void)
{
    peer p;
    aif_write w;
    char byte = 'x';
    uv_buf_t buf = {.base = &byte, .len = 1};

    begin(&p, 100);
    CHECK_EQ_INT(aif_stage_read(&p.tcp->stage, 1), 0);
    settle();
    reset_by_peer(&p);
    UNTIL(p.fails == 1);
    CHECK_EQ_INT(p.err.code, UV_ECONNRESET);
    CHECK_EQ_INT(p.err.sys, UV_ECONNRESET);
    CHECK_EQ_STR(p.err.text, "read: connection reset by peer");
    /* A dead stage refuses everything until it is closed. */
    CHECK_EQ_INT(send_bufs(&p, &w, &buf, 1), UV_ECONNRESET);
    CHECK_EQ_INT(aif_stage_read(&p.tcp->stage, 1), UV_ECONNRESET);
    CHECK_EQ_INT(aif_stage_read(&p.tcp->stage, 0), 0);
    CHECK_EQ_INT(aif_stage_shutdown(&p.tcp->stage), UV_ECONNRESET);
    CHECK_EQ_INT(aif_stage_probe(&p.tcp->stage), AIF_EDISCONNECTED);
    CHECK_EQ_INT(aif_tcp_read_now(p.tcp, &byte, 1), UV_ECONNRESET);
    settle();
    CHECK_EQ_INT(p.fails, 1);
    CHECK_EQ_INT(aif_tcp_fd(p.tcp), -1);
    end(&p);
}

/* With writes on the way: they end first, all with an error. */
static void
test_reset_with_writes(void)
{
    peer p;
    aif_write w[2];
    char *body = big_body();
    uv_buf_t bufs[2];

    begin(&p, 100);
    send_buffer(aif_tcp_fd(p.tcp), 16384);
    CHECK_EQ_INT(aif_stage_read(&p.tcp->stage, 1), 0);
    for (int i = 0; i < 2; i++) {
        bufs[i] = uv_buf_init(body, BIG);
        CHECK_EQ_INT(send_bufs(&p, &w[i], &bufs[i], 1), 0);
    }
    settle();
    reset_by_peer(&p);
    UNTIL(p.fails + p.eofs == 1);
    CHECK_EQ_INT(p.written, 2);
    CHECK(p.last_code < 0 && p.last_code != UV_ECANCELED);
    CHECK(p.fails == 0 || p.written_at_fail == 2);
    aif_mem_free(body);
    settle();
    end(&p);
}

/* A server that answers early and slams the door: its answer is delivered
 * although the writing has failed, and no failure is told before it. */
static void
test_early_answer(void)
{
    peer p;
    aif_write w;
    char *body = big_body();
    uv_buf_t buf = {.base = body, .len = BIG};

    begin(&p, 100);
    send_buffer(aif_tcp_fd(p.tcp), 16384);
    CHECK_EQ_INT(aif_stage_read(&p.tcp->stage, 1), 0);
    CHECK_EQ_INT(send_bufs(&p, &w, &buf, 1), 0);
    settle();
    CHECK_EQ_INT(send(p.fd, "413", 3, 0), 3);
    close(p.fd); /* with bytes unread: a reset */
    p.fd = -1;
    UNTIL(p.fails + p.eofs == 1);
    CHECK_EQ_INT(p.in_len, 3);
    CHECK_EQ_INT(memcmp(p.in, "413", 3), 0);
    CHECK_EQ_INT(p.written, 1);
    CHECK(p.last_code < 0);
    aif_mem_free(body);
    end(&p);

    /* The same for a write that fails at once. */
    begin(&p, 100);
    CHECK_EQ_INT(send(p.fd, "408", 3, 0), 3);
    buf = uv_buf_init((char *)(uintptr_t)"x", 1);
    CHECK_EQ_INT(send_bufs(&p, &w, &buf, 1), 1);
    close(p.fd);
    p.fd = -1;
    usleep(20000);
    buf = uv_buf_init((char *)(uintptr_t)"y", 1);
    CHECK(send_bufs(&p, &w, &buf, 1) < 0);
    buf = uv_buf_init((char *)(uintptr_t)"z", 1);
    CHECK(send_bufs(&p, &w, &buf, 1) < 0);
    CHECK_EQ_INT(p.fails, 0);
    CHECK_EQ_INT(aif_stage_probe(&p.tcp->stage), AIF_EDISCONNECTED);
    CHECK_EQ_INT(aif_stage_read(&p.tcp->stage, 1), 0);
    UNTIL(p.fails + p.eofs == 1);
    CHECK_EQ_INT(p.in_len, 3);
    CHECK_EQ_INT(p.written, 0);
    end(&p);
}

/* -- The probe ---------------------------------------------------------- */

static void
test_probe(void)
{
    peer p;
    char byte;

    begin(&p, 100);
    CHECK_EQ_INT(aif_stage_probe(&p.tcp->stage), 0);
    CHECK_EQ_INT(aif_stage_read(&p.tcp->stage, 1), 0);
    settle();
    CHECK_EQ_INT(aif_stage_probe(&p.tcp->stage), 0);
    CHECK_EQ_INT(aif_tcp_read_now(p.tcp, &byte, 1), UV_EAGAIN);
    CHECK_EQ_INT(send(p.fd, "!", 1, 0), 1);
    /* Not yet polled: exactly the case it is for. It looks, and takes
     * nothing. */
    CHECK_EQ_INT(aif_stage_probe(&p.tcp->stage), AIF_EDISCONNECTED);
    CHECK_EQ_INT(aif_stage_probe(&p.tcp->stage), AIF_EDISCONNECTED);
    CHECK_EQ_INT(aif_tcp_read_now(p.tcp, &byte, 1), 1);
    CHECK_EQ_INT(byte, '!');
    CHECK_EQ_INT(aif_stage_probe(&p.tcp->stage), 0);
    CHECK_EQ_INT(shutdown(p.fd, SHUT_WR), 0);
    CHECK_EQ_INT(aif_stage_probe(&p.tcp->stage), AIF_EDISCONNECTED);
    UNTIL(p.eofs == 1);
    CHECK_EQ_INT(aif_stage_probe(&p.tcp->stage), AIF_EDISCONNECTED);
    end(&p);

    begin(&p, 100);
    reset_by_peer(&p);
    CHECK_EQ_INT(aif_stage_probe(&p.tcp->stage), AIF_EDISCONNECTED);
    end(&p);
}

/* -- Reading on and off ------------------------------------------------- */

static void
test_stop_reading(int where)
{
    peer p;

    begin(&p, 100);
    p.stop_in = where;
    CHECK_EQ_INT(aif_stage_read(&p.tcp->stage, 1), 0);
    CHECK_EQ_INT(send(p.fd, "a", 1, 0), 1);
    UNTIL(!p.tcp->reading);
    CHECK_EQ_INT(send(p.fd, "b", 1, 0), 1);
    settle();
    CHECK_EQ_INT(p.reads, where == IN_READ);
    /* A stage that does not read does not hold the loop. */
    CHECK(!uv_loop_alive(&loop.uv));
    p.stop_in = NEVER;
    CHECK_EQ_INT(aif_stage_read(&p.tcp->stage, 1), 0);
    UNTIL(p.in_len == 2);
    CHECK_EQ_INT(memcmp(p.in, "ab", 2), 0);
    end(&p);
}

static void
stop_and_go(void *user, char **buf, size_t *len)
{
    peer *p = user;

    (void)buf;
    (void)len;
    CHECK_EQ_INT(aif_stage_read(&p->tcp->stage, 0), 0);
    CHECK_EQ_INT(aif_stage_read(&p->tcp->stage, 1), 0);
}

static void
test_stop_and_go_in_space(void)
{
    static const aif_stage_cbs fickle = {.on_space = stop_and_go,
                                         .on_read = on_read};
    peer p;

    begin(&p, 100);
    aif_stage_set_user(&p.tcp->stage, &fickle, &p);
    CHECK_EQ_INT(aif_stage_read(&p.tcp->stage, 1), 0);
    CHECK_EQ_INT(send(p.fd, "a", 1, 0), 1);
    UNTIL(p.in_len == 1);
    CHECK_EQ_INT(send(p.fd, "b", 1, 0), 1);
    UNTIL(p.in_len == 2);
    end(&p);
}

static void
test_nobody_listens(void)
{
    peer p;

    begin(&p, 100);
    aif_stage_set_user(&p.tcp->stage, NULL, NULL);
    CHECK_EQ_INT(aif_stage_read(&p.tcp->stage, 1), 0);
    CHECK_EQ_INT(send(p.fd, "kept", 4, 0), 4);
    settle();
    aif_stage_set_user(&p.tcp->stage, &cbs, &p);
    CHECK_EQ_INT(aif_stage_read(&p.tcp->stage, 1), 0);
    UNTIL(p.in_len == 4);
    /* And nobody hears of the end. */
    aif_stage_set_user(&p.tcp->stage, NULL, NULL);
    reset_by_peer(&p);
    settle();
    CHECK_EQ_INT(p.fails, 0);
    end(&p);
}

/* -- What is expected ---------------------------------------------------- */

/* Where the kernel can be told: nothing is said of less than what is to come,
 * unless it is the end. */
static void
test_expect(void)
{
#ifdef __linux__
    peer p;
    char piece[600] = "";

    begin(&p, 4096);
    CHECK_EQ_INT(aif_stage_read(&p.tcp->stage, 1), 0);
    aif_stage_expect(&p.tcp->stage, 1000);
    CHECK_EQ_INT(send(p.fd, piece, 400, 0), 400);
    settle();
    CHECK_EQ_INT(p.reads, 0);
    CHECK_EQ_INT(send(p.fd, piece, 600, 0), 600);
    UNTIL(p.in_len == 1000);
    CHECK_EQ_INT(p.reads, 1);
    /* It changes its mind: what is there is told of. */
    CHECK_EQ_INT(send(p.fd, piece, 10, 0), 10);
    settle();
    CHECK_EQ_INT(p.reads, 1);
    aif_stage_expect(&p.tcp->stage, 0);
    UNTIL(p.in_len == 1010);
    CHECK_EQ_INT(send(p.fd, piece, 1, 0), 1);
    UNTIL(p.in_len == 1011);
    /* The end comes sooner, and so do the bytes in front of it. */
    aif_stage_expect(&p.tcp->stage, 1000);
    CHECK_EQ_INT(send(p.fd, piece, 10, 0), 10);
    CHECK_EQ_INT(shutdown(p.fd, SHUT_WR), 0);
    UNTIL(p.eofs == 1);
    CHECK_EQ_INT(p.in_len, 1021);
    end(&p);

    begin(&p, 100);
    CHECK_EQ_INT(aif_stage_read(&p.tcp->stage, 1), 0);
    aif_stage_expect(&p.tcp->stage, 1000);
    reset_by_peer(&p);
    UNTIL(p.fails == 1);
    aif_stage_expect(&p.tcp->stage, 0); /* harmless by now */
    end(&p);
#endif
}

/* More than a socket ever holds is not waited for in vain. */
static void
test_expect_too_much(void)
{
    peer p;
    char *body = big_body();
    size_t sent = 0;
    ssize_t n;

    begin(&p, BIG);
    CHECK_EQ_INT(aif_stage_read(&p.tcp->stage, 1), 0);
    CHECK_EQ_INT(fcntl(p.fd, F_SETFL, O_NONBLOCK), 0);
    aif_stage_expect(&p.tcp->stage, (size_t)1 << 40);
    while (sent < BIG) {
        n = send(p.fd, body + sent, BIG - sent, 0);
        sent += n > 0 ? (size_t)n : 0;
        settle();
    }
    aif_stage_expect(&p.tcp->stage, 0);
    UNTIL(p.in_len == BIG);
    CHECK_EQ_INT(memcmp(p.in, body, BIG), 0);
    aif_mem_free(body);
    end(&p);
}

/* -- Shutdown ----------------------------------------------------------- */

static void
test_shutdown(void)
{
    peer p;
    aif_write w[2];
    char *body = big_body();
    size_t got = 0;
    uv_buf_t buf[2] = {{.base = body, .len = BIG / 2},
                       {.base = body + BIG / 2, .len = BIG / 2}};
    char byte;

    begin(&p, 100);
    CHECK_EQ_INT(aif_stage_read(&p.tcp->stage, 1), 0);
    send_buffer(aif_tcp_fd(p.tcp), 262144);
    CHECK_EQ_INT(send_bufs(&p, &w[0], &buf[0], 1), 0);
    CHECK_EQ_INT(send_bufs(&p, &w[1], &buf[1], 1), 0);
    CHECK_EQ_INT(aif_stage_shutdown(&p.tcp->stage), 0);
    CHECK_EQ_INT(aif_stage_shutdown(&p.tcp->stage), 0);
    CHECK_EQ_INT(send_bufs(&p, &(aif_write){0}, buf, 1), UV_EPIPE);
    UNTIL(drain(&p, &got) == BIG && p.written == 2);
    UNTIL(recv(p.fd, &byte, 1, 0) == 0);
    CHECK_EQ_INT(send(p.fd, "bye", 3, 0), 3);
    UNTIL(p.in_len == 3);
    aif_mem_free(body);
    end(&p);

    /* Nothing queued, and closed before libuv has got around to it. */
    begin(&p, 100);
    CHECK_EQ_INT(aif_stage_shutdown(&p.tcp->stage), 0);
    end(&p);
}

/* -- Beginnings that fail, and little things ---------------------------- */

static void
test_failing_beginnings(void)
{
    peer p;
    int code = 0;
    int pair[2];

    begin(&p, 100);
    tcp_pair(pair);
    aif_mem_fail_at(1, 0);
    CHECK(aif_tcp_adopt(&loop, pair[0], AF_INET, &code) == NULL);
    CHECK_EQ_INT(code, AIF_ENOMEM);
    aif_mem_fail_at(1, 0);
    CHECK(aif_tcp_new(&loop, AF_INET, &code) == NULL);
    CHECK_EQ_INT(code, AIF_ENOMEM);
    aif_mem_fail_at(0, 0);
    CHECK(aif_tcp_new(&loop, AF_APPLETALK, &code) == NULL);
    CHECK_EQ_INT(code, UV_EAFNOSUPPORT);
    /* A descriptor that libuv refuses stays ours. */
    CHECK(aif_tcp_adopt(&loop, -1, AF_INET, &code) == NULL);
    CHECK_EQ_INT(code, UV_EBADF);
    CHECK(aif_tcp_adopt(&loop, aif_tcp_fd(p.tcp), AF_INET, &code) == NULL
          || code == 0);
    CHECK_EQ_INT(write(pair[0], "x", 1), 1);
    close(pair[0]);
    close(pair[1]);
    settle();
    CHECK_EQ_INT(aif_stage_probe(&p.tcp->stage), 0);
    end(&p);

    /* No slab: the stage fails, and says so. */
    begin(&p, 100);
    CHECK_EQ_INT(aif_stage_read(&p.tcp->stage, 1), 0);
    CHECK_EQ_INT(send(p.fd, "x", 1, 0), 1);
    aif_mem_fail_at(1, 0);
    UNTIL(p.fails == 1);
    aif_mem_fail_at(0, 0);
    CHECK_EQ_INT(p.err.code, AIF_ENOMEM);
    CHECK_EQ_STR(p.err.text, "read: out of memory");
    end(&p);
}

static void
test_unconnected(void)
{
    peer p;
    aif_write w;
    uv_buf_t buf = {.base = (char *)(uintptr_t)"x", .len = 1};
    int families[] = {AF_INET, AF_INET6, AF_UNIX};

    for (size_t i = 0; i < 3; i++) {
        aif_tcp *t;
        int code;

        begin(&p, 1);
        t = aif_tcp_new(&loop, families[i], &code);
        if (t != NULL) {
            CHECK(aif_stage_read(&t->stage, 1) < 0);
            w.bufs = &buf;
            w.count = 1;
            CHECK(aif_stage_write(&t->stage, &w) < 0);
            CHECK(aif_stage_shutdown(&t->stage) < 0);
            aif_stage_close(&t->stage);
        }
        else {
            CHECK(families[i] == AF_INET6 && code == UV_EAFNOSUPPORT);
        }
        end(&p);
    }
}

static void
test_unix(void)
{
    peer p;
    aif_write w;
    aif_tcp *first;
    char got[8] = {0};
    int pair[2];
    int code;
    uv_buf_t buf = {.base = (char *)(uintptr_t)"unix", .len = 4};

    begin(&p, 100);
    first = p.tcp;
    CHECK_EQ_INT(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    p.tcp = aif_tcp_adopt(&loop, pair[0], AF_UNIX, &code);
    CHECK(p.tcp != NULL);
    aif_stage_set_user(&p.tcp->stage, &cbs, &p);
    CHECK_EQ_INT(send_bufs(&p, &w, &buf, 1), 1);
    CHECK_EQ_INT(read(pair[1], got, sizeof(got)), 4);
    CHECK_EQ_INT(aif_stage_read(&p.tcp->stage, 1), 0);
    CHECK_EQ_INT(aif_stage_probe(&p.tcp->stage), 0);
    close(pair[1]);
    UNTIL(p.eofs == 1);
    aif_stage_close(&first->stage);
    aif_stage_close(NULL);
    end(&p);
}

static void
test_addresses(void)
{
    peer p;
    struct sockaddr_storage addr;
    struct sockaddr_in in;
    socklen_t size = sizeof(in);
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6,
                               .sin6_port = htons(443)};
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    char text[160];
    char tiny[6];
    int len;
    int on = 0;
    socklen_t on_size = sizeof(on);

    begin(&p, 1);
    CHECK_EQ_INT(aif_tcp_peer(p.tcp, &addr, &len), 0);
    CHECK_EQ_INT(len, sizeof(in));
    CHECK_EQ_INT(getsockname(p.fd, (struct sockaddr *)&in, &size), 0);
    CHECK_EQ_INT(memcmp(&addr, &in, sizeof(in)), 0);
    size = sizeof(in);
    CHECK_EQ_INT(aif_tcp_local(p.tcp, &addr, &len), 0);
    CHECK_EQ_INT(getpeername(p.fd, (struct sockaddr *)&in, &size), 0);
    CHECK_EQ_INT(memcmp(&addr, &in, sizeof(in)), 0);
    CHECK_EQ_INT(
        getsockopt(aif_tcp_fd(p.tcp), IPPROTO_TCP, TCP_NODELAY, &on, &on_size),
        0);
    CHECK(on != 0);

    in.sin_addr.s_addr = htonl(0xc0000201);
    in.sin_port = htons(81);
    aif_tcp_format_address((struct sockaddr *)&in, text, sizeof(text));
    CHECK_EQ_STR(text, "192.0.2.1:81");
    aif_tcp_format_address((struct sockaddr *)&in, tiny, sizeof(tiny));
    CHECK_EQ_STR(tiny, "192.0");
    CHECK_EQ_INT(inet_pton(AF_INET6, "2001:db8::1", &in6.sin6_addr), 1);
    aif_tcp_format_address((struct sockaddr *)&in6, text, sizeof(text));
    CHECK_EQ_STR(text, "[2001:db8::1]:443");
    in6.sin6_scope_id = 7;
    aif_tcp_format_address((struct sockaddr *)&in6, text, sizeof(text));
    CHECK_EQ_STR(text, "[2001:db8::1%7]:443");
    memcpy(un.sun_path, "/run/x", 7);
    aif_tcp_format_address((struct sockaddr *)&un, text, sizeof(text));
    CHECK_EQ_STR(text, "unix:/run/x");
    memset(un.sun_path, 'a', sizeof(un.sun_path));
    aif_tcp_format_address((struct sockaddr *)&un, text, sizeof(text));
    CHECK_EQ_INT(strlen(text), 5 + sizeof(un.sun_path));
    un.sun_family = AF_UNSPEC;
    aif_tcp_format_address((struct sockaddr *)&un, text, sizeof(text));
    CHECK_EQ_STR(text, "unknown");
    end(&p);
}

static void
test_all(void)
{
    test_small();
    test_big_both_ways(0);
    test_big_both_ways(1);
    test_order();
    test_keep();
    test_keep_fails();
    for (int where = IN_SPACE; where <= IN_FAIL; where++) {
        test_close_in_reading(where);
    }
    test_close_with_writes(NEVER);
    test_close_with_writes(IN_SPACE);
    test_close_with_writes(IN_READ);
    test_close_in_written();
    test_eof();
    test_reset();
    test_reset_with_writes();
    test_early_answer();
    test_probe();
    test_stop_reading(IN_SPACE);
    test_stop_reading(IN_READ);
    test_stop_and_go_in_space();
    test_nobody_listens();
    test_expect();
    test_expect_too_much();
    test_shutdown();
    test_failing_beginnings();
    test_unconnected();
    test_unix();
    test_addresses();
}

/* One read is all that a run makes, and what has not come is libuv's. */
static void
test_expected(void)
{
    peer p;
    aif_write w;
    uv_buf_t buf = uv_buf_init((char *)(uintptr_t)"?", 1);

    begin(&p, 100);
    CHECK_EQ_INT(aif_stage_read(&p.tcp->stage, 1), 0);
    settle();
    CHECK(loop.expected == (expecting ? p.tcp : NULL));
    CHECK_EQ_INT(send_bufs(&p, &w, &buf, 1), 1);
    CHECK(loop.expected == p.tcp);
    CHECK_EQ_INT(aif_tcp_read_expected(p.tcp), 0);
    CHECK_EQ_INT(p.reads, 0);
    CHECK_EQ_INT(send(p.fd, "ab", 2, 0), 2);
    UNTIL(aif_stage_probe(&p.tcp->stage) != 0 || p.reads > 0);
    aif_loop_run_expected(&loop);
    CHECK_EQ_INT(p.reads, 1);
    CHECK_EQ_INT(p.in_len, 2);
    /* Another one's: a whole turn. */
    aif_loop_run_expected(&loop);
    CHECK_EQ_INT(p.reads, 1);
    p.close_in = IN_READ;
    CHECK_EQ_INT(send(p.fd, "c", 1, 0), 1);
    UNTIL(p.closed);
    settle();
    CHECK(loop.expected == NULL);
    end(&p);
}

int
main(void)
{
    (void)signal(SIGPIPE, SIG_IGN);
    test_all();
    test_expected();
    expecting = 1;
    test_all();
    test_expected();
    CHECK(expected_runs > 0);
    return check_failures();
}
