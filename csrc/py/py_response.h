/* py_response -- what came back: head, body, and how it went. The type is in
 * py_response.c, the body in py_response_body.c.
 *
 * While a body streams the response owns the aif_fetch and no longer the
 * other way round, so that dropping the response ends the exchange.
 */
#ifndef PY_RESPONSE_H
#define PY_RESPONSE_H

#include "client/aif_fetch.h"
#include "py/py_host.h"
#include "py/py_options.h"

/* A streamed body that nobody reads is held up to this. */
#define RESPONSE_HIGH_WATER (256u * 1024u)

typedef struct ResponseObject {
    PyObject_HEAD
    core_state *st;
    OptionsObject *options;
    PyObject *method, *url_text, *history, *reason;
    /* Built when first read. */
    PyObject *url, *headers, *raw_headers, *request_headers;
    PyObject *weakrefs;
    aif_header header;
    aif_header trailer;
    aif_buf request_head;
    aif_trace trace;
    int status;
    int minor;
    char peer[72];
    /* The body: |body| has room for more than the |body_len| bytes that came
     * until it is whole. */
    PyObject *body;
    size_t body_len;
    size_t length; /* announced, if known and worth to rely on */
    /* Streaming. */
    aif_fetch *fetch;   /* owned, NULL when over or not streaming */
    HostObject *host;   /* borrowed, while |fetch| is under way */
    PyObject *pool;     /* must outlive |fetch| */
    Py_buffer *upload;  /* body of the request, while |fetch| is under way */
    WaitObject *reader; /* who waits for bytes */
    PyObject *cause;    /* what TLS said when it failed */
    PyObject *failure;  /* the exception, once built */
    unsigned reader_all : 1;
    unsigned whole : 1; /* the body is complete */
    unsigned failed : 1;
    unsigned released : 1; /* the user gave the rest up */
    unsigned cutting : 1;  /* ... and the connection with it */
    unsigned taken : 1;    /* parts were handed out: body is not all */
    unsigned reused : 1;
    unsigned entered : 1; /* its Fetch was, by `async with` */
} ResponseObject;

/* A response of |options|' class for the head in |p|, whose fields it
 * takes. */
ResponseObject *response_new(core_state *st, OptionsObject *options,
                             aif_fetch *f, aif_h1parse *p);

/* Body bytes: room for direct reads, and the bytes themselves. */
char *response_space(ResponseObject *r, size_t *len);
int response_add(ResponseObject *r, const char *data, size_t len);

/* |body| becomes exactly the bytes that came. 0 or -1 with an exception. */
int response_trim(ResponseObject *r);

/* The body is whole: what |f| measured is kept. 0 or -1 with an exception. */
int response_complete(ResponseObject *r, aif_fetch *f);

/* From here on |r| owns |f| and hears its upcalls. |upload|, which may be
 * NULL, is the request's body and memory of aif_mem; it goes to |r| too. */
void response_stream(ResponseObject *r, aif_fetch *f, HostObject *host,
                     PyObject *pool, Py_buffer *upload);

/* A Wait for all of the body, or for the next part. NULL with an exception. */
PyObject *response_read(ResponseObject *r, int all);

/* Gives up the rest of the body: the connection reads a short rest by itself.
 * |close| closes it instead. Harmless when the body is whole. */
void response_release(ResponseObject *r, int close);

/* Gives |r->fetch| up, which is not NULL, as |r| goes. */
void response_drop(ResponseObject *r);

#endif
