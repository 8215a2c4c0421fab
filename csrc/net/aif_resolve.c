/* aif_resolve -- the cache of names and the lookups in flight.
 *
 *     resolver --- buckets ---> entry (host, family) --> addresses, or none
 *         |                       |
 *         '-- aged, oldest first  '--> lookup in flight, or none --> queries
 *
 * An entry exists as long as it has an answer or a lookup. A lookup belongs to
 * libuv until it calls back; it may lose its entry before (forgotten, or the
 * loop ends) and then answers whoever still waits, or nobody.
 */
#include "net/aif_resolve.h"

#include <netdb.h>
#include <string.h>
#include <sys/socket.h>

#include "base/aif_ascii.h"
#include "base/aif_err.h"
#include "base/aif_mem.h"

#define BUCKETS 1024u /* a power of two */
#define NS_PER_MS 1000000u

typedef struct lookup lookup;

typedef struct entry {
    struct entry *next; /* in its bucket */
    aif_list age;       /* in resolver->aged while |addrs| is set */
    aif_addrs *addrs;
    uint64_t stored; /* ns; when |addrs| came */
    lookup *lookup;
    uint32_t hash;
    int family;
    size_t len;
    char host[]; /* lower case, NUL-terminated */
} entry;

struct lookup {
    uv_getaddrinfo_t req;
    aif_loop *loop;
    entry *entry;          /* NULL: the answer is not kept */
    aif_list link;         /* in resolver->lookups */
    aif_list queries;      /* who waits */
    unsigned keep : 1;     /* somebody who waited uses the cache */
    unsigned answered : 1; /* libuv has called back */
};

struct aif_query {
    aif_list link;
    lookup *lookup;
    aif_resolve_cb cb;
    void *user;
};

typedef struct resolver {
    aif_list aged;
    aif_list lookups;
    unsigned kept; /* entries on |aged| */
    entry *buckets[BUCKETS];
} resolver;

/* -- Entries ------------------------------------------------------------ */

/* FNV-1a. A chain is at most as long as the cache, so a name chosen to
 * collide gains nothing worth a keyed hash. */
static uint32_t
hash_of(const char *host, size_t len)
{
    uint32_t hash = 2166136261u;

    for (size_t i = 0; i < len; i++) {
        hash = (hash ^ (unsigned char)host[i]) * 16777619u;
    }
    return hash;
}

static entry *
entry_find(resolver *r, const char *host, size_t len, int family)
{
    uint32_t hash = hash_of(host, len);
    entry *e = r->buckets[hash & (BUCKETS - 1)];

    while (e != NULL
           && (e->hash != hash || e->family != family || e->len != len
               || memcmp(e->host, host, len) != 0))
    {
        e = e->next;
    }
    return e;
}

static entry *
entry_new(resolver *r, const char *host, size_t len, int family)
{
    entry *e = aif_mem_zalloc(sizeof(*e) + len + 1);
    entry **bucket;

    if (e == NULL) {
        return NULL;
    }
    memcpy(e->host, host, len);
    e->len = len;
    e->family = family;
    e->hash = hash_of(host, len);
    aif_list_init(&e->age);
    bucket = &r->buckets[e->hash & (BUCKETS - 1)];
    e->next = *bucket;
    *bucket = e;
    return e;
}

static void
entry_free_if_bare(resolver *r, entry *e)
{
    entry **at = &r->buckets[e->hash & (BUCKETS - 1)];

    if (e->addrs != NULL || e->lookup != NULL) {
        return;
    }
    while (*at != e) {
        at = &(*at)->next;
    }
    *at = e->next;
    aif_mem_free(e);
}

/* The entry stays: the caller decides when it goes. */
static void
entry_drop_answer(resolver *r, entry *e)
{
    if (e->addrs != NULL) {
        aif_list_unlink(&e->age);
        r->kept--;
        aif_addrs_unref(e->addrs);
        e->addrs = NULL;
    }
}

static void
entry_detach_lookup(entry *e)
{
    if (e->lookup != NULL) {
        e->lookup->entry = NULL;
        e->lookup = NULL;
    }
}

static void
entry_store(resolver *r, entry *e, aif_addrs *addrs)
{
    entry_drop_answer(r, e);
    if (r->kept >= AIF_RESOLVE_CACHE) {
        entry *oldest = AIF_LIST_ENTRY(aif_list_head(&r->aged), entry, age);

        entry_drop_answer(r, oldest);
        entry_free_if_bare(r, oldest);
    }
    e->addrs = aif_addrs_ref(addrs);
    e->stored = uv_hrtime();
    aif_list_push_tail(&r->aged, &e->age);
    r->kept++;
}

