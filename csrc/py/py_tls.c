/* py_tls.c -- TLS by ssl.SSLObject between two ssl.MemoryBIO.
 *
 *   HANDSHAKE --> OPEN --> ENDED (close_notify)
 *        \          \----> DEAD
 *
 * Rule 1: a read that cannot succeed costs an exception. The record headers
 *         are followed as ciphertext comes in (RFC 8446 5.1), and read() is
 *         only called while a whole record is at hand.
 * Rule 2: a stage may be closed by any upcall; tls_enter() and tls_leave()
 *         keep the memory, |closed| is looked at after each upcall.
 * Rule 3: ssl is Python code. It may run signal handlers and finalizers, which
 *         the host keeps out of the core; an exception of theirs that ends the
 *         program is left to the host as well, and only costs the connection.
 */
#include "py/py_tls.h"

#include <limits.h>

#include "base/aif_mem.h"
#include "net/aif_tcp.h"
#include "py/py_host.h"
#include "py/py_tls_records.h"

/* Plaintext handed to OpenSSL at once: what is encrypted ahead of the socket
 * is bounded by it. */
#define WRITE_STEP (256u * 1024u)

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
    core_state *st;
    PyObject *incoming; /* ssl.MemoryBIO, ciphertext of the peer */
    PyObject *outgoing; /* ssl.MemoryBIO, ciphertext of ours */
    PyObject *ssl;      /* ssl.SSLObject */
    PyObject *sending;  /* bytes of |outgoing| that are being written */
    aif_write below_write;
    uv_buf_t below_buf;
    aif_list writes; /* aif_write of the user, in order */
    tls_state state;
    tls_records seen; /* in |incoming| */
    size_t barren;    /* bytes since there was data, or the handshake's end */
    unsigned depth;
    unsigned offered : 1; /* a session, to resume */
    unsigned reading : 1;
    unsigned flushing : 1; /* below_write is under way */
    unsigned below_eof : 1;
    unsigned reported : 1; /* on_eof or on_fail was called */
    unsigned mild : 1;     /* an end without close_notify is an end */
    unsigned shutting : 1; /* close_notify is to follow the writes */
    unsigned said : 1;     /* and has been made */
    unsigned closed : 1;
} tls_stage;

static void tls_enter(tls_stage *t);
static void tls_leave(tls_stage *t);

static tls_stage *
tls_of(aif_stage *s)
{
    return (tls_stage *)(void *)s;
}

static HostObject *
host_of(const tls_stage *t)
{
    return t->stage.loop->user;
}

/* ---- failure ------------------------------------------------------------ */

/* Ends the stage with the exception that is set, or with |text|. It is parked
 * while the failure goes up, so that whoever ends the fetch can take it. */
static void
tls_fail(tls_stage *t, int code, const char *text)
{
    aif_err err = {0};

    t->state = TLS_DEAD;
    if (t->reported || t->closed || t->stage.cbs == NULL) {
        host_swallow(host_of(t));
        return;
    }
    aif_err_set(&err, code, "%s", text);
    t->reported = 1;
    host_park(host_of(t), code);
    t->stage.cbs->on_fail(t->stage.user, &err);
}

/* 1 if the exception that is set is SSLWantReadError, which is cleared. */
static int
is_want_read(tls_stage *t)
{
    if (PyErr_ExceptionMatches(t->st->want_read)) {
        PyErr_Clear();
        return 1;
    }
    return 0;
}

/* ---- memory that Python sees -------------------------------------------- */

/* A memoryview of ours may live on in the frames of a traceback, or with an
 * SSLObject of the program's own; the memory does not. */
static void
drop_view(tls_stage *t, PyObject *view)
{
    if (Py_REFCNT(view) > 1) {
        PyObject *raised = compat_take_exception();
        PyObject *res = PyObject_CallMethod(view, "release", NULL);

        if (res == NULL) {
            host_swallow(host_of(t));
        }
        Py_XDECREF(res);
        if (raised != NULL) {
            compat_set_exception(raised);
        }
    }
    Py_DECREF(view);
}

/* The count of bytes that |res| (may be NULL) stands for, which is taken over;
 * -1 with an exception if it is no such thing. */
