/* aif_h1field -- sections of field lines.
 *
 *     BEGIN -> NAME -> VALUE -> CR -> PENDING -> (field) BEGIN
 *       +----> LAST -> (end)
 *
 * One walk looks at each byte once: a name through a table, a value sixteen
 * bytes at a time. Of a line that is cut, the part that is there is put aside
 * and the rest joins it.
 */
#include "http/aif_h1field.h"

#include <string.h>

#include "base/aif_ascii.h"
#include "http/aif_h1byte.h"

#define KEEP 1024u /* of the memory, between messages */

enum state {
    BEGIN, /* at the first byte of a line */
    NAME,
    VALUE,   /* and the blanks around it */
    CR,      /* LF has to follow and ends the line */
    PENDING, /* the line has ended; the next byte tells whether it goes on */
    LAST     /* LF has to follow and ends the section */
};

/* One walk: |p| is at the next byte; [from, text) is what of the line lies in
 * this input, up to its end or to |p|. */
typedef struct walk {
    const char *p, *end;
    const char *from, *text;
} walk;

void
aif_h1field_init(aif_h1field *f, size_t line_max)
{
    memset(f, 0, sizeof(*f));
    aif_buf_init(&f->line, line_max);
}

void
aif_h1field_fini(aif_h1field *f)
{
    aif_buf_fini(&f->line);
}

void
aif_h1field_reset(aif_h1field *f, size_t section_max, unsigned fields_max,
                  size_t before)
{
    aif_buf_reset(&f->line, KEEP);
    f->section = before;
    f->section_max = section_max;
    f->fields = 0;
    f->fields_max = fields_max;
    f->state = BEGIN;
    f->ended = 0;
    f->fault = AIF_H1_FAULT_NONE;
}

static aif_scan
bad(aif_h1field *f, aif_h1_fault fault)
{
    f->fault = fault;
    return AIF_SCAN_BAD;
}

static int
is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* Puts what there is of the line aside. */
static int
keep_line(aif_h1field *f, walk *w)
{
    const size_t n = (size_t)(w->text - w->from);

    w->from = w->text;
    return n > 0 ? aif_buf_add(&f->line, w->text - n, n) : 0;
}

/* How far the line may go on in this input. */
static const char *
line_limit(const aif_h1field *f, const walk *w)
{
    const size_t room = f->line.max - f->line.len;

    return (size_t)(w->end - w->from) > room ? w->from + room : w->end;
}

/* --- The parts of a line ------------------------------------------------- */

static aif_scan
end_section(aif_h1field *f)
{
    f->ended = 1;
    return AIF_SCAN_END;
}

static aif_scan
walk_begin(aif_h1field *f, walk *w)
{
    const char c = *w->p;

    if (c == '\r') {
        f->state = LAST;
        w->p++;
        return AIF_SCAN_MORE;
    }
    if (c == '\n') {
        if (f->rules & AIF_H1_LONE_LF) {
            w->p++;
            return end_section(f);
        }
        return bad(f, AIF_H1_FAULT_BARE_LF);
    }
    if (is_blank(c)) {
        return bad(f, AIF_H1_FAULT_FIRST_FOLD);
    }
    if (c == ':') {
        return bad(f, AIF_H1_FAULT_NO_NAME);
    }
    if (f->fields >= f->fields_max) {
        return bad(f, AIF_H1_FAULT_FIELDS);
    }
    f->fields++;
    f->line.len = 0;
    f->state = NAME;
    w->from = w->p;
    return AIF_SCAN_MORE;
}

static aif_scan
walk_name(aif_h1field *f, walk *w)
{
    const char *lim = line_limit(f, w);
    const char *p = aif_h1byte_find_name_end(w->p, lim);

    w->p = w->text = p;
    if (p == w->end) {
        return AIF_SCAN_MORE;
    }
    if (*p == ':' && p < lim) {
        f->name_len = (uint32_t)(f->line.len + (size_t)(p - w->from));
        f->state = VALUE;
        w->p = w->text = p + 1;
        return AIF_SCAN_MORE;
    }
    if (*p == '\n') {
        return bad(f, AIF_H1_FAULT_BARE_LF);
    }
    if (*p != '\r' && aif_h1byte_is_control(*p)) {
        return bad(f, AIF_H1_FAULT_CONTROL);
    }
    return bad(f, aif_ascii_is_tchar(*p) || *p == ':' ? AIF_H1_FAULT_LINE
                                                      : AIF_H1_FAULT_NAME);
}

static aif_scan
walk_value(aif_h1field *f, walk *w)
{
    const char *lim = line_limit(f, w);
    const char *p = aif_h1byte_find_control(w->p, lim);

    w->p = w->text = p;
    if (p == w->end) {
        return AIF_SCAN_MORE;
    }
    if (*p == '\r') {
        f->state = CR;
        w->p++;
        return AIF_SCAN_MORE;
    }
    if (*p == '\n') {
        if (!(f->rules & AIF_H1_LONE_LF)) {
            return bad(f, AIF_H1_FAULT_BARE_LF);
        }
        f->state = PENDING;
        w->p++;
        return AIF_SCAN_MORE;
    }
    if (!aif_h1byte_is_control(*p)) {
        return bad(f, AIF_H1_FAULT_LINE);
    }
    if (!(f->rules & AIF_H1_FOLDS) || *p == '\0') {
        return bad(f, AIF_H1_FAULT_CONTROL);
    }
    if (p == lim) {
        return bad(f, AIF_H1_FAULT_LINE);
    }
    w->p = w->text = p + 1;
    return AIF_SCAN_MORE;
}

