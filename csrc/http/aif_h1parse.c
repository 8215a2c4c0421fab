/* aif_h1parse -- HTTP/1 messages from bytes, read by two readers.
 *
 * Our own scanner (aif_h1scan) goes first. It walks over every framing byte
 * exactly once, refuses what llhttp lets through, counts against the ceilings
 * and knows to the byte where each piece ends. llhttp then gets that piece and
 * nothing behind it: it splits the fields, and its view of the framing has to
 * agree with ours; where the two differ, the message is refused.
 *
 *     LEAD -> START -> FIELDS -+-> LENGTH -----------------------+-> DONE
 *      ^                 |     +-> CLOSE (until eof) ------------+
 *      +---- 1xx --------+     +-> SIZE -> DATA -> CRLF -> SIZE  |
 *                        |          +-> TRAILER -----------------+
 *                        +---------- no body --------------------+
 *
 * Rules: a byte is judged by the scanner before llhttp sees it, and llhttp
 * judges all bytes in front of one that the scanner refuses. So the verdict is
 * that of a machine which is fed one byte at a time, however the input is
 * cut. Upcalls are made between the pieces, never from inside llhttp, and body
 * bytes are not looked at.
 */
#include "http/aif_h1parse.h"

#include <llhttp.h>
#include <string.h>

#include "base/aif_ascii.h"
#include "base/aif_mem.h"
#include "http/aif_h1frame.h"
#include "http/aif_h1scan.h"

#if LLHTTP_VERSION_MAJOR < 8
#    error "llhttp 8.1 or newer is needed"
#endif

/* llhttp 8 is loose unless it and its users are compiled with this switch, and
 * then takes blanks for parts of a name. Nothing else that it lets through in
 * that mode gets past the scanner. */
#if LLHTTP_VERSION_MAJOR == 8 && !LLHTTP_STRICT_MODE
#    define LOOSE_NAMES 1
#else
#    define LOOSE_NAMES 0
#endif

#define KEEP_START 1024u /* of a start line's memory, between messages */
#define STATUS_BYTES 13u /* of a status line, up to the reason */

enum phase {
    LEAD,    /* empty lines before a start line */
    START,   /* the start line */
    FIELDS,  /* field lines up to the empty one */
    LENGTH,  /* a body of |left| bytes */
    CLOSE,   /* a body until the stream ends */
    SIZE,    /* a chunk-size line */
    DATA,    /* |left| bytes of a chunk */
    CRLF,    /* the end of a chunk's data */
    TRAILER, /* field lines after the last chunk */
    DONE
};

struct aif_h1parse {
    llhttp_t ll;
    const aif_h1parse_cbs *cbs; /* borrowed */
    void *user;
    aif_h1parse_limits limits;
    aif_h1_kind kind;

    enum phase phase;
    aif_h1scan scan;
    aif_h1frame frame;
    uint64_t at;       /* bytes of this message so far */
    uint64_t head_end; /* where its body begins */
    uint64_t left;     /* bytes to come of the body or chunk */
    size_t ll_body;    /* body bytes that llhttp saw in this step */
    unsigned informational;

    aif_buf start;                    /* the start line */
    aif_slice method, target, reason; /* into it */
    int status, minor;
    aif_header header;
    aif_header trailer;
    int refused;     /* the code with which a callback of llhttp failed, */
    const char *why; /* and its static text */
    aif_err err;     /* a code in it is final */

    unsigned head_request : 1;
    unsigned started : 1;
    unsigned has_head : 1;
    unsigned until_close : 1;
    unsigned in_framing : 1; /* the open field is about framing */
    unsigned ll_head : 1;    /* llhttp saw the end of the head, */
    unsigned ll_size : 1;    /* the same chunk size as the scanner, */
    unsigned ll_done : 1;    /* the end of the message */
};

/* The first failure stays; |i| is relative to the bytes of this step. */
static void
fail(aif_h1parse *p, size_t i, int code, const char *text)
{
    uint64_t at = p->at + i;

    if (p->err.code != 0) {
        return;
    }
    if (p->has_head) {
        at -= p->head_end;
    }
    (void)aif_err_set(&p->err, code, "%s, at byte %llu of the %s", text,
                      (unsigned long long)at, p->has_head ? "body" : "head");
}

static void
fail_scan(aif_h1parse *p, size_t i)
{
    fail(p, i, p->scan.code, p->scan.text);
}

