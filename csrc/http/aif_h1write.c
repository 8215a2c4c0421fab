/* aif_h1write -- a request head, checked first and written afterwards.
 *
 * Two passes over the same few fields. The first refuses whatever could end
 * a line, split a message or contradict our framing, and adds up the size;
 * the second copies into memory that is already there. So nothing has to be
 * undone, and no byte is written that was not looked at.
 */
#include "http/aif_h1write.h"

#include <string.h>

#include "base/aif_ascii.h"

#define VERSION_TAIL " HTTP/1.1\r\n"
#define OLD_VERSION_TAIL " HTTP/1.0\r\n" /* of the same length */
#define HOST_HEAD "Host: "
#define CHUNKED_LINE "Transfer-Encoding: chunked\r\n"
#define LENGTH_HEAD "Content-Length: "

/* Digits of INT64_MAX. */
#define LENGTH_DIGITS 19

/* How much of a field's name goes into a text. */
#define NAME_SHOWN 64

/* Fields that are not simply copied. */
typedef enum field_kind {
    FIELD_PLAIN,
    FIELD_HOST,
    FIELD_LENGTH,
    FIELD_TRANSFER
} field_kind;

/* What the first pass found out for the second. */
typedef struct plan {
    const aif_h1head *head;
    aif_err *err;
    aif_slice host;
    uint64_t names;   /* a bit for each name in |fields|, see name_bit() */
    size_t size;      /* of the whole head */
    unsigned hosts;   /* Host fields seen in the list that is being read */
    int host_given;   /* the caller's own Host is in |host| */
    int length_given; /* the caller's Content-Length stands */
} plan;

static field_kind
kind_of(aif_slice name)
{
    switch (name.len) {
    case 4:
        return aif_ascii_equal(name.ptr, "host", 4) ? FIELD_HOST : FIELD_PLAIN;
    case 14:
        return aif_ascii_equal(name.ptr, "content-length", 14) ? FIELD_LENGTH
                                                               : FIELD_PLAIN;
    case 17:
        return aif_ascii_equal(name.ptr, "transfer-encoding", 17)
                   ? FIELD_TRANSFER
                   : FIELD_PLAIN;
    default:
        return FIELD_PLAIN;
    }
}

/* A bit that equal names share. It spares nearly every look-up of a default
 * among the caller's fields, which else were the product of both. |name| is
 * a token, so not empty; |0x20 folds the letters. */
static uint64_t
name_bit(aif_slice name)
{
    unsigned first = (unsigned char)name.ptr[0] | 0x20u;
    unsigned last = (unsigned char)name.ptr[name.len - 1] | 0x20u;

    return UINT64_C(1) << ((first * 7 + last * 3 + (unsigned)name.len) & 63);
}

static int
has_name(const aif_header *h, aif_slice name)
{
    aif_slice other;
    unsigned i;

    for (i = 0; i < h->count; i++) {
        other = aif_header_name(h, i);
        if (other.len == name.len
            && aif_ascii_equal(other.ptr, name.ptr, name.len))
        {
            return 1;
        }
    }
    return 0;
}

/* 1 if the caller's fields take the place of the default |name|. */
static int
is_overridden(const plan *p, aif_slice name)
{
    return (p->names & name_bit(name)) != 0 && has_name(p->head->fields, name);
}

static int
refuse(const plan *p, aif_slice name, const char *why)
{
    int shown = name.len > NAME_SHOWN ? NAME_SHOWN : (int)name.len;

    return aif_err_set(p->err, AIF_EINVAL, "the header field %.*s %s", shown,
                       name.ptr, why);
}

/* Adds to the size of the head; fails rather than wrap. */
static int
grow(plan *p, size_t more)
{
    if (more > SIZE_MAX - p->size) {
        return AIF_ETOOBIG;
    }
    p->size += more;
    return 0;
}

static int
check_host(plan *p, aif_slice name, aif_slice value)
{
    if (p->hosts++ > 0) {
        return refuse(p, name, "is given twice");
    }
    if (value.len > 0 && !aif_ascii_is_visible(value.ptr, value.len)) {
        return refuse(p, name, "has a value that is no host");
    }
    p->host = value;
    p->host_given = 1;
    return 0;
}