static Py_ssize_t
count_of(PyObject *res, size_t max)
{
    Py_ssize_t n;

    if (res == NULL) {
        return -1;
    }
    n = PyLong_AsSsize_t(res);
    Py_DECREF(res);
    if (n == -1 && PyErr_Occurred()) {
        return -1;
    }
    if (n < 0 || (size_t)n > max) {
        PyErr_SetString(PyExc_ValueError,
                        "the SSLObject returned an impossible number");
        return -1;
    }
    return n;
}

/* ---- down: plaintext to the socket -------------------------------------- */

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
    Py_CLEAR(t->sending);
    if (t->closed || code < 0) {
        return; /* The read side tells why the socket failed. */
    }
    tls_enter(t);
    pump_out(t);
    tls_leave(t);
}

/* Writes what is in |outgoing|. 1: all left; 0: under way; or a code. */
static int
flush(tls_stage *t)
{
    PyObject *bytes;
    int rc;

    if (t->flushing) {
        return 0;
    }
    bytes = PyObject_CallMethodNoArgs(t->outgoing, t->st->str_read);
    if (bytes == NULL) {
        return AIF_ETLS;
    }
    if (PyBytes_GET_SIZE(bytes) == 0) {
        Py_DECREF(bytes);
        return 1;
    }
    t->sending = bytes;
    t->below_buf.base = PyBytes_AS_STRING(bytes);
    t->below_buf.len = (size_t)PyBytes_GET_SIZE(bytes);
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
        Py_CLEAR(t->sending);
    }
    return rc;
}

typedef enum progress {
    ENCRYPT_FAILED = -1, /* with an exception */
    ENCRYPT_MORE,        /* a step, but not all of it */
    ENCRYPT_WHOLE,
    ENCRYPT_BLOCKED /* the peer has to speak first: renegotiation */
} progress;

static Py_ssize_t
encrypt_some(tls_stage *t, const char *data, size_t len)
{
    PyObject *view = PyMemoryView_FromMemory((char *)(uintptr_t)data,
                                             (Py_ssize_t)len, PyBUF_READ);
    PyObject *res;

    if (view == NULL) {
        return -1;
    }
    res = PyObject_CallMethodOneArg(t->ssl, t->st->str_write, view);
    drop_view(t, view);
    return count_of(res, len);
}

