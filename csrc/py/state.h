/* state.h -- what the module keeps: its types, the names it looks up, what it
 * imports from Python, and the hosts of the running loops.
 *
 * Every object of ours stores a pointer to this struct; its type keeps the
 * module, and with it the struct, alive.
 */
#ifndef STATE_H
#define STATE_H

#include "py/py_compat.h"

#include "base/aif_list.h"

#define STATE_FIELD_NAMES 64
#define STATE_PARSER_NAMES 9

typedef struct core_state {
    PyObject *module; /* borrowed */

    /* Our types. */
    PyTypeObject *wait_type;
    PyTypeObject *fetch_type;
    PyTypeObject *options_type;
    PyTypeObject *caller_type;
    PyTypeObject *pool_type;
    PyTypeObject *host_type;
    PyTypeObject *response_type;
    PyTypeObject *upload_type;
    PyTypeObject *dial_type;
    PyTypeObject *pread_type;
    PyTypeObject *transport_type;
    PyTypeObject *ssl_transport_type;
    PyTypeObject *request_parser_type;
    PyTypeObject *response_parser_type;
    PyTypeObject *parsed_url_type;

    /* Imports from asyncio, at import. */
    PyObject *get_running_loop;
    PyObject *cancelled_error;
    PyObject *invalid_state_error;

    /* Imports when first needed; NULL before. */
    PyObject *from_core;         /* aiofast.errors.from_core */
    PyObject *reset_error;       /* ... .ClientConnectionResetError */
    PyObject *yarl_url;          /* yarl.URL */
    PyObject *idna_encode;       /* idna.encode */
    PyObject *memory_bio;        /* ssl.MemoryBIO */
    PyObject *want_read;         /* ssl.SSLWantReadError */
    PyObject *ssl_object;        /* ssl.SSLObject */
    PyObject *ssl_socket;        /* _ssl._SSLSocket */
    PyObject *logger;            /* asyncio.log.logger */
    PyObject *extract_stack;     /* traceback.extract_stack */
    PyObject *buffered_protocol; /* asyncio.protocols.BufferedProtocol */
    PyObject *multidict_module;  /* it owns the next */
    void *multidict;             /* MultiDict_CAPI */

    /* Errors of aiofast.parser, imported with the first parser. */
    PyObject *http_error, *http_callback_error, *http_status_error;
    PyObject *http_method_error, *http_url_error, *http_upgrade;
    PyObject *field_names[STATE_FIELD_NAMES]; /* bytes that came last, NULL */
    PyObject *parser_names[STATE_PARSER_NAMES]; /* "on_url" */
    PyObject *getattr;                          /* the builtin function */
    struct aif_h1parse *spare_cores[2];         /* of parsers, by kind */

    /* Names and constants. */
    PyObject *str_call_soon, *str_call_soon_threadsafe, *str_call_later;
    PyObject *str_cancel, *str_wrap_bio;
    PyObject *str_items, *str_read, *str_write, *str_write_eof;
    PyObject *str_do_handshake, *str_unwrap, *str_session, *str_ok;
    PyObject *str_data_received, *str_get_buffer, *str_buffer_updated;
    PyObject *str_eof_received, *str_connection_lost;
    PyObject *str_pause_writing, *str_resume_writing;
    PyObject *str_module, *str_run_once, *str_selector; /* of asyncio's loop */
    PyObject *str_ready, *str_scheduled, *str_when, *str_stopping, *str_debug;
    PyObject *str_headers, *str_json, *str_data, *str_params, *str_timeout;
    PyObject *str_ssl, *str_allow_redirects;
    PyObject *kw_context; /* ("context",) */
    PyObject *kw_wrap;    /* ("server_hostname", "session") */
    PyObject *spare;      /* a large bytes object to read into; or NULL */
    PyObject *empty_bytes;
    PyObject *empty_tuple;
    PyObject *done_none; /* a Wait that gave None */

    int data_registered; /* kinds of data that only Python knows */
    int taught_malloc;   /* by the first large read of a transport */
    int tls_direct;      /* 1: there is a direct engine; -1: not; 0: unknown */
    int tls_python;      /* 1: Python's is asked for nevertheless */

    aif_list hosts;          /* HostObject, borrowed */
    struct HostObject *last; /* the host asked for last; borrowed */
    aif_list orphans;        /* loops that could not be ended yet */
} core_state;

/* |obj|'s state, by the type that defines a method (METH_METHOD) or the
 * module. */
static inline core_state *
state_of_module(PyObject *module)
{
    return (core_state *)PyModule_GetState(module);
}

extern PyModuleDef aiofast_core_module;

/* The state behind a type of ours or a subclass of one; NULL and TypeError
 * for others. */
core_state *state_of_type(PyTypeObject *type);

/* Imports |module|.|name| into |*slot| once. 0 or -1. */
int state_import(PyObject **slot, const char *module, const char *name);

int state_init(core_state *st, PyObject *module);
int state_traverse(core_state *st, visitproc visit, void *arg);
void state_clear(core_state *st);

/* Each adds its type to the module. 0 or -1. */
int wait_type_init(core_state *st);
int fetch_type_init(core_state *st);
int options_type_init(core_state *st);
int pool_type_init(core_state *st);
int caller_type_init(core_state *st);
int host_type_init(core_state *st);
int response_type_init(core_state *st);
int upload_type_init(core_state *st);
int dial_type_init(core_state *st);
int pread_type_init(core_state *st);
int transport_type_init(core_state *st);
int parser_type_init(core_state *st);
int parsed_url_type_init(core_state *st);

#endif