static int
check_length(plan *p, aif_slice name, aif_slice value)
{
    const int64_t body = p->head->body;
    uint64_t given;

    if (body == AIF_H1_CHUNKED) {
        return refuse(p, name, "is given for a body of unknown length");
    }
    if (aif_ascii_u64(value.ptr, value.len, INT64_MAX, &given) != 0) {
        return refuse(p, name, "is not a length");
    }
    if (given != (body < 0 ? 0 : (uint64_t)body)) {
        return refuse(p, name, "does not equal the length of the body");
    }
    p->length_given = 1;
    return 0;
}

static int
check_field(plan *p, aif_slice name, aif_slice value, field_kind kind)
{
    if (!aif_ascii_is_value(value.ptr, value.len)) {
        return refuse(p, name, "has a control character in its value");
    }
    switch (kind) {
    case FIELD_HOST:
        return check_host(p, name, value);
    case FIELD_LENGTH:
        return check_length(p, name, value);
    case FIELD_TRANSFER:
        return refuse(p, name, "may not be set: framing is the client's own");
    case FIELD_PLAIN:
        break;
    }
    /* The colon, the blank and CRLF. */
    return grow(p, name.len + value.len + 4);
}

static int
check_fields(plan *p)
{
    const aif_header *h = p->head->fields;
    aif_slice name;
    unsigned i;
    int rc;

    if (h == NULL) {
        return 0;
    }
    for (i = 0; i < h->count; i++) {
        name = aif_header_name(h, i);
        if (!aif_ascii_is_token(name.ptr, name.len)) {
            return refuse(p, name, "has a name that is not a token");
        }
        rc = check_field(p, name, aif_header_value(h, i), kind_of(name));
        if (rc < 0) {
            return rc;
        }
        p->names |= name_bit(name);
    }
    return 0;
}

/* 1 if the defaults were checked and framed before, and nothing overrides
 * them. */
static int
are_lines_ready(const plan *p)
{
    const aif_h1head *head = p->head;

    return head->lines.len > 0
           && (head->fields == NULL || head->fields->count == 0);
}

static int
check_defaults(plan *p)
{
    const aif_header *h = p->head->defaults;
    aif_slice name;
    unsigned i;
    int rc;

    if (are_lines_ready(p)) {
        return grow(p, p->head->lines.len);
    }
    if (h == NULL) {
        return 0;
    }
    for (i = 0; i < h->count; i++) {
        name = aif_header_name(h, i);
        if (!aif_ascii_is_token(name.ptr, name.len)) {
            return refuse(p, name, "has a name that is not a token");
        }
        if (is_overridden(p, name)) {
            continue;
        }
        rc = check_field(p, name, aif_header_value(h, i), kind_of(name));
        if (rc < 0) {
            return rc;
        }
    }
    return 0;
}

static int
check_start(plan *p)
{
    const aif_h1head *head = p->head;
    int rc;

    if (!aif_ascii_is_token(head->method.ptr, head->method.len)) {
        return aif_err_set(p->err, AIF_EINVAL, "the method is not a token");
    }
    if (!aif_ascii_is_visible(head->target.ptr, head->target.len)) {
        return aif_err_set(p->err, AIF_EINVAL,
                           "the request target is empty or has a byte that "
                           "may not stand in a request line");
    }
    if (head->old && head->body == AIF_H1_CHUNKED) {
        return aif_err_set(p->err, AIF_EINVAL,
                           "a body of unknown length cannot go out with "
                           "HTTP/1.0");
    }
    if (head->body < AIF_H1_CHUNKED) {
        return aif_err_set(p->err, AIF_EINVAL,
                           "the body's length is negative");
    }
    rc = grow(p, head->method.len);
    if (rc == 0) {
        rc = grow(p, 1);
    }
    if (rc == 0) {
        rc = grow(p, head->target.len);
    }
    if (rc == 0) {
        rc = grow(p, sizeof(VERSION_TAIL) - 1);
    }
    return rc;
}