/* Encrypts the next step of |w|. */
static progress
encrypt(tls_stage *t, aif_write *w)
{
    size_t budget = WRITE_STEP;

    while (w->count > 0 && budget > 0) {
        size_t n = w->bufs->len < budget ? w->bufs->len : budget;

        if (n > 0) {
            Py_ssize_t done = encrypt_some(t, w->bufs->base, n);

            if (done < 0) {
                return is_want_read(t) ? ENCRYPT_BLOCKED : ENCRYPT_FAILED;
            }
            n = (size_t)done;
        }
        w->bufs->base += n;
        w->bufs->len -= n;
        budget -= n;
        if (w->bufs->len == 0) {
            w->bufs++;
            w->count--;
        }
        else if (n == 0) {
            return ENCRYPT_BLOCKED;
        }
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
    if (rc == AIF_ETLS && PyErr_Occurred()) {
        tls_fail(t, AIF_ETLS, "encrypting failed");
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
        if (rc == AIF_ETLS) {
            t->state = TLS_DEAD;
            host_park(host_of(t), rc);
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

/* ---- up: ciphertext to plaintext ---------------------------------------- */

/* Hands ciphertext to OpenSSL's side. 0 or -1 with an exception. */
static int
feed(tls_stage *t, const char *data, size_t len)
{
    PyObject *view = PyMemoryView_FromMemory((char *)(uintptr_t)data,
                                             (Py_ssize_t)len, PyBUF_READ);
    PyObject *res;

    if (view == NULL) {
        return -1;
    }
    res = PyObject_CallMethodOneArg(t->incoming, t->st->str_write, view);
    Py_DECREF(view);
    if (res == NULL) {
        return -1;
    }
    Py_DECREF(res);
    t->barren += len;
    tls_records_follow(&t->seen, (const unsigned char *)data, len);
    return 0;
}

/* ssl.read(len, buf): bytes read, 0 at close_notify, -1 with an exception. */
static Py_ssize_t
decrypt(tls_stage *t, char *buf, size_t len)
{
    PyObject *view, *number, *res;

    if (len > INT_MAX) {
        len = INT_MAX;
    }
    view = PyMemoryView_FromMemory(buf, (Py_ssize_t)len, PyBUF_WRITE);
    number = PyLong_FromSize_t(len);
    if (view == NULL || number == NULL) {
        Py_XDECREF(view);
        Py_XDECREF(number);
        return -1;
    }
    {
        PyObject *args[] = {t->ssl, number, view};

        res = PyObject_VectorcallMethod(t->st->str_read, args, 3, NULL);
    }
    drop_view(t, view);
    Py_DECREF(number);
    return count_of(res, len);
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

/* Reads what else is whole into the rest of |buf|, which has |n| bytes: one
 * upcall serves many records. The total; |*last| is 0 at close_notify, < 0
 * with an exception that is to be told after the bytes. */
static Py_ssize_t
decrypt_more(tls_stage *t, char *buf, size_t len, Py_ssize_t n,
             Py_ssize_t *last)
{
    while (t->seen.whole > 0 && !t->closed
           && len - (size_t)n >= TLS_RECORD_MAX)
    {
        *last = decrypt(t, buf + n, len - (size_t)n);
        if (*last <= 0) {
            if (*last < 0 && is_want_read(t)) {
                t->seen.whole = 0;
                *last = 1;
            }
            break;
        }
        n += *last;
        if (t->seen.whole > 0) {
            t->seen.whole--;
        }
    }
    return n;
}

static void
read_failed(tls_stage *t)
{
    tls_fail(t, t->below_eof ? AIF_ETRUNCATED : AIF_ETLS,
             t->below_eof ? "the peer closed without close_notify"
                          : "TLS failed after the handshake");
}

/* The bytes go up before what came behind them: |last| as decrypt_more() has
 * it. 1 as read_once(). */
static int
deliver(tls_stage *t, char *buf, Py_ssize_t n, Py_ssize_t last)
{
    PyObject *exc = last < 0 ? compat_take_exception() : NULL;

    t->barren = 0;
    t->stage.cbs->on_read(t->stage.user, buf, (size_t)n);
    if (exc != NULL) {
        compat_set_exception(exc);
        if (t->closed) {
            host_swallow(host_of(t));
        }
        else {
            read_failed(t);
        }
        return 0;
    }
    if (last == 0 && !t->closed) {
        report_eof(t);
    }
    return last > 0;
}

/* One read and its upcall. 1: go on; 0: nothing more for now. */
static int
read_once(tls_stage *t)
{
    size_t len = AIF_SLAB_SIZE;
    Py_ssize_t last = 1;
    char *buf = NULL;
    Py_ssize_t n;

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
    n = decrypt(t, buf, len);
    if (t->closed) {
        host_swallow(host_of(t));
        return 0;
    }
    if (n < 0) {
        if (is_want_read(t)) {
            t->seen.whole = 0;
            if (t->stage.cbs->on_spare != NULL) {
                t->stage.cbs->on_spare(t->stage.user);
            }
            return 0;
        }
        read_failed(t);
        return 0;
    }
    if (n == 0) {
        report_eof(t);
        return 0;
    }
    if ((size_t)n < len && t->seen.whole > 0) {
        t->seen.whole--;
    }
    n = decrypt_more(t, buf, len, n, &last);
    if (t->closed) {
        host_swallow(host_of(t));
        return 0;
    }
    return deliver(t, buf, n, last);
}

static int
handshake(tls_stage *t)
{
    PyObject *res = PyObject_CallMethodNoArgs(t->ssl, t->st->str_do_handshake);

    if (res == NULL && is_want_read(t)) {
        if (flush(t) < 0) {
            host_swallow(host_of(t));
        }
        return 0;
    }
    if (res == NULL) {
        PyObject *exc = compat_take_exception();

        if (flush(t) < 0) { /* the alert */
            host_swallow(host_of(t));
        }
        compat_set_exception(exc);
        tls_fail(t, AIF_ETLS,
                 t->below_eof ? "the peer closed during the TLS handshake"
                              : "the TLS handshake failed");
        return 0;
    }
    Py_DECREF(res);
    if (flush(t) < 0) {
        host_swallow(host_of(t));
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
    if (t->state == TLS_HANDSHAKE && !t->closed && !handshake(t)) {
        return;
    }
    while (!t->closed && t->reading && t->state == TLS_OPEN
           && (t->seen.whole > 0 || (t->below_eof && !t->mild)))
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
below_on_read(void *user, const char *data, size_t len)
{
    tls_stage *t = user;

    tls_enter(t);
    if (feed(t, data, len) < 0) {
        tls_fail(t, AIF_ENOMEM, "out of memory");
    }
    else {
        pump_in(t);
        if (t->barren > MAX_BARREN && !t->closed && t->state < TLS_ENDED) {
            tls_fail(t, AIF_ETLS, "the peer's TLS messages have no end");
        }
    }
    tls_leave(t);
}

/* The end came in the middle of TLS. OpenSSL is not told: it would let nothing
 * be written any more, and the peer may still read. */
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
    PyObject *res;

    tls_enter(t);
    t->below_eof = 1;
    if (t->mild) {
        pump_in(t);
        report_cut(t);
        tls_leave(t);
        return;
    }
    res = PyObject_CallMethodNoArgs(t->incoming, t->st->str_write_eof);
    if (res == NULL) {
        host_swallow(host_of(t));
    }
    Py_XDECREF(res);
    pump_in(t);
    tls_leave(t);
}

static void
below_on_fail(void *user, const aif_err *err)
{
    tls_stage *t = user;

    tls_enter(t);
    t->state = TLS_DEAD;
    if (!t->reported && !t->closed) {
        t->reported = 1;
        t->stage.cbs->on_fail(t->stage.user, err);
    }
    tls_leave(t);
}

static const aif_stage_cbs below_cbs = {
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
    tls_enter(t);
    pump_in(t);
    tls_leave(t);
    return 0;
}

/* ---- silence ------------------------------------------------------------ */

/* An idle connection may hold session tickets, which are no data. Everything
 * the socket has is read; only what decrypts to data, or an end, counts. */
static int
tls_probe(aif_stage *s)
{
    tls_stage *t = tls_of(s);
    aif_tcp *tcp = (aif_tcp *)(void *)s->below;
    /* Not the slab: another connection may be in the middle of it. */
    char some[PROBE_STEP];
    char byte;
    size_t seen = 0;
    int n;

    if (t->state != TLS_OPEN || t->below_eof) {
        return AIF_EDISCONNECTED;
    }
    while (seen < PROBE_MAX
           && (n = aif_tcp_read_now(tcp, some, sizeof(some))) > 0)
    {
        seen += (size_t)n;
        if (feed(t, some, (size_t)n) < 0) {
            host_swallow(host_of(t));
            return AIF_EDISCONNECTED;
        }
        if (t->barren > MAX_BARREN) {
            return AIF_EDISCONNECTED;
        }
    }
    /* Half a record may be half of anything. */
    if (n != UV_EAGAIN || tls_records_is_inside(&t->seen)) {
        return AIF_EDISCONNECTED;
    }
    if (t->seen.whole > 0) {
        Py_ssize_t got = decrypt(t, &byte, 1);

        if (got >= 0 || !is_want_read(t)) {
            host_swallow(host_of(t));
            return AIF_EDISCONNECTED;
        }
        t->seen.whole = 0;
    }
    return 0;
}

/* ---- the end ------------------------------------------------------------ */

/* Sends close_notify, as far as the socket takes it at once. */
static void
say_goodbye(tls_stage *t)
{
    PyObject *res;

    t->said = 1;
    res = PyObject_CallMethodNoArgs(t->ssl, t->st->str_unwrap);
    if (res == NULL) {
        /* The peer's own close_notify is for the reads to find. */
        host_swallow(host_of(t));
    }
    if (flush(t) < 0) {
        host_swallow(host_of(t));
    }
    if (res != NULL && !t->closed) {
        report_eof(t); /* It was there already. */
    }
    Py_XDECREF(res);
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
        tls_enter(t);
        pump_in(t); /* What has come is read before, or OpenSSL complains. */
        tls_leave(t);
    }
    return 0;
}

static void
tls_close(aif_stage *s)
{
    tls_stage *t = tls_of(s);
    PyObject *raised;
    aif_list *node;

    if (t->closed) {
        return;
    }
    raised = compat_take_exception();
    tls_enter(t);
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
    tls_leave(t);
    if (raised != NULL) {
        compat_set_exception(raised);
    }
}

static void
tls_enter(tls_stage *t)
{
    t->depth++;
}

static void
tls_leave(tls_stage *t)
{
    t->depth--;
    if (t->depth == 0 && t->closed) {
        Py_CLEAR(t->sending);
        Py_CLEAR(t->ssl);
        Py_CLEAR(t->incoming);
        Py_CLEAR(t->outgoing);
        aif_mem_free(t);
    }
}

static const aif_stage_type tls_type = {
    .name = "tls",
    .write = tls_write,
    .read = tls_read,
    .probe = tls_probe,
    .shutdown = tls_shutdown,
    .close = tls_close,
};

/* ---- the beginning ------------------------------------------------------ */

/* context.wrap_bio(incoming, outgoing, server_side, server_hostname=,
 * session=) */
static PyObject *
wrap(tls_stage *t, PyObject *context, int server_side, const char *server_name,
     PyObject *session)
{
    PyObject *name = server_name == NULL ? Py_NewRef(Py_None)
                                         : PyUnicode_FromString(server_name);
    PyObject *ssl = NULL;

    if (name != NULL) {
        PyObject *args[] = {context,     t->incoming,
                            t->outgoing, server_side ? Py_True : Py_False,
                            name,        session == NULL ? Py_None : session};

        ssl = PyObject_VectorcallMethod(t->st->str_wrap_bio, args, 4,
                                        t->st->kw_wrap);
        Py_DECREF(name);
    }
    return ssl;
}

static aif_stage *
stage_new(core_state *st, aif_stage *below, PyObject *context, int server_side,
          const char *server_name, PyObject *session, aif_err *err)
{
    tls_stage *t = aif_mem_zalloc(sizeof(*t));

    if (t == NULL) {
        aif_err_set(err, AIF_ENOMEM, "out of memory");
        return NULL;
    }
    t->st = st;
    t->stage.type = &tls_type;
    t->stage.loop = below->loop;
    t->state = TLS_HANDSHAKE;
    aif_list_init(&t->writes);
    if (state_import(&st->memory_bio, "ssl", "MemoryBIO") == 0
        && state_import(&st->want_read, "ssl", "SSLWantReadError") == 0)
    {
        t->incoming = PyObject_CallNoArgs(st->memory_bio);
        t->outgoing = PyObject_CallNoArgs(st->memory_bio);
    }
    if (t->incoming != NULL && t->outgoing != NULL) {
        t->ssl = wrap(t, context, server_side, server_name, session);
    }
    if (t->ssl == NULL) {
        host_park(below->loop->user, AIF_ETLS);
        aif_err_set(err, AIF_ETLS, "TLS could not be set up");
        Py_XDECREF(t->incoming);
        Py_XDECREF(t->outgoing);
        aif_mem_free(t);
        return NULL;
    }
    t->offered = session != NULL;
    t->stage.below = below;
    aif_stage_set_user(below, &below_cbs, t);
    return &t->stage;
}

aif_stage *
tls_new(core_state *st, aif_stage *below, PyObject *context,
        const char *server_name, PyObject *session, aif_err *err)
{
    return stage_new(st, below, context, 0, server_name, session, err);
}

aif_stage *
tls_new_server(core_state *st, aif_stage *below, PyObject *context,
               aif_err *err)
{
    return stage_new(st, below, context, 1, NULL, NULL, err);
}

int
tls_is_ended(aif_stage *stage)
{
    return tls_of(stage)->state == TLS_ENDED;
}

void
tls_be_mild(aif_stage *stage)
{
    tls_of(stage)->mild = 1;
}

void
tls_abandon(aif_stage *stage)
{
    while (stage != NULL && stage->type == &tls_type) {
        tls_of(stage)->state = TLS_DEAD;
        stage = stage->below;
    }
}

PyObject *
tls_object(aif_stage *stage)
{
    return tls_of(stage)->ssl;
}

int
tls_resumption(aif_stage *stage)
{
    tls_stage *t = tls_of(stage);
    PyObject *resumed;
    int is;

    if (!t->offered) {
        return 0;
    }
    resumed = PyObject_GetAttrString(t->ssl, "session_reused");
    if (resumed == NULL) {
        host_swallow(host_of(t));
    }
    is = resumed == Py_True;
    Py_XDECREF(resumed);
    return is ? 1 : -1;
}

PyObject *
tls_session_of(core_state *st, PyObject *object)
{
    PyObject *session = PyObject_GetAttr(object, st->str_session);

    if (session == NULL) {
        PyErr_Clear();
    }
    else if (session == Py_None) {
        Py_CLEAR(session);
    }
    return session;
}
