/* aif_h1start -- request lines and status lines.
 *
 *     METHOD -> TARGET -> SCHEME -> SLASH -> SLASHES -> HOST
 *                 |  |                                   |
 *                 |  +-----------> OWNER <---------------+
 *                 |                  |  +-> AFTER
 *                 v                  v        v
 *                REST <--------------+--------+
 *                 |  (all three)
 *                 +-> VERSION -> END -> CR
 *
 * The text is kept as it comes; what is known of it are offsets.
 */
#include "http/aif_h1start.h"

#include <string.h>

#include "base/aif_ascii.h"
#include "http/aif_h1byte.h"

#define KEEP 1024u       /* of the memory, between messages */
#define METHOD_BYTES 24u /* no method that is known has more */

enum state {
    METHOD,  /* also: a status line up to its end */
    TARGET,  /* the first byte of a target */
    SCHEME,  /* of an absolute target */
    SLASH,   /* the first behind the scheme */
    SLASHES, /* the second */
    HOST,    /* the first byte of an authority */
    OWNER,   /* of an authority, in front of '@' if there is one */
    AFTER,   /* of an authority, behind '@' */
    REST,    /* of the target */
    VERSION,
    END, /* CR has to follow */
    CR   /* LF has to follow */
};

/* Methods of the IANA registry, and what else is in use; the usual ones come
 * first. */
typedef struct method {
    size_t len;
    const char *name;
} method;

#define METHOD_OF(name) {sizeof(name) - 1, name}

static const method methods[] = {
    METHOD_OF("GET"),
    METHOD_OF("POST"),
    METHOD_OF("PUT"),
    METHOD_OF("HEAD"),
    METHOD_OF("DELETE"),
    METHOD_OF("OPTIONS"),
    METHOD_OF("PATCH"),
    METHOD_OF("CONNECT"),
    METHOD_OF("TRACE"),
    METHOD_OF("QUERY"),
    METHOD_OF("ACL"),
    METHOD_OF("BASELINE-CONTROL"),
    METHOD_OF("BIND"),
    METHOD_OF("CHECKIN"),
    METHOD_OF("CHECKOUT"),
    METHOD_OF("COPY"),
    METHOD_OF("LABEL"),
    METHOD_OF("LINK"),
    METHOD_OF("LOCK"),
    METHOD_OF("MERGE"),
    METHOD_OF("M-SEARCH"),
    METHOD_OF("MKACTIVITY"),
    METHOD_OF("MKCALENDAR"),
    METHOD_OF("MKCOL"),
    METHOD_OF("MOVE"),
    METHOD_OF("NOTIFY"),
    METHOD_OF("ORDERPATCH"),
    METHOD_OF("PROPFIND"),
    METHOD_OF("PROPPATCH"),
    METHOD_OF("PURGE"),
    METHOD_OF("REBIND"),
    METHOD_OF("REPORT"),
    METHOD_OF("SEARCH"),
    METHOD_OF("SOURCE"),
    METHOD_OF("SUBSCRIBE"),
    METHOD_OF("UNBIND"),
    METHOD_OF("UNLINK"),
    METHOD_OF("UNLOCK"),
    METHOD_OF("UNCHECKOUT"),
    METHOD_OF("UNSUBSCRIBE"),
    METHOD_OF("UPDATE"),
    METHOD_OF("MKWORKSPACE"),
    METHOD_OF("MKREDIRECTREF"),
    METHOD_OF("UPDATEREDIRECTREF"),
    METHOD_OF("VERSION-CONTROL"),
};

void
aif_h1start_init(aif_h1start *st, size_t line_max)
{
    memset(st, 0, sizeof(*st));
    aif_buf_init(&st->text, line_max);
}

void
aif_h1start_fini(aif_h1start *st)
{
    aif_buf_fini(&st->text);
}

void
aif_h1start_reset(aif_h1start *st)
{
    aif_buf_reset(&st->text, KEEP);
    st->state = METHOD;
    st->connect = 0;
    st->at = 0;
    st->major = 0;
    st->minor = 0;
    st->method_len = 0;
    st->target_len = 0;
    st->status = 0;
    st->fault = AIF_H1_FAULT_NONE;
}

static aif_scan
bad(aif_h1start *st, aif_h1_fault fault)
{
    st->fault = fault;
    return AIF_SCAN_BAD;
}