/* The host line, once both lists have been read. */
static int
check_authority(plan *p)
{
    if (!p->host_given) {
        p->host = p->head->authority;
        if (!aif_ascii_is_visible(p->host.ptr, p->host.len)) {
            return aif_err_set(p->err, AIF_EINVAL,
                               "the authority is empty or has a byte that "
                               "may not stand in Host");
        }
    }
    if (p->host.len > SIZE_MAX - sizeof(HOST_HEAD) - 1) {
        return AIF_ETOOBIG;
    }
    return grow(p, sizeof(HOST_HEAD) - 1 + p->host.len + 2);
}

/* The one framing line, into |line|; its length, which may be 0. */
static size_t
framing_line(const plan *p, char line[sizeof(LENGTH_HEAD) + LENGTH_DIGITS + 2])
{
    const aif_slice m = p->head->method;
    const int64_t body = p->head->body;
    char digits[LENGTH_DIGITS];
    size_t at = sizeof(digits);
    size_t len = sizeof(LENGTH_HEAD) - 1;
    uint64_t left = body < 0 ? 0 : (uint64_t)body;

    if (body == AIF_H1_CHUNKED) {
        len = sizeof(CHUNKED_LINE) - 1;
        memcpy(line, CHUNKED_LINE, len);
        return len;
    }
    /* Methods are case-sensitive: "post" is not POST. */
    if (body == AIF_H1_NO_BODY && !p->length_given
        && !(m.len == 4 && memcmp(m.ptr, "POST", 4) == 0)
        && !(m.len == 3 && memcmp(m.ptr, "PUT", 3) == 0)
        && !(m.len == 5 && memcmp(m.ptr, "PATCH", 5) == 0))
    {
        return 0;
    }
    memcpy(line, LENGTH_HEAD, len);
    do {
        digits[--at] = (char)('0' + left % 10);
        left /= 10;
    } while (left != 0);
    memcpy(line + len, digits + at, sizeof(digits) - at);
    len += sizeof(digits) - at;
    memcpy(line + len, "\r\n", 2);
    return len + 2;
}

static char *
put(char *to, const char *data, size_t len)
{
    memcpy(to, data, len);
    return to + len;
}

/* Copies the fields of |h| that the plan lets through. */
static char *
put_fields(char *to, const plan *p, const aif_header *h, int defaults)
{
    aif_slice name, value;
    unsigned i;

    if (h == NULL) {
        return to;
    }
    for (i = 0; i < h->count; i++) {
        name = aif_header_name(h, i);
        /* Host has gone first, framing comes last. */
        if (kind_of(name) != FIELD_PLAIN
            || (defaults && is_overridden(p, name)))
        {
            continue;
        }
        value = aif_header_value(h, i);
        to = put(to, name.ptr, name.len);
        to = put(to, ": ", 2);
        to = put(to, value.ptr, value.len);
        to = put(to, "\r\n", 2);
    }
    return to;
}

static void
put_head(char *to, const plan *p, const char *framing, size_t framing_len)
{
    const aif_h1head *head = p->head;

    to = put(to, head->method.ptr, head->method.len);
    *to++ = ' ';
    to = put(to, head->target.ptr, head->target.len);
    to = put(to,
             head->old ? OLD_VERSION_TAIL HOST_HEAD : VERSION_TAIL HOST_HEAD,
             sizeof(VERSION_TAIL HOST_HEAD) - 1);
    if (p->host.len > 0) {
        to = put(to, p->host.ptr, p->host.len);
    }
    to = put(to, "\r\n", 2);
    to = put_fields(to, p, head->fields, 0);
    if (are_lines_ready(p)) {
        to = put(to, head->lines.ptr, head->lines.len);
    }
    else {
        to = put_fields(to, p, head->defaults, 1);
    }
    to = put(to, framing, framing_len);
    (void)put(to, "\r\n", 2);
}

