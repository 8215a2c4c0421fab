/* aif_resolve -- names to addresses: uv_getaddrinfo with a cache, one lookup
 * shared by all who wait for the same name.
 *
 * Owner:    the cache belongs to the loop and goes with it. A query belongs to
 *           its asker until it is answered or cancelled.
 * Thread:   the loop's; the lookup itself runs in libuv's threads.
 */
#ifndef AIF_RESOLVE_H
#define AIF_RESOLVE_H

#include "net/aif_addrs.h"
#include "net/aif_loop.h"

#define AIF_RESOLVE_TTL_MS 10000u /* how long an answer is kept */
#define AIF_RESOLVE_CACHE 1000u   /* names kept at most; the oldest goes */
#define AIF_RESOLVE_NAME 1024u    /* bytes of a name that is looked up */

typedef struct aif_query aif_query;

/* The answer: |addrs| (a reference that is yours) or NULL with |code|, a
 * UV_EAI_* or other libuv code. The query is gone when this is called. */
typedef void (*aif_resolve_cb)(void *user, aif_addrs *addrs, int code);

/* Asks for |host| (a name or an address literal, NUL-terminated) and |family|
 * (AF_UNSPEC, AF_INET, AF_INET6). Address literals and fresh cache entries are
 * answered at once: 1 and *|addrs| set, |cb| not called. 0: |cb| will be
 * called, never from inside this call, and *|query| can be cancelled.
 * Otherwise a negative code. Failures are not cached. An answer is fresh if it
 * is younger than the asker's |ttl_ms|; 0 bypasses the cache, but a lookup in
 * flight is shared all the same. *|cached| (may be NULL) tells whether the
 * cache answered. Names compare without regard to case. */
int aif_resolve(aif_loop *loop, const char *host, int family, unsigned ttl_ms,
                aif_resolve_cb cb, void *user, aif_query **query,
                aif_addrs **addrs, int *cached);

/* Withdraws the query: no callback. The lookup goes on while others wait. */
void aif_query_cancel(aif_query *q);

/* Forgets |host|, or everything if NULL. A lookup in flight still answers
 * those who wait for it, but nobody who asks later. */
void aif_resolve_forget(aif_loop *loop, const char *host);

#endif
