/* Fuzzes the whole client core: connections, pool, fetches, framing and
 * decoding, without a socket. Dialling and the bottom stage are made here;
 * what the peer says, in which pieces, and when it leaves, is the fuzzer's,
 * and so is what the program does: start, cancel, discard, pause, free, close
 * the pool, also from inside any upcall.
 *
 * on_done comes once for each fetch that was started, and no upcall after it.
 * A connection to which its peer speaks out of turn is closed. The pool's
 * counters are what its lists say. In the end nothing is left.
 *
 * Input: settings, the number of steps, three bytes for each step, then what
 * the peers say, one byte after the other, whoever is asked.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/aif_mem.h"
#include "client/aif_conn.h"

#define PREFIX 3
#define STEP 3
#define FETCHES 6u
#define SOCKETS 16u
#define MOST (1u << 18) /* decoded bytes for one input */

/* --- Sockets without a kernel ------------------------------------------- */

struct aif_dial {
    const aif_dial_cbs *cbs;
    void *user;
    unsigned taken : 1;
};

typedef struct faked {
    aif_tcp tcp;     /* first: a stage is what is asked for */
    aif_list writes; /* that have not left */
    unsigned in_use : 1;
    unsigned reading : 1;
    unsigned closed : 1;
    unsigned ended : 1;
    unsigned depth; /* of upcalls */
} faked;

typedef enum act {
    NOTHING,
    CANCEL,
    DISCARD,
    PAUSE,
    RESUME,
    FREE,
    FAIL,
    CLOSE_POOL,
    CLOSE_IDLE,
    ACTS
} act;

typedef struct call {
    aif_fetch *f;
    act what;
    unsigned when; /* the upcall in which it is done; 0: in none */
    unsigned upcalls;
    unsigned heads, dones;
    uint64_t received;
    aif_upload upload;
    unsigned uploading : 1; /* on_end is to come */
    unsigned asked : 1;     /* on_start came, and no on_stop */
} call;

static aif_loop loop;
static aif_pool *pool;
static aif_dial *dials[SOCKETS];
static faked *sockets[SOCKETS];
static call calls[FETCHES];
static uint64_t decoded;
static unsigned holding; /* writes that do not leave at once */

static void
must(int condition)
{
    if (!condition) {
        abort();
    }
}

int
aif_dial_start(aif_loop *l, const aif_dial_options *options,
               const aif_dial_cbs *cbs, void *user, aif_dial **out)
{
    unsigned i;

    must(l == &loop && options->host != NULL);
    for (i = 0; i < SOCKETS && dials[i] != NULL; i++) {
    }
    if (i == SOCKETS) {
        return UV_EMFILE;
    }
    dials[i] = calloc(1, sizeof(*dials[i]));
    must(dials[i] != NULL);
    dials[i]->cbs = cbs;
    dials[i]->user = user;
    *out = dials[i];
    if (cbs->on_resolved != NULL) {
        cbs->on_resolved(user, 1);
    }
    return dials[i] == *out && *out != NULL ? 0 : AIF_ECANCELLED;
}

void
aif_dial_cancel(aif_dial *d)
{
    unsigned i;

    for (i = 0; i < SOCKETS && dials[i] != d; i++) {
    }
    must(i < SOCKETS);
    dials[i] = NULL;
    free(d);
}

void
aif_dial_cancel_all(aif_loop *l)
{
    must(l == &loop);
}

int
aif_tcp_peer(const aif_tcp *t, struct sockaddr_storage *out, int *len)
{
    (void)t;
    (void)out;
    (void)len;
    return UV_ENOTCONN;
}

void
aif_tcp_format_address(const struct sockaddr *addr, char *out, size_t size)
{
    (void)addr;
    must(size > 0);
    out[0] = '\0';
}

int
aif_tcp_read_expected(aif_tcp *t)
{
    (void)t;
    return 0;
}

aif_tcp *
aif_tcp_adopt(aif_loop *l, int fd, int family, int *code)
{
    (void)l;
    (void)fd;
    (void)family;
    *code = UV_ENOTSUP;
    return NULL;
}

void
aif_tcp_abort(aif_tcp *t)
{
    (void)t;
}

static faked *
faked_of(aif_stage *s)
{
    faked *k = (faked *)(void *)s;

    must(k->in_use && !k->closed);
    return k;
}

