/* veil -- a stage that stands where TLS would, and passes on what comes.
 *
 * It opens, fails or ends as |veil_of.mode| says, so that the client's side of
 * a handshake is tested without one.
 */
#ifndef VEIL_H
#define VEIL_H

#include "fetching.h"

enum { OPEN_AT_ONCE, OPEN_ON_BYTE, FAIL_ON_BYTE, EOF_ON_BYTE, NOT_MADE };

static struct {
    int mode;
    int write_code;
    unsigned made, closed, used, opened, origins;
} veil_of;

typedef struct veil {
    aif_stage stage;
    unsigned depth;
    unsigned open : 1;
    unsigned closed : 1;
} veil;

static inline void
veil_leave(veil *v)
{
    if (--v->depth == 0 && v->closed) {
        aif_mem_free(v);
    }
}

static inline int
veil_write(aif_stage *s, aif_write *w)
{
    return veil_of.write_code < 0 ? veil_of.write_code
                                  : aif_stage_write(s->below, w);
}

static inline int
veil_read(aif_stage *s, int on)
{
    veil *v = (veil *)(void *)s;
    int rc = aif_stage_read(s->below, on);

    if (rc == 0 && on && !v->open && veil_of.mode == OPEN_AT_ONCE) {
        v->open = 1;
        v->depth++;
        s->cbs->on_open(s->user);
        veil_leave(v);
    }
    return rc;
}

static inline int
veil_probe(aif_stage *s)
{
    return aif_stage_probe(s->below);
}

static inline void
veil_close(aif_stage *s)
{
    veil *v = (veil *)(void *)s;

    veil_of.closed++;
    v->depth++;
    v->closed = 1;
    aif_stage_close(s->below);
    veil_leave(v);
}

static const aif_stage_type veil_type = {
    .name = "tls",
    .write = veil_write,
    .read = veil_read,
    .probe = veil_probe,
    .close = veil_close,
};

static inline void
veil_on_read(void *user, const char *data, size_t len)
{
    veil *v = user;
    aif_err err;

    v->depth++;
    if (v->open) {
        v->stage.cbs->on_read(v->stage.user, data, len);
    }
    else if (veil_of.mode == OPEN_ON_BYTE) {
        v->open = 1;
        v->stage.cbs->on_open(v->stage.user);
    }
    else if (veil_of.mode == EOF_ON_BYTE) {
        v->stage.cbs->on_eof(v->stage.user);
    }
    else {
        aif_err_set(&err, AIF_ETLS, "the veil is torn");
        v->stage.cbs->on_fail(v->stage.user, &err);
    }
    veil_leave(v);
}

static inline void
veil_on_eof(void *user)
{
    veil *v = user;

    v->stage.cbs->on_eof(v->stage.user);
}

static inline void
veil_on_fail(void *user, const aif_err *err)
{
    veil *v = user;

    v->stage.cbs->on_fail(v->stage.user, err);
}

static const aif_stage_cbs veil_below = {
    .on_read = veil_on_read,
    .on_eof = veil_on_eof,
    .on_fail = veil_on_fail,
};

static inline aif_stage *
veil_new(void *user, aif_stage *below, aif_origin *o, aif_err *err)
{
    veil *v;

    CHECK(user == &veil_of);
    CHECK(o->secure && strcmp(o->server_name, "127.0.0.1") == 0);
    if (veil_of.mode == NOT_MADE) {
        aif_err_set(err, AIF_ETLS, "no veil today");
        return NULL;
    }
    v = aif_mem_zalloc(sizeof(*v));
    if (v == NULL) {
        aif_err_set(err, AIF_ENOMEM, "out of memory");
        return NULL;
    }
    veil_of.made++;
    v->stage.type = &veil_type;
    v->stage.loop = below->loop;
    v->stage.below = below;
    aif_stage_set_user(below, &veil_below, v);
    return &v->stage;
}

static inline void
veil_used(void *user, aif_stage *tls, aif_origin *o)
{
    CHECK(user == &veil_of && tls->type == &veil_type && o->secure);
    veil_of.used++;
}

static inline void
veil_origin_open(void *user, aif_origin *o)
{
    CHECK(user == &veil_of && o->open == 0);
    veil_of.opened++;
    veil_of.origins++;
}

static inline void
veil_origin_close(void *user, aif_origin *o)
{
    CHECK(user == &veil_of && o->open == 0);
    veil_of.origins--;
}

static const aif_pool_hooks veil_hooks = {
    .tls_new = veil_new,
    .tls_used = veil_used,
    .origin_open = veil_origin_open,
    .origin_close = veil_origin_close,
};

static inline void
veil_open(int mode)
{
    memset(&veil_of, 0, sizeof(veil_of));
    veil_of.mode = mode;
    bench_open();
    b.hooks = &veil_hooks;
    b.user = &veil_of;
}

static inline void
veil_end(void)
{
    bench_close();
    CHECK_EQ_INT(veil_of.made, veil_of.closed);
    CHECK_EQ_INT(veil_of.origins, 0);
}

static inline void
secure_begin(call *c)
{
    call_init(c, 0);
    c->secure = 1;
    CHECK_EQ_INT(call_start(c), 0);
}

#endif
