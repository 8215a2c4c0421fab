/* Tests of the TLS stage, with an engine whose cryptography is an exclusive
 * or: what is tested is order, states, ceilings and ends. The peer is a plain
 * socket. */
#include "net/aif_tls.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/aif_mem.h"
#include "check.h"
#include "net/aif_tcp.h"
#include "net/aif_tls_records.h"

enum { CLOSE = 21, OTHER = 22, DATA = 23 };

#define KEY 0x55
#define RECORD 16384u
#define BIG (3u * 1024u * 1024u)

static aif_loop loop;

/* -- The engine --------------------------------------------------------- */

typedef struct fake {
    aif_tls_engine engine;
    aif_buf in, out, sending;
    unsigned blames, frees, handshakes;
    int blamed;
    int blocked;  /* encrypt() wants the peer to speak */
    int refuses;  /* the handshake fails */
    int said_bye; /* the peer has */
} fake;

static unsigned frees;

static fake *
fake_of(aif_tls_engine *e)
{
    return (fake *)(void *)e;
}

static size_t
front(const fake *f)
{
    const unsigned char *p = (const unsigned char *)f->in.data;
    size_t len;

    if (f->in.len < AIF_TLS_HEADER) {
        return 0;
    }
    len = aif_tls_record_length(p);
    return f->in.len >= AIF_TLS_HEADER + len ? AIF_TLS_HEADER + len : 0;
}

static void
drop(fake *f, size_t n)
{
    memmove(f->in.data, f->in.data + n, f->in.len - n);
    f->in.len -= n;
}

static void
wrap(aif_buf *out, int type, const char *data, size_t len)
{
    char head[] = {(char)type, 3, 3, (char)(len >> 8), (char)(len & 255)};

    CHECK_EQ_INT(aif_buf_add(out, head, sizeof(head)), 0);
    for (size_t i = 0; i < len; i++) {
        char c = (char)(data[i] ^ KEY);

        CHECK_EQ_INT(aif_buf_add(out, &c, 1), 0);
    }
}

static int
fake_handshake(aif_tls_engine *e)
{
    fake *f = fake_of(e);
    size_t n = front(f);

    if (f->handshakes++ == 0) {
        wrap(&f->out, OTHER, "hello", 5);
    }
    if (n == 0) {
        return 0;
    }
    drop(f, n);
    return f->refuses ? AIF_ETLS : 1;
}

static int
fake_feed(aif_tls_engine *e, const char *data, size_t len)
{
    fake *f = fake_of(e);

    f->blocked = 0;
    return aif_buf_add(&f->in, data, len);
}

static int
fake_feed_eof(aif_tls_engine *e)
{
    (void)e;
    return 0;
}

static int
fake_has_record(aif_tls_engine *e)
{
    return front(fake_of(e)) > 0;
}

static int
fake_has_part(aif_tls_engine *e)
{
    return fake_of(e)->in.len > 0 && front(fake_of(e)) == 0;
}

static ptrdiff_t
fake_decrypt(aif_tls_engine *e, char *buf, size_t len)
{
    fake *f = fake_of(e);
    size_t n = front(f), body;
    int type;

    if (n == 0) {
        return AIF_ETLS; /* The end came instead. */
    }
    type = f->in.data[0];
    body = n - AIF_TLS_HEADER;
    if (type == DATA) {
        CHECK(body <= len);
        for (size_t i = 0; i < body; i++) {
            buf[i] = (char)(f->in.data[AIF_TLS_HEADER + i] ^ KEY);
        }
    }
    drop(f, n);
    f->said_bye |= type == CLOSE;
    return type == DATA    ? (ptrdiff_t)body
           : type == OTHER ? UV_EAGAIN
           : type == CLOSE ? 0
                           : AIF_ETLS;
}

static ptrdiff_t
fake_encrypt(aif_tls_engine *e, const char *data, size_t len)
{
    fake *f = fake_of(e);

    CHECK(len > 0);
    if (f->blocked) {
        return UV_EAGAIN;
    }
    for (size_t at = 0; at < len; at += RECORD) {
        wrap(&f->out, DATA, data + at, len - at < RECORD ? len - at : RECORD);
    }
    return (ptrdiff_t)len;
}

static int
fake_goodbye(aif_tls_engine *e)
{
    wrap(&fake_of(e)->out, CLOSE, "by", 2);
    return fake_of(e)->said_bye;
}

