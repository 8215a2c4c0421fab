"""Where aiofast.parser reads a message differently from h11 or httptools, and why: a pattern for
the class that differential.py names, and the reason, which docs/parser.md repeats."""

from __future__ import annotations

REFUSED = r"(h11|httptools): we refuse, it has (read|cut|upgrade): "

DECIDED: list[tuple[str, str]] = [
    # --- We refuse ---------------------------------------------------------------------------
    (
        REFUSED + r"the version is not HTTP/1\.0 or 1\.1",
        "a version beside 1.0 and 1.1: there is none with this syntax (RFC 9112 2.3)",
    ),
    (
        REFUSED + r"Content-Length with Transfer-Encoding .*",
        "Content-Length with Transfer-Encoding: RFC 9112 6.1 lets it be refused, and it is how "
        "smuggling begins",
    ),
    (
        REFUSED + r"repeated Content-Length .*",
        "Content-Length twice with the same value: RFC 9112 6.3 lets it be refused",
    ),
    (
        REFUSED + r"Content-Length is not a length .*",
        "a Content-Length that is a list, empty or above 2^63: RFC 9112 6.3 lets the first be "
        "refused; h11 checks no length of a response that has no body",
    ),
    (
        REFUSED + r"Transfer-Encoding in HTTP/1\.0 .*",
        "Transfer-Encoding in HTTP/1.0: its framing is faulty (RFC 9112 6.1)",
    ),
    (
        REFUSED + r"Transfer-Encoding is not .*",
        "codings in a list that is not one, behind chunked, or that end a request without chunked "
        "(RFC 9112 6.1, 6.3)",
    ),
    (
        REFUSED + r"framing field in a trailer .*",
        "Content-Length or Transfer-Encoding as a trailer (RFC 9110 6.5.1 forbids them)",
    ),
    (
        REFUSED + r"tab in a framing field",
        "a tab around a framing field's value: a blank to some readers and not to others",
    ),
    (
        REFUSED + r"bare LF ends a line .*",
        "a bare LF ends a line: a recipient may take it (RFC 9112 2.2), and readers differ",
    ),
    (
        REFUSED + r"bare CR in a line .*",
        "a bare CR: RFC 9112 2.2 has it invalid or replaced",
    ),
    (
        REFUSED + r"a field line begins with a blank .*",
        "a line folded, or a blank behind the start line (RFC 9112 5.2, 2.2)",
    ),
    (
        REFUSED + r"control byte in a line .*",
        "a control byte in a value, a reason or an extension (RFC 9110 5.5)",
    ),
    (
        REFUSED + r"a chunk size is too long",
        "a chunk size of more than 16 digits, zeros counted: it could be endless",
    ),
    (
        REFUSED + r"a chunk size is not a number .*",
        "a blank behind a chunk size (RFC 9112 7.1 has none; the client takes it)",
    ),
    (
        REFUSED + r"a chunk extension is not one .*",
        "a chunk extension against its grammar (RFC 9112 7.1.1)",
    ),
    (
        REFUSED + r"a chunk has no size .*",
        "a chunk without a size (RFC 9112 7.1)",
    ),
    (
        REFUSED + r"chunk data is not followed by CRLF .*",
        "chunk data without its CRLF (RFC 9112 7.1)",
    ),
    (
        REFUSED + r"the method is not known",
        "a method that nobody has registered, as httptools refuses it too",
    ),
    (
        REFUSED + r"the method is not a token .*",
        "a method that is no token (RFC 9110 9.1)",
    ),
    (
        REFUSED + r"the request target is .*",
        "a target that has none of the four forms, two '@' in its authority, or is not visible "
        "ASCII (RFC 9112 3.2; RFC 3986 3.2)",
    ),
    (
        REFUSED + r"(not an HTTP/1 status line|no space behind the (version|status)"
        r"|the status is not 100 to 999|the status line is too short)",
        "a status line that is not one (RFC 9112 4)",
    ),
    (
        REFUSED + r"a field (has no name|name is not a token) .*",
        "a field name that is none (RFC 9110 5.1)",
    ),
    (
        REFUSED + r"CONNECT with a body .*",
        "CONNECT with a body (RFC 9110 9.3.6)",
    ),
    # --- We read -----------------------------------------------------------------------------
    (
        r"h11: we have (read|cut), it refuses: Only Transfer-Encoding: chunked is supported",
        "other codings: before chunked they are the program's to undo, without it a response "
        "runs until the peer closes (RFC 9112 6.3; the client refuses both)",
    ),
    (
        r"h11: we have (read|cut), it refuses: bad Content-Length",
        "a length with more than 20 digits, most of them zeros: they have one value (RFC 9112 6.2)",
    ),
    (
        r"(h11|httptools): we have (read|cut), it refuses: "
        r"(illegal chunk header: .*|HttpParserError Invalid character in chunk size)",
        "a blank between a chunk's size and its extension: the grammar has it, a recipient has to "
        "bear it (RFC 9112 7.1.1; RFC 9110 5.6.3)",
    ),
    (
        r"h11: we have (read|cut|upgrade), it refuses: no request line received",
        "an empty line before a request: RFC 9112 2.2 wants it ignored",
    ),
    (
        r"h11: we have (read|cut), it refuses: "
        r"(Found multiple Host: headers|Missing mandatory Host: header)",
        "a request with two Host fields or none: the server's to refuse (RFC 9112 3.2), as with "
        "httptools",
    ),
    (
        r"httptools: we have cut, it refuses: HttpParserError (Invalid character in Content-Length"
        r"|Content-Length overflow|Content-Length can't be present.*|Duplicate Content-Length"
        r"|Transfer-Encoding can't be present.*|Invalid `Transfer-Encoding` header value)",
        "a message cut behind a bad framing field: we judge a field when its line is known to end",
    ),
    (
        r"h11: we have (read|cut), it refuses: illegal request line.*",
        "a request line without a version, as HTTP/0.9 had: httptools takes it too; or a CR, and "
        "then nothing",
    ),
    (
        r"httptools: we have (read|cut), it refuses: "
        r"HttpParserInvalidURLError Unexpected char in url schema",
        "a digit in a target's scheme (RFC 3986 3.1)",
    ),
    (
        r"h11: both read, but not the same fields",
        "h11 writes Chunked in small letters, and removes what it has read of a list of lengths",
    ),
]