int
aif_h1write_head(aif_buf *out, const aif_h1head *head, aif_err *err)
{
    char framing[sizeof(LENGTH_HEAD) + LENGTH_DIGITS + 2];
    plan p = {.head = head, .err = err};
    size_t framing_len = 0;
    int rc;

    rc = check_start(&p);
    if (rc == 0) {
        rc = check_fields(&p);
    }
    if (rc == 0) {
        rc = check_defaults(&p);
    }
    if (rc == 0) {
        rc = check_authority(&p);
    }
    if (rc == 0) {
        framing_len = framing_line(&p, framing);
        rc = grow(&p, framing_len + 2);
    }
    if (rc == 0) {
        rc = aif_buf_reserve(out, p.size);
    }
    if (rc == AIF_ETOOBIG) {
        return aif_err_set(err, rc, "the request head is too large");
    }
    if (rc == AIF_ENOMEM) {
        return aif_err_set(err, rc, "out of memory for the request head");
    }
    if (rc < 0) {
        return rc;
    }
    put_head(out->data + out->len, &p, framing, framing_len);
    out->len += p.size;
    return 0;
}

int
aif_h1write_lines(aif_buf *out, const aif_header *defaults, aif_err *err)
{
    const aif_h1head head = {.fields = defaults, .body = AIF_H1_NO_BODY};
    plan p = {.head = &head, .err = err};
    int rc = check_fields(&p);

    if (rc == 0 && (p.host_given || p.length_given)) {
        rc = aif_err_set(err, AIF_EINVAL, "Host and framing are a head's own");
    }
    if (rc == 0) {
        rc = aif_buf_reserve(out, p.size);
    }
    if (rc == 0 && p.size > 0) {
        (void)put_fields(out->data + out->len, &p, defaults, 0);
        out->len += p.size;
    }
    return rc;
}

int
aif_h1write_chunk(aif_buf *out, uint64_t len)
{
    const size_t before = out->len;
    int rc;

    if (len == 0) {
        return AIF_EINVAL;
    }
    rc = aif_buf_add_hex(out, len);
    if (rc == 0) {
        rc = aif_buf_add(out, "\r\n", 2);
    }
    if (rc < 0) {
        out->len = before;
    }
    return rc;
}

/* 1 for fields that frame, route, authenticate or describe a message: whoever
 * acts on them has done so before the trailers come (RFC 9110 6.5.1). */
static int
is_barred(aif_slice name)
{
    static const char *const barred[] = {
        "authorization",
        "cache-control",
        "connection",
        "content-encoding",
        "content-length",
        "content-range",
        "content-type",
        "cookie",
        "expect",
        "host",
        "keep-alive",
        "max-forwards",
        "proxy-authorization",
        "range",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    };
    size_t i;

    for (i = 0; i < sizeof(barred) / sizeof(barred[0]); i++) {
        if (strlen(barred[i]) == name.len
            && aif_ascii_equal(name.ptr, barred[i], name.len))
        {
            return 1;
        }
    }
    return 0;
}

static int
add_trailer(aif_buf *out, const plan *p, aif_slice name, aif_slice value)
{
    int rc;

    if (!aif_ascii_is_token(name.ptr, name.len)) {
        return refuse(p, name, "has a name that is not a token");
    }
    if (is_barred(name)) {
        return refuse(p, name, "may not be a trailer");
    }
    if (!aif_ascii_is_value(value.ptr, value.len)) {
        return refuse(p, name, "has a control character in its value");
    }
    rc = aif_buf_reserve(out, name.len + value.len + 4);
    if (rc < 0) {
        return aif_err_set(p->err, rc, "the trailers are too large");
    }
    (void)aif_buf_add(out, name.ptr, name.len);
    (void)aif_buf_add(out, ": ", 2);
    (void)aif_buf_add(out, value.ptr, value.len);
    return aif_buf_add(out, "\r\n", 2);
}

int
aif_h1write_last_chunk(aif_buf *out, const aif_header *trailer, aif_err *err)
{
    const size_t before = out->len;
    plan p = {.err = err};
    unsigned i, count = trailer == NULL ? 0 : trailer->count;
    int rc = aif_buf_add(out, "0\r\n", 3);

    for (i = 0; i < count && rc == 0; i++) {
        rc = add_trailer(out, &p, aif_header_name(trailer, i),
                         aif_header_value(trailer, i));
    }
    if (rc == 0) {
        rc = aif_buf_add(out, "\r\n", 2);
    }
    if (rc < 0) {
        out->len = before;
    }
    return rc;
}