static int
fake_collect(aif_tls_engine *e, uv_buf_t *out)
{
    fake *f = fake_of(e);

    if (f->out.len == 0) {
        return 0;
    }
    CHECK(f->sending.data == NULL);
    f->sending = f->out;
    aif_buf_init(&f->out, BIG);
    *out = uv_buf_init(f->sending.data, (unsigned)f->sending.len);
    return 1;
}

static void
fake_sent(aif_tls_engine *e)
{
    aif_buf_fini(&fake_of(e)->sending);
}

static void
fake_blame(aif_tls_engine *e, int code)
{
    fake_of(e)->blames++;
    fake_of(e)->blamed = code;
}

static void
fake_release(aif_tls_engine *e)
{
    fake *f = fake_of(e);

    aif_buf_fini(&f->in);
    aif_buf_fini(&f->out);
    aif_buf_fini(&f->sending);
    frees++;
}

static const aif_tls_ops fake_ops = {
    .handshake = fake_handshake,
    .feed = fake_feed,
    .feed_eof = fake_feed_eof,
    .has_record = fake_has_record,
    .has_part = fake_has_part,
    .decrypt = fake_decrypt,
    .encrypt = fake_encrypt,
    .goodbye = fake_goodbye,
    .collect = fake_collect,
    .sent = fake_sent,
    .blame = fake_blame,
    .release = fake_release,
};

/* -- Both ends ---------------------------------------------------------- */

enum { NEVER, IN_OPEN, IN_READ, IN_EOF, IN_FAIL, IN_WRITTEN };

typedef struct peer {
    aif_stage *stage;
    fake fake;
    int fd; /* the other end */
    char data[64];
    size_t len, total;
    unsigned opens, reads, eofs, fails;
    int code; /* of on_fail */
    int close_in, stop_in;
} peer;

static void
act(peer *p, int where)
{
    CHECK(p->stage != NULL);
    if (p->stop_in == where) {
        CHECK_EQ_INT(aif_stage_read(p->stage, 0), 0);
    }
    if (p->close_in == where) {
        aif_stage_close(p->stage);
        p->stage = NULL;
    }
}

static void
on_open(void *user)
{
    peer *p = user;

    p->opens++;
    act(p, IN_OPEN);
}

static void
on_read(void *user, const char *data, size_t len)
{
    peer *p = user;
    size_t n = sizeof(p->data) - p->len;

    n = len < n ? len : n;
    memcpy(p->data + p->len, data, n);
    p->len += n;
    p->total += len;
    p->reads++;
    act(p, IN_READ);
}

static void
on_eof(void *user)
{
    ((peer *)user)->eofs++;
    act(user, IN_EOF);
}

static void
on_fail(void *user, const aif_err *err)
{
    peer *p = user;

    p->fails++;
    p->code = err->code;
    act(p, IN_FAIL);
}

static const aif_stage_cbs cbs = {
    .on_open = on_open,
    .on_read = on_read,
    .on_eof = on_eof,
    .on_fail = on_fail,
};

static void
turn(void)
{
    for (int i = 0; i < 3; i++) {
        (void)uv_run(&loop.uv, UV_RUN_NOWAIT);
    }
}

static void
say_raw(peer *p, const char *data, size_t len)
{
    CHECK_EQ_INT(send(p->fd, data, len, 0), (long long)len);
    turn();
}

static void
say(peer *p, int type, const char *text)
{
    aif_buf out;

    aif_buf_init(&out, BIG);
    wrap(&out, type, text, strlen(text));
    say_raw(p, out.data, out.len);
    aif_buf_fini(&out);
}

/* Takes one record from the peer's end: its type, or -1; the data to |out|. */
static int
hear(peer *p, char *out, size_t size, size_t *len)
{
    unsigned char head[AIF_TLS_HEADER];
    size_t n, got = 0;

    turn();
    if (recv(p->fd, head, sizeof(head), MSG_DONTWAIT) != sizeof(head)) {
        return -1;
    }
    n = aif_tls_record_length(head);
    CHECK(n > 0 && n < size);
    while (got < n) {
        ssize_t some = recv(p->fd, out + got, n - got, MSG_DONTWAIT);

        if (some <= 0) {
            turn();
            continue;
        }
        got += (size_t)some;
    }
    for (size_t i = 0; i < n; i++) {
        out[i] = (char)(out[i] ^ KEY);
    }
    out[n] = '\0';
    if (len != NULL) {
        *len = n;
    }
    return head[0];
}

