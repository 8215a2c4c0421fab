/* aif_url_resolve -- references against a base, RFC 3986 section 5.
 *
 * The reference and the base are joined as text, and the text goes through
 * aif_url_parse() like any other: there is one place that quotes and refuses.
 * Off the fast path; it runs once for a redirect or a relative link.
 */
#include "http/aif_url.h"

#include <string.h>

static int
is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static const char text_too_long[] = "the URL is too long";
static const char text_no_memory[] = "out of memory for the URL";

static aif_slice
cut(const char *from, const char *to)
{
    aif_slice s = {from, (size_t)(to - from)};

    return s;
}

/* RFC 3986 5.2.4 on the path that starts at |from| and ends with the text,
 * in place. Each step back drops bytes that were written once: linear. */
static void
remove_dots(aif_buf *text, size_t from)
{
    char *const p = text->data;
    const size_t end = text->len;
    size_t r = from; /* at the slash of the segment being read */
    size_t w = from;
    size_t e, len;

    while (r < end) {
        e = r + 1;
        while (e < end && p[e] != '/') {
            e++;
        }
        len = e - r - 1;
        if (len == 2 && p[r + 1] == '.' && p[r + 2] == '.') {
            while (w > from && p[--w] != '/') {
                continue;
            }
        }
        else if (len != 1 || p[r + 1] != '.') {
            memmove(p + w, p + r, e - r);
            w += e - r;
            r = e;
            continue;
        }
        /* A dot segment at the end leaves its slash. */
        if (e == end) {
            p[w++] = '/';
        }
        r = e;
    }
    text->len = w;
}

/* Everything of |base| up to its path. */
static aif_slice
base_front(const aif_url *base)
{
    return aif_buf_slice(&base->text, 0, base->target_off);
}

/* Appends the path and query of a reference without authority. |ref| ends
 * before its fragment. */
static int
add_relative(aif_buf *text, const aif_url *base, aif_slice ref)
{
    const aif_slice target = aif_url_target(base);
    const aif_slice front = base_front(base);
    size_t path_len = 0;
    size_t keep = 0; /* of the base's target */
    size_t from;
    int rc;

    while (path_len < ref.len && ref.ptr[path_len] != '?') {
        path_len++;
    }
    if (ref.len == 0) {
        keep = target.len;
    }
    else if (path_len == 0) {
        keep = base->path_len;
    }
    else if (*ref.ptr != '/') {
        keep = base->path_len;
        while (keep > 1 && target.ptr[keep - 1] != '/') {
            keep--;
        }
    }
    rc = aif_buf_add(text, front.ptr, front.len);
    from = text->len;
    if (rc == 0) {
        rc = aif_buf_add(text, target.ptr, keep);
    }
    if (rc == 0) {
        rc = aif_buf_add(text, ref.ptr, path_len);
    }
    if (rc == 0 && path_len > 0) {
        remove_dots(text, from);
    }
    if (rc == 0) {
        rc = aif_buf_add(text, ref.ptr + path_len, ref.len - path_len);
    }
    return rc;
}

/* Puts the target URI of RFC 3986 5.2.2 together, quoting left undone. */
static int
compose(aif_buf *text, const aif_url *base, const char *s, size_t n)
{
    const char *mark = n == 0 ? NULL : memchr(s, '#', n);
    aif_slice ref = {n == 0 ? "" : s, n};
    aif_slice fragment = aif_url_fragment(base);
    int has_fragment = base->has_fragment;
    int rc = 0;

    if (mark != NULL) {
        ref = cut(s, mark);
        fragment = cut(mark + 1, s + n);
        has_fragment = 1;
    }
    if (aif_url_scheme_length(ref.ptr, ref.len) > 0) {
        rc = aif_buf_add(text, ref.ptr, ref.len);
    }
    else if (ref.len >= 2 && ref.ptr[0] == '/' && ref.ptr[1] == '/') {
        rc = aif_buf_add(text, base->text.data, base->scheme_len + 1);
        if (rc == 0) {
            rc = aif_buf_add(text, ref.ptr, ref.len);
        }
    }
    else {
        rc = add_relative(text, base, ref);
    }
    if (rc == 0 && has_fragment) {
        rc = aif_buf_add(text, "#", 1);
        if (rc == 0) {
            rc = aif_buf_add(text, fragment.ptr, fragment.len);
        }
    }
    return rc;
}

int
aif_url_resolve(aif_url *u, const aif_url *base, const char *s, size_t n,
                aif_err *err)
{
    aif_buf text;
    int rc;

    aif_url_reset(u);
    /* A blank at the end of the reference may end up inside the result. */
    if (n > 0 && (is_blank(*s) || is_blank(s[n - 1]))) {
        return aif_err_set(err, AIF_EINVAL,
                           "the URL has a blank at its start or end");
    }
    if (base->text.len == 0) {
        return aif_url_parse(u, s, n, err);
    }
    /* Room for the base and a reference of full length each, as dots may
     * shorten the sum to something that is allowed. */
    aif_buf_init(&text, 2 * AIF_MAX_URL);
    rc = compose(&text, base, s, n);
    if (rc == 0) {
        rc = aif_url_parse(u, text.data, text.len, err);
    }
    else {
        (void)aif_err_set(err, rc, "%s",
                          rc == AIF_ETOOBIG ? text_too_long : text_no_memory);
    }
    aif_buf_fini(&text);
    return rc;
}