static void
upcall_result(aif_h1parse *p, int rc)
{
    if (rc < 0) {
        (void)aif_err_set(&p->err, rc, "an upcall ended the message");
    }
}

/* --- What llhttp reports ------------------------------------------------ */

/* Ends llhttp's run; run() then knows at which byte. */
static int
refuse(aif_h1parse *p, int code, const char *text)
{
    p->refused = code;
    p->why = text;
    return -1;
}

static aif_header *
open_header(aif_h1parse *p)
{
    return p->has_head ? &p->trailer : &p->header;
}

static int
header_result(aif_h1parse *p, int rc)
{
    if (rc >= 0) {
        return 0;
    }
    return refuse(p, rc,
                  rc == AIF_ENOMEM ? "no memory for a field"
                                   : "a field does not fit");
}

static int
cb_name(llhttp_t *ll, const char *at, size_t len)
{
    aif_h1parse *p = ll->data;

    return header_result(p, aif_header_add_name(open_header(p), at, len));
}

/* A framing field is judged by its name, before its value: the versions of
 * llhttp refuse the wrong ones at different bytes. */
static int
cb_name_end(llhttp_t *ll)
{
    aif_h1parse *p = ll->data;
    aif_header *h = open_header(p);
    const char *wrong = NULL;
    aif_slice name;

    /* The open field stands behind the last one that is counted. */
    p->in_framing = 0;
    if (!h->open) {
        return refuse(p, AIF_EPARSE, "a field has no name (RFC 9112 5.1)");
    }
    name = aif_header_name(h, h->count);
    if (LOOSE_NAMES && !aif_ascii_is_token(name.ptr, name.len)) {
        return refuse(p, AIF_EPARSE, "a field name is no token");
    }
    if (aif_h1frame_name(&p->frame, name, h->count, &wrong)) {
        p->in_framing = 1;
        if (p->has_head) {
            wrong = "framing field in a trailer (RFC 9110 6.5.1)";
        }
    }
    return wrong != NULL ? refuse(p, AIF_EPARSE, wrong) : 0;
}

static int
cb_value(llhttp_t *ll, const char *at, size_t len)
{
    aif_h1parse *p = ll->data;

    /* A tab behind the value is taken by one version of llhttp and refused by
     * another, and nobody sends one. */
    if (p->in_framing && memchr(at, '\t', len) != NULL) {
        return refuse(p, AIF_EPARSE, "tab in a framing field");
    }
    return header_result(p, aif_header_add_value(open_header(p), at, len));
}

static int
cb_field_end(llhttp_t *ll)
{
    aif_h1parse *p = ll->data;
    aif_header *h = open_header(p);

    if (header_result(p, aif_header_end_field(h)) != 0) {
        return -1;
    }
    if (!p->has_head) {
        aif_h1frame_field(&p->frame, h);
    }
    return 0;
}

static const char *
check_head(aif_h1parse *p, const llhttp_t *ll)
{
    const aif_h1frame *f = &p->frame;
    const char *text = aif_h1frame_check(&p->frame, &p->header, p->minor);

    if (text != NULL) {
        return text;
    }
    if (p->status == 101) {
        return "101 Switching Protocols was not asked for";
    }
    if (p->method.len == 7 && memcmp(p->method.ptr, "CONNECT", 7) == 0
        && f->lengths + f->codings > 0)
    {
        return "CONNECT with a body";
    }
    /* The other reader must have understood the same. */
    if (((ll->flags & F_CHUNKED) != 0) != (f->chunked != 0)
        || ll->content_length != (uint64_t)f->length)
    {
        return "ambiguous framing fields";
    }
    return NULL;
}

/* Decides how the body is framed (RFC 9112 6.3). 1 tells llhttp that there is
 * none, -1 that the message is refused. */
static int
cb_head(llhttp_t *ll)
{
    aif_h1parse *p = ll->data;
    const char *text = check_head(p, ll);

    if (text != NULL) {
        return refuse(p, AIF_EPARSE, text);
    }
    p->ll_head = 1;
    if (p->kind == AIF_H1_REQUEST) {
        return 0;
    }
    if (p->head_request || p->status < 200 || p->status == 204
        || p->status == 304)
    {
        p->frame.chunked = 0;
        p->frame.length = 0;
        return 1;
    }
    p->until_close = p->frame.lengths + p->frame.codings == 0;
    return 0;
}

static int
cb_body(llhttp_t *ll, const char *at, size_t len)
{
    aif_h1parse *p = ll->data;

    (void)at;
    p->ll_body += len;
    return 0;
}