/* -- Lookups ------------------------------------------------------------ */

/* Queries are taken off one by one, as a callback may cancel another. */
static void
answer_all(lookup *l, aif_addrs *addrs, int code)
{
    aif_list *node;

    while ((node = aif_list_head(&l->queries)) != NULL) {
        aif_query *q = AIF_LIST_ENTRY(node, aif_query, link);
        aif_resolve_cb cb = q->cb;
        void *user = q->user;

        aif_list_unlink(node);
        aif_mem_free(q);
        cb(user, addrs != NULL ? aif_addrs_ref(addrs) : NULL, code);
    }
}

/* Want of memory has one name here, whoever has noticed it. */
static int
code_of(int status)
{
    return status == UV_ENOMEM || status == UV_EAI_MEMORY ? AIF_ENOMEM
                                                          : status;
}

static void
on_found(uv_getaddrinfo_t *req, int status, struct addrinfo *found)
{
    lookup *l = AIF_LIST_ENTRY(req, lookup, req);
    aif_loop *loop = l->loop;
    aif_addrs *addrs = NULL;
    entry *e = l->entry;

    loop->lookups--;
    l->answered = 1;
    aif_list_unlink(&l->link);
    if (status == 0) {
        addrs = aif_addrs_from(found, &status);
    }
    uv_freeaddrinfo(found);
    /* The cache is whole again before anybody is told. */
    if (e != NULL) {
        e->lookup = NULL;
        l->entry = NULL;
        if (addrs != NULL && l->keep) {
            entry_store(loop->resolver, e, addrs);
        }
        entry_free_if_bare(loop->resolver, e);
    }
    answer_all(l, addrs, code_of(status));
    aif_addrs_unref(addrs);
    aif_mem_free(l);
}

/* Ready for uv_getaddrinfo(); NULL when out of memory. */
static lookup *
lookup_new(aif_loop *loop)
{
    lookup *l = aif_mem_zalloc(sizeof(*l));

    if (l != NULL) {
        l->loop = loop;
        aif_list_init(&l->link);
        aif_list_init(&l->queries);
    }
    return l;
}

static int
lookup_start(aif_loop *loop, entry *e)
{
    struct addrinfo hints;
    resolver *r = loop->resolver;
    lookup *l = lookup_new(loop);
    int rc;

    if (l == NULL) {
        return AIF_ENOMEM;
    }
    memset(&hints, 0, sizeof(hints));
    hints.ai_family = e->family;
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_ADDRCONFIG;
    rc = uv_getaddrinfo(&loop->uv, &l->req, on_found, e->host, NULL, &hints);
    if (rc < 0) {
        aif_mem_free(l);
        return code_of(rc);
    }
    loop->lookups++;
    loop->lookups_started++;
    aif_list_push_tail(&r->lookups, &l->link);
    l->entry = e;
    e->lookup = l;
    /* Until its first poll the loop does not hear of finished work. */
    aif_loop_want(loop);
    return 0;
}

/* Nobody waits any more. A lookup that has not begun is withdrawn; one that
 * runs is left where new askers find it, as starting it anew would only take
 * another of libuv's few threads. */
static void
lookup_abandoned(lookup *l)
{
    entry *e = l->entry;

    if (l->answered || uv_cancel((uv_req_t *)&l->req) != 0) {
        return;
    }
    aif_loop_want(l->loop);
    if (e != NULL) {
        entry_detach_lookup(e);
        entry_free_if_bare(l->loop->resolver, e);
    }
}

/* -- The resolver's end ------------------------------------------------- */

static void
drop_queries(lookup *l)
{
    aif_list *node;

    while ((node = aif_list_head(&l->queries)) != NULL) {
        aif_list_unlink(node);
        aif_mem_free(AIF_LIST_ENTRY(node, aif_query, link));
    }
}

static void
forget_all(resolver *r)
{
    for (unsigned i = 0; i < BUCKETS; i++) {
        entry *e = r->buckets[i];

        while (e != NULL) {
            entry *next = e->next;

            entry_detach_lookup(e);
            entry_drop_answer(r, e);
            aif_mem_free(e);
            e = next;
        }
        r->buckets[i] = NULL;
    }
}

