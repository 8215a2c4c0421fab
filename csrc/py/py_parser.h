/* py_parser -- HttpRequestParser and HttpResponseParser: the surface of
 * httptools over aif_h1parse. Without a loop and without the engine. Feeding
 * is in py_parser.c, the types are in py_parser_type.c, the errors in
 * py_parser_error.c.
 */
#ifndef PY_PARSER_H
#define PY_PARSER_H

#include "http/aif_h1parse.h"
#include "py/state.h"

/* What a protocol may listen to, in the order of a message. */
typedef enum parser_event {
    PARSER_BEGIN,
    PARSER_URL,
    PARSER_STATUS,
    PARSER_HEADER,
    PARSER_HEAD,
    PARSER_BODY,
    PARSER_CHUNK,
    PARSER_CHUNK_END,
    PARSER_MESSAGE,
    PARSER_EVENTS
} parser_event;

typedef struct ParserObject {
    PyObject_HEAD
    core_state *st;
    aif_h1parse *core;
    aif_h1_kind kind;            /* of |core| */
    PyObject *on[PARSER_EVENTS]; /* what to call, NULL where there is none */
    PyObject *owner;             /* the protocol, if |bound| is not 0 */
    unsigned bound;      /* bit i: on[i] is a function, a method of |owner| */
    PyObject *queue;     /* list: what callbacks have fed, or NULL */
    PyObject *raised;    /* what a callback has raised */
    parser_event failed; /* which one */
    unsigned rules;
    unsigned feeding : 1;
    unsigned closed : 1;  /* no message may come any more */
    unsigned go_on : 1;   /* lenient_keep_alive */
    unsigned discard : 1; /* lenient_data_after_close */
} ParserObject;

/* What the core calls, for requests or responses and with or without fields;
 * |user| is the ParserObject. */
const aif_h1parse_cbs *parser_upcalls(aif_h1_kind kind, int fields);

/* feed_data(): reads |data| and calls the protocol's methods. From inside one
 * of them it only puts |data| aside. */
PyObject *parser_feed_data(PyObject *op, PyObject *data);

/* The names of the callbacks, "on_url". */
extern const char *const parser_event_names[PARSER_EVENTS];

/* Imports the classes of errors from aiofast.parser. 0, or -1. */
int parser_error_import(core_state *st);

/* Sets the exception for a failure of |core|; |event| is what failed with
 * |raised| (taken over, or NULL), if a callback did. An exception that is not
 * an Exception goes on as it is. */
void parser_error_raise(core_state *st, const aif_h1parse *core,
                        parser_event event, PyObject *raised);

/* Sets the exception for bytes behind the last message of a connection. */
void parser_error_after_close(core_state *st);

/* Sets HttpParserUpgrade; |at| bytes of the data were HTTP. */
void parser_error_upgrade(core_state *st, Py_ssize_t at);

#endif
