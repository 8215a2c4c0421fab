/* aif_tls -- the TLS stage.
 *
 *   HANDSHAKE --> OPEN --> ENDED (close_notify)
 *        \          \----> DEAD
 *
 * Rule 1: decrypt() is only called while a whole record is at hand: one that
 *         cannot succeed costs, with Python's engine an exception.
 * Rule 2: a stage may be closed by any upcall; enter() and leave() keep the
 *         memory, |closed| is looked at after each upcall.
 * Rule 3: nothing is encrypted while ciphertext waits for the socket, so that
 *         what waits is bounded by one step of plaintext.
 */
#include "net/aif_tls.h"

#include <limits.h>
#include <string.h>

#include "base/aif_mem.h"
#include "net/aif_tcp.h"
#include "net/aif_tls_records.h"

/* Plaintext that is encrypted ahead of the socket. */
#define WRITE_STEP (128u * 1024u)

/* Short pieces of one write share a record of up to so many bytes. */
#define JOINED 4096u

/* Ciphertext that may come without a byte of data in it: the handshake, and
 * the messages behind it (tickets, key updates). The longest certificate chain
 * that OpenSSL takes has 100 KiB; what goes on beyond this has no end. */
#define MAX_BARREN (256u * 1024u)

/* What a silent connection is read into: session tickets, mostly. */
#define PROBE_STEP 4096u

/* More than this is no ticket, and who sends it may go on for ever. */
#define PROBE_MAX (64u * 1024u)

typedef enum tls_state {
    TLS_HANDSHAKE,
    TLS_OPEN,
    TLS_ENDED,
    TLS_DEAD
} tls_state;

typedef struct tls_stage {
    aif_stage stage;
    aif_tls_engine *engine; /* owned */
    aif_write below_write;
    uv_buf_t below_buf;
    aif_list writes; /* aif_write of the user, in order */
    tls_state state;
    size_t barren; /* bytes since there was data, or the handshake's end */
    unsigned depth;
    unsigned reading : 1;
    unsigned flushing : 1; /* below_write is under way */
    unsigned below_eof : 1;
    unsigned reported : 1; /* on_eof or on_fail was called */
    unsigned mild : 1;     /* an end without close_notify is an end */
    unsigned shutting : 1; /* close_notify is to follow the writes */
    unsigned said : 1;     /* and has been made */
    unsigned closed : 1;
} tls_stage;

static const aif_stage_type tls_type;

static tls_stage *
tls_of(aif_stage *s)
{
    return (tls_stage *)(void *)s;
}

static void
enter(tls_stage *t)
{
    t->depth++;
}

static void
leave(tls_stage *t)
{
    t->depth--;
    if (t->depth == 0 && t->closed) {
        t->engine->ops->release(t->engine);
        aif_mem_free(t);
    }
}

/* -- Failure ------------------------------------------------------------ */

static void
tls_fail(tls_stage *t, int code, const char *text)
{
    aif_err err = {0};

    t->state = TLS_DEAD;
    if (t->reported || t->closed || t->stage.cbs == NULL) {
        return;
    }
    aif_err_set(&err, code, "%s", text);
    t->reported = 1;
    t->engine->ops->blame(t->engine, code);
    t->stage.cbs->on_fail(t->stage.user, &err);
}

/* -- Down: data to the socket ------------------------------------------- */

static void pump_out(tls_stage *t);
static void say_goodbye(tls_stage *t);

/* The peer's close_notify ends its half alone (RFC 8446 6.1). */
static int
can_write(const tls_stage *t)
{
    return !t->closed && !t->said
           && (t->state == TLS_OPEN || t->state == TLS_ENDED);
}

static void
on_below_written(aif_write *w, int code)
{
    tls_stage *t = w->user;

    t->flushing = 0;
    t->engine->ops->sent(t->engine);
    if (t->closed || code < 0) {
        return; /* The read side tells why the socket failed. */
    }
    enter(t);
    pump_out(t);
    leave(t);
}

/* Writes the ciphertext that was made. 1: all left; 0: under way; or a code.
 */
