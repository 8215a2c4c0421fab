/* aif_pool.c -- origins, kept connections, limits and the queue.
 *
 * pool_pump() is the one place that serves waiters; everything that frees room
 * ends there.
 */
#include "client/aif_pool.h"

#include <string.h>

#include "base/aif_mem.h"
#include "client/aif_conn.h"

#define FIRST_BUCKETS 16u

/* Origins without connections are remembered for their TLS session. */
#define MAX_UNUSED 256u

/* How far apart two walks over the idle connections are, at least. */
#define SWEEP_GAP_NS (100u * 1000u * 1000u)

/* How long the stalled fetches may decode in one turn of the loop. */
#define TURN_NS (3u * 1000u * 1000u)

static void on_sweep(aif_deadline *d);
static void pool_pump(aif_pool *p);

/* ---- origins ------------------------------------------------------------ */

static uint64_t
hash_key(const char *key, size_t len)
{
    uint64_t h = 1469598103934665603ull; /* FNV-1a */

    for (size_t i = 0; i < len; i++) {
        h = (h ^ (unsigned char)key[i]) * 1099511628211ull;
    }
    return h;
}

/* flags, port, TLS identity, server name, NUL, host: lengths vary only at
 * the end and names hold no NUL, so keys cannot collide. */
static size_t
write_key(char *out, const aif_target *t)
{
    size_t at = 0;
    char flags = (char)((t->secure ? 1 : 0) | (t->public_only ? 2 : 0));

    memcpy(out + at, &flags, 1);
    at += 1;
    memcpy(out + at, &t->port, sizeof(t->port));
    at += sizeof(t->port);
    memcpy(out + at, &t->tls, sizeof(t->tls));
    at += sizeof(t->tls);
    if (t->server_name.len > 0) {
        memcpy(out + at, t->server_name.ptr, t->server_name.len);
        at += t->server_name.len;
    }
    out[at++] = '\0';
    memcpy(out + at, t->host.ptr, t->host.len);
    return at + t->host.len;
}

static void
origin_free(aif_origin *o)
{
    aif_pool *p = o->pool;
    aif_origin **at = &p->buckets[o->hash & (p->bucket_count - 1)];

    while (*at != o) {
        at = &(*at)->next;
    }
    *at = o->next;
    p->origins--;
    if (!aif_list_empty(&o->unused)) {
        aif_list_unlink(&o->unused);
        p->unused_count--;
    }
    if (p->hooks != NULL && p->hooks->origin_close != NULL) {
        p->hooks->origin_close(p->user, o);
    }
    aif_mem_free(o->key);
    aif_mem_free(o->host);
    aif_mem_free(o->server_name);
    aif_mem_free(o);
}

/* Nobody uses |o| now: it is kept for a while, as one of a bounded number. */
static void
origin_idle(aif_origin *o)
{
    aif_pool *p = o->pool;

    if (o->open > 0 || o->users > 0 || !aif_list_empty(&o->unused)) {
        return;
    }
    if (p->closed || o->session == NULL) {
        origin_free(o);
        return;
    }
    aif_list_push_tail(&p->unused, &o->unused);
    p->unused_count++;
    if (p->unused_count > MAX_UNUSED) {
        origin_free(
            AIF_LIST_ENTRY(aif_list_head(&p->unused), aif_origin, unused));
    }
}

static int
grow_buckets(aif_pool *p)
{
    size_t count = p->bucket_count * 2;
    aif_origin **buckets = aif_mem_zalloc(count * sizeof(*buckets));

    if (buckets == NULL) {
        return AIF_ENOMEM;
    }
    for (size_t i = 0; i < p->bucket_count; i++) {
        aif_origin *o = p->buckets[i];

        while (o != NULL) {
            aif_origin *next = o->next;

            o->next = buckets[o->hash & (count - 1)];
            buckets[o->hash & (count - 1)] = o;
            o = next;
        }
    }
    aif_mem_free(p->buckets);
    p->buckets = buckets;
    p->bucket_count = count;
    return 0;
}