/* The byte behind the CR; |*n| counts it if it is taken. */
static aif_scan
scan_lf(aif_h1start *st, char c, size_t *n)
{
    if (c == '\n') {
        (*n)++;
        return AIF_SCAN_END;
    }
    return st->rules & AIF_H1_LONE_CR ? AIF_SCAN_END
                                      : bad(st, AIF_H1_FAULT_BARE_CR);
}

/* What a walk over s[0] to s[i] has come to: keeps the text, and takes the
 * end of the line if it stands there. */
static aif_scan
settle(aif_h1start *st, const char *s, size_t len, size_t i, size_t *n)
{
    *n = i;
    if (i > 0 && aif_buf_add(&st->text, s, i) < 0) {
        *n = 0;
        return bad(st, AIF_H1_FAULT_MEMORY);
    }
    if (st->fault != AIF_H1_FAULT_NONE) {
        return AIF_SCAN_BAD;
    }
    if (i == len) {
        return AIF_SCAN_MORE;
    }
    (*n)++;
    if (s[i] == '\n') {
        return AIF_SCAN_END;
    }
    st->state = CR;
    return i + 1 == len ? AIF_SCAN_MORE : scan_lf(st, s[i + 1], n);
}

static int
is_line_end(char c)
{
    return c == '\r' || c == '\n';
}

/* --- Responses ---------------------------------------------------------- */

static int
is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static int
is_version_digit(const aif_h1start *st, char c, int minor)
{
    if (st->rules & AIF_H1_VERSIONS) {
        return is_digit(c);
    }
    return minor ? c == '0' || c == '1' : c == '1';
}

/* What is wrong with byte |i| of a status line, which is no line end. */
static aif_h1_fault
status_byte(const aif_h1start *st, size_t i, char c)
{
    static const char name[] = "HTTP/";

    if (i < 5) {
        return c == name[i] ? AIF_H1_FAULT_NONE : AIF_H1_FAULT_PROTOCOL;
    }
    switch (i) {
    case 5:
    case 7:
        return is_version_digit(st, c, i == 7) ? AIF_H1_FAULT_NONE
                                               : AIF_H1_FAULT_VERSION;
    case 6:
        return c == '.' ? AIF_H1_FAULT_NONE : AIF_H1_FAULT_VERSION;
    case 8:
        return c == ' ' ? AIF_H1_FAULT_NONE : AIF_H1_FAULT_VERSION_END;
    case 12:
        return c == ' ' ? AIF_H1_FAULT_NONE : AIF_H1_FAULT_STATUS_END;
    default:
        return is_digit(c) && (i > 9 || c != '0') ? AIF_H1_FAULT_NONE
                                                  : AIF_H1_FAULT_STATUS;
    }
}

/* What nearly every status line begins with. */
static int
is_plain_status(const char *s)
{
    return memcmp(s, "HTTP/1.", 7) == 0 && (s[7] == '1' || s[7] == '0')
           && s[8] == ' ' && s[9] >= '1' && s[9] <= '9' && is_digit(s[10])
           && is_digit(s[11]) && s[12] == ' ';
}

/* A line end where |at| bytes stand before it; NONE if it may be there. */
static aif_h1_fault
status_end(const aif_h1start *st, char c, size_t at)
{
    if (c == '\n' && !(st->rules & AIF_H1_LONE_LF)) {
        return AIF_H1_FAULT_BARE_LF;
    }
    return at + 1 < AIF_H1START_STATUS ? AIF_H1_FAULT_STATUS_SHORT
                                       : AIF_H1_FAULT_NONE;
}

/* Walks over the part before the reason. Returns how far it came. */
static size_t
walk_status(aif_h1start *st, const char *s, size_t len)
{
    const size_t before = st->text.len;
    size_t i = 0;

    if (before == 0 && len >= AIF_H1START_STATUS && is_plain_status(s)
        && st->text.max >= AIF_H1START_STATUS)
    {
        return AIF_H1START_STATUS;
    }
    while (i < len && before + i < AIF_H1START_STATUS) {
        if (is_line_end(s[i])) {
            st->fault = status_end(st, s[i], before + i);
            break;
        }
        st->fault = before + i < st->text.max
                        ? status_byte(st, before + i, s[i])
                        : AIF_H1_FAULT_LINE;
        if (st->fault != AIF_H1_FAULT_NONE) {
            break;
        }
        i++;
    }
    return i;
}

static void
read_status(aif_h1start *st)
{
    const char *s = st->text.data;

    st->major = (unsigned char)(s[5] - '0');
    st->minor = (unsigned char)(s[7] - '0');
    st->status = (s[9] - '0') * 100 + (s[10] - '0') * 10 + (s[11] - '0');
}

