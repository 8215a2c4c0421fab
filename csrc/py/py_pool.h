/* py_pool -- the Python type around aif_pool: settings first, connections once
 * a loop is known. */
#ifndef PY_POOL_H
#define PY_POOL_H

#include "client/aif_pool.h"
#include "net/aif_resolve.h"
#include "py/py_host.h"

typedef struct PoolObject {
    PyObject_HEAD
    core_state *st;
    aif_pool *pool;   /* owned; NULL before the first fetch */
    HostObject *host; /* borrowed; set with |pool| */
    aif_list link;    /* in host->pools */
    aif_pool_settings settings;
    char *unix_path; /* owned */
    struct sockaddr_storage local;
    unsigned closed : 1;
} PoolObject;

/* Binds |p| to |h| at first use. 0; -1 with RuntimeError if it is closed or
 * serves another loop that is alive. */
int pool_bind(PoolObject *p, HostObject *h);

/* The loop's own pool; borrowed, NULL with an exception. */
PoolObject *pool_default(HostObject *h);

/* Closes the connections because the host goes. */
void pool_detach(PoolObject *p);

#endif