static void
resolver_free(aif_loop *loop)
{
    resolver *r = loop->resolver;
    aif_list *node;

    forget_all(r);
    while ((node = aif_list_head(&r->lookups)) != NULL) {
        lookup *l = AIF_LIST_ENTRY(node, lookup, link);

        aif_list_unlink(node);
        drop_queries(l);
        (void)uv_cancel((uv_req_t *)&l->req);
    }
    aif_mem_free(r);
    loop->resolver = NULL;
    loop->resolver_free = NULL;
}

static resolver *
resolver_of(aif_loop *loop)
{
    resolver *r = loop->resolver;

    if (r == NULL) {
        r = aif_mem_zalloc(sizeof(*r));
        if (r != NULL) {
            aif_list_init(&r->aged);
            aif_list_init(&r->lookups);
            loop->resolver = r;
            loop->resolver_free = resolver_free;
        }
    }
    return r;
}

/* -- Asking ------------------------------------------------------------- */

/* Joins the lookup of |e|, starting it if there is none. */
static int
wait_for(aif_loop *loop, entry *e, unsigned ttl_ms, aif_query *q)
{
    if (e->lookup == NULL) {
        int rc = lookup_start(loop, e);

        if (rc < 0) {
            return rc;
        }
    }
    if (ttl_ms != 0) {
        e->lookup->keep = 1;
    }
    q->lookup = e->lookup;
    aif_list_push_tail(&e->lookup->queries, &q->link);
    return 0;
}

static int
ask(aif_loop *loop, entry *e, unsigned ttl_ms, aif_resolve_cb cb, void *user,
    aif_query **query)
{
    aif_query *q = aif_mem_zalloc(sizeof(*q));
    int rc;

    if (q == NULL) {
        return AIF_ENOMEM;
    }
    q->cb = cb;
    q->user = user;
    aif_list_init(&q->link);
    rc = wait_for(loop, e, ttl_ms, q);
    if (rc < 0) {
        aif_mem_free(q);
        return rc;
    }
    *query = q;
    return 0;
}

int
aif_resolve(aif_loop *loop, const char *host, int family, unsigned ttl_ms,
            aif_resolve_cb cb, void *user, aif_query **query,
            aif_addrs **addrs, int *cached)
{
    char name[AIF_RESOLVE_NAME];
    size_t len = strlen(host);
    resolver *r;
    entry *e;
    int rc;

    *query = NULL;
    *addrs = NULL;
    if (cached != NULL) {
        *cached = 0;
    }
    if (loop->closing) {
        return AIF_ECLOSED;
    }
    rc = len == 0 ? 0 : aif_addrs_parse(host, family, addrs);
    if (rc != 0) {
        return rc;
    }
    if (len == 0 || len >= sizeof(name)) {
        return UV_EAI_NONAME;
    }
    r = resolver_of(loop);
    if (r == NULL) {
        return AIF_ENOMEM;
    }
    aif_ascii_fold(name, host, len);
    e = entry_find(r, name, len, family);
    if (e != NULL && e->addrs != NULL && ttl_ms != 0
        && uv_hrtime() - e->stored < (uint64_t)ttl_ms * NS_PER_MS)
    {
        *addrs = aif_addrs_ref(e->addrs);
        if (cached != NULL) {
            *cached = 1;
        }
        return 1;
    }
    if (e == NULL) {
        e = entry_new(r, name, len, family);
    }
    if (e == NULL) {
        return AIF_ENOMEM;
    }
    rc = ask(loop, e, ttl_ms, cb, user, query);
    entry_free_if_bare(r, e);
    return rc;
}

void
aif_query_cancel(aif_query *q)
{
    lookup *l = q->lookup;

    aif_list_unlink(&q->link);
    aif_mem_free(q);
    if (aif_list_empty(&l->queries)) {
        lookup_abandoned(l);
    }
}

void
aif_resolve_forget(aif_loop *loop, const char *host)
{
    char name[AIF_RESOLVE_NAME];
    static const int families[] = {AF_UNSPEC, AF_INET, AF_INET6};
    resolver *r = loop->resolver;
    size_t len;

    if (r == NULL) {
        return;
    }
    if (host == NULL) {
        forget_all(r);
        return;
    }
    len = strlen(host);
    if (len == 0 || len >= sizeof(name)) {
        return;
    }
    aif_ascii_fold(name, host, len);
    for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++) {
        entry *e = entry_find(r, name, len, families[i]);

        if (e != NULL) {
            entry_detach_lookup(e);
            entry_drop_answer(r, e);
            entry_free_if_bare(r, e);
        }
    }
}
