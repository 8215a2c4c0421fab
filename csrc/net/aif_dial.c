/* aif_dial -- one connection attempt, from a name to a connected stage.
 *
 * A dial has one query, or one attempt for each address that has been started
 * and not failed. An attempt's memory belongs to libuv until its connect
 * callback; an attempt that lost the race, or whose dial was cancelled, has no
 * dial any more and merely frees itself there.
 *
 * One deadline serves two ends that exclude each other: the start of the next
 * address, and a failure found inside aif_dial_start(), which may not call
 * on_done itself.
 */
#include "net/aif_dial.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "base/aif_ipscope.h"
#include "base/aif_mem.h"
#include "net/aif_resolve.h"

#define NS_PER_MS 1000000u

/* An address as text: the longest is a Unix path. */
#define ADDRESS_TEXT (sizeof(struct sockaddr_un) + 16)

struct aif_dial {
    aif_loop *loop;
    const aif_dial_cbs *cbs; /* borrowed */
    void *user;
    aif_list link;      /* in loop->dials */
    aif_list attempts;  /* those libuv has not answered */
    aif_query *query;   /* while RESOLVING */
    aif_addrs *addrs;   /* while CONNECTING */
    unsigned cursor[2]; /* next to look at: [0] the first one's family */
    unsigned turn;      /* whose turn it is, an index of |cursor| */
    unsigned started;   /* how many addresses have been */
    unsigned race_ms;
    uint16_t port;
    unsigned has_local : 1;
    unsigned public_only : 1;
    unsigned ended : 1; /* told or cancelled; only the memory is left */
    unsigned depth;     /* callbacks on the stack */
    aif_deadline timer;
    aif_err err;
    struct sockaddr_storage local;
    char *host; /* owned; the name, or the path */
};

typedef struct attempt {
    uv_connect_t req;
    aif_dial *dial; /* NULL: nobody waits for it */
    aif_tcp *tcp;
    aif_list link; /* in dial->attempts */
    char where[ADDRESS_TEXT];
} attempt;

/* -- Ending ------------------------------------------------------------- */

static void
attempt_abandon(attempt *a)
{
    a->dial = NULL;
    aif_list_unlink(&a->link);
    /* libuv answers the connect request before it lets go of the handle. */
    aif_stage_close(&a->tcp->stage);
    a->tcp = NULL;
}

static void
dial_free(aif_dial *d)
{
    aif_mem_free(d->host);
    aif_mem_free(d);
}

/* Leaves nothing behind that could call back. */
static void
stop(aif_dial *d)
{
    aif_list *node;

    d->ended = 1;
    aif_list_unlink(&d->link);
    aif_deadline_clear(&d->loop->deadlines, &d->timer);
    if (d->query != NULL) {
        aif_query_cancel(d->query);
        d->query = NULL;
    }
    while ((node = aif_list_head(&d->attempts)) != NULL) {
        attempt_abandon(AIF_LIST_ENTRY(node, attempt, link));
    }
    aif_addrs_unref(d->addrs);
    d->addrs = NULL;
}

/* The only place that calls on_done. |tcp| NULL: |err| says why. */
static void
finish(aif_dial *d, aif_tcp *tcp)
{
    stop(d);
    d->cbs->on_done(d->user, tcp, tcp != NULL ? NULL : &d->err);
    dial_free(d);
}

void
aif_dial_cancel(aif_dial *d)
{
    if (d->ended) {
        return;
    }
    stop(d);
    if (d->depth == 0) {
        dial_free(d);
    }
}

void
aif_dial_cancel_all(aif_loop *loop)
{
    aif_list *node;

    while ((node = aif_list_head(&loop->dials)) != NULL) {
        aif_dial_cancel(AIF_LIST_ENTRY(node, aif_dial, link));
    }
}