static int
cb_size(llhttp_t *ll)
{
    aif_h1parse *p = ll->data;

    p->ll_size = ll->content_length == p->scan.size;
    return 0;
}

static int
cb_done(llhttp_t *ll)
{
    aif_h1parse *p = ll->data;

    p->ll_done = 1;
    return 0;
}

static const llhttp_settings_t settings = {
    .on_header_field = cb_name,
    .on_header_field_complete = cb_name_end,
    .on_header_value = cb_value,
    .on_header_value_complete = cb_field_end,
    .on_headers_complete = cb_head,
    .on_body = cb_body,
    .on_chunk_header = cb_size,
    .on_message_complete = cb_done,
};

/* Gives llhttp bytes that the scanner has passed. They are those of this step,
 * or they stand for |own| > 0 of them. 0, or -1 with the failure noted. */
static int
run(aif_h1parse *p, const char *s, size_t len, size_t own)
{
    const char *pos;
    llhttp_errno_t rc;
    size_t i = own;

    if (len == 0) {
        return 0;
    }
    rc = llhttp_execute(&p->ll, s, len);
    /* A request that asks for an upgrade pauses llhttp behind its end. */
    if (rc == HPE_OK || (rc == HPE_PAUSED_UPGRADE && p->ll_done)) {
        return 0;
    }
    pos = llhttp_get_error_pos(&p->ll);
    if (own == 0 && pos != NULL && pos >= s && pos <= s + len) {
        i = (size_t)(pos - s);
    }
    if (p->refused != 0) {
        fail(p, i, p->refused, p->why);
    }
    else {
        fail(p, i, AIF_EPARSE, llhttp_get_error_reason(&p->ll));
    }
    return -1;
}

/* --- The head ----------------------------------------------------------- */

/* Makes ready for a head: the message's first, or the next after a 1xx. What
 * is counted over all heads of a message is left alone. */
static void
begin_head(aif_h1parse *p)
{
    llhttp_init(&p->ll,
                p->kind == AIF_H1_RESPONSE ? HTTP_RESPONSE : HTTP_REQUEST,
                &settings);
    p->ll.data = p;
    p->phase = LEAD;
    p->start.len = 0;
    p->method.len = 0;
    p->target.len = 0;
    p->reason.len = 0;
    p->status = 0;
    p->minor = 0;
    p->until_close = 0;
    p->refused = 0;
    p->ll_head = 0;
    p->ll_done = 0;
    p->scan.fields = 0;
    aif_h1scan_next(&p->scan);
    aif_h1frame_reset(&p->frame);
    aif_header_reset(&p->header);
}

static size_t
step_lead(aif_h1parse *p, const char *s, size_t len)
{
    size_t n;

    switch (aif_h1scan_lead(&p->scan, s, len, &n)) {
    case AIF_SCAN_BAD:
        fail_scan(p, n);
        break;
    case AIF_SCAN_END:
        p->phase = START;
        aif_h1scan_next(&p->scan);
        break;
    case AIF_SCAN_MORE:
        break;
    }
    return n;
}

/* Stores a piece of the start line. A response is judged as it comes, so that
 * a server which speaks something else is found out at its first byte. */
static int
keep_start(aif_h1parse *p, const char *s, size_t len)
{
    const size_t from = p->start.len;
    const char *text;
    size_t i;
    int rc;

    if (p->kind == AIF_H1_RESPONSE) {
        for (i = 0; i < len && from + i < STATUS_BYTES; i++) {
            text = aif_h1scan_status_byte(from + i, s[i]);
            if (text != NULL) {
                fail(p, i, AIF_EPARSE, text);
                return -1;
            }
        }
    }
    rc = aif_buf_add(&p->start, s, len);
    if (rc < 0) {
        fail(p, 0, rc, "no memory for the start line");
        return -1;
    }
    return 0;
}

/* llhttp gets the status line as it came. */
static void
finish_status(aif_h1parse *p, size_t n)
{
    const char *s;
    int rc;

    if (p->start.len + 1 < STATUS_BYTES) {
        fail(p, n, AIF_EPARSE, "the status line is too short");
        return;
    }
    rc = aif_buf_add_str(&p->start, "\r\n");
    if (rc < 0) {
        fail(p, n, rc, "no memory for the start line");
        return;
    }
    s = p->start.data;
    p->minor = s[7] - '0';
    p->status = (s[9] - '0') * 100 + (s[10] - '0') * 10 + (s[11] - '0');
    (void)run(p, s, p->start.len, n);
    p->start.len -= 2;
    if (p->start.len > STATUS_BYTES) {
        p->reason = aif_buf_slice(&p->start, STATUS_BYTES,
                                  p->start.len - STATUS_BYTES);
    }
}