static void
forget(faked *k)
{
    unsigned i;

    if (k->closed && k->depth == 0) {
        for (i = 0; i < SOCKETS && sockets[i] != k; i++) {
        }
        must(i < SOCKETS);
        sockets[i] = NULL;
        free(k);
    }
}

static int
faked_write(aif_stage *s, aif_write *w)
{
    faked *k = faked_of(s);
    int rc;

    if (k->ended) {
        return UV_EPIPE;
    }
    if (!holding && aif_list_empty(&k->writes)) {
        return 1;
    }
    rc = aif_write_keep(w);
    if (rc == 0) {
        aif_list_push_tail(&k->writes, &w->link);
    }
    return rc;
}

/* The first write that is pending ends. 0 if there is none. */
static int
written(faked *k, int code)
{
    aif_list *node = aif_list_head(&k->writes);
    aif_write *w;

    if (node == NULL) {
        return 0;
    }
    w = AIF_LIST_ENTRY(node, aif_write, link);
    aif_list_unlink(node);
    w->on_written(w, code);
    return 1;
}

static int
faked_read(aif_stage *s, int on)
{
    faked_of(s)->reading = on != 0;
    return 0;
}

static int
faked_probe(aif_stage *s)
{
    return faked_of(s)->ended ? AIF_EDISCONNECTED : 0;
}

static int
faked_shutdown(aif_stage *s)
{
    (void)faked_of(s);
    return 0;
}

static void
faked_close(aif_stage *s)
{
    faked *k = faked_of(s);

    k->depth++;
    k->closed = 1;
    k->reading = 0;
    while (written(k, UV_ECANCELED)) {
    }
    k->depth--;
    forget(k);
}

static const aif_stage_type faked_type = {
    .name = "faked",
    .write = faked_write,
    .read = faked_read,
    .probe = faked_probe,
    .shutdown = faked_shutdown,
    .close = faked_close,
};

/* --- The program -------------------------------------------------------- */

static void
act_on(call *c, act what)
{
    aif_fetch *f = c->f;

    if (f == NULL) {
        return;
    }
    switch (what) {
    case CANCEL:
        aif_fetch_cancel(f);
        break;
    case DISCARD:
        aif_fetch_discard(f);
        break;
    case PAUSE:
        aif_fetch_pause(f);
        break;
    case RESUME:
        aif_fetch_resume(f);
        break;
    case FREE:
        c->f = NULL;
        aif_fetch_free(f);
        break;
    case CLOSE_POOL:
        aif_pool_close(pool);
        break;
    case CLOSE_IDLE:
        aif_pool_close_idle(pool);
        break;
    default:
        break;
    }
}

/* What is to be done in this upcall. 1 if it shall fail. */
static int
upcall(call *c, const aif_fetch *f)
{
    must(c->f == f && c->dones == 0);
    if (++c->upcalls != c->when) {
        return 0;
    }
    act_on(c, c->what);
    return c->what == FAIL;
}

static int
on_informational(void *user, aif_fetch *f, aif_h1parse *p)
{
    must(aif_h1parse_status(p) / 100 == 1);
    return upcall(user, f) ? AIF_ECALLBACK : 0;
}

static int
on_head(void *user, aif_fetch *f, aif_h1parse *p)
{
    call *c = user;
    int failed;

    must(c->heads++ == 0 && aif_h1parse_has_head(p));
    must(f->status == aif_h1parse_status(p) && f->state == AIF_FETCH_BODY);
    failed = upcall(c, f);
    return failed ? (c->when & 1 ? AIF_ECALLBACK : AIF_FETCH_DISCARD) : 0;
}

static char *
on_space(void *user, aif_fetch *f, size_t *len)
{
    static char room[512];
    call *c = user;

    must(*len > 0);
    (void)upcall(c, f);
    *len = *len < sizeof(room) ? *len : sizeof(room);
    return c->when & 2 ? room : NULL;
}

static int
on_body(void *user, aif_fetch *f, const char *data, size_t len)
{
    call *c = user;
    volatile char last;

    must(c->heads == 1 && len > 0);
    last = data[len - 1];
    (void)last;
    c->received += len;
    decoded += len;
    must(f->received == c->received);
    return upcall(c, f) || decoded > MOST ? AIF_ECALLBACK : 0;
}

static void
on_chunk(void *user, aif_fetch *f)
{
    (void)upcall(user, f);
}

static int
on_trailer(void *user, aif_fetch *f, aif_header *trailer)
{
    must(trailer->count > 0);
    return upcall(user, f) ? AIF_ECALLBACK : 0;
}

