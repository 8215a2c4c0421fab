/* py_transport -- asyncio.Transport over one stage.
 *
 *   plain:  NEW ------------> OPEN -> CLOSING -> LOST
 *   TLS:    NEW -> SHAKING -> OPEN -> CLOSING -> SAYING_BYE -> LOST
 *                  any of them, by abort() or a failure: -> LOST
 *
 * py_transport.c       the type, its methods
 * py_transport_read.c  what the stage says, and what the protocol hears of it
 * py_transport_write.c the queue of what is to be sent
 * py_transport_end.c   failures, closing, the end
 * py_transport_tls.c   handshake, shutdown, what is known of a TLS connection
 *
 * Who keeps it: the host while it reads or has something to send, a call_soon
 * for connection_lost(), the program. One that nobody keeps warns and goes.
 *
 * Re-entry: a protocol's methods are called while the core is inside, and may
 * call any method here. In the core a transport touches its own memory only.
 */
#ifndef PY_TRANSPORT_H
#define PY_TRANSPORT_H

#include "net/aif_tcp.h"
#include "py/py_host.h"

/* The slots that asyncio's own base class keeps in the object. We have all of
 * it in fields of our own, but the layout is inherited. */
#define TRANSPORT_BASE_SLOTS 5

typedef enum transport_state {
    TRANSPORT_NEW,
    TRANSPORT_SHAKING,
    TRANSPORT_OPEN,
    TRANSPORT_SAYING_BYE, /* close_notify is out, the peer's is awaited */
    TRANSPORT_LOST        /* connection_lost() is scheduled, or was called */
} transport_state;

/* Bytes that wait to be sent. */
typedef struct pending {
    PyObject *owner; /* a bytes, or a memoryview that is ours */
    char *base;
    size_t len;
} pending;

typedef struct TransportObject {
    PyObject_HEAD
    PyObject *base_slots[TRANSPORT_BASE_SLOTS];
    core_state *st;
    HostObject *host; /* NULL: the loop has ended */
    aif_list link;    /* in host->transports */
    PyObject *dict, *weakrefs;
    PyObject *loop, *sock, *protocol; /* NULL once all is over */
    PyObject *extra;                  /* dict: what get_extra_info() knows */
    PyObject *context;                /* the protocol's methods run in it */
    PyObject *waiter;                 /* a future: connected; or NULL */
    PyObject *timer;                  /* TimerHandle of TLS, or NULL */
    PyObject *empty_waiter;           /* sendfile's; or NULL */
    PyObject *successor; /* who took the stage over by start_tls() */
    PyObject *lower;     /* and from whom */
    PyObject *space;     /* what get_buffer() gave */
    PyObject *body;      /* bytes that are being read into */
    size_t last_read;    /* how much came last */
    Py_buffer view;      /* of |space|, where it has to be held */
    PyObject *handshake_timeout, *shutdown_timeout; /* seconds */
    aif_stage *stage;                               /* owned; NULL: closed */
    aif_tcp *tcp;                                   /* the bottom of it */
    pending *items;                                 /* owned */
    size_t head, count, cap, queued; /* |queued|: bytes of all items */
    size_t flying;                   /* items that the stage has */
    aif_write write;
    uv_buf_t one, *bufs; /* |bufs|: owned, GATHER of them; or NULL */
    PyObject *writing;   /* what one may have to be copied of; or NULL */
    PyObject *copied;    /* and the copy */
    size_t high, low;    /* water marks */
    unsigned lost_writes;
    int fd;
    transport_state state;
    unsigned tls : 1;
    unsigned connected : 1; /* the protocol knows of us */
    unsigned buffered : 1;  /* it is a BufferedProtocol */
    unsigned begun : 1;     /* reading may begin */
    unsigned paused : 1;
    unsigned paused_writing : 1;
    unsigned closing : 1;
    unsigned eof : 1;      /* write_eof() was called */
    unsigned eof_told : 1; /* eof_received() was */
    unsigned busy : 1;     /* inside aif_stage_write() */
    unsigned held : 1;     /* the host has a reference */
    unsigned viewed : 1;   /* |view| is held */
    unsigned inside : 1;   /* |context| is entered */
} TransportObject;

/* ---- py_transport.c ----------------------------------------------------- */

/* transport_new(sock, protocol, extra): over the connected socket. */
PyObject *core_transport_new(PyObject *module, PyObject *const *args,
                             Py_ssize_t count);

/* An object around nothing yet; NULL with an exception. */
TransportObject *transport_alloc(core_state *st, HostObject *h, PyObject *loop,
                                 int tls);

/* Keeps or lets go, as there is something to read or to send. */
void transport_hold(TransportObject *t);

/* Called by the host at its end. */
void transport_detach(TransportObject *t);

/* loop.call_soon(t.|method|) in the present context: 0 or -1. |arg| may be
 * NULL. */
int transport_call_soon(TransportObject *t, const char *method, PyObject *arg);

/* 0 or -1: is |protocol| buffered? */
int transport_set_protocol(TransportObject *t, PyObject *protocol);

/* ---- py_transport_read.c ------------------------------------------------ */

extern const aif_stage_cbs transport_cbs;

/* Enters the transport's context; 0 if one is inside already. */
int transport_enter(TransportObject *t);
void transport_leave(TransportObject *t, int entered);

/* Starts or stops the stage, as the transport's state asks for. */
int transport_read_as_due(TransportObject *t);

/* protocol.eof_received(), once: 1 keep open, 0 not, -1 it failed and all is
 * over. */
int transport_tell_eof(TransportObject *t);

void transport_drop_space(TransportObject *t);

/* ---- py_transport_write.c ----------------------------------------------- */

PyObject *transport_write(PyObject *self, PyObject *data);
PyObject *transport_writelines(PyObject *self, PyObject *list);
PyObject *transport_append_backlog(PyObject *self, PyObject *data);
PyObject *transport_write_eof(PyObject *self, PyObject *ignored);

/* Sends what is queued, as far as it goes. */
void transport_pump(TransportObject *t);

/* Bytes that have not left yet. */
size_t transport_buffered(const TransportObject *t);
void transport_drop_queue(TransportObject *t);
void transport_pause_writing(TransportObject *t);
void transport_resume_writing(TransportObject *t);

/* ---- py_transport_end.c ------------------------------------------------- */

/* An OSError for a libuv code. New reference or NULL with an exception. */
PyObject *transport_os_error(int code);

/* Takes |exc| (a reference): reports it unless it is an OSError, and ends the
 * connection with it. */
void transport_fatal(TransportObject *t, PyObject *exc, const char *message);

/* The same with the exception that is set; the two that end the program go to
 * the host. */
void transport_fatal_raised(TransportObject *t, const char *message);

/* Only reports the exception that is set. */
void transport_report(TransportObject *t, const char *message);

/* Schedules connection_lost(|exc|); NULL is None. 0 or -1 with an exception.
 */
int transport_force_close(TransportObject *t, PyObject *exc);
int transport_begin_close(TransportObject *t);

/* All has been sent: goes on with what waited for it. 0 or -1. */
int transport_drained(TransportObject *t);

/* Gives stage and socket up. */
void transport_release(TransportObject *t);

PyObject *transport_call_connection_lost(PyObject *self, PyObject *exc);
PyObject *transport_make_empty_waiter(PyObject *self, PyObject *ignored);
PyObject *transport_reset_empty_waiter(PyObject *self, PyObject *ignored);
void transport_finalize(PyObject *self);

#endif