static int
flush(tls_stage *t)
{
    int rc;

    if (t->flushing) {
        return 0;
    }
    rc = t->engine->ops->collect(t->engine, &t->below_buf);
    if (rc <= 0) {
        return rc == 0 ? 1 : rc;
    }
    t->below_write = (aif_write){
        .bufs = &t->below_buf,
        .count = 1,
        .on_written = on_below_written,
        .user = t,
    };
    aif_list_init(&t->below_write.link);
    rc = aif_stage_write(t->stage.below, &t->below_write);
    if (rc == 0) {
        t->flushing = 1;
    }
    else {
        t->engine->ops->sent(t->engine);
    }
    return rc;
}

typedef enum progress {
    ENCRYPT_FAILED = -1,
    ENCRYPT_MORE, /* a step, but not all of it */
    ENCRYPT_WHOLE,
    ENCRYPT_BLOCKED /* the peer has to speak first: renegotiation */
} progress;

/* Drops |n| bytes, and empty buffers, from the front of |w|. */
static void
advance(aif_write *w, size_t n)
{
    while (w->count > 0 && n >= w->bufs->len) {
        n -= w->bufs->len;
        w->bufs++;
        w->count--;
    }
    if (n > 0) {
        w->bufs->base += n;
        w->bufs->len -= n;
    }
}

/* Copies the pieces at the front of |w| that are whole within |size| bytes.
 * The same ones each time until they are taken: the engine may ask for what it
 * had before. */
static size_t
join(const aif_write *w, char *out, size_t size)
{
    size_t len = 0;

    for (unsigned i = 0; i < w->count && w->bufs[i].len <= size - len; i++) {
        memcpy(out + len, w->bufs[i].base, w->bufs[i].len);
        len += w->bufs[i].len;
    }
    return len;
}

/* Encrypts the next step of |w|. */
static progress
encrypt(tls_stage *t, aif_write *w)
{
    aif_tls_engine *e = t->engine;
    size_t budget = WRITE_STEP;

    advance(w, 0);
    while (w->count > 0 && budget > 0) {
        char joined[JOINED];
        const char *data = w->bufs->base;
        size_t n = w->bufs->len < budget ? w->bufs->len : budget;
        ptrdiff_t done;

        if (w->count > 1 && w->bufs[0].len + w->bufs[1].len <= JOINED
            && budget >= JOINED)
        {
            n = join(w, joined, sizeof(joined));
            data = joined;
        }
        done = e->ops->encrypt(e, data, n);
        if (done == UV_EAGAIN || done == 0) {
            return ENCRYPT_BLOCKED;
        }
        if (done < 0) {
            return ENCRYPT_FAILED;
        }
        advance(w, (size_t)done);
        budget -= (size_t)done < budget ? (size_t)done : budget;
    }
    return w->count == 0 ? ENCRYPT_WHOLE : ENCRYPT_MORE;
}

/* Moves queued writes on until the socket is full or nothing is left. */
static void
pump_out(tls_stage *t)
{
    aif_list *node;
    int rc = flush(t);

    while (rc == 1 && can_write(t)
           && (node = aif_list_head(&t->writes)) != NULL)
    {
        aif_write *w = AIF_LIST_ENTRY(node, aif_write, link);
        progress step;

        if (w->count == 0) {
            aif_list_unlink(&w->link);
            w->on_written(w, 0);
            continue;
        }
        step = encrypt(t, w);
        if (step == ENCRYPT_FAILED) {
            tls_fail(t, AIF_ETLS, "encrypting failed");
            return;
        }
        rc = flush(t);
        if (step == ENCRYPT_BLOCKED) {
            break; /* What the peer says next comes by here again. */
        }
    }
    if (rc == AIF_ETLS || rc == AIF_ENOMEM) {
        tls_fail(t, rc, "encrypting failed");
    }
    if (t->shutting && can_write(t) && aif_list_empty(&t->writes)) {
        say_goodbye(t);
    }
}