/* Our own codes are not libuv's to name. */
static const char *
reason_of(int code)
{
    if (code == AIF_ENOMEM) {
        return "out of memory";
    }
    return code > AIF_ERR_FIRST ? uv_strerror(code) : "the loop has ended";
}

static int
sys_of(int code)
{
    return code > AIF_ERR_FIRST ? code : 0;
}

static void
note_connect_error(aif_dial *d, const char *where, int code)
{
    aif_err_set_sys(&d->err, code, sys_of(code), "connect to %s: %s", where,
                    reason_of(code));
}

static void
note_resolve_error(aif_dial *d, int code)
{
    aif_err_set_sys(&d->err, code > AIF_ERR_FIRST ? AIF_EDNS : code,
                    sys_of(code), "resolve %s: %s", d->host, reason_of(code));
}

/* -- Connecting --------------------------------------------------------- */

static int connect_more(aif_dial *d);

static void
on_connected(uv_connect_t *req, int status)
{
    attempt *a = AIF_LIST_ENTRY(req, attempt, req);
    aif_dial *d = a->dial;
    aif_tcp *tcp = a->tcp;

    if (d == NULL) {
        aif_mem_free(a);
        return;
    }
    aif_list_unlink(&a->link);
    if (status < 0) {
        aif_stage_close(&tcp->stage);
        tcp = NULL;
        note_connect_error(d, a->where, status);
    }
    aif_mem_free(a);
    if (tcp != NULL || !connect_more(d)) {
        finish(d, tcp);
    }
}

static attempt *
attempt_new(aif_dial *d, int family, int *code)
{
    attempt *a = aif_mem_zalloc(sizeof(*a));

    if (a == NULL) {
        *code = AIF_ENOMEM;
        return NULL;
    }
    a->tcp = aif_tcp_new(d->loop, family, code);
    if (a->tcp == NULL) {
        aif_mem_free(a);
        return NULL;
    }
    a->dial = d;
    aif_list_push_tail(&d->attempts, &a->link);
    return a;
}

static int
start_address(aif_dial *d, const struct sockaddr_storage *addr,
              const char *where)
{
    int rc;
    attempt *a = attempt_new(d, addr->ss_family, &rc);

    if (a == NULL) {
        return rc;
    }
    memcpy(a->where, where, sizeof(a->where));
    if (d->has_local) {
        rc = uv_tcp_bind(&a->tcp->handle.tcp,
                         (const struct sockaddr *)&d->local, 0);
    }
    if (rc == 0) {
        rc = uv_tcp_connect(&a->req, &a->tcp->handle.tcp,
                            (const struct sockaddr *)addr, on_connected);
    }
    if (rc < 0) {
        /* libuv does not know the request: it will not call back. */
        attempt_abandon(a);
        aif_mem_free(a);
        return rc;
    }
    aif_loop_want(d->loop);
    return 0;
}

/* The index of the address to try next, the families by turns; -1: none. */
static int
next_address(aif_dial *d)
{
    const aif_addrs *list = d->addrs;

    for (int tries = 0; list != NULL && tries < 2; tries++) {
        unsigned which = d->turn;
        unsigned i = d->cursor[which];

        d->turn ^= 1u;
        while (i < list->count
               && (list->addr[i].ss_family != list->addr[0].ss_family)
                      != (which == 1))
        {
            i++;
        }
        d->cursor[which] = i + (i < list->count);
        if (i < list->count) {
            d->started++;
            return (int)i;
        }
    }
    return -1;
}

static void
set_port(struct sockaddr_storage *addr, uint16_t port)
{
    if (addr->ss_family == AF_INET) {
        ((struct sockaddr_in *)addr)->sin_port = htons(port);
    }
    else {
        ((struct sockaddr_in6 *)addr)->sin6_port = htons(port);
    }
}

/* What forbids |addr|, or NULL. Asked here, where the address goes to the
 * kernel and cannot become another one, whatever the name resolves to a moment
 * later. */
