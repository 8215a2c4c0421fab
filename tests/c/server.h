/* server -- a scripted TCP server in the loop of the client it answers.
 *
 * Each connection runs a list of steps: wait for a request, say bytes, drip
 * them one by one, sleep, end in one of three ways. A script that ran out says
 * no more and waits for the client to leave. The memory is the C library's
 * own, so that the core's counters see the client alone.
 */
#ifndef SERVER_H
#define SERVER_H

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "base/aif_list.h"
#include "check.h"

#define SERVER_INPUT 8192u

typedef enum step_kind {
    STEP_END,
    STEP_REQUEST, /* wait for a head and as much body as it announces */
    STEP_HEAD,    /* wait for a head and read no more after it */
    STEP_SAY,
    STEP_DRIP, /* byte by byte, a turn of the loop for each */
    STEP_NAP,  /* milliseconds */
    STEP_FIN,  /* the end of what we say; reading goes on */
    STEP_CLOSE,
    STEP_RESET,
    STEP_AGAIN /* from the top of the script */
} step_kind;

typedef struct step {
    step_kind kind;
    const char *text; /* borrowed until the server is closed */
    size_t len;
    unsigned ms;
} step;

#define REQUEST {STEP_REQUEST, NULL, 0, 0}
#define HEAD {STEP_HEAD, NULL, 0, 0}
#define SAY(text) {STEP_SAY, text, sizeof(text) - 1, 0}
#define BYTES(data, len) {STEP_SAY, (const char *)(data), len, 0}
#define DRIP(text) {STEP_DRIP, text, sizeof(text) - 1, 0}
#define NAP(ms) {STEP_NAP, NULL, 0, ms}
#define FIN {STEP_FIN, NULL, 0, 0}
#define CLOSE {STEP_CLOSE, NULL, 0, 0}
#define RESET {STEP_RESET, NULL, 0, 0}
#define AGAIN {STEP_AGAIN, NULL, 0, 0}
#define END {STEP_END, NULL, 0, 0}

typedef struct server {
    uv_tcp_t listener;
    uint16_t port;
    /* The first connection runs scripts[0], the next scripts[1]; the last one
     * is for all that follow. */
    const step *const *scripts;
    unsigned script_count;
    /* Or, if set: the steps that answer a request with this head. */
    const step *(*route)(struct server *s, const char *head);
    aif_list peers;
    unsigned accepted; /* connections, ever */
    unsigned open;     /* of them, now */
    unsigned most;     /* that were open at once */
    unsigned requests; /* heads, ever */
    unsigned handles;
    char last[SERVER_INPUT]; /* the latest head, NUL-terminated */
} server;

typedef struct peer {
    uv_tcp_t tcp;
    uv_timer_t timer;
    server *server;
    aif_list link;
    const step *script;
    const step *at;
    size_t dripped;
    size_t skip; /* bytes of a request's body to come */
    char in[SERVER_INPUT];
    size_t in_len;
    unsigned handles;
    unsigned closed : 1;
} peer;

static void peer_run(peer *p);

static inline void
on_peer_gone(uv_handle_t *h)
{
    peer *p = h->data;

    p->server->handles--;
    if (--p->handles == 0) {
        free(p);
    }
}

static inline void
peer_close(peer *p, int reset)
{
    if (p->closed) {
        return;
    }
    p->closed = 1;
    p->server->open--;
    aif_list_unlink(&p->link);
    uv_close((uv_handle_t *)&p->timer, on_peer_gone);
    if (!reset || uv_tcp_close_reset(&p->tcp, on_peer_gone) < 0) {
        uv_close((uv_handle_t *)&p->tcp, on_peer_gone);
    }
}

static inline void
on_said(uv_write_t *req, int status)
{
    (void)status;
    free(req);
}

static inline void
peer_say(peer *p, const char *text, size_t len)
{
    uv_write_t *req = malloc(sizeof(*req));
    uv_buf_t buf = uv_buf_init((char *)(uintptr_t)text, (unsigned)len);

    if (req == NULL
        || uv_write(req, (uv_stream_t *)&p->tcp, &buf, 1, on_said) < 0)
    {
        free(req);
    }
}

static inline void
on_nap_over(uv_timer_t *t)
{
    peer_run(t->data);
}

static inline void
on_fin(uv_shutdown_t *req, int status)
{
    (void)status;
    free(req);
}

static inline void
peer_fin(peer *p)
{
    uv_shutdown_t *req = malloc(sizeof(*req));

    if (req == NULL || uv_shutdown(req, (uv_stream_t *)&p->tcp, on_fin) < 0) {
        free(req);
    }
}

/* Takes a request from what came in: 1, or 0 if it is not whole. */
static inline int
peer_take(peer *p, int with_body)
{
    char *end, *length;
    size_t head, body;

    p->in[p->in_len] = '\0';
    end = strstr(p->in, "\r\n\r\n");
    if (end == NULL) {
        return 0;
    }
    head = (size_t)(end - p->in) + 4;
    memcpy(p->server->last, p->in, head);
    p->server->last[head] = '\0';
    p->server->requests++;
    length = strstr(p->server->last, "Content-Length: ");
    p->skip =
        length == NULL || !with_body ? 0 : strtoul(length + 16, NULL, 10);
    body = p->in_len - head;
    body = body < p->skip ? body : p->skip;
    p->skip -= body;
    p->in_len -= head + body;
    memmove(p->in, p->in + head + body, p->in_len);
    if (!with_body) {
        (void)uv_read_stop((uv_stream_t *)&p->tcp);
    }
    if (p->server->route != NULL) {
        p->at = p->script = p->server->route(p->server, p->server->last);
    }
    else {
        p->at++;
    }
    return 1;
}

