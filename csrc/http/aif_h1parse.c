/* aif_h1parse -- HTTP/1 messages from bytes, read by two readers.
 *
 * Our own (aif_h1scan, aif_h1start, aif_h1field, aif_h1frame) walks over every
 * framing byte once, refuses what llhttp lets through, counts against the
 * ceilings and knows to the byte where each piece ends. llhttp is then asked
 * about what a message's end hangs on, and only about that: the framing fields
 * and the sizes of chunks, unless they are plain numbers, of which there is
 * one reading. Where the two differ, the message is refused. The rest would
 * cost twice as much as all of this and change no verdict.
 *
 * llhttp sees a fixed start line, so that it does not matter which methods,
 * targets and versions the installed one knows. It begins each time as a copy
 * of a reader that stands behind that line, or behind a head that announces
 * chunks; its state is plain data. These two are made when they are first
 * needed: most messages have a length, and a server makes a parser for each
 * connection.
 */
#include "http/aif_h1parse.h"

#include <llhttp.h>
#include <string.h>

#include "base/aif_mem.h"
#include "http/aif_h1state.h"

#if LLHTTP_VERSION_MAJOR < 8
#    error "llhttp 8.1 or newer is needed"
#endif

/* No two readers differ about so many digits of a chunk's size without a zero
 * in front: they fit into any number that one could be kept in. */
#define PLAIN_DIGITS 15u

/* Rules that llhttp would need a leniency for. */
#define UNASKED (AIF_H1_LENGTH_TOO | AIF_H1_ANY_CODING)

typedef struct reader {
    aif_h1parse p;   /* first, so that a pointer to it is one to the reader */
    int has_second;  /* the next two are made */
    llhttp_t fields; /* stands at the first field */
    llhttp_t sizes;  /* stands at a chunk's size */
    llhttp_t ll;     /* a copy of one of them, at work */
    uint64_t length; /* what it understood */
    int is_chunked;
    int answered;
} reader;

/* --- The second reader -------------------------------------------------- */

static int
cb_head(llhttp_t *ll)
{
    reader *r = ll->data;

    r->is_chunked = (ll->flags & F_CHUNKED) != 0;
    r->length = ll->content_length;
    r->answered = 1;
    return 0;
}

static int
cb_size(llhttp_t *ll)
{
    reader *r = ll->data;

    r->length = ll->content_length;
    r->answered = 1;
    return 0;
}

static const llhttp_settings_t settings = {
    .on_headers_complete = cb_head,
    .on_chunk_header = cb_size,
};

static void
init_second(reader *r)
{
    static const char request[] = "POST / HTTP/1.1\r\n";
    static const char response[] = "HTTP/1.1 200 OK\r\n";
    static const char chunked[] = "Transfer-Encoding: chunked\r\n\r\n";

    if (r->p.kind == AIF_H1_REQUEST) {
        llhttp_init(&r->fields, HTTP_REQUEST, &settings);
        r->fields.data = r;
        (void)llhttp_execute(&r->fields, request, sizeof(request) - 1);
    }
    else {
        llhttp_init(&r->fields, HTTP_RESPONSE, &settings);
        r->fields.data = r;
        (void)llhttp_execute(&r->fields, response, sizeof(response) - 1);
    }
    r->sizes = r->fields;
    (void)llhttp_execute(&r->sizes, chunked, sizeof(chunked) - 1);
    r->has_second = 1;
}

/* A second reader at work, from where |from| stands. */
static void
start_second(reader *r, const llhttp_t *from)
{
    if (!r->has_second) {
        init_second(r);
    }
    r->ll = *from;
    r->answered = 0;
}

