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
#include "py/py_interim.h"
#include "py/py_options.h"

/* A streamed body that nobody reads is held up to this, unless its reader
 * wants more. One read more may come on top of it. */
#define RESPONSE_HIGH_WATER (256u * 1024u)

/* What a waiting reader gets at most, and what a read brings at least. */
#define RESPONSE_MAX_PIECE (1024u * 1024u)
#define RESPONSE_MIN_READ 4096u

/* Ends of chunks that nobody has passed: as many stop the reading. */
#define RESPONSE_HIGH_CHUNKS 8192u

/* Bytes of such ends that are kept; then the oldest are forgotten. */
#define RESPONSE_MAX_ENDS (64u * 1024u * sizeof(uint64_t))

typedef struct ResponseObject {
    PyObject_HEAD
    core_state *st;
    OptionsObject *options;
    PyObject *method, *url_text, *history, *reason;
    /* Built when first read. */
    PyObject *url, *headers, *raw_headers, *request_headers;
    PyObject *weakrefs;
    interim *interims; /* owned */
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
    WaitObject *ending; /* who waits for the end without reading */
    size_t high_water;
    Py_buffer into;    /* where |reader| wants the bytes, if |into.obj| */
    size_t into_len;   /* that came there */
    uint64_t received; /* decoded bytes that came */
    uint64_t coded;    /* what they came as, of a body that is over */
    uint64_t given;    /* of |received|, handed out */
    aif_buf ends;      /* uint64_t: where chunks end, by |received| */
    size_t ends_at;    /* bytes of |ends| that have been passed */
    PyObject *cause;   /* what TLS said when it failed */
    PyObject *place;   /* where it was asked for, in debug mode; NULL */
    PyObject *failure; /* the exception, once built */
    unsigned reader_all : 1;
    unsigned all_read : 1; /* all of it was asked for */
    unsigned whole : 1;    /* the body is complete */
    unsigned failed : 1;
    unsigned released : 1; /* the user gave the rest up */
    unsigned cutting : 1;  /* ... and the connection with it */
    unsigned taken : 1;    /* parts were handed out: body is not all */
    unsigned bodiless : 1; /* of a redirect that was followed */
    unsigned reused : 1;
    unsigned entered : 1; /* its Fetch was, by `async with` */
} ResponseObject;

/* A response of |options|' class for the head in |p|, whose fields it
 * takes. */
ResponseObject *response_new(HostObject *host, OptionsObject *options,
                             aif_fetch *f, aif_h1parse *p);

/* Memory for a body of |len| bytes, not filled. NULL with an exception. */
PyObject *response_room(HostObject *host, size_t len);

/* For a body that is not kept: -1 with an exception, else 0. */
int response_check_kept(const ResponseObject *r);

/* Body bytes: room for direct reads, and the bytes themselves. */
char *response_space(ResponseObject *r, size_t *len);
int response_add(ResponseObject *r, const char *data, size_t len);

/* |body| becomes exactly the bytes that came. 0 or -1 with an exception. */
int response_trim(ResponseObject *r);

/* The body is whole: what |f| measured is kept. 0 or -1 with an exception. */
int response_complete(ResponseObject *r, HostObject *host, aif_fetch *f);

/* From here on |r| owns |f| and hears its upcalls. |upload|, which may be
 * NULL, is the request's body and memory of aif_mem; it goes to |r| too. */
void response_stream(ResponseObject *r, aif_fetch *f, HostObject *host,
                     PyObject *pool, Py_buffer *upload);

/* A Wait for all of the body, or for the next part. NULL with an exception. */
PyObject *response_read(ResponseObject *r, int all);

/* What came, but for what |body| holds, has been handed out. */
void response_given(ResponseObject *r);

/* Somebody wants what is not there yet: on with the socket. */
void response_resume(ResponseObject *r);

/* ---- py_response_into.c ------------------------------------------------- */

/* A Wait for the next bytes right in |view|, a memoryview: for their count, 0
 * at the end. NULL with an exception. */
PyObject *response_read_into(ResponseObject *r, PyObject *view);

/* While its reader waits: where the next bytes of the body go, at most |*len|;
 * NULL if they go elsewhere. How many of them went there. */
char *response_into_space(ResponseObject *r, size_t *len);
size_t response_into_add(ResponseObject *r, const char *data, size_t len);

/* Bytes of a read that suit |high_water|: 0, for any number, or less than the
 * slab. */
static inline size_t
response_read_most(size_t high_water)
{
    if (high_water == 0 || high_water >= AIF_SLAB_SIZE) {
        return 0;
    }
    return high_water < RESPONSE_MIN_READ ? RESPONSE_MIN_READ : high_water;
}

/* Gives up the rest of the body: the connection reads a short rest by itself.
 * |close| closes it instead. Harmless when the body is whole. */
void response_release(ResponseObject *r, int close);

/* Gives |r->fetch| up, which is not NULL, as |r| goes. */
void response_drop(ResponseObject *r);

/* Why nothing more can be read, built when first asked for; borrowed. NULL
 * with an exception if it cannot be built. */
PyObject *response_failure(ResponseObject *r);

/* What is there of a body that streams, without waiting: a new reference,
 * empty if there is nothing. NULL with an exception. */
PyObject *response_take(ResponseObject *r);

/* ---- py_response_reader.c ----------------------------------------------- */

/* A chunk ends behind what came. */
void response_chunk(ResponseObject *r);

/* Forgets the ends of chunks in front of byte |at|. */
void response_pass_chunks(ResponseObject *r, uint64_t at);

/* The body is over, one way or the other. */
void response_ended(ResponseObject *r);

/* Methods and attributes of the type; what they say is in _core.pyi. */
PyObject *Response_chunk_end(PyObject *self, PyObject *arg);
PyObject *Response_wait_end(PyObject *self, PyObject *ignored);
PyObject *Response_take_some(PyObject *self, PyObject *ignored);
PyObject *Response_get_received(PyObject *self, void *closure);
PyObject *Response_get_coded(PyObject *self, void *closure);
PyObject *Response_get_all_read(PyObject *self, void *closure);
PyObject *Response_get_ended(PyObject *self, void *closure);
PyObject *Response_get_reading(PyObject *self, void *closure);
PyObject *Response_get_failure(PyObject *self, void *closure);
PyObject *Response_get_high_water(PyObject *self, void *closure);
int Response_set_high_water(PyObject *self, PyObject *value, void *closure);
PyObject *Response_get_options(PyObject *self, void *closure);
PyObject *Response_get_pool(PyObject *self, void *closure);

#endif