static aif_origin *
origin_new(aif_pool *p, const aif_target *t, const char *key, size_t key_len,
           uint64_t hash)
{
    aif_slice name = t->server_name.len > 0 ? t->server_name : t->host;
    aif_origin *o;

    if (p->origins >= p->bucket_count && grow_buckets(p) < 0) {
        return NULL;
    }
    o = aif_mem_zalloc(sizeof(*o));
    if (o == NULL) {
        return NULL;
    }
    o->pool = p;
    o->hash = hash;
    o->key = aif_mem_dup(key, key_len);
    o->key_len = key_len;
    o->host = aif_mem_dup(t->host.ptr, t->host.len);
    o->server_name = aif_mem_dup(name.ptr, name.len);
    if (o->key == NULL || o->host == NULL || o->server_name == NULL) {
        aif_mem_free(o->key);
        aif_mem_free(o->host);
        aif_mem_free(o->server_name);
        aif_mem_free(o);
        return NULL;
    }
    o->port = t->port;
    o->secure = t->secure ? 1 : 0;
    o->public_only = t->public_only ? 1 : 0;
    o->tls = t->tls;
    aif_list_init(&o->idle);
    aif_list_init(&o->draining);
    aif_list_init(&o->waiters);
    aif_list_init(&o->unused);
    o->next = p->buckets[hash & (p->bucket_count - 1)];
    p->buckets[hash & (p->bucket_count - 1)] = o;
    p->origins++;
    if (p->hooks != NULL && p->hooks->origin_open != NULL) {
        p->hooks->origin_open(p->user, o);
    }
    return o;
}

int
aif_pool_origin(aif_pool *p, const aif_target *t, aif_origin **out)
{
    char small[256];
    size_t size = 1 + sizeof(t->port) + sizeof(t->tls) + t->server_name.len + 1
                  + t->host.len;
    char *key = size <= sizeof(small) ? small : aif_mem_alloc(size);
    size_t len;
    uint64_t hash;
    aif_origin *o;

    if (key == NULL) {
        return AIF_ENOMEM;
    }
    len = write_key(key, t);
    hash = hash_key(key, len);
    for (o = p->buckets[hash & (p->bucket_count - 1)]; o != NULL; o = o->next)
    {
        if (o->hash == hash && o->key_len == len
            && memcmp(o->key, key, len) == 0)
        {
            break;
        }
    }
    if (o == NULL) {
        o = origin_new(p, t, key, len, hash);
    }
    else if (!aif_list_empty(&o->unused)) {
        aif_list_unlink(&o->unused);
        p->unused_count--;
    }
    if (key != small) {
        aif_mem_free(key);
    }
    if (o == NULL) {
        return AIF_ENOMEM;
    }
    o->users++;
    *out = o;
    return 0;
}

void
aif_pool_leave_origin(aif_origin *o)
{
    if (o != NULL) {
        o->users--;
        origin_idle(o);
    }
}

/* ---- the queue ---------------------------------------------------------- */

static int
origin_is_full(const aif_pool *p, const aif_origin *o)
{
    return p->settings.limit_per_host > 0
           && o->open >= p->settings.limit_per_host;
}

static int
pool_is_full(const aif_pool *p)
{
    return p->settings.limit > 0 && p->open >= p->settings.limit;
}

static uint64_t
seq_of(aif_list *node)
{
    return AIF_LIST_ENTRY(node, aif_fetch, waiting)->seq;
}

/* Into |queue|, by order of arrival: nearly always at the tail; a retry or one
 * that had stepped aside goes to its place from the front. */
static void
enqueue(aif_list *queue, aif_fetch *f)
{
    aif_list *tail = aif_list_tail(queue);
    aif_list *at = queue->next;

    if (tail == NULL || seq_of(tail) < f->seq) {
        aif_list_push_tail(queue, &f->waiting);
        return;
    }
    while (at != queue && seq_of(at) < f->seq) {
        at = at->next;
    }
    aif_list_insert_before(at, &f->waiting);
}