static void
expect(peer *p, int type, const char *text)
{
    char got[RECORD + 1] = "";

    CHECK_EQ_INT(hear(p, got, sizeof(got), NULL), type);
    CHECK_EQ_STR(got, text);
}

static void
expect_nothing(peer *p)
{
    char got[RECORD + 1];

    CHECK_EQ_INT(hear(p, got, sizeof(got), NULL), -1);
}

static void
make(peer *p)
{
    int fds[2], code = 0;
    aif_tcp *tcp;

    memset(p, 0, sizeof(*p));
    p->code = 1;
    CHECK_EQ_INT(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    CHECK_EQ_INT(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
    tcp = aif_tcp_adopt(&loop, fds[0], AF_UNIX, &code);
    CHECK(tcp != NULL);
    p->fd = fds[1];
    p->fake.engine = (aif_tls_engine){&fake_ops, &loop};
    aif_buf_init(&p->fake.in, BIG);
    aif_buf_init(&p->fake.out, BIG);
    p->stage = aif_tls_new(&tcp->stage, &p->fake.engine);
    CHECK(p->stage != NULL);
    CHECK(aif_tls_engine_of(p->stage) == &p->fake.engine);
    aif_stage_set_user(p->stage, &cbs, p);
}

static void
make_open(peer *p)
{
    make(p);
    CHECK_EQ_INT(aif_stage_read(p->stage, 1), 0);
    expect(p, OTHER, "hello");
    say(p, OTHER, "finished");
    CHECK_EQ_INT(p->opens, 1);
}

static void
finish(peer *p)
{
    unsigned before = frees;

    if (p->stage != NULL) {
        aif_stage_close(p->stage);
        CHECK_EQ_INT(frees, before + 1);
    }
    (void)close(p->fd);
    turn();
    CHECK_EQ_INT(loop.handles, 1); /* the timer's */
}

typedef struct message {
    aif_write write;
    uv_buf_t bufs[4];
    peer *peer;
    unsigned written;
    int code;
} message;

static void
on_written(aif_write *w, int code)
{
    message *m = w->user;

    m->written++;
    m->code = code;
    if (m->peer->stage != NULL && m->peer->close_in == IN_WRITTEN) {
        act(m->peer, IN_WRITTEN);
    }
}

static int
post(message *m, peer *p, const char *const *texts, unsigned count)
{
    memset(m, 0, sizeof(*m));
    m->peer = p;
    for (unsigned i = 0; i < count; i++) {
        m->bufs[i] = uv_buf_init((char *)(uintptr_t)texts[i],
                                 (unsigned)strlen(texts[i]));
    }
    m->write = (aif_write){
        .bufs = m->bufs, .count = count, .on_written = on_written, .user = m};
    aif_list_init(&m->write.link);
    return aif_stage_write(p->stage, &m->write);
}

static int
post_one(message *m, peer *p, const char *text)
{
    return post(m, p, &text, 1);
}

/* -- The way of bytes --------------------------------------------------- */

static void
test_both_ways(void)
{
    const char *pieces[] = {"a", "", "bc", "d"};
    message m;
    peer p;

    make(&p);
    CHECK_EQ_INT(post_one(&m, &p, "early"), UV_ENOTCONN);
    finish(&p);
    make_open(&p);
    CHECK_EQ_INT(post_one(&m, &p, "question"), 1);
    expect(&p, DATA, "question");
    /* Short pieces of one write share a record. */
    CHECK_EQ_INT(post(&m, &p, pieces, 4), 1);
    expect(&p, DATA, "abcd");
    CHECK_EQ_INT(m.written, 0);
    say(&p, DATA, "answer");
    say(&p, OTHER, "ticket");
    say(&p, DATA, "more");
    CHECK_EQ_INT(p.reads, 2);
    CHECK(memcmp(p.data, "answermore", 10) == 0);
    /* Data behind the handshake in one flight. */
    finish(&p);
    make(&p);
    CHECK_EQ_INT(aif_stage_read(p.stage, 1), 0);
    {
        aif_buf out;

        aif_buf_init(&out, BIG);
        wrap(&out, OTHER, "finished", 8);
        wrap(&out, DATA, "now", 3);
        wrap(&out, DATA, "then", 4);
        say_raw(&p, out.data, out.len);
        aif_buf_fini(&out);
    }
    CHECK_EQ_INT(p.opens, 1);
    CHECK_EQ_INT(p.reads, 1); /* one upcall for both */
    CHECK(memcmp(p.data, "nowthen", 7) == 0);
    finish(&p);
}

static void
test_piece_by_piece(void)
{
    const char record[] = {DATA, 3, 3, 0, 2, 'h' ^ KEY, 'i' ^ KEY};
    peer p;

    make_open(&p);
    for (size_t i = 0; i < sizeof(record); i++) {
        CHECK_EQ_INT(p.reads, 0);
        say_raw(&p, record + i, 1);
    }
    CHECK_EQ_INT(p.reads, 1);
    CHECK(memcmp(p.data, "hi", 2) == 0);
    finish(&p);
}

static void
test_a_full_socket(void)
{
    char *big = malloc(BIG + 1), got[RECORD + 1];
    size_t len = 0, n;
    message first, second, late;
    peer p;

    memset(big, 'x', BIG);
    big[BIG] = '\0';
    make_open(&p);
    CHECK_EQ_INT(post_one(&first, &p, big), 0);
    CHECK_EQ_INT(post_one(&second, &p, "second"), 0);
    /* What is encrypted waits for the socket: no more of it is made. */
    CHECK(p.fake.out.len + p.fake.sending.len < 256u * 1024u);
    CHECK_EQ_INT(aif_stage_shutdown(p.stage), 0);
    CHECK_EQ_INT(post_one(&late, &p, "late"), UV_EPIPE);
    while (len < BIG) {
        if (hear(&p, got, sizeof(got), &n) == DATA) {
            CHECK(memcmp(got, big, n) == 0);
            len += n;
        }
    }
    expect(&p, DATA, "second");
    expect(&p, CLOSE, "by");
    CHECK_EQ_INT(first.written, 1);
    CHECK_EQ_INT(first.code, 0);
    CHECK_EQ_INT(second.written, 1);
    CHECK_EQ_INT(late.written, 0);
    finish(&p);
    free(big);
}

static void
test_renegotiation(void)
{
    message m;
    peer p;

    make_open(&p);
    p.fake.blocked = 1;
    CHECK_EQ_INT(post_one(&m, &p, "patience"), 0);
    expect_nothing(&p);
    say(&p, OTHER, "go on");
    expect(&p, DATA, "patience");
    CHECK_EQ_INT(m.written, 1);
    finish(&p);
}

static void
test_reading_off(void)
{
    aif_buf out;
    peer p;

    make_open(&p);
    p.stop_in = IN_READ;
    aif_buf_init(&out, BIG);
    for (unsigned i = 0; i < AIF_SLAB_SIZE / RECORD; i++) {
        char body[RECORD];

        memset(body, 'y', sizeof(body));
        wrap(&out, DATA, body, sizeof(body));
    }
    CHECK_EQ_INT(fcntl(p.fd, F_SETFL, O_NONBLOCK), 0);
    for (size_t at = 0; at < out.len;) {
        ssize_t n = send(p.fd, out.data + at, out.len - at, 0);

        at += n > 0 ? (size_t)n : 0;
        turn();
        if (p.reads > 0) {
            unsigned reads = p.reads;

            turn();
            CHECK_EQ_INT(p.reads, reads); /* It was asked to be silent. */
            CHECK_EQ_INT(aif_stage_read(p.stage, 1), 0);
        }
    }
    for (int i = 0; i < 100 && p.total < AIF_SLAB_SIZE; i++) {
        CHECK_EQ_INT(aif_stage_read(p.stage, 1), 0);
        turn();
    }
    CHECK_EQ_INT(p.total, AIF_SLAB_SIZE);
    aif_buf_fini(&out);
    finish(&p);
}

/* -- The ends ----------------------------------------------------------- */

static void
test_close_notify(void)
{
    message m;
    peer p;

    make_open(&p);
    CHECK(!aif_tls_is_ended(p.stage));
    say(&p, CLOSE, "by");
    CHECK_EQ_INT(p.eofs, 1);
    CHECK(aif_tls_is_ended(p.stage));
    say(&p, DATA, "nobody hears this");
    CHECK_EQ_INT(p.reads, 0);
    CHECK_EQ_INT(p.fake.in.len, 0);
    /* It ended one half. */
    CHECK_EQ_INT(post_one(&m, &p, "still here"), 1);
    expect(&p, DATA, "still here");
    CHECK_EQ_INT(aif_stage_shutdown(p.stage), 0);
    expect(&p, CLOSE, "by");
    CHECK_EQ_INT(post_one(&m, &p, "too late"), UV_ENOTCONN);
    (void)close(p.fd);
    turn();
    CHECK_EQ_INT(p.eofs, 1);
    CHECK_EQ_INT(p.fails, 0);
    p.fd = dup(1);
    finish(&p);
    /* Closing says it too, but not twice, and not after an abort. */
    make_open(&p);
    aif_stage_close(p.stage);
    p.stage = NULL;
    expect(&p, CLOSE, "by");
    expect_nothing(&p);
    finish(&p);
    make_open(&p);
    aif_tls_abandon(p.stage);
    aif_stage_close(p.stage);
    p.stage = NULL;
    expect_nothing(&p);
    finish(&p);
    aif_tls_abandon(NULL);
}

static void
test_a_cut(void)
{
    message m;
    peer p;

    for (int mild = 0; mild < 2; mild++) {
        make_open(&p);
        if (mild) {
            aif_tls_be_mild(p.stage);
        }
        say(&p, DATA, "half");
        CHECK_EQ_INT(shutdown(p.fd, SHUT_WR), 0);
        turn();
        CHECK_EQ_INT(p.reads, 1);
        CHECK_EQ_INT(p.eofs, 0);
        CHECK_EQ_INT(p.fails, 1);
        CHECK_EQ_INT(p.code, AIF_ETRUNCATED);
        CHECK_EQ_INT(aif_tls_is_ended(p.stage), mild);
        CHECK_EQ_INT(post_one(&m, &p, "?"), mild ? 1 : UV_ENOTCONN);
        finish(&p);
    }
    /* In the handshake there is nothing to be mild about. */
    make(&p);
    CHECK_EQ_INT(aif_stage_read(p.stage, 1), 0);
    CHECK_EQ_INT(shutdown(p.fd, SHUT_WR), 0);
    turn();
    CHECK_EQ_INT(p.opens, 0);
    finish(&p);
}

static void
test_failures(void)
{
    peer p;

    make_open(&p);
    say(&p, DATA, "good");
    say(&p, 20, "no such thing");
    CHECK_EQ_INT(p.reads, 1);
    CHECK_EQ_INT(p.fails, 1);
    CHECK_EQ_INT(p.code, AIF_ETLS);
    CHECK_EQ_INT(p.fake.blames, 1);
    CHECK_EQ_INT(p.fake.blamed, AIF_ETLS);
    finish(&p);
    make(&p);
    p.fake.refuses = 1;
    CHECK_EQ_INT(aif_stage_read(p.stage, 1), 0);
    say(&p, OTHER, "an old certificate");
    CHECK_EQ_INT(p.opens, 0);
    CHECK_EQ_INT(p.fails, 1);
    CHECK_EQ_INT(p.code, AIF_ETLS);
    finish(&p);
    /* The socket's own end goes up as it is. */
    make_open(&p);
    CHECK_EQ_INT(shutdown(p.fd, SHUT_RD), 0);
    finish(&p);
}

static void
test_no_end(void)
{
    char body[8192];
    aif_buf out;
    peer p;

    memset(body, 'z', sizeof(body));
    aif_buf_init(&out, BIG);
    wrap(&out, OTHER, body, sizeof(body));
    make_open(&p);
    for (int i = 0; i < 30; i++) {
        say_raw(&p, out.data, out.len);
    }
    CHECK_EQ_INT(p.fails, 0);
    say(&p, DATA, "patience"); /* counts anew */
    for (int i = 0; i < 30; i++) {
        say_raw(&p, out.data, out.len);
    }
    CHECK_EQ_INT(p.fails, 0);
    for (int i = 0; i < 3; i++) {
        say_raw(&p, out.data, out.len);
    }
    CHECK_EQ_INT(p.fails, 1);
    CHECK_EQ_INT(p.code, AIF_ETLS);
    aif_buf_fini(&out);
    finish(&p);
}

static void
test_closing_inside(void)
{
    message m;
    peer p;

    for (int where = IN_OPEN; where <= IN_FAIL; where++) {
        unsigned before = frees;

        make(&p);
        p.close_in = where;
        CHECK_EQ_INT(aif_stage_read(p.stage, 1), 0);
        say(&p, OTHER, "finished");
        if (where >= IN_READ) {
            say(&p, DATA, "data");
        }
        if (where == IN_EOF) {
            say(&p, CLOSE, "by");
        }
        else if (where == IN_FAIL) {
            say(&p, 20, "broken");
        }
        CHECK(p.stage == NULL);
        CHECK_EQ_INT(frees, before + 1);
        finish(&p);
    }
    make_open(&p);
    p.close_in = IN_WRITTEN;
    p.fake.blocked = 1;
    CHECK_EQ_INT(post_one(&m, &p, "last words"), 0);
    say(&p, OTHER, "go on");
    CHECK(p.stage == NULL);
    CHECK_EQ_INT(m.written, 1);
    finish(&p);
    /* What waits is told that it will not be. */
    make_open(&p);
    p.fake.blocked = 1;
    CHECK_EQ_INT(post_one(&m, &p, "never"), 0);
    aif_stage_close(p.stage);
    p.stage = NULL;
    CHECK_EQ_INT(m.written, 1);
    CHECK_EQ_INT(m.code, UV_ECANCELED);
    finish(&p);
}

/* -- Silence, memory ---------------------------------------------------- */

static void
probe(const char *bytes, size_t len, int end, int wanted)
{
    peer p;

    make_open(&p);
    CHECK_EQ_INT(aif_stage_read(p.stage, 0), 0);
    if (len > 0) {
        CHECK_EQ_INT(send(p.fd, bytes, len, 0), (long long)len);
    }
    if (end) {
        CHECK_EQ_INT(shutdown(p.fd, SHUT_WR), 0);
    }
    CHECK_EQ_INT(aif_stage_probe(p.stage), wanted);
    CHECK_EQ_INT(p.reads, 0);
    finish(&p);
}

static void
test_probe(void)
{
    const char ticket[] = {OTHER, 3, 3, 0, 1, 0, OTHER, 3, 3, 0, 1, 0};
    const char data[] = {OTHER, 3, 3, 0, 1, 0, DATA, 3, 3, 0, 1, 0};

    probe(NULL, 0, 0, 0);
    probe(ticket, sizeof(ticket), 0, 0);
    probe(ticket, sizeof(ticket) - 1, 0, AIF_EDISCONNECTED);
    probe(ticket, sizeof(ticket), 1, AIF_EDISCONNECTED);
    probe(data, sizeof(data), 0, AIF_EDISCONNECTED);
    probe(NULL, 0, 1, AIF_EDISCONNECTED);
}

static void
test_out_of_memory(void)
{
    aif_tls_engine engine = {&fake_ops, &loop};
    int fds[2], code = 0;
    aif_tcp *tcp;

    CHECK_EQ_INT(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    tcp = aif_tcp_adopt(&loop, fds[0], AF_UNIX, &code);
    aif_mem_fail_at(1, 0);
    CHECK(aif_tls_new(&tcp->stage, &engine) == NULL);
    aif_mem_fail_at(0, 0);
    aif_stage_close(&tcp->stage);
    (void)close(fds[1]);
    turn();
}

int
main(void)
{
    static const check_test tests[] = {
        CHECK_TEST(test_both_ways),     CHECK_TEST(test_piece_by_piece),
        CHECK_TEST(test_a_full_socket), CHECK_TEST(test_renegotiation),
        CHECK_TEST(test_reading_off),   CHECK_TEST(test_close_notify),
        CHECK_TEST(test_a_cut),         CHECK_TEST(test_failures),
        CHECK_TEST(test_no_end),        CHECK_TEST(test_closing_inside),
        CHECK_TEST(test_probe),         CHECK_TEST(test_out_of_memory),
    };
    int status;

    (void)signal(SIGPIPE, SIG_IGN);
    if (aif_loop_init(&loop) < 0) {
        return 1;
    }
    CHECK(aif_loop_slab(&loop) != NULL);
    status = 0;
    for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
        long before = check_failed, live = aif_mem_live();

        tests[i].run();
        CHECK_EQ_INT(aif_mem_live(), live);
        if (check_failed != before) {
            (void)printf("FAILED %s\n", tests[i].name);
        }
    }
    CHECK_EQ_INT(aif_loop_fini(&loop), 0);
    CHECK_EQ_INT(aif_mem_live(), 0);
    status |= check_failures();
    return status;
}