/* llhttp gets a request line of our own: which methods and targets it knows
 * depends on its version, and it takes HTTP/0.9 and RTSP for requests. */
static void
finish_request(aif_h1parse *p, size_t n)
{
    char line[] = "POST / HTTP/1.1\r\n";
    const char *text = aif_h1scan_request(p->start.data, p->start.len,
                                          &p->method, &p->target, &p->minor);

    if (text != NULL) {
        fail(p, n, AIF_EPARSE, text);
        return;
    }
    line[14] = p->minor == 1 ? '1' : '0';
    (void)run(p, line, sizeof(line) - 1, n);
}

static size_t
step_start(aif_h1parse *p, const char *s, size_t len)
{
    size_t n, text_len;
    const aif_scan rc = aif_h1scan_start(&p->scan, s, len, p->limits.line,
                                         p->limits.head, &n, &text_len);

    if (keep_start(p, s, text_len) != 0) {
        return n;
    }
    if (rc == AIF_SCAN_BAD) {
        /* TLS on a plain port is better named by what is missing. */
        if (p->kind == AIF_H1_RESPONSE && p->start.len == 0) {
            fail(p, n, AIF_EPARSE, "not an HTTP/1 status line");
        }
        fail_scan(p, n);
    }
    else if (rc == AIF_SCAN_END) {
        p->phase = FIELDS;
        aif_h1scan_next(&p->scan);
        if (p->kind == AIF_H1_RESPONSE) {
            finish_status(p, n);
        }
        else {
            finish_request(p, n);
        }
    }
    return n;
}

/* --- The ends of head and message --------------------------------------- */

static void
finish_message(aif_h1parse *p, size_t n)
{
    if (!p->ll_done) {
        fail(p, n, AIF_EPARSE, "ambiguous end of the message");
        return;
    }
    p->phase = DONE;
    if (p->cbs->on_message != NULL) {
        upcall_result(p, p->cbs->on_message(p->user, p));
    }
}

static void
finish_informational(aif_h1parse *p, size_t n)
{
    if (p->informational >= p->limits.informational) {
        fail(p, n, AIF_ETOOBIG, "too many 1xx responses");
        return;
    }
    p->informational++;
    if (p->cbs->on_informational != NULL) {
        upcall_result(p, p->cbs->on_informational(p->user, p));
    }
    if (p->err.code == 0) {
        begin_head(p);
    }
}

static void
finish_head(aif_h1parse *p, size_t n)
{
    if (!p->ll_head) {
        fail(p, n, AIF_EPARSE, "ambiguous end of the head");
        return;
    }
    if (p->kind == AIF_H1_RESPONSE && p->status < 200) {
        finish_informational(p, n);
        return;
    }
    p->has_head = 1;
    p->head_end = p->at + n;
    p->left = (uint64_t)p->frame.length;
    aif_h1scan_next(&p->scan);
    if (p->frame.chunked) {
        p->phase = SIZE;
    }
    else {
        p->phase = p->until_close ? CLOSE : LENGTH;
    }
    if (p->cbs->on_head != NULL) {
        upcall_result(p, p->cbs->on_head(p->user, p));
    }
    if (p->err.code == 0 && p->phase == LENGTH && p->left == 0) {
        finish_message(p, n);
    }
}

static size_t
step_fields(aif_h1parse *p, const char *s, size_t len)
{
    const size_t max = p->phase == FIELDS ? p->limits.head : p->limits.trailer;
    size_t n;
    const aif_scan rc = aif_h1scan_fields(&p->scan, s, len, p->limits.line,
                                          max, p->limits.fields, &n);

    if (run(p, s, n, 0) != 0) {
        return n;
    }
    if (rc == AIF_SCAN_BAD) {
        fail_scan(p, n);
    }
    else if (rc == AIF_SCAN_END && p->phase == FIELDS) {
        finish_head(p, n);
    }
    else if (rc == AIF_SCAN_END) {
        finish_message(p, n);
    }
    return n;
}

/* --- The body ----------------------------------------------------------- */

