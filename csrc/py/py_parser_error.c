/* py_parser_error.c -- the exceptions of aiofast.parser, in words that users
 * of httptools know, with ours behind them. */
#include "py/py_parser.h"

const char *const parser_event_names[PARSER_EVENTS] = {
    "on_message_begin",    "on_url",  "on_status",       "on_header",
    "on_headers_complete", "on_body", "on_chunk_header", "on_chunk_complete",
    "on_message_complete",
};

int
parser_error_import(core_state *st)
{
    static const char module[] = "aiofast.parser";

    if (st->http_upgrade != NULL) {
        return 0;
    }
    if (state_import(&st->http_error, module, "HttpParserError") < 0
        || state_import(&st->http_callback_error, module,
                        "HttpParserCallbackError")
               < 0
        || state_import(&st->http_status_error, module,
                        "HttpParserInvalidStatusError")
               < 0
        || state_import(&st->http_method_error, module,
                        "HttpParserInvalidMethodError")
               < 0
        || state_import(&st->http_url_error, module,
                        "HttpParserInvalidURLError")
               < 0
        || state_import(&st->http_upgrade, module, "HttpParserUpgrade") < 0)
    {
        return -1;
    }
    return 0;
}

/* What llhttp, and so httptools, says of such bytes; NULL if it says nothing
 * that we could say. */
static const char *
known_words(aif_h1_fault fault)
{
    switch (fault) {
    case AIF_H1_FAULT_BARE_LF:
        return "Missing expected CR before LF";
    case AIF_H1_FAULT_BARE_CR:
        return "Missing expected LF after CR";
    case AIF_H1_FAULT_CONTROL:
        return "Invalid header value char";
    case AIF_H1_FAULT_PROTOCOL:
        return "Expected HTTP/";
    case AIF_H1_FAULT_VERSION:
        return "Invalid HTTP version";
    case AIF_H1_FAULT_VERSION_END:
        return "Expected space after version";
    case AIF_H1_FAULT_STATUS:
        return "Invalid status code";
    case AIF_H1_FAULT_STATUS_END:
    case AIF_H1_FAULT_STATUS_SHORT:
        return "Invalid response status";
    case AIF_H1_FAULT_METHOD:
    case AIF_H1_FAULT_METHOD_UNKNOWN:
        return "Invalid method encountered";
    case AIF_H1_FAULT_TARGET:
        return "Invalid char in url path";
    case AIF_H1_FAULT_TARGET_FORM:
        return "Unexpected start char in url";
    case AIF_H1_FAULT_FOLD:
        return "Unexpected whitespace after header value";
    case AIF_H1_FAULT_FIRST_FOLD:
        return "Unexpected space after start line";
    case AIF_H1_FAULT_NO_NAME:
    case AIF_H1_FAULT_NAME:
        return "Invalid header token";
    case AIF_H1_FAULT_LENGTH:
        return "Invalid character in Content-Length";
    case AIF_H1_FAULT_LENGTH_TWICE:
        return "Duplicate Content-Length";
    case AIF_H1_FAULT_LENGTH_AND_CODING:
        return "Content-Length can't be present with Transfer-Encoding";
    case AIF_H1_FAULT_CODING:
        return "Message has invalid `Transfer-Encoding`";
    case AIF_H1_FAULT_SIZE:
    case AIF_H1_FAULT_SIZE_NONE:
        return "Invalid character in chunk size";
    case AIF_H1_FAULT_SIZE_LONG:
        return "Chunk size overflow";
    case AIF_H1_FAULT_EXTENSION:
        return "Invalid character in chunk extensions";
    case AIF_H1_FAULT_CHUNK_END:
        return "Expected LF after chunk data";
    default:
        return NULL;
    }
}

static PyObject *
class_of(core_state *st, aif_h1_fault fault)
{
    switch (fault) {
    case AIF_H1_FAULT_STATUS:
    case AIF_H1_FAULT_STATUS_END:
    case AIF_H1_FAULT_STATUS_SHORT:
        return st->http_status_error;
    case AIF_H1_FAULT_METHOD:
    case AIF_H1_FAULT_METHOD_UNKNOWN:
        return st->http_method_error;
    case AIF_H1_FAULT_TARGET:
    case AIF_H1_FAULT_TARGET_FORM:
        return st->http_url_error;
    default:
        return st->http_error;
    }
}

static void
raise_callback_error(core_state *st, parser_event event, PyObject *raised)
{
    PyObject *exc;

    if (raised != NULL
        && !PyErr_GivenExceptionMatches(raised, PyExc_Exception))
    {
        compat_set_exception(raised);
        return;
    }
    PyErr_Format(st->http_callback_error, "`%s` callback error",
                 parser_event_names[event]);
    if (raised == NULL) {
        return;
    }
    exc = compat_take_exception();
    if (exc == NULL) {
        Py_DECREF(raised);
        return;
    }
    PyException_SetContext(exc, raised);
    compat_set_exception(exc);
}

void
parser_error_raise(core_state *st, const aif_h1parse *core, parser_event event,
                   PyObject *raised)
{
    const aif_err *err = aif_h1parse_error(core);
    const aif_h1_fault fault = aif_h1parse_fault(core);
    const char *words;

    if (err->code == AIF_ECALLBACK) {
        raise_callback_error(st, event, raised);
        return;
    }
    if (err->code == AIF_ENOMEM) {
        (void)PyErr_NoMemory();
        return;
    }
    words = known_words(fault);
    if (words != NULL) {
        PyErr_Format(class_of(st, fault), "%s: %s", words, err->text);
    }
    else {
        PyErr_SetString(class_of(st, fault), err->text);
    }
}

void
parser_error_after_close(core_state *st)
{
    PyErr_Format(st->http_error, "Data after `Connection: close`: %s",
                 aif_h1fault_text(AIF_H1_FAULT_AFTER_CLOSE));
}

void
parser_error_upgrade(core_state *st, Py_ssize_t at)
{
    PyObject *offset = PyLong_FromSsize_t(at);

    if (offset != NULL) {
        PyErr_SetObject(st->http_upgrade, offset);
        Py_DECREF(offset);
    }
}