/* The byte behind a CR. */
static aif_scan
walk_lf(aif_h1field *f, walk *w)
{
    if (*w->p == '\n') {
        w->p++;
    }
    else if (!(f->rules & AIF_H1_LONE_CR)) {
        return bad(f, AIF_H1_FAULT_BARE_CR);
    }
    if (f->state == LAST) {
        return end_section(f);
    }
    f->state = PENDING;
    return AIF_SCAN_MORE;
}

static aif_slice
trimmed(const char *s, size_t n)
{
    aif_slice t;

    while (n > 0 && is_blank(s[n - 1])) {
        n--;
    }
    while (n > 0 && is_blank(*s)) {
        s++;
        n--;
    }
    t.ptr = s;
    t.len = n;
    return t;
}

/* The first byte behind a line that has ended. */
static aif_scan
walk_pending(aif_h1field *f, walk *w)
{
    const char *s = w->from;
    size_t n = (size_t)(w->text - w->from);

    if (is_blank(*w->p)) {
        if (!(f->rules & AIF_H1_FOLDS)) {
            return bad(f, AIF_H1_FAULT_FOLD);
        }
        if (keep_line(f, w) < 0) {
            return bad(f, AIF_H1_FAULT_MEMORY);
        }
        w->from = w->text = w->p;
        f->state = VALUE;
        return AIF_SCAN_MORE;
    }
    if (f->line.len > 0) {
        if (keep_line(f, w) < 0) {
            return bad(f, AIF_H1_FAULT_MEMORY);
        }
        s = f->line.data;
        n = f->line.len;
    }
    f->state = BEGIN;
    f->name.ptr = s;
    f->name.len = f->name_len;
    f->raw.ptr = s + f->name_len + 1;
    f->raw.len = n - f->name_len - 1;
    f->value = trimmed(f->raw.ptr, f->raw.len);
    return AIF_SCAN_END;
}

static aif_scan
walk_on(aif_h1field *f, walk *w)
{
    aif_scan rc = AIF_SCAN_MORE;

    while (rc == AIF_SCAN_MORE && w->p < w->end) {
        switch (f->state) {
        case BEGIN:
            rc = walk_begin(f, w);
            break;
        case NAME:
            rc = walk_name(f, w);
            break;
        case VALUE:
            rc = walk_value(f, w);
            break;
        case PENDING:
            rc = walk_pending(f, w);
            break;
        default:
            rc = walk_lf(f, w);
            break;
        }
    }
    return rc;
}

/* Nearly every line: it is whole, it is good, and the byte behind it is there.
 * Returns its length with its end, or 0 if it has to be walked over. */
static size_t
take_line(aif_h1field *f, const char *s, size_t len)
{
    const size_t room = f->section_max - f->section;
    const char *end = s + (len < room ? len : room);
    const char *colon = aif_h1byte_find_name_end(s, end);
    const char *cr;

    if (colon == end || *colon != ':' || colon == s
        || f->fields >= f->fields_max)
    {
        return 0;
    }
    cr = aif_h1byte_find_control(colon + 1, end);
    if (end - cr < 3 || cr[0] != '\r' || cr[1] != '\n' || is_blank(cr[2])
        || (size_t)(cr - s) > f->line.max)
    {
        return 0;
    }
    f->fields++;
    f->line.len = 0;
    f->name.ptr = s;
    f->name.len = (size_t)(colon - s);
    f->raw.ptr = colon + 1;
    f->raw.len = (size_t)(cr - colon - 1);
    f->value = trimmed(f->raw.ptr, f->raw.len);
    f->section += (size_t)(cr + 2 - s);
    return (size_t)(cr + 2 - s);
}

aif_scan
aif_h1field_next(aif_h1field *f, const char *s, size_t len, size_t *n)
{
    const size_t room = f->section_max - f->section;
    const size_t stop = len < room ? len : room;
    walk w = {s, s + stop, s, s};
    aif_scan rc;

    if (f->state == BEGIN) {
        *n = take_line(f, s, len);
        if (*n > 0) {
            return AIF_SCAN_END;
        }
    }
    rc = walk_on(f, &w);
    *n = (size_t)(w.p - s);
    f->section += *n;
    if (rc != AIF_SCAN_MORE) {
        return rc;
    }
    if (stop < len) {
        return bad(f, AIF_H1_FAULT_SECTION);
    }
    if (f->state != BEGIN && f->state != LAST && keep_line(f, &w) < 0) {
        return bad(f, AIF_H1_FAULT_MEMORY);
    }
    return AIF_SCAN_MORE;
}