static size_t
step_body(aif_h1parse *p, const char *s, size_t len)
{
    size_t n = len;

    if (p->phase != CLOSE && n > p->left) {
        n = (size_t)p->left;
    }
    p->ll_body = 0;
    if (run(p, s, n, 0) != 0) {
        return n;
    }
    if (p->ll_body != n) {
        fail(p, n, AIF_EPARSE, "ambiguous end of the body");
        return n;
    }
    if (p->cbs->on_body != NULL) {
        upcall_result(p, p->cbs->on_body(p->user, s, n));
    }
    if (p->err.code != 0 || p->phase == CLOSE) {
        return n;
    }
    p->left -= n;
    if (p->phase == DATA) {
        aif_h1scan_earn(&p->scan, n);
    }
    if (p->left == 0 && p->phase == DATA) {
        p->phase = CRLF;
        aif_h1scan_next(&p->scan);
        if (p->cbs->on_chunk != NULL) {
            upcall_result(p, p->cbs->on_chunk(p->user));
        }
    }
    else if (p->left == 0) {
        finish_message(p, n);
    }
    return n;
}

/* llhttp gets the size without what follows it on its line: nobody reads
 * chunk extensions, and its versions do not agree on their grammar. */
static void
finish_size(aif_h1parse *p, size_t n)
{
    aif_h1scan *sc = &p->scan;

    p->ll_size = 0;
    sc->digit[sc->digits] = '\r';
    sc->digit[sc->digits + 1] = '\n';
    if (run(p, sc->digit, sc->digits + 2, n) != 0) {
        return;
    }
    if (!p->ll_size) {
        fail(p, n, AIF_EPARSE, "ambiguous chunk size");
        return;
    }
    p->left = sc->size;
    p->phase = p->left > 0 ? DATA : TRAILER;
    sc->section = 0;
    sc->fields = 0;
    aif_h1scan_next(sc);
}

static size_t
step_size(aif_h1parse *p, const char *s, size_t len)
{
    size_t n;

    switch (aif_h1scan_size(&p->scan, s, len, p->limits.chunk_line, &n)) {
    case AIF_SCAN_BAD:
        fail_scan(p, n);
        break;
    case AIF_SCAN_END:
        finish_size(p, n);
        break;
    case AIF_SCAN_MORE:
        break;
    }
    return n;
}

static size_t
step_crlf(aif_h1parse *p, const char *s, size_t len)
{
    size_t n;

    switch (aif_h1scan_crlf(&p->scan, s, len, &n)) {
    case AIF_SCAN_BAD:
        fail_scan(p, n);
        break;
    case AIF_SCAN_END:
        p->phase = SIZE;
        aif_h1scan_next(&p->scan);
        (void)run(p, "\r\n", 2, n);
        break;
    case AIF_SCAN_MORE:
        break;
    }
    return n;
}

static size_t
step(aif_h1parse *p, const char *s, size_t len)
{
    switch (p->phase) {
    case LEAD:
        return step_lead(p, s, len);
    case START:
        return step_start(p, s, len);
    case FIELDS:
    case TRAILER:
        return step_fields(p, s, len);
    case LENGTH:
    case CLOSE:
    case DATA:
        return step_body(p, s, len);
    case SIZE:
        return step_size(p, s, len);
    case CRLF:
        return step_crlf(p, s, len);
    case DONE:
        break;
    }
    return 0;
}

int
aif_h1parse_feed(aif_h1parse *p, const char *data, size_t len, size_t *used)
{
    size_t i = 0;
    size_t n;

    if (len > 0 && p->phase != DONE) {
        p->started = 1;
    }
    while (p->err.code == 0 && p->phase != DONE && i < len) {
        n = step(p, data + i, len - i);
        p->at += n;
        i += n;
    }
    *used = i;
    return p->err.code;
}

int
aif_h1parse_eof(aif_h1parse *p)
{
    if (p->err.code != 0 || p->phase == DONE) {
        return p->err.code;
    }
    if (!p->started) {
        return aif_err_set(&p->err, AIF_EDISCONNECTED,
                           "the peer left before a byte of the message");
    }
    if (p->phase == CLOSE && llhttp_finish(&p->ll) == HPE_OK) {
        finish_message(p, 0);
    }
    else if (p->phase == LENGTH) {
        (void)aif_err_set(&p->err, AIF_ETRUNCATED,
                          "the stream ended %llu bytes before the body does",
                          (unsigned long long)p->left);
    }
    else {
        fail(p, 0, AIF_ETRUNCATED, "the stream ended inside the message");
    }
    return p->err.code;
}