/* A connection of |o| became free or went: its oldest waiter, if it had
 * stepped aside for its origin's limit, takes its place in the queue again. */
static void
recall_waiter(aif_pool *p, aif_origin *o)
{
    aif_list *node = aif_list_head(&o->waiters);

    if (node != NULL) {
        aif_list_unlink(node);
        enqueue(&p->waiters, AIF_LIST_ENTRY(node, aif_fetch, waiting));
    }
}

void
aif_pool_withdraw(aif_pool *p, aif_fetch *f)
{
    aif_origin *o = f->origin;

    aif_list_unlink(&f->waiting);
    p->waiting--;
    /* It may have been recalled for a connection that nobody else of its
     * origin would then hear of. */
    if (p->closed || !origin_is_full(p, o) || !aif_list_empty(&o->idle)) {
        recall_waiter(p, o);
    }
}

/* The latest used connection of |o| that may still be used; others go. */
static aif_conn *
take_idle(aif_origin *o)
{
    aif_list *node;
    uint64_t now = uv_hrtime();

    while ((node = aif_list_head(&o->idle)) != NULL) {
        aif_conn *c = AIF_LIST_ENTRY(node, aif_conn, idle);

        if (aif_conn_is_fresh(c, now)) {
            aif_list_unlink(&c->idle);
            aif_list_unlink(&c->aged);
            return c;
        }
        aif_conn_close(c);
    }
    return NULL;
}

/* The same within the limit of |o|. Its idle connections are in the way only
 * of a fetch that may not take one. */
static int
make_origin_room(aif_pool *p, aif_origin *o)
{
    aif_list *oldest = aif_list_tail(&o->idle);

    if (oldest == NULL) {
        oldest = aif_list_head(&o->draining);
    }
    if (origin_is_full(p, o) && oldest != NULL) {
        aif_conn_close(AIF_LIST_ENTRY(oldest, aif_conn, idle));
    }
    return !origin_is_full(p, o);
}

/* Room for one more connection, made if need be by closing an idle one, or one
 * that drains: who waits is worth more than a connection that may be saved. */
static int
make_room(aif_pool *p)
{
    aif_list *oldest;

    if (!pool_is_full(p)) {
        return 1;
    }
    oldest = aif_list_head(&p->idle);
    if (oldest == NULL) {
        oldest = aif_list_head(&p->draining);
    }
    if (oldest == NULL) {
        return 0;
    }
    aif_conn_close(AIF_LIST_ENTRY(oldest, aif_conn, aged));
    return !pool_is_full(p);
}

static void
open_for(aif_pool *p, aif_fetch *f)
{
    aif_err err = {0};
    int rc;

    aif_fetch_ref(f);
    rc = aif_conn_open(p, f->origin, f, &err);
    if (rc < 0) {
        f->err = err;
        aif_fetch_end(f, rc);
    }
    aif_fetch_unref(f);
}

/* Serves waiters, oldest first, while there is room. Whatever makes room from
 * inside leaves the rest to the loop here: no upcall comes between the look
 * for a connection and its use. */
static void
pool_pump(aif_pool *p)
{
    aif_list *node;

    if (p->pumping) {
        return;
    }
    p->pumping = 1;
    while (!p->closed && (node = aif_list_head(&p->waiters)) != NULL) {
        aif_fetch *f = AIF_LIST_ENTRY(node, aif_fetch, waiting);
        aif_origin *o = f->origin;
        aif_conn *c = f->retried ? NULL : take_idle(o);

        if (c == NULL && !make_origin_room(p, o)) {
            aif_list_unlink(node);
            enqueue(&o->waiters, f);
            continue;
        }
        if (c == NULL && !make_room(p)) {
            break;
        }
        aif_list_unlink(node);
        p->waiting--;
        if (c != NULL) {
            aif_conn_begin(c, f);
        }
        else {
            open_for(p, f);
        }
    }
    p->pumping = 0;
}

