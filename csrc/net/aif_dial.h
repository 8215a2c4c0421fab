/* aif_dial -- one connection attempt: resolve, then race the addresses.
 *
 * Addresses are interleaved by family, the first one's family first, and tried
 * one after the other with |race_ms| between the starts; a failure starts the
 * next at once; the first to connect wins and the others are closed (RFC 8305
 * 4, 5).
 *
 *     NEW -> RESOLVING -> CONNECTING -> done (on_done, exactly once)
 *              |             |
 *              +-- cancel ---+-> gone, no callback
 *
 * Owner:    the dial frees itself when on_done returns or when it is
 *           cancelled.
 */
#ifndef AIF_DIAL_H
#define AIF_DIAL_H

#include "net/aif_tcp.h"

#define AIF_DIAL_RACE_MS 250u

typedef struct aif_dial aif_dial;

typedef struct aif_dial_options {
    const char *host; /* NUL-terminated; ignored with |unix_path| */
    uint16_t port;
    const char *unix_path; /* NULL for TCP; a leading NUL byte is not served */
    int family;            /* AF_UNSPEC, AF_INET, AF_INET6 */
    unsigned race_ms;      /* 0: no race, one address after the other */
    unsigned ttl_ms;       /* of the DNS cache; 0: not used */
    const struct sockaddr *local_addr; /* bind to it; NULL: any */
    int public_only; /* connect to no address that aif_ipscope names, and to no
                        Unix socket */
} aif_dial_options;

typedef struct aif_dial_cbs {
    /* The name is resolved, connecting begins. May be NULL. |cached| as in
     * aif_resolve(). */
    void (*on_resolved)(void *user, int cached);
    /* Connected: |tcp| is yours, not reading. Or NULL and |err|: AIF_EDNS with
     * sys UV_EAI_*, or the last address's libuv code as |code| and |sys|, or
     * AIF_EFORBIDDEN if |public_only| left none; the text names the
     * address. */
    void (*on_done)(void *user, aif_tcp *tcp, const aif_err *err);
} aif_dial_cbs;

/* Starts. |options| is read at once and not kept. 0 and *|out|: on_done will
 * be called, never from inside this call; on_resolved may be called from
 * inside it, with *|out| already set, and may cancel: then the result is
 * AIF_ECANCELLED. On a negative code there is nothing to cancel. */
int aif_dial_start(aif_loop *loop, const aif_dial_options *options,
                   const aif_dial_cbs *cbs, void *user, aif_dial **out);

/* Ends the attempt: sockets are closed at once, no callback. */
void aif_dial_cancel(aif_dial *d);

/* Used by aif_loop_fini() only: cancels every dial of the loop. */
void aif_dial_cancel_all(aif_loop *loop);

#endif