static int
tls_write(aif_stage *s, aif_write *w)
{
    tls_stage *t = tls_of(s);
    progress step = ENCRYPT_MORE;
    int rc = 1;

    if (!can_write(t)) {
        return UV_ENOTCONN;
    }
    if (t->shutting) {
        return UV_EPIPE;
    }
    if (aif_list_empty(&t->writes) && !t->flushing) {
        while (rc == 1 && step == ENCRYPT_MORE) {
            step = encrypt(t, w);
            rc = step == ENCRYPT_FAILED ? AIF_ETLS : flush(t);
        }
        if (rc == AIF_ETLS || rc == AIF_ENOMEM) {
            t->state = TLS_DEAD;
            t->engine->ops->blame(t->engine, rc);
        }
        if (rc < 0 || (rc == 1 && step == ENCRYPT_WHOLE)) {
            return rc;
        }
    }
    rc = aif_write_keep(w);
    if (rc == 0) {
        aif_list_push_tail(&t->writes, &w->link);
    }
    return rc;
}

/* -- Up: ciphertext to data --------------------------------------------- */

static int
feed(tls_stage *t, const char *data, size_t len)
{
    t->barren += len;
    return t->engine->ops->feed(t->engine, data, len);
}

/* What the engine did not use of what it was fed is the engine's from here. */
static int
settle(tls_stage *t)
{
    const aif_tls_ops *ops = t->engine->ops;

    return ops->settle == NULL ? 0 : ops->settle(t->engine);
}

static void
report_eof(tls_stage *t)
{
    t->state = TLS_ENDED;
    if (!t->reported) {
        t->reported = 1;
        if (t->stage.cbs->on_eof != NULL) {
            t->stage.cbs->on_eof(t->stage.user);
        }
    }
}

static void
read_failed(tls_stage *t)
{
    tls_fail(t, t->below_eof ? AIF_ETRUNCATED : AIF_ETLS,
             t->below_eof ? "the peer closed without close_notify"
                          : "TLS failed after the handshake");
}

/* Fills |buf| from as many records as are there and have room: one upcall
 * serves them all. The bytes; *|last| is what the last decrypt() returned. */
static size_t
decrypt(tls_stage *t, char *buf, size_t len, ptrdiff_t *last)
{
    aif_tls_engine *e = t->engine;
    size_t n = 0;

    do {
        *last = e->ops->decrypt(e, buf + n, len - n);
        if (*last <= 0) {
            break;
        }
        n += (size_t)*last;
    } while (!t->closed && len - n >= AIF_TLS_RECORD && e->ops->has_record(e));
    return n;
}

/* The bytes go up before what came behind them. 1: go on; 0: not. */
static int
deliver(tls_stage *t, char *buf, size_t n, ptrdiff_t last)
{
    if (n > 0) {
        t->barren = 0;
        t->stage.cbs->on_read(t->stage.user, buf, n);
    }
    else if (last == UV_EAGAIN && t->stage.cbs->on_spare != NULL) {
        t->stage.cbs->on_spare(t->stage.user);
    }
    if (t->closed) {
        return 0;
    }
    if (last == 0) {
        report_eof(t);
    }
    else if (last < 0 && last != UV_EAGAIN) {
        read_failed(t);
    }
    return last > 0;
}

/* One read and its upcall. 1: go on; 0: nothing more for now. */
static int
read_once(tls_stage *t)
{
    size_t n, len = AIF_SLAB_SIZE;
    ptrdiff_t last;
    char *buf = NULL;

    if (t->stage.cbs->on_space != NULL) {
        t->stage.cbs->on_space(t->stage.user, &buf, &len);
        if (t->closed || !t->reading) {
            return 0;
        }
    }
    if (buf == NULL) {
        buf = aif_loop_slab(t->stage.loop);
        len = AIF_SLAB_SIZE;
    }
    if (buf == NULL) {
        tls_fail(t, AIF_ENOMEM, "out of memory");
        return 0;
    }
    n = decrypt(t, buf, len < INT_MAX ? len : INT_MAX, &last);
    return t->closed ? 0 : deliver(t, buf, n, last);
}

static int
handshake(tls_stage *t)
{
    int rc = t->engine->ops->handshake(t->engine);

    if (t->closed) {
        return 0;
    }
    (void)flush(t); /* If it is an alert, or for the peer to go on. */
    if (rc < 0) {
        tls_fail(t, rc,
                 t->below_eof ? "the peer closed during the TLS handshake"
                              : "the TLS handshake failed");
    }
    if (rc <= 0) {
        return 0;
    }
    t->state = TLS_OPEN;
    t->barren = 0;
    /* What followed the handshake in the same flight may hold data. */
    if (t->stage.cbs->on_open != NULL) {
        t->stage.cbs->on_open(t->stage.user);
    }
    return 1;
}