void
aif_pool_queue(aif_pool *p, aif_fetch *f)
{
    if (p->closed) {
        aif_err_set(&f->err, AIF_ECLOSED, "the pool was closed");
        aif_fetch_end(f, AIF_ECLOSED);
        return;
    }
    if (f->seq == 0) {
        f->seq = ++p->seq;
    }
    p->waiting++;
    enqueue(&p->waiters, f);
}

void
aif_pool_acquire(aif_pool *p, aif_fetch *f)
{
    aif_pool_queue(p, f);
    pool_pump(p);
}

void
aif_pool_draining(aif_pool *p, aif_conn *c)
{
    aif_list_push_tail(&c->origin->draining, &c->idle);
    aif_list_push_tail(&p->draining, &c->aged);
    recall_waiter(p, c->origin);
    pool_pump(p);
}

void
aif_pool_release(aif_pool *p, aif_conn *c)
{
    aif_origin *o = c->origin;
    uint64_t keep = p->settings.keepalive;
    uint64_t now;

    if (c->keep_ns != 0 && c->keep_ns < keep) {
        keep = c->keep_ns;
    }
    if (p->closed || p->settings.force_close || keep == 0) {
        aif_conn_close(c);
        return;
    }
    now = uv_hrtime();
    c->state = AIF_CONN_READY;
    c->expires = now + keep;
    p->busy--;
    p->idle_count++;
    aif_list_push_head(&o->idle, &c->idle);
    aif_list_push_tail(&p->idle, &c->aged);
    aif_conn_read(c, 1); /* so that an end or a byte is noticed */
    if (c->state != AIF_CONN_READY) {
        return;
    }
    if (!aif_deadline_is_set(&p->sweep) || p->sweep.due > c->expires) {
        (void)aif_deadline_set(&p->loop->deadlines, &p->sweep, c->expires);
    }
    recall_waiter(p, o);
    pool_pump(p);
}

void
aif_pool_closed(aif_pool *p, aif_origin *o)
{
    p->open--;
    o->open--;
    recall_waiter(p, o);
    origin_idle(o);
    pool_pump(p);
}

/* ---- the pool ----------------------------------------------------------- */

static void
on_sweep(aif_deadline *d)
{
    aif_pool *p = AIF_LIST_ENTRY(d, aif_pool, sweep);
    uint64_t now = uv_hrtime();
    uint64_t next = 0;
    aif_list *node = p->idle.next;

    p->pumping = 1; /* Nobody else takes from the list that is walked here. */
    while (node != &p->idle) {
        aif_conn *c = AIF_LIST_ENTRY(node, aif_conn, aged);

        node = node->next;
        if (c->expires <= now) {
            aif_conn_close(c);
        }
        else if (next == 0 || c->expires < next) {
            next = c->expires;
        }
    }
    if (next != 0) {
        /* None is used after its time; that it stays open a little longer
         * makes one walk do for all that end at about the same time. */
        next = next < now + SWEEP_GAP_NS ? now + SWEEP_GAP_NS : next;
        (void)aif_deadline_set(&p->loop->deadlines, &p->sweep, next);
    }
    p->pumping = 0;
    pool_pump(p);
}

void
aif_pool_stalled(aif_pool *p)
{
    if (!aif_deadline_is_set(&p->turn) && !p->closed) {
        (void)aif_deadline_set(&p->loop->deadlines, &p->turn, uv_hrtime());
    }
}

/* Each of the stalled fetches in turn, until the loop should get on. */
static void
on_turn(aif_deadline *d)
{
    aif_pool *p = AIF_LIST_ENTRY(d, aif_pool, turn);
    uint64_t due = uv_hrtime() + TURN_NS;
    aif_list *node;

    while ((node = aif_list_head(&p->stalled)) != NULL && uv_hrtime() < due) {
        /* It leaves the front by that, one way or the other. */
        aif_fetch_go_on(AIF_LIST_ENTRY(node, aif_fetch, stalled));
    }
    if (!aif_list_empty(&p->stalled)) {
        aif_pool_stalled(p);
    }
}