static const char *
forbidden(const aif_dial *d, const struct sockaddr_storage *addr)
{
    unsigned char bytes[16];

    if (!d->public_only) {
        return NULL;
    }
    if (addr->ss_family == AF_INET) {
        memcpy(bytes, &((const struct sockaddr_in *)addr)->sin_addr, 4);
        return aif_ipscope_v4(bytes);
    }
    memcpy(bytes, &((const struct sockaddr_in6 *)addr)->sin6_addr, 16);
    return aif_ipscope_v6(bytes);
}

static void
note_forbidden(aif_dial *d, const char *where, const char *what)
{
    /* Of several addresses, one that could be tried says more. */
    if (d->err.code == 0) {
        aif_err_set(&d->err, AIF_EFORBIDDEN,
                    "connect to %s: a %s address, and only public ones are "
                    "allowed",
                    where, what);
    }
}

/* Starts the next address that can be started. 1 if anything is under way, 0
 * if all have failed; |err| is then the last one's. */
static int
connect_more(aif_dial *d)
{
    int index;

    aif_deadline_clear(&d->loop->deadlines, &d->timer);
    while ((index = next_address(d)) >= 0) {
        struct sockaddr_storage addr = d->addrs->addr[index];
        char where[ADDRESS_TEXT];
        const char *what = forbidden(d, &addr);
        int rc;

        set_port(&addr, d->port);
        aif_tcp_format_address((const struct sockaddr *)&addr, where,
                               sizeof(where));
        if (what != NULL) {
            note_forbidden(d, where, what);
            continue;
        }
        rc = start_address(d, &addr, where);
        if (rc < 0) {
            note_connect_error(d, where, rc);
            continue;
        }
        if (d->race_ms != 0 && d->started < d->addrs->count) {
            /* Without memory for it there is no race, but still a turn for
             * each address when the one before has failed. */
            (void)aif_deadline_set(&d->loop->deadlines, &d->timer,
                                   uv_hrtime()
                                       + (uint64_t)d->race_ms * NS_PER_MS);
        }
        return 1;
    }
    return !aif_list_empty(&d->attempts);
}

static void
on_timer(aif_deadline *timer)
{
    aif_dial *d = AIF_LIST_ENTRY(timer, aif_dial, timer);

    /* After fail_later() there is nothing to try. */
    if (!connect_more(d)) {
        finish(d, NULL);
    }
}

/* -- Resolving ---------------------------------------------------------- */

/* Tells that the name is known. 0 if that cancelled the dial. */
static int
announce(aif_dial *d, int cached)
{
    if (d->cbs->on_resolved != NULL) {
        d->depth++;
        d->cbs->on_resolved(d->user, cached);
        d->depth--;
    }
    return !d->ended;
}

static void
on_answer(void *user, aif_addrs *addrs, int code)
{
    aif_dial *d = user;

    d->query = NULL;
    if (addrs == NULL) {
        note_resolve_error(d, code);
        finish(d, NULL);
        return;
    }
    d->addrs = addrs;
    if (!announce(d, 0)) {
        dial_free(d);
    }
    else if (!connect_more(d)) {
        finish(d, NULL);
    }
}

/* -- Starting ----------------------------------------------------------- */

/* |err| is told in the next turn of the loop. */
static int
fail_later(aif_dial *d)
{
    return aif_deadline_set(&d->loop->deadlines, &d->timer, uv_hrtime());
}