aif_scan
aif_h1start_response(aif_h1start *st, const char *s, size_t len, size_t *n)
{
    size_t i, room;
    const char *end;
    aif_scan rc;

    *n = 0;
    if (len == 0) {
        return AIF_SCAN_MORE;
    }
    if (st->state == CR) {
        rc = scan_lf(st, s[0], n);
    }
    else {
        i = walk_status(st, s, len);
        if (st->text.len + i >= AIF_H1START_STATUS && i < len
            && st->fault == AIF_H1_FAULT_NONE)
        {
            room = st->text.max - st->text.len;
            end =
                aif_h1byte_find_control(s + i, s + (len < room ? len : room));
            i = (size_t)(end - s);
            if (i < len && is_line_end(s[i])) {
                st->fault = status_end(st, s[i], AIF_H1START_STATUS);
            }
            else if (i < len) {
                st->fault = aif_h1byte_is_control(s[i]) ? AIF_H1_FAULT_CONTROL
                                                        : AIF_H1_FAULT_LINE;
            }
        }
        rc = settle(st, s, len, i, n);
    }
    if (rc == AIF_SCAN_END) {
        read_status(st);
    }
    return rc;
}

/* --- Requests ----------------------------------------------------------- */

static int
is_known(const char *s, size_t n)
{
    size_t i;

    for (i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        if (methods[i].len == n && memcmp(methods[i].name, s, n) == 0) {
            return 1;
        }
    }
    return 0;
}

/* How many of the first bytes some known method begins with. */
static size_t
known_bytes(const char *s, size_t n)
{
    size_t longest = 0;
    size_t i, same;

    for (i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        for (same = 0; same < n && methods[i].name[same] == s[same]; same++) {
        }
        longest = same > longest ? same : longest;
    }
    return longest;
}

static int
is_alpha(char c)
{
    const char low = aif_ascii_lower(c);

    return low >= 'a' && low <= 'z';
}

/* What an authority is made of (RFC 3986 3.2) but for '@', which may come
 * once: with two, readers differ about the host. */
static int
is_authority(char c)
{
    return is_alpha(c) || is_digit(c)
           || (c != '\0' && strchr("-._~%!$&'()*+,;=:[]", c) != NULL);
}

/* The state that the byte |c| of a target leads to, or METHOD if it may not
 * stand there. */
static enum state
target_byte(const aif_h1start *st, char c)
{
    switch (st->state) {
    case TARGET:
        if (st->connect) {
            return is_authority(c) ? OWNER : METHOD;
        }
        if (c == '/' || c == '*') {
            return REST;
        }
        return is_alpha(c) ? SCHEME : METHOD;
    case SCHEME:
        if (is_alpha(c) || is_digit(c) || c == '+' || c == '-' || c == '.') {
            return SCHEME;
        }
        return c == ':' ? SLASH : METHOD;
    case SLASH:
        return c == '/' ? SLASHES : METHOD;
    case SLASHES:
        return c == '/' ? HOST : METHOD;
    case HOST:
        return c == '@' ? AFTER : is_authority(c) ? OWNER : METHOD;
    default:
        if (is_authority(c)) {
            return st->state;
        }
        if (c == '@' && st->state == OWNER) {
            return AFTER;
        }
        return (c == '/' || c == '?') && !st->connect ? REST : METHOD;
    }
}

/* A method, put together if it came in pieces. One that has to be known is
 * refused at the byte at which no known one goes on, so that a peer which
 * speaks something else need not end a line first. Returns how far it came. */
static size_t
walk_method(aif_h1start *st, const char *s, size_t lim)
{
    const size_t n = (size_t)(aif_h1byte_find_name_end(s, s + lim) - s);
    const size_t before = st->text.len;
    const size_t all = before + n;
    const int ended = n < lim && s[n] == ' ' && all > 0;
    char name[METHOD_BYTES];
    const size_t len = all < sizeof(name) ? all : sizeof(name);
    const size_t kept = before < len ? before : len;
    size_t good;

    memcpy(name, aif_buf_slice(&st->text, 0, kept).ptr, kept);
    memcpy(name + kept, s, len - kept);
    if (st->rules & AIF_H1_METHODS && !(ended && is_known(name, all))) {
        good = known_bytes(name, len);
        if (good < all || ended) {
            st->fault = AIF_H1_FAULT_METHOD_UNKNOWN;
            return good > before ? good - before : 0;
        }
    }
    if (ended) {
        st->connect = all == 7 && memcmp(name, "CONNECT", 7) == 0;
        st->method_len = (uint32_t)all;
        st->state = TARGET;
        return n + 1;
    }
    if (n < lim) {
        st->fault = AIF_H1_FAULT_METHOD;
    }
    return n;
}

