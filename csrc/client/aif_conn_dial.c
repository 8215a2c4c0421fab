/* aif_conn_dial.c -- a connection's beginning: dial, handshake.
 *
 * The pool dials itself, or has its owner do that. Rules for upcalls as in
 * aif_conn.c.
 */
#include <string.h>

#include "base/aif_ipscope.h"
#include "base/aif_mem.h"
#include "client/aif_conn.h"

static void
on_dial_resolved(void *user, int cached)
{
    aif_conn *c = user;

    if (c->fetch != NULL) {
        c->fetch->dns_cached = cached ? 1 : 0;
        aif_fetch_enter(c->fetch, AIF_PHASE_CONNECT, uv_hrtime());
    }
}

/* Puts TLS over the socket; the fetch is told before, so that what goes wrong
 * here is known as a failure of that phase. */
static void
conn_secure(aif_conn *c, aif_tcp *tcp)
{
    aif_err err = {0};
    aif_stage *tls = NULL;

    aif_fetch_securing(c->fetch);
    if (c->state == AIF_CONN_CLOSED) {
        aif_stage_close(&tcp->stage);
        return;
    }
    if (c->pool->hooks != NULL && c->pool->hooks->tls_new != NULL) {
        tls = c->pool->hooks->tls_new(c->pool->user, &tcp->stage, c->origin,
                                      &err);
    }
    else {
        aif_err_set(&err, AIF_ETLS, "this pool cannot speak TLS");
    }
    if (tls == NULL) {
        aif_stage_close(&tcp->stage);
        aif_conn_fail(c, err.code < 0 ? err.code : AIF_ETLS, &err);
        return;
    }
    c->secure = 1;
    c->stage = tls;
    aif_stage_set_user(tls, &aif_conn_stage_cbs, c);
    if (aif_stage_read(tls, 1) < 0 && c->state != AIF_CONN_CLOSED) {
        aif_err_set(&err, AIF_ETLS, "reading could not start");
        aif_conn_fail(c, AIF_ETLS, &err);
    }
}

static void
note_peer(aif_conn *c, const aif_tcp *tcp)
{
    struct sockaddr_storage addr;
    int len = sizeof(addr);

    if (aif_tcp_peer(tcp, &addr, &len) == 0) {
        aif_tcp_format_address((struct sockaddr *)&addr, c->peer,
                               sizeof(c->peer));
    }
}

/* There is a connected socket. */
static void
conn_connected(aif_conn *c, aif_tcp *tcp)
{
    int rc;

    note_peer(c, tcp);
    if (c->origin->secure && !c->veiled) {
        conn_secure(c, tcp);
        return;
    }
    c->stage = &tcp->stage;
    aif_stage_set_user(c->stage, &aif_conn_stage_cbs, c);
    rc = aif_stage_read(c->stage, 1);
    if (rc < 0) {
        aif_err failed = {0};

        aif_err_set_sys(&failed, rc, rc, "reading could not start");
        aif_conn_fail(c, rc, &failed);
    }
    else {
        aif_conn_stage_cbs.on_open(c);
    }
}

static void
on_dial_done(void *user, aif_tcp *tcp, const aif_err *err)
{
    aif_conn *c = user;

    aif_conn_enter(c);
    c->dial = NULL;
    if (tcp == NULL) {
        aif_conn_fail(c, err->code, err);
    }
    else {
        conn_connected(c, tcp);
    }
    aif_conn_leave(c);
}

static const aif_dial_cbs dial_cbs = {
    .on_resolved = on_dial_resolved,
    .on_done = on_dial_done,
};

static int
conn_dial(aif_conn *c, const char *host, uint16_t port)
{
    aif_pool *p = c->pool;
    aif_dial_options options = {
        .host = host,
        .port = port,
        .unix_path = p->settings.unix_path,
        .family = p->settings.family,
        .race_ms = p->settings.race_ms,
        .ttl_ms = p->settings.dns_ttl_ms,
        .local_addr = p->settings.local_addr,
        .public_only = p->settings.public_only || c->origin->public_only,
    };

    return aif_dial_start(p->loop, &options, &dial_cbs, c, &c->dial);
}

static void
note_start(aif_err *err, int rc)
{
    aif_err_set_sys(err, rc, rc, "the connection could not be started: %s",
                    rc > AIF_ERR_FIRST ? uv_strerror(rc) : aif_err_name(rc));
}

/* ---- by the owner ------------------------------------------------------- */

static int
conn_ask(aif_conn *c, aif_fetch *f, aif_err *err)
{
    const aif_pool_hooks *hooks = c->pool->hooks;

    if (hooks == NULL || hooks->dial == NULL) {
        return aif_err_set(err, AIF_EINVAL, "this pool has no dialer");
    }
    return hooks->dial(c->pool->user, f, c, &c->errand, err);
}