static void
pump_in(tls_stage *t)
{
    const aif_tls_ops *ops = t->engine->ops;

    if (t->state == TLS_HANDSHAKE && !t->closed && !handshake(t)) {
        return;
    }
    while (!t->closed && t->reading && t->state == TLS_OPEN
           && (ops->has_record(t->engine) || (t->below_eof && !t->mild)))
    {
        if (!read_once(t)) {
            break;
        }
    }
    if (can_write(t)) {
        pump_out(t); /* a KeyUpdate wants an answer */
    }
}

static void
below_on_space(void *user, char **buf, size_t *len)
{
    tls_stage *t = user;

    if (t->engine->ops->space != NULL) {
        t->engine->ops->space(t->engine, buf, len);
    }
}

static void
below_on_spare(void *user)
{
    tls_stage *t = user;

    if (t->engine->ops->spare != NULL) {
        t->engine->ops->spare(t->engine);
    }
}

static void
below_on_read(void *user, const char *data, size_t len)
{
    tls_stage *t = user;
    int rc = 0;

    enter(t);
    /* Nothing counts behind close_notify (RFC 8446 6.1). */
    if (t->state < TLS_ENDED) {
        rc = feed(t, data, len);
    }
    if (rc == 0) {
        pump_in(t);
        rc = settle(t);
    }
    if (rc < 0) {
        tls_fail(t, rc, "what the peer sent could not be kept");
    }
    else if (t->barren > MAX_BARREN && !t->closed && t->state < TLS_ENDED) {
        tls_fail(t, AIF_ETLS, "the peer's TLS messages have no end");
    }
    below_on_spare(t);
    leave(t);
}

/* The end came in the middle of TLS. The engine is not told: it would let
 * nothing be written any more, and the peer may still read. */
static void
report_cut(tls_stage *t)
{
    aif_err err = {0};

    if (t->closed || t->reported || t->stage.cbs == NULL) {
        return;
    }
    t->reported = 1;
    if (t->state == TLS_OPEN) {
        t->state = TLS_ENDED;
    }
    aif_err_set(&err, AIF_ETRUNCATED, "the peer closed without close_notify");
    t->stage.cbs->on_fail(t->stage.user, &err);
}

static void
below_on_eof(void *user)
{
    tls_stage *t = user;

    enter(t);
    below_on_spare(t);
    t->below_eof = 1;
    if (!t->mild && t->engine->ops->feed_eof(t->engine) < 0) {
        tls_fail(t, AIF_ENOMEM, "out of memory");
    }
    pump_in(t);
    if (t->mild) {
        report_cut(t);
    }
    leave(t);
}

static void
below_on_fail(void *user, const aif_err *err)
{
    tls_stage *t = user;

    enter(t);
    below_on_spare(t);
    t->state = TLS_DEAD;
    if (!t->reported && !t->closed) {
        t->reported = 1;
        t->stage.cbs->on_fail(t->stage.user, err);
    }
    leave(t);
}

static const aif_stage_cbs below_cbs = {
    .on_space = below_on_space,
    .on_spare = below_on_spare,
    .on_read = below_on_read,
    .on_eof = below_on_eof,
    .on_fail = below_on_fail,
};

static int
tls_read(aif_stage *s, int on)
{
    tls_stage *t = tls_of(s);
    int rc, was = t->reading;

    t->reading = on ? 1 : 0;
    rc = aif_stage_read(s->below, on || t->state == TLS_HANDSHAKE);
    if (rc < 0 || !on || was || t->depth > 0) {
        return rc;
    }
    /* The first time this begins the handshake; later it delivers what was
     * held back. */
    enter(t);
    pump_in(t);
    leave(t);
    return 0;
}

/* -- Silence ------------------------------------------------------------ */

/* Reads all that the socket has into the engine. 0 if it has no more, and
 * nothing was too much. */