int
aif_h1state_agrees_head(aif_h1parse *p)
{
    reader *r = (reader *)p;
    aif_h1frame *f = &p->frame;

    if (f->note_len == 0 || (p->rules & UNASKED)) {
        return 1;
    }
    /* aif_h1frame leaves room for the empty line. */
    memcpy(f->note + f->note_len, "\r\n", 2);
    start_second(r, &r->fields);
    return llhttp_execute(&r->ll, f->note, f->note_len + 2) == HPE_OK
           && r->answered && r->is_chunked == f->chunked
           && r->length == (uint64_t)f->length;
}

int
aif_h1state_agrees_size(aif_h1parse *p)
{
    reader *r = (reader *)p;
    aif_h1scan *sc = &p->scan;

    if (sc->digits == 1 || (sc->digits <= PLAIN_DIGITS && sc->digit[0] != '0'))
    {
        return 1;
    }
    sc->digit[sc->digits] = '\r';
    sc->digit[sc->digits + 1] = '\n';
    start_second(r, &r->sizes);
    return llhttp_execute(&r->ll, sc->digit, sc->digits + 2) == HPE_OK
           && r->answered && r->length == sc->size;
}

/* --- Feeding ------------------------------------------------------------ */

void
aif_h1state_fail(aif_h1parse *p, size_t i, aif_h1_fault fault)
{
    uint64_t at = p->at + i;

    if (p->err.code != 0) {
        return;
    }
    if (p->has_head) {
        at -= p->head_end;
    }
    p->fault = fault;
    (void)aif_err_set(&p->err, aif_h1fault_code(fault),
                      "%s, at byte %llu of the %s", aif_h1fault_text(fault),
                      (unsigned long long)at, p->has_head ? "body" : "head");
}

static size_t
step(aif_h1parse *p, const char *s, size_t len)
{
    switch (p->phase) {
    case AIF_H1_LEAD:
    case AIF_H1_START:
    case AIF_H1_FIELDS:
    case AIF_H1_TRAILER:
        return aif_h1head_step(p, s, len);
    case AIF_H1_LENGTH:
    case AIF_H1_CLOSE:
    case AIF_H1_SIZE:
    case AIF_H1_DATA:
    case AIF_H1_CRLF:
        return aif_h1body_step(p, s, len);
    case AIF_H1_DONE:
        break;
    }
    return 0;
}