static int
start_unix(aif_dial *d)
{
    char where[ADDRESS_TEXT];
    size_t len = strlen(d->host);
    attempt *a = NULL;
    int rc = 0;

    (void)snprintf(where, sizeof(where), "unix:%.*s",
                   (int)sizeof(((struct sockaddr_un *)0)->sun_path), d->host);
    if (len == 0) {
        rc = UV_EINVAL;
    }
    else if (len >= sizeof(((struct sockaddr_un *)0)->sun_path)) {
        /* libuv before 1.46 cuts the path and connects to another one. */
        rc = UV_ENAMETOOLONG;
    }
    if (rc == 0 && d->public_only) {
        aif_err_set(&d->err, AIF_EFORBIDDEN,
                    "connect to %s: a Unix socket, and only public addresses "
                    "are allowed",
                    where);
        return fail_later(d);
    }
    if (rc == 0) {
        a = attempt_new(d, AF_UNIX, &rc);
    }
    if (a == NULL) {
        note_connect_error(d, where, rc);
        return fail_later(d);
    }
    memcpy(a->where, where, sizeof(a->where));
    uv_pipe_connect(&a->req, &a->tcp->handle.pipe, d->host, on_connected);
    aif_loop_want(d->loop);
    return 0;
}

static int
start_tcp(aif_dial *d, const aif_dial_options *options)
{
    int family = options->family;
    int cached = 0;
    int rc;

    if (d->has_local && family == AF_UNSPEC) {
        family = d->local.ss_family;
    }
    rc = aif_resolve(d->loop, d->host, family, options->ttl_ms, on_answer, d,
                     &d->query, &d->addrs, &cached);
    if (rc == 0 || rc == AIF_ENOMEM || rc == AIF_ECLOSED) {
        return rc;
    }
    if (rc < 0) {
        note_resolve_error(d, rc);
        return fail_later(d);
    }
    if (!announce(d, cached)) {
        return AIF_ECANCELLED;
    }
    return connect_more(d) ? 0 : fail_later(d);
}

static int
keep_local(aif_dial *d, const aif_dial_options *options)
{
    const struct sockaddr *local = options->local_addr;

    if (local == NULL || options->unix_path != NULL) {
        return 0;
    }
    if (local->sa_family == AF_INET) {
        memcpy(&d->local, local, sizeof(struct sockaddr_in));
    }
    else if (local->sa_family == AF_INET6) {
        memcpy(&d->local, local, sizeof(struct sockaddr_in6));
    }
    else {
        return UV_EAFNOSUPPORT;
    }
    d->has_local = 1;
    if (options->family != AF_UNSPEC && options->family != local->sa_family) {
        return UV_EINVAL;
    }
    return 0;
}

static aif_dial *
dial_new(aif_loop *loop, const aif_dial_options *options,
         const aif_dial_cbs *cbs, void *user)
{
    const char *host =
        options->unix_path != NULL ? options->unix_path : options->host;
    aif_dial *d = aif_mem_zalloc(sizeof(*d));

    if (d == NULL) {
        return NULL;
    }
    d->host = aif_mem_dup(host, strlen(host));
    if (d->host == NULL) {
        aif_mem_free(d);
        return NULL;
    }
    d->loop = loop;
    d->cbs = cbs;
    d->user = user;
    d->port = options->port;
    d->race_ms = options->race_ms;
    d->public_only = options->public_only ? 1 : 0;
    d->cursor[0] = 0;
    d->cursor[1] = 0;
    aif_list_init(&d->link);
    aif_list_init(&d->attempts);
    aif_deadline_init(&d->timer, on_timer);
    aif_list_push_tail(&loop->dials, &d->link);
    return d;
}

int
aif_dial_start(aif_loop *loop, const aif_dial_options *options,
               const aif_dial_cbs *cbs, void *user, aif_dial **out)
{
    aif_dial *d;
    int rc;

    *out = NULL;
    if (loop->closing) {
        return AIF_ECLOSED;
    }
    d = dial_new(loop, options, cbs, user);
    if (d == NULL) {
        return AIF_ENOMEM;
    }
    *out = d;
    rc = keep_local(d, options);
    if (rc == 0) {
        rc =
            options->unix_path != NULL ? start_unix(d) : start_tcp(d, options);
    }
    if (rc < 0) {
        if (!d->ended) {
            stop(d);
        }
        dial_free(d);
        *out = NULL;
    }
    return rc;
}