static int
read_silence(tls_stage *t)
{
    aif_tcp *tcp = (aif_tcp *)(void *)t->stage.below;
    /* Not the slab: another connection may be in the middle of it. */
    char some[PROBE_STEP];
    size_t seen = 0;
    int n = 0;

    while (seen < PROBE_MAX
           && (n = aif_tcp_read_now(tcp, some, sizeof(some))) > 0)
    {
        seen += (size_t)n;
        if (feed(t, some, (size_t)n) < 0 || settle(t) < 0
            || t->barren > MAX_BARREN)
        {
            return AIF_EDISCONNECTED;
        }
    }
    return n == UV_EAGAIN ? 0 : AIF_EDISCONNECTED;
}

/* An idle connection may hold session tickets, which are no data. Everything
 * the socket has is read; only what decrypts to data, or an end, counts. */
static int
tls_probe(aif_stage *s)
{
    tls_stage *t = tls_of(s);
    const aif_tls_ops *ops = t->engine->ops;
    char byte;

    if (t->state != TLS_OPEN || t->below_eof || read_silence(t) < 0) {
        return AIF_EDISCONNECTED;
    }
    while (ops->has_record(t->engine)) {
        if (ops->decrypt(t->engine, &byte, 1) != UV_EAGAIN) {
            return AIF_EDISCONNECTED;
        }
    }
    /* Half a record may be half of anything. */
    return ops->has_part(t->engine) ? AIF_EDISCONNECTED : 0;
}

/* -- The end ------------------------------------------------------------ */

/* Sends close_notify, as far as the socket takes it at once. */
static void
say_goodbye(tls_stage *t)
{
    int rc;

    t->said = 1;
    rc = t->engine->ops->goodbye(t->engine);
    (void)flush(t);
    if (rc == 1 && !t->closed) {
        report_eof(t); /* It was there already. */
    }
}

static int
tls_shutdown(aif_stage *s)
{
    tls_stage *t = tls_of(s);

    if (!can_write(t) || t->shutting) {
        return 0;
    }
    t->shutting = 1;
    if (t->depth == 0) {
        enter(t);
        pump_in(t); /* What has come is read before, or OpenSSL complains. */
        leave(t);
    }
    return 0;
}

static void
tls_close(aif_stage *s)
{
    tls_stage *t = tls_of(s);
    aif_list *node;

    if (t->closed) {
        return;
    }
    enter(t);
    t->closed = 1;
    t->reading = 0;
    if (t->state == TLS_OPEN && !t->flushing && !t->said) {
        say_goodbye(t);
    }
    while ((node = aif_list_head(&t->writes)) != NULL) {
        aif_write *w = AIF_LIST_ENTRY(node, aif_write, link);

        aif_list_unlink(&w->link);
        w->on_written(w, UV_ECANCELED);
    }
    aif_stage_close(s->below);
    s->below = NULL;
    leave(t);
}

static const aif_stage_type tls_type = {
    .name = "tls",
    .write = tls_write,
    .read = tls_read,
    .probe = tls_probe,
    .shutdown = tls_shutdown,
    .close = tls_close,
};

/* -- The beginning ------------------------------------------------------ */

aif_stage *
aif_tls_new(aif_stage *below, aif_tls_engine *engine)
{
    tls_stage *t = aif_mem_zalloc(sizeof(*t));

    if (t == NULL) {
        return NULL;
    }
    t->stage.type = &tls_type;
    t->stage.loop = below->loop;
    t->stage.below = below;
    t->engine = engine;
    t->state = TLS_HANDSHAKE;
    aif_list_init(&t->writes);
    aif_stage_set_user(below, &below_cbs, t);
    return &t->stage;
}

aif_tls_engine *
aif_tls_engine_of(aif_stage *stage)
{
    return tls_of(stage)->engine;
}

int
aif_tls_is_ended(aif_stage *stage)
{
    return tls_of(stage)->state == TLS_ENDED;
}

void
aif_tls_be_mild(aif_stage *stage)
{
    tls_of(stage)->mild = 1;
}

void
aif_tls_abandon(aif_stage *stage)
{
    while (stage != NULL && stage->type == &tls_type) {
        tls_of(stage)->state = TLS_DEAD;
        stage = stage->below;
    }
}