static inline void
peer_nap(peer *p, unsigned ms)
{
    (void)uv_timer_start(&p->timer, on_nap_over, ms, 0);
}

/* One step. 1 if the next can follow at once. */
static inline int
peer_step(peer *p)
{
    const step *s = p->at;

    switch (s->kind) {
    case STEP_REQUEST:
    case STEP_HEAD:
        return peer_take(p, s->kind == STEP_REQUEST);
    case STEP_SAY:
        peer_say(p, s->text, s->len);
        break;
    case STEP_DRIP:
        peer_say(p, s->text + p->dripped, 1);
        p->dripped++;
        if (p->dripped == s->len) {
            p->dripped = 0;
            p->at++;
        }
        peer_nap(p, 0);
        return 0;
    case STEP_NAP:
        p->at++;
        peer_nap(p, s->ms);
        return 0;
    case STEP_FIN:
        peer_fin(p);
        break;
    case STEP_CLOSE:
    case STEP_RESET:
        peer_close(p, s->kind == STEP_RESET);
        return 0;
    case STEP_AGAIN:
        p->at = p->script;
        return 1;
    case STEP_END:
        return p->server->route != NULL ? peer_take(p, 1) : 0;
    }
    p->at++;
    return 1;
}

static void
peer_run(peer *p)
{
    while (!p->closed && !uv_is_active((uv_handle_t *)&p->timer)
           && p->skip == 0 && peer_step(p))
    {
    }
}

static inline void
peer_space(uv_handle_t *h, size_t suggested, uv_buf_t *buf)
{
    static _Thread_local char sink[65536];
    peer *p = h->data;

    (void)suggested;
    if (p->skip > 0) {
        *buf = uv_buf_init(sink, p->skip < sizeof(sink) ? (unsigned)p->skip
                                                        : sizeof(sink));
    }
    else {
        *buf = uv_buf_init(p->in + p->in_len,
                           (unsigned)(sizeof(p->in) - 1 - p->in_len));
    }
}

static inline void
on_peer_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    peer *p = stream->data;

    (void)buf;
    if (n < 0) {
        peer_close(p, 0);
        return;
    }
    if (p->skip > 0) {
        p->skip -= (size_t)n;
    }
    else {
        p->in_len += (size_t)n;
    }
    peer_run(p);
}

static inline void
on_connection(uv_stream_t *listener, int status)
{
    static const step nothing[] = {END};
    server *s = listener->data;
    peer *p = calloc(1, sizeof(*p));

    if (status < 0 || p == NULL) {
        free(p);
        return;
    }
    p->server = s;
    p->tcp.data = p;
    p->timer.data = p;
    p->handles = 2;
    s->handles += 2;
    p->script = nothing;
    if (s->route == NULL) {
        unsigned last = s->script_count - 1;

        p->script = s->scripts[s->accepted < last ? s->accepted : last];
    }
    p->at = p->script;
    (void)uv_tcp_init(listener->loop, &p->tcp);
    (void)uv_timer_init(listener->loop, &p->timer);
    aif_list_push_tail(&s->peers, &p->link);
    s->accepted++;
    s->open++;
    s->most = s->open > s->most ? s->open : s->most;
    if (uv_accept(listener, (uv_stream_t *)&p->tcp) < 0) {
        peer_close(p, 0);
        return;
    }
    (void)uv_tcp_nodelay(&p->tcp, 1);
    (void)uv_read_start((uv_stream_t *)&p->tcp, peer_space, on_peer_read);
    peer_run(p);
}

/* Listens on a free port of 127.0.0.1. */
static inline void
server_open(server *s, uv_loop_t *loop, const step *const *scripts,
            unsigned count)
{
    struct sockaddr_storage addr;
    int len = sizeof(addr);

    memset(s, 0, sizeof(*s));
    aif_list_init(&s->peers);
    s->scripts = scripts;
    s->script_count = count;
    s->listener.data = s;
    s->handles = 1;
    CHECK_EQ_INT(uv_tcp_init(loop, &s->listener), 0);
    CHECK_EQ_INT(uv_ip4_addr("127.0.0.1", 0, (struct sockaddr_in *)&addr), 0);
    CHECK_EQ_INT(uv_tcp_bind(&s->listener, (const struct sockaddr *)&addr, 0),
                 0);
    CHECK_EQ_INT(uv_listen((uv_stream_t *)&s->listener, 128, on_connection),
                 0);
    CHECK_EQ_INT(
        uv_tcp_getsockname(&s->listener, (struct sockaddr *)&addr, &len), 0);
    s->port = ntohs(((struct sockaddr_in *)&addr)->sin_port);
}

static inline void
on_listener_gone(uv_handle_t *h)
{
    ((server *)h->data)->handles--;
}

/* Says |text| on every open connection, out of any script. */
static inline void
server_say(server *s, const char *text)
{
    for (aif_list *n = s->peers.next; n != &s->peers; n = n->next) {
        peer_say(AIF_LIST_ENTRY(n, peer, link), text, strlen(text));
    }
}

/* Closes every connection, the listener stays. */
static inline void
server_drop(server *s, int reset)
{
    aif_list *node;

    while ((node = aif_list_head(&s->peers)) != NULL) {
        peer_close(AIF_LIST_ENTRY(node, peer, link), reset);
    }
}

/* Everything is gone when s->handles is 0. */
static inline void
server_close(server *s)
{
    server_drop(s, 0);
    if (!uv_is_closing((uv_handle_t *)&s->listener)) {
        uv_close((uv_handle_t *)&s->listener, on_listener_gone);
    }
}

#endif