static void
on_phase(void *user, aif_fetch *f, aif_phase ended)
{
    must(ended < AIF_PHASE_DONE);
    (void)upcall(user, f);
}

static void
on_done(void *user, aif_fetch *f, int code)
{
    call *c = user;

    must(c->dones == 0);
    must(f->state >= AIF_FETCH_DONE && f->conn == NULL && f->origin == NULL);
    must(f->err.code == code && (code != 0) == (f->state != AIF_FETCH_DONE));
    /* One that is discarded as its body begins may not have had its head. */
    must(code != 0 || c->heads == 1 || c->what == DISCARD);
    (void)upcall(c, f);
    c->dones = 1;
}

static const aif_fetch_cbs direct_cbs = {
    .on_informational = on_informational,
    .on_head = on_head,
    .on_space = on_space,
    .on_body = on_body,
    .on_chunk = on_chunk,
    .on_trailer = on_trailer,
    .on_phase = on_phase,
    .on_done = on_done,
};
static const aif_fetch_cbs plain_cbs = {
    .on_head = on_head,
    .on_body = on_body,
    .on_done = on_done,
};

/* --- Bodies in pieces --------------------------------------------------- */

static void
on_upload_start(void *user, aif_upload *u)
{
    call *c = user;

    must(c->uploading && !c->asked && u->state == AIF_UPLOAD_OPEN);
    c->asked = 1;
}

static void
on_upload_taken(void *user, aif_upload *u, int code)
{
    call *c = user;

    must(c->uploading && c->asked && code <= 0);
    must(u->state == AIF_UPLOAD_OPEN || u->state == AIF_UPLOAD_ENDED);
}

static void
on_upload_stop(void *user, aif_upload *u)
{
    call *c = user;

    must(c->uploading && c->asked && &c->upload == u);
    c->asked = 0;
}

static void
on_upload_end(void *user, aif_upload *u)
{
    call *c = user;

    must(c->uploading && &c->upload == u);
    c->uploading = 0;
}

static const aif_upload_cbs upload_cbs = {
    .on_start = on_upload_start,
    .on_taken = on_upload_taken,
    .on_stop = on_upload_stop,
    .on_end = on_upload_end,
};

/* The next piece, or the end, or a failure of |c|'s body. */
static void
upload_more(call *c, unsigned how)
{
    static const char bytes[16] = "0123456789abcdef";
    aif_upload *u = &c->upload;
    aif_err err = {0};
    int rc;

    if (!c->uploading || c->f == NULL) {
        return;
    }
    if (how < 128) {
        rc = aif_upload_give(u, bytes, how % 17, &err);
        must(rc == 0 || rc == 1 || rc == AIF_EINVAL || rc == AIF_ECLOSED
             || rc == AIF_ETOOBIG);
    }
    else if (how < 240) {
        rc = aif_upload_end(u, NULL, &err);
        must(rc == 0 || rc == 1 || rc == AIF_EINVAL || rc == AIF_ECLOSED);
    }
    else {
        (void)aif_err_set(&err, AIF_ECALLBACK, "the source has failed");
        aif_upload_fail(u, AIF_ECALLBACK, &err);
    }
}

/* Makes |c| send its body in pieces. */
static void
upload_in(call *c, aif_h1head *head, unsigned how)
{
    head->body = how & 64 ? 10 : AIF_H1_CHUNKED;
    aif_upload_init(&c->upload, &upload_cbs, c, head->body);
    c->upload.replayable = how >> 3 & 1;
    c->upload.expect = how & 32 ? 3600000000000u : 0;
    c->f->upload = &c->upload;
    c->uploading = 1;
}

/* --- Requests ----------------------------------------------------------- */

static aif_slice
slice(const char *text)
{
    aif_slice s = {text, strlen(text)};

    return s;
}

static void
clean(call *c)
{
    must(!c->uploading);
    if (c->upload.cbs != NULL) {
        aif_upload_fini(&c->upload);
    }
    memset(c, 0, sizeof(*c));
}

/* Of |how| the first two bits are what is asked: GET, HEAD, POST whole or in
 * pieces. The others: not decoded, few upcalls, another origin, ceilings. */