/* Byte |c| behind the target. */
static void
version_byte(aif_h1start *st, char c)
{
    static const char name[] = "HTTP/x.x";
    int good;

    switch (st->at) {
    case 5:
        good = is_version_digit(st, c, 0);
        st->major = (unsigned char)(c - '0');
        break;
    case 7:
        good = is_version_digit(st, c, 1);
        st->minor = (unsigned char)(c - '0');
        st->state = END;
        break;
    default:
        good = c == name[st->at];
        break;
    }
    st->at++;
    if (!good) {
        st->fault = AIF_H1_FAULT_VERSION;
    }
}

/* What nearly every request line ends with, in one step. Returns its length,
 * or 0 if it has to be walked over. */
static size_t
take_version(aif_h1start *st, const char *s, size_t len)
{
    if (st->at != 0 || len < 8 || memcmp(s, "HTTP/1.", 7) != 0
        || (s[7] != '1' && s[7] != '0'))
    {
        return 0;
    }
    st->major = 1;
    st->minor = (unsigned char)(s[7] - '0');
    st->at = 8;
    st->state = END;
    return 8;
}

/* A blank may end the target, a line end the line. */
static int
may_end(const aif_h1start *st)
{
    return st->state == OWNER || st->state == AFTER || st->state == REST;
}

/* Takes s[i] and perhaps more of the |lim| bytes. Returns how far it came. */
static size_t
walk_request(aif_h1start *st, const char *s, size_t lim, size_t i)
{
    const size_t before = st->text.len;
    enum state next;
    size_t taken;

    switch (st->state) {
    case METHOD:
        return walk_method(st, s, lim);
    case REST:
        i = (size_t)(aif_h1byte_find_hidden(s + i, s + lim) - s);
        st->target_len = (uint32_t)(before + i - st->method_len - 1);
        if (i < lim && s[i] == ' ') {
            st->state = VERSION;
            i++;
        }
        else if (i < lim && !is_line_end(s[i])) {
            st->fault = AIF_H1_FAULT_TARGET;
        }
        return i;
    case VERSION:
        taken = take_version(st, s + i, lim - i);
        if (taken > 0) {
            return i + taken;
        }
        version_byte(st, s[i]);
        break;
    case END:
        st->fault = AIF_H1_FAULT_VERSION;
        break;
    default:
        if (s[i] == ' ' && may_end(st)) {
            st->state = VERSION;
            return i + 1;
        }
        next = target_byte(st, s[i]);
        if (next == METHOD) {
            st->fault = AIF_H1_FAULT_TARGET_FORM;
            break;
        }
        st->state = (unsigned char)next;
        st->target_len = (uint32_t)(before + i - st->method_len);
        break;
    }
    return i + (st->fault == AIF_H1_FAULT_NONE);
}

/* The line ends with |c|; NONE if it may. */
static aif_h1_fault
request_end(aif_h1start *st, char c)
{
    if (st->state == METHOD) {
        return AIF_H1_FAULT_METHOD;
    }
    if (may_end(st) && (st->rules & AIF_H1_SIMPLE)) {
        st->major = 0;
        st->minor = 9;
    }
    else if (st->state != END) {
        return st->state < OWNER ? AIF_H1_FAULT_TARGET_FORM
                                 : AIF_H1_FAULT_VERSION;
    }
    if (c == '\n' && !(st->rules & AIF_H1_LONE_LF)) {
        return AIF_H1_FAULT_BARE_LF;
    }
    return AIF_H1_FAULT_NONE;
}

aif_scan
aif_h1start_request(aif_h1start *st, const char *s, size_t len, size_t *n)
{
    const size_t room = st->text.max - st->text.len;
    const size_t lim = len < room ? len : room;
    size_t i = 0;

    *n = 0;
    if (len == 0) {
        return AIF_SCAN_MORE;
    }
    if (st->state == CR) {
        return scan_lf(st, s[0], n);
    }
    while (i < lim && st->fault == AIF_H1_FAULT_NONE && !is_line_end(s[i])) {
        i = walk_request(st, s, lim, i);
    }
    if (st->fault == AIF_H1_FAULT_NONE && i < len) {
        st->fault =
            is_line_end(s[i]) ? request_end(st, s[i]) : AIF_H1_FAULT_LINE;
    }
    return settle(st, s, len, i, n);
}