/* --- Birth, reuse, death ------------------------------------------------ */

/* No ceiling goes beyond half of what an offset reaches, so that a line and
 * its end fit wherever a line does. */
static size_t
limit_or(size_t limit, size_t fallback)
{
    if (limit > UINT32_MAX / 2) {
        return UINT32_MAX / 2;
    }
    return limit == 0 ? fallback : limit;
}

aif_h1parse *
aif_h1parse_new(aif_h1_kind kind, const aif_h1parse_limits *limits,
                const aif_h1parse_cbs *cbs, void *user)
{
    static const aif_h1parse_limits defaults;
    const aif_h1parse_limits *l = limits != NULL ? limits : &defaults;
    aif_h1parse *p = aif_mem_zalloc(sizeof(*p));

    if (p == NULL) {
        return NULL;
    }
    p->kind = kind;
    p->cbs = cbs;
    p->user = user;
    p->limits.head = limit_or(l->head, AIF_MAX_HEAD);
    p->limits.line = limit_or(l->line, AIF_MAX_LINE);
    p->limits.fields = l->fields != 0 ? l->fields : AIF_MAX_FIELDS;
    p->limits.trailer = limit_or(l->trailer, AIF_MAX_TRAILER);
    p->limits.chunk_line = limit_or(l->chunk_line, AIF_MAX_CHUNK_LINE);
    p->limits.informational =
        l->informational != 0 ? l->informational : AIF_MAX_INFORMATIONAL;
    aif_buf_init(&p->start, p->limits.line + 2);
    aif_header_init(&p->header, p->limits.head, p->limits.fields);
    aif_header_init(&p->trailer, p->limits.trailer, p->limits.fields);
    aif_h1parse_reset(p, 0);
    return p;
}

void
aif_h1parse_free(aif_h1parse *p)
{
    if (p == NULL) {
        return;
    }
    aif_header_fini(&p->trailer);
    aif_header_fini(&p->header);
    aif_buf_fini(&p->start);
    aif_mem_free(p);
}

void
aif_h1parse_reset(aif_h1parse *p, int head_request)
{
    aif_buf_reset(&p->start, KEEP_START);
    aif_header_reset(&p->trailer);
    aif_h1scan_reset(&p->scan);
    aif_err_reset(&p->err);
    begin_head(p);
    p->head_request = head_request != 0;
    p->started = 0;
    p->has_head = 0;
    p->informational = 0;
    p->at = 0;
    p->head_end = 0;
    p->left = 0;
}

/* --- Getters ------------------------------------------------------------ */

int
aif_h1parse_is_started(const aif_h1parse *p)
{
    return p->started;
}

int
aif_h1parse_has_head(const aif_h1parse *p)
{
    return p->has_head;
}

int
aif_h1parse_is_done(const aif_h1parse *p)
{
    return p->phase == DONE;
}

int
aif_h1parse_status(const aif_h1parse *p)
{
    return p->status;
}

int
aif_h1parse_minor(const aif_h1parse *p)
{
    return p->minor;
}

aif_slice
aif_h1parse_reason(const aif_h1parse *p)
{
    return p->reason;
}

aif_slice
aif_h1parse_method(const aif_h1parse *p)
{
    return p->method;
}

aif_slice
aif_h1parse_target(const aif_h1parse *p)
{
    return p->target;
}

aif_header *
aif_h1parse_header(aif_h1parse *p)
{
    return &p->header;
}

aif_header *
aif_h1parse_trailer(aif_h1parse *p)
{
    return &p->trailer;
}

int64_t
aif_h1parse_length(const aif_h1parse *p)
{
    return p->frame.chunked || p->until_close ? -1 : p->frame.length;
}

int
aif_h1parse_is_chunked(const aif_h1parse *p)
{
    return p->frame.chunked;
}

int
aif_h1parse_keep_alive(const aif_h1parse *p)
{
    if (p->frame.says_close || p->until_close) {
        return 0;
    }
    return p->minor == 1 || p->frame.says_keep;
}

const aif_err *
aif_h1parse_error(const aif_h1parse *p)
{
    return &p->err;
}

const char *
aif_h1parse_version(void)
{
#define TEXT(x) #x
#define DOTTED(a, b, c) TEXT(a) "." TEXT(b) "." TEXT(c)
    return DOTTED(LLHTTP_VERSION_MAJOR, LLHTTP_VERSION_MINOR,
                  LLHTTP_VERSION_PATCH);
#undef DOTTED
#undef TEXT
}
