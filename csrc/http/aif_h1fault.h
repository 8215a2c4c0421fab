/* aif_h1fault -- what can be wrong with the bytes of an HTTP/1 message: one
 * number for each rule, so that a layer above may have words of its own.
 *
 * Pure functions of their arguments.
 */
#ifndef AIF_H1FAULT_H
#define AIF_H1FAULT_H

#include "base/aif_err.h"

/* clang-format off */

/* Name, result code, sentence (static, without a period). */
#define AIF_H1_EACH_FAULT(X)                                                  \
    X(NONE, 0, "")                                                            \
    X(MEMORY, AIF_ENOMEM, "no memory for the message")                        \
    /* Line ends and bytes. */                                                \
    X(BARE_LF, AIF_EPARSE, "bare LF ends a line (RFC 9112 2.2)")              \
    X(BARE_CR, AIF_EPARSE, "bare CR in a line (RFC 9112 2.2)")                \
    X(CONTROL, AIF_EPARSE, "control byte in a line (RFC 9110 5.5)")           \
    X(LINE, AIF_ETOOBIG, "a line is too long")                                \
    X(SECTION, AIF_ETOOBIG, "the section is too big")                         \
    X(LEADING, AIF_ETOOBIG, "too many empty lines")                           \
    /* Start lines. */                                                        \
    X(PROTOCOL, AIF_EPARSE, "not an HTTP/1 status line")                      \
    X(VERSION, AIF_EPARSE, "the version is not HTTP/1.0 or 1.1")              \
    X(VERSION_END, AIF_EPARSE, "no space behind the version")                 \
    X(STATUS, AIF_EPARSE, "the status is not 100 to 999")                     \
    X(STATUS_END, AIF_EPARSE, "no space behind the status")                   \
    X(STATUS_SHORT, AIF_EPARSE, "the status line is too short")               \
    X(METHOD, AIF_EPARSE, "the method is not a token (RFC 9110 9.1)")         \
    X(METHOD_UNKNOWN, AIF_EPARSE, "the method is not known")                  \
    X(TARGET, AIF_EPARSE, "the request target is not visible ASCII")          \
    X(TARGET_FORM, AIF_EPARSE,                                                \
      "the request target is none of the four forms (RFC 9112 3.2)")          \
    X(SWITCHING, AIF_EPARSE, "101 Switching Protocols was not asked for")     \
    X(INFORMATIONAL, AIF_ETOOBIG, "too many 1xx responses")                   \
    /* Fields. */                                                             \
    X(FOLD, AIF_EPARSE, "a field line begins with a blank (RFC 9112 5.2)")    \
    X(FIRST_FOLD, AIF_EPARSE,                                                 \
      "a field line begins with a blank (RFC 9112 2.2)")                      \
    X(NO_NAME, AIF_EPARSE, "a field has no name (RFC 9112 5.1)")              \
    X(NAME, AIF_EPARSE, "a field name is not a token (RFC 9110 5.1)")         \
    X(FIELDS, AIF_ETOOBIG, "too many fields")                                 \
    /* Framing. */                                                            \
    X(LENGTH, AIF_EPARSE, "Content-Length is not a length (RFC 9112 6.3)")    \
    X(LENGTH_TWICE, AIF_EPARSE, "repeated Content-Length (RFC 9112 6.3)")     \
    X(LENGTH_AND_CODING, AIF_EPARSE,                                          \
      "Content-Length with Transfer-Encoding (RFC 9112 6.1)")                 \
    X(CODING, AIF_EPARSE,                                                     \
      "Transfer-Encoding is not \"chunked\" (RFC 9112 6.1)")                  \
    X(CODING_TWICE, AIF_EPARSE, "repeated Transfer-Encoding (RFC 9112 6.1)")  \
    X(CODING_OLD, AIF_EPARSE, "Transfer-Encoding in HTTP/1.0 (RFC 9112 6.1)") \
    X(FRAMING_TAB, AIF_EPARSE, "tab in a framing field")                      \
    X(TRAILER, AIF_EPARSE, "framing field in a trailer (RFC 9110 6.5.1)")     \
    X(CONNECT, AIF_EPARSE, "CONNECT with a body (RFC 9110 9.3.6)")            \
    X(AMBIGUOUS, AIF_EPARSE, "ambiguous framing fields")                      \
    /* Chunks. */                                                             \
    X(SIZE_NONE, AIF_EPARSE, "a chunk has no size (RFC 9112 7.1)")            \
    X(SIZE, AIF_EPARSE, "a chunk size is not a number (RFC 9112 7.1)")        \
    X(SIZE_LONG, AIF_ETOOBIG, "a chunk size is too long")                     \
    X(SIZE_LINE, AIF_ETOOBIG, "a chunk line is too long")                     \
    X(EXTENSION, AIF_EPARSE,                                                  \
      "a chunk extension is not one (RFC 9112 7.1.1)")                        \
    X(SIZE_AMBIGUOUS, AIF_EPARSE, "ambiguous chunk size")                     \
    X(BUDGET, AIF_ETOOBIG, "too much chunk framing for so few bytes")         \
    X(CHUNK_END, AIF_EPARSE,                                                  \
      "chunk data is not followed by CRLF (RFC 9112 7.1)")                    \
    /* Connections. */                                                        \
    X(AFTER_CLOSE, AIF_EPARSE,                                                \
      "bytes behind the last message (RFC 9112 9.6)")

typedef enum aif_h1_fault {
#define AIF_H1_FAULT_NAME(name, code, text) AIF_H1_FAULT_##name,
    AIF_H1_EACH_FAULT(AIF_H1_FAULT_NAME)
#undef AIF_H1_FAULT_NAME
} aif_h1_fault;

/* clang-format on */

int aif_h1fault_code(aif_h1_fault fault);
const char *aif_h1fault_text(aif_h1_fault fault);

#endif