static void
start(unsigned how, unsigned harm)
{
    static const char body[] = "a body";
    const aif_target target = {.host = slice(how & 16 ? "other" : "host"),
                               .port = 80};
    aif_h1head head = {
        .method = slice(how & 2   ? "POST"
                        : how & 1 ? "HEAD"
                                  : "GET"),
        .target = slice("/"),
        .authority = slice("host"),
        .body = AIF_H1_NO_BODY,
    };
    call *c = calls;

    while (c < calls + FETCHES && (c->f != NULL || c->uploading)) {
        c++;
    }
    if (c == calls + FETCHES) {
        return;
    }
    clean(c);
    c->f = aif_fetch_new(how & 8 ? &plain_cbs : &direct_cbs, c);
    must(c->f != NULL);
    c->what = (act)(harm % ACTS);
    c->when = harm / ACTS;
    c->f->idempotent = (how & 2) == 0;
    c->f->head_request = (how & 3) == 1;
    c->f->decode_body = (how & 4) == 0;
    c->f->max_body = how & 32 ? 100 : UINT64_MAX;
    c->f->max_ratio = how & 64 ? 10 : 0;
    if ((how & 3) == 2) {
        c->f->body = body;
        c->f->body_len = sizeof(body) - 1;
        head.body = (int64_t)c->f->body_len;
    }
    if ((how & 3) == 3) {
        upload_in(c, &head, how);
    }
    if (aif_fetch_start(c->f, pool, &target, &head) < 0) {
        c->uploading = 0;
        act_on(c, FREE);
    }
}

/* --- The peer ----------------------------------------------------------- */

/* Some dial that waits succeeds or fails. */
static void
dialled(unsigned which, int good)
{
    aif_err err = {0};
    aif_dial *d;
    faked *k = NULL;
    unsigned i, j;

    for (i = 0; i < SOCKETS && dials[(which + i) % SOCKETS] == NULL; i++) {
    }
    for (j = 0; j < SOCKETS && sockets[j] != NULL; j++) {
    }
    if (i == SOCKETS) {
        return;
    }
    d = dials[(which + i) % SOCKETS];
    dials[(which + i) % SOCKETS] = NULL;
    if (good && j < SOCKETS) {
        k = calloc(1, sizeof(*k));
        must(k != NULL);
        k->in_use = 1;
        aif_list_init(&k->writes);
        k->tcp.stage.type = &faked_type;
        k->tcp.stage.loop = &loop;
        sockets[j] = k;
    }
    (void)aif_err_set_sys(&err, UV_ECONNREFUSED, UV_ECONNREFUSED, "refused");
    d->cbs->on_done(d->user, k != NULL ? &k->tcp : NULL,
                    k != NULL ? NULL : &err);
    free(d);
}

/* Who is the |which|-th of those that read, or are open if |any|. */
static faked *
socket_of(unsigned which, int any)
{
    faked *k;
    unsigned i;

    for (i = 0; i < SOCKETS; i++) {
        k = sockets[(which + i) % SOCKETS];
        if (k != NULL && !k->closed && !k->ended && (any || k->reading)) {
            return k;
        }
    }
    return NULL;
}

/* Up to |n| bytes for one read of |k|. How many were taken. */
static size_t
say(faked *k, const uint8_t *data, size_t n)
{
    const aif_stage_cbs *cbs = k->tcp.stage.cbs;
    const aif_conn *conn = k->tcp.stage.user;
    const int idle = conn->state == AIF_CONN_READY;
    char *room = NULL;
    char *copy = NULL;
    size_t len = n;

    k->depth++;
    if (cbs->on_space != NULL) {
        cbs->on_space(k->tcp.stage.user, &room, &len);
    }
    if (!k->closed) {
        if (room == NULL) {
            len = n;
            copy = malloc(n);
            must(copy != NULL);
            room = copy;
        }
        n = n < len ? n : len;
        memcpy(room, data, n);
        cbs->on_read(k->tcp.stage.user, room, n);
        must(!idle || k->closed);
    }
    free(copy);
    k->depth--;
    forget(k);
    return n;
}

static void
leave(faked *k, int broken)
{
    aif_err err = {0};

    k->ended = 1;
    k->depth++;
    if (broken) {
        while (written(k, UV_ECONNRESET)) {
        }
        if (!k->closed) {
            (void)aif_err_set_sys(&err, UV_ECONNRESET, UV_ECONNRESET, "reset");
            k->tcp.stage.cbs->on_fail(k->tcp.stage.user, &err);
        }
    }
    else {
        k->tcp.stage.cbs->on_eof(k->tcp.stage.user);
    }
    k->depth--;
    forget(k);
}