int
aif_h1parse_feed(aif_h1parse *p, const char *data, size_t len, size_t *used)
{
    size_t i = 0;
    size_t n;

    if (len > 0 && p->phase != AIF_H1_DONE) {
        p->started = 1;
    }
    while (p->err.code == 0 && p->phase != AIF_H1_DONE && i < len) {
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
    if (p->err.code != 0 || p->phase == AIF_H1_DONE) {
        return p->err.code;
    }
    if (!p->started) {
        return aif_err_set(&p->err, AIF_EDISCONNECTED,
                           "the peer left before a byte of the message");
    }
    if (p->phase == AIF_H1_CLOSE) {
        aif_h1body_finish(p);
    }
    else if (p->phase == AIF_H1_LENGTH) {
        (void)aif_err_set(&p->err, AIF_ETRUNCATED,
                          "the stream ended %llu bytes before the body does",
                          (unsigned long long)p->left);
    }
    else {
        (void)aif_err_set(
            &p->err, AIF_ETRUNCATED,
            "the stream ended inside the message, at byte %llu of the %s",
            (unsigned long long)(p->has_head ? p->at - p->head_end : p->at),
            p->has_head ? "body" : "head");
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

void
aif_h1parse_set_limits(aif_h1parse *p, const aif_h1parse_limits *limits)
{
    static const aif_h1parse_limits defaults;
    const aif_h1parse_limits *l = limits != NULL ? limits : &defaults;

    if (p->limits.head != 0 && memcmp(&p->asked, l, sizeof(*l)) == 0) {
        return; /* Nearly all messages of a connection have the same. */
    }
    p->asked = *l;
    p->limits.head = limit_or(l->head, AIF_MAX_HEAD);
    p->limits.line = limit_or(l->line, AIF_MAX_LINE);
    p->limits.fields = l->fields != 0 ? l->fields : AIF_MAX_FIELDS;
    p->limits.trailer = limit_or(l->trailer, AIF_MAX_TRAILER);
    p->limits.chunk_line = limit_or(l->chunk_line, AIF_MAX_CHUNK_LINE);
    p->limits.informational =
        l->informational != 0 ? l->informational : AIF_MAX_INFORMATIONAL;
    p->start.text.max = p->limits.line;
    p->field.line.max = p->limits.line;
    aif_header_limit(&p->header, p->limits.head, p->limits.fields);
    aif_header_limit(&p->trailer, p->limits.trailer, p->limits.fields);
}

aif_h1parse *
aif_h1parse_new(aif_h1_kind kind, const aif_h1parse_limits *limits,
                const aif_h1parse_cbs *cbs, void *user)
{
    reader *r = aif_mem_zalloc(sizeof(*r));
    aif_h1parse *p;

    if (r == NULL) {
        return NULL;
    }
    p = &r->p;
    p->kind = kind;
    p->cbs = cbs;
    p->user = user;
    aif_h1start_init(&p->start, 0);
    aif_h1field_init(&p->field, 0);
    aif_header_init(&p->header, 0, 0);
    aif_header_init(&p->trailer, 0, 0);
    aif_h1parse_set_limits(p, limits);
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
    aif_h1field_fini(&p->field);
    aif_h1start_fini(&p->start);
    aif_mem_free(p);
}

void
aif_h1parse_renew(aif_h1parse *p, const aif_h1parse_cbs *cbs, void *user)
{
    p->cbs = cbs;
    p->user = user;
    aif_h1parse_reset(p, 0);
}

void
aif_h1parse_set_rules(aif_h1parse *p, unsigned rules)
{
    p->rules = rules;
    p->scan.rules = rules;
    p->start.rules = rules;
    p->field.rules = rules;
    p->frame.rules = rules;
}

void
aif_h1parse_reset(aif_h1parse *p, int head_request)
{
    aif_header_reset(&p->trailer);
    aif_h1scan_reset(&p->scan);
    aif_err_reset(&p->err);
    p->fault = AIF_H1_FAULT_NONE;
    p->field.section = 0;
    aif_h1head_begin(p);
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
    return p->phase == AIF_H1_DONE;
}

int
aif_h1parse_status(const aif_h1parse *p)
{
    return p->start.status;
}

int
aif_h1parse_major(const aif_h1parse *p)
{
    return p->start.major;
}

int
aif_h1parse_minor(const aif_h1parse *p)
{
    return p->start.minor;
}

aif_slice
aif_h1parse_reason(const aif_h1parse *p)
{
    return aif_h1start_reason(&p->start);
}

aif_slice
aif_h1parse_method(const aif_h1parse *p)
{
    return aif_h1start_method(&p->start);
}

aif_slice
aif_h1parse_target(const aif_h1parse *p)
{
    return aif_h1start_target(&p->start);
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
    if (p->no_body) {
        return 0;
    }
    return p->frame.chunked || p->until_close ? -1 : p->frame.length;
}

int
aif_h1parse_is_chunked(const aif_h1parse *p)
{
    return p->frame.chunked && !p->no_body;
}

uint64_t
aif_h1parse_at_hand(const aif_h1parse *p)
{
    return p->phase == AIF_H1_LENGTH || p->phase == AIF_H1_DATA ? p->left : 0;
}

int
aif_h1parse_keep_alive(const aif_h1parse *p)
{
    if (p->frame.says_close || p->until_close) {
        return 0;
    }
    if (p->start.major == 0 || (p->start.major == 1 && p->start.minor == 0)) {
        return p->frame.says_keep;
    }
    return 1;
}

int
aif_h1parse_upgrade(const aif_h1parse *p)
{
    return p->upgrade;
}

aif_h1_fault
aif_h1parse_fault(const aif_h1parse *p)
{
    return p->fault;
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