aif_pool *
aif_pool_new(aif_loop *loop, const aif_pool_settings *settings,
             const aif_pool_hooks *hooks, void *user)
{
    aif_pool *p = aif_mem_zalloc(sizeof(*p));

    if (p == NULL) {
        return NULL;
    }
    p->buckets = aif_mem_zalloc(FIRST_BUCKETS * sizeof(*p->buckets));
    if (p->buckets == NULL) {
        aif_mem_free(p);
        return NULL;
    }
    p->bucket_count = FIRST_BUCKETS;
    p->loop = loop;
    p->settings = *settings;
    p->hooks = hooks;
    p->user = user;
    aif_list_init(&p->conns);
    aif_list_init(&p->idle);
    aif_list_init(&p->draining);
    aif_list_init(&p->waiters);
    aif_list_init(&p->unused);
    aif_list_init(&p->stalled);
    aif_list_init(&p->parked);
    aif_deadline_init(&p->sweep, on_sweep);
    aif_deadline_init(&p->turn, on_turn);
    return p;
}

void
aif_pool_close_idle(aif_pool *p)
{
    aif_list *node;

    while ((node = aif_list_head(&p->idle)) != NULL) {
        aif_conn_close(AIF_LIST_ENTRY(node, aif_conn, aged));
    }
}

static void
end_waiters(aif_list *queue)
{
    aif_list *node;

    while ((node = aif_list_head(queue)) != NULL) {
        aif_fetch *f = AIF_LIST_ENTRY(node, aif_fetch, waiting);

        aif_err_set(&f->err, AIF_ECLOSED, "the pool was closed");
        aif_fetch_end(f, AIF_ECLOSED);
    }
}

/* Fetches whose body is not decoded yet may have no connection any more. */
static void
end_stalled(aif_list *queue)
{
    aif_list *node;

    while ((node = aif_list_head(queue)) != NULL) {
        aif_fetch *f = AIF_LIST_ENTRY(node, aif_fetch, stalled);

        aif_err_set(&f->err, AIF_ECLOSED, "the pool was closed");
        aif_fetch_end(f, AIF_ECLOSED);
    }
}

void
aif_pool_close(aif_pool *p)
{
    aif_list *node;

    if (p->closed) {
        return;
    }
    p->closed = 1;
    aif_deadline_clear(&p->loop->deadlines, &p->sweep);
    aif_deadline_clear(&p->loop->deadlines, &p->turn);
    end_stalled(&p->stalled);
    end_stalled(&p->parked);
    end_waiters(&p->waiters);
    while ((node = aif_list_head(&p->conns)) != NULL) {
        aif_conn *c = AIF_LIST_ENTRY(node, aif_conn, link);
        aif_fetch *f = c->fetch;

        if (f != NULL) {
            aif_fetch_ref(f);
        }
        /* Waiters that had stepped aside come back to the queue when the
         * connections of their origin go. */
        c->fetch = NULL;
        if (f != NULL) {
            f->conn = NULL;
        }
        aif_conn_close(c);
        if (f != NULL) {
            aif_err_set(&f->err, AIF_ECLOSED, "the pool was closed");
            aif_fetch_end(f, AIF_ECLOSED);
            aif_fetch_unref(f);
        }
        end_waiters(&p->waiters);
    }
    while ((node = aif_list_head(&p->unused)) != NULL) {
        origin_free(AIF_LIST_ENTRY(node, aif_origin, unused));
    }
}

void
aif_pool_free(aif_pool *p)
{
    if (p == NULL) {
        return;
    }
    aif_pool_close(p);
    aif_mem_free(p->buckets);
    aif_mem_free(p);
}