void
aif_conn_aim(aif_conn *c, const char *addresses, uint16_t port)
{
    aif_err err = {0};
    int rc;

    aif_conn_enter(c);
    c->errand = NULL;
    rc = conn_dial(c, addresses, port);
    if (rc < 0 && c->state != AIF_CONN_CLOSED) {
        c->dial = NULL;
        note_start(&err, rc);
        aif_conn_fail(c, rc, &err);
    }
    aif_conn_leave(c);
}

/* Why the socket may not be used; NULL if it may. */
static const char *
forbidden_peer(const aif_conn *c, const aif_tcp *tcp)
{
    struct sockaddr_storage addr;
    unsigned char bytes[16];
    int len = sizeof(addr);

    if (!c->pool->settings.public_only && !c->origin->public_only) {
        return NULL;
    }
    if (aif_tcp_peer(tcp, &addr, &len) == 0) {
        if (addr.ss_family == AF_INET) {
            memcpy(bytes, &((const struct sockaddr_in *)&addr)->sin_addr, 4);
            return aif_ipscope_v4(bytes);
        }
        if (addr.ss_family == AF_INET6) {
            memcpy(bytes, &((const struct sockaddr_in6 *)&addr)->sin6_addr,
                   16);
            return aif_ipscope_v6(bytes);
        }
    }
    return "not known";
}

int
aif_conn_adopt(aif_conn *c, int fd, int family, int veiled)
{
    aif_err err = {0};
    const char *what;
    int rc = 0;
    aif_tcp *tcp = aif_tcp_adopt(c->pool->loop, fd, family, &rc);

    aif_conn_enter(c);
    c->errand = NULL;
    if (tcp == NULL) {
        note_start(&err, rc);
        aif_conn_fail(c, rc, &err);
        aif_conn_leave(c);
        return rc;
    }
    on_dial_resolved(c, 0);
    if (c->state == AIF_CONN_CLOSED) {
        aif_stage_close(&tcp->stage);
        aif_conn_leave(c);
        return 0;
    }
    what = forbidden_peer(c, tcp);
    if (what != NULL) {
        aif_err_set(&err, AIF_EFORBIDDEN,
                    "the peer of the socket that was given is %s, and only "
                    "public addresses are allowed",
                    what);
        aif_stage_close(&tcp->stage);
        aif_conn_fail(c, AIF_EFORBIDDEN, &err);
    }
    else {
        c->veiled = veiled ? 1 : 0;
        conn_connected(c, tcp);
    }
    aif_conn_leave(c);
    return 0;
}

/* ---- the beginning ------------------------------------------------------ */

static aif_conn *
conn_new(aif_pool *p, aif_origin *o, aif_fetch *f)
{
    aif_conn *c = aif_mem_zalloc(sizeof(*c));

    if (c == NULL) {
        return NULL;
    }
    c->parser = aif_h1parse_new(AIF_H1_RESPONSE, NULL, &aif_conn_parse_cbs, c);
    if (c->parser == NULL) {
        aif_mem_free(c);
        return NULL;
    }
    c->pool = p;
    c->origin = o;
    c->state = AIF_CONN_DIALING;
    c->fetch = f;
    aif_list_init(&c->idle);
    aif_list_init(&c->aged);
    aif_deadline_init(&c->drain, aif_conn_on_drain_due);
    aif_list_push_tail(&p->conns, &c->link);
    p->open++;
    p->dialing++;
    o->open++;
    return c;
}

int
aif_conn_open(aif_pool *p, aif_origin *o, aif_fetch *f, aif_err *err)
{
    aif_conn *c = conn_new(p, o, f);
    int rc = 0;

    if (c == NULL) {
        return aif_err_set(err, AIF_ENOMEM, "out of memory");
    }
    aif_conn_enter(c);
    aif_fetch_dialing(f, c);
    if (c->state == AIF_CONN_CLOSED) {
        /* An upcall has ended the fetch, and all is done. */
    }
    else if (f->dialer != NULL) {
        rc = conn_ask(c, f, err);
    }
    else {
        rc = conn_dial(c, o->host, o->port);
        if (rc < 0) {
            note_start(err, rc);
        }
    }
    if (c->state == AIF_CONN_CLOSED) {
        rc = 0;
    }
    else if (rc < 0) {
        c->dial = NULL;
        c->errand = NULL;
        c->fetch = NULL;
        f->conn = NULL;
        aif_conn_close(c);
    }
    aif_conn_leave(c);
    return rc;
}