/* --- The pool's account ------------------------------------------------- */

static void
check_pool(void)
{
    unsigned open = 0, dialing = 0, idle = 0, busy = 0;
    aif_list *n;

    for (n = pool->conns.next; n != &pool->conns; n = n->next) {
        const aif_conn *c = AIF_LIST_ENTRY(n, aif_conn, link);

        must(c->pool == pool && c->state != AIF_CONN_CLOSED);
        must(c->fetch == NULL || c->fetch->conn == c);
        open++;
        dialing += c->state == AIF_CONN_DIALING;
        idle += c->state == AIF_CONN_READY;
        busy += c->state == AIF_CONN_BUSY || c->state == AIF_CONN_DRAINING;
    }
    must(pool->open == open && pool->dialing == dialing);
    must(pool->idle_count == idle && pool->busy == busy);
    must(pool->settings.limit == 0 || open <= pool->settings.limit);
}

/* --- One input ---------------------------------------------------------- */

/* One step; returns how many bytes of |data| were said. */
static size_t
take_step(const uint8_t *op, const uint8_t *data, size_t n)
{
    const unsigned which = op[1];
    faked *k;
    size_t want = op[2] == 255 ? n : op[2];

    switch (op[0] % 11) {
    case 0:
    case 1:
        start(which, op[2]);
        break;
    case 2:
        dialled(which, op[2] % 8 != 7);
        break;
    case 3:
    case 4:
    case 5:
        k = socket_of(which, 0);
        want = want < n ? want : n;
        return k != NULL && want > 0 ? say(k, data, want) : 0;
    case 6:
        k = socket_of(which, op[2] & 1);
        if (k != NULL && (k->reading || op[2] & 1)) {
            leave(k, op[2] & 1);
        }
        break;
    case 7:
        act_on(&calls[which % FETCHES], (act)(op[2] % ACTS));
        break;
    case 8:
        holding = op[2] & 1;
        k = sockets[which % SOCKETS];
        if (k != NULL) {
            k->depth++;
            (void)written(k, op[2] & 2 ? UV_EPIPE : 0);
            k->depth--;
            forget(k);
        }
        break;
    case 9:
        upload_more(&calls[which % FETCHES], op[2]);
        break;
    default:
        aif_loop_run(&loop);
        break;
    }
    return 0;
}

static void
end(void)
{
    unsigned i;

    for (i = 0; i < FETCHES; i++) {
        if (i % 2) {
            act_on(&calls[i], FREE);
        }
    }
    aif_pool_close(pool);
    for (i = 0; i < FETCHES; i++) {
        must(calls[i].f == NULL || calls[i].dones == 1);
        act_on(&calls[i], FREE);
    }
    aif_pool_free(pool);
    aif_loop_run(&loop);
    for (i = 0; i < FETCHES; i++) {
        clean(&calls[i]);
    }
    for (i = 0; i < SOCKETS; i++) {
        must(dials[i] == NULL && sockets[i] == NULL);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static long before;
    aif_pool_settings settings = {.keepalive = 60000000000u, .dns_ttl_ms = 1};
    const uint8_t *op;
    size_t steps, i;

    if (loop.slab == NULL) {
        must(aif_loop_init(&loop) == 0 && aif_loop_slab(&loop) != NULL);
        /* The heap of deadlines stays. */
        before = -1;
    }
    if (size < PREFIX) {
        return 0;
    }
    settings.limit = data[0] & 3;
    settings.limit_per_host = data[0] >> 2 & 1;
    settings.force_close = data[0] >> 3 & 1;
    holding = data[0] >> 4 & 1;
    steps =
        data[1] < (size - PREFIX) / STEP ? data[1] : (size - PREFIX) / STEP;
    op = data + PREFIX;
    data = op + steps * STEP;
    size -= PREFIX + steps * STEP;
    memset(calls, 0, sizeof(calls));
    decoded = 0;
    pool = aif_pool_new(&loop, &settings, NULL, NULL);
    must(pool != NULL);
    for (i = 0; i < steps; i++, op += STEP) {
        const size_t said = take_step(op, data, size);

        data += said;
        size -= said;
        check_pool();
    }
    end();
    must(before < 0 || aif_mem_live() <= before + 1);
    before = before < 0 ? aif_mem_live() + 1 : before;
    return 0;
}
