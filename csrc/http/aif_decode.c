/* aif_decode.c -- content codings undone, one filter behind the other.
 *
 * A decoder is a row of filters in the order in which they are undone, the
 * last coding of the header first. The last filter that has something to do
 * has its turn, so that what one gives goes to the next before it is asked for
 * more, and nothing ever waits for memory: a bomb costs time in steps that the
 * caller takes one by one, and one buffer for each filter.
 *
 * Rules: every turn of a filter takes input or gives output, or is its last
 * until there is input; and members (gzip, zstd frames) that give nothing are
 * counted, because there can be one for every few bytes of input.
 */
#include "http/aif_decode.h"

#include <stdint.h>
#include <string.h>

#include "base/aif_ascii.h"
#include "base/aif_mem.h"
#include "http/aif_coding.h"

/* What a filter hands to the next one at a time; the last one's buffer, which
 * the caller sees, has AIF_DECODE_STEP. */
#define INNER_STEP (16u * 1024u)

/* Turns of filters in one step that gives nothing: a stack may turn a few
 * bytes into many that the next coding finds empty. */
#define MAX_TURNS 64u

/* gzip members or zstd frames without content in one body. */
#define MAX_EMPTY_MEMBERS 1000u

struct aif_decode {
    unsigned count;
    unsigned fed : 1;
    int code; /* final once it is not 0 */
    aif_filter filters[AIF_MAX_CODINGS];
};

const char *
aif_decode_accept(void)
{
    return aif_coding_accept();
}

/* The next element of the list at *|s|, without the blanks around it; moves
 * *|s| behind its comma. */
static aif_slice
next_element(const char **s, const char *end)
{
    const char *comma = memchr(*s, ',', (size_t)(end - *s));
    const char *stop = comma != NULL ? comma : end;
    aif_slice e;

    e.ptr = *s;
    *s = comma != NULL ? comma + 1 : end;
    while (stop > e.ptr && (stop[-1] == ' ' || stop[-1] == '\t')) {
        stop--;
    }
    while (e.ptr < stop && (*e.ptr == ' ' || *e.ptr == '\t')) {
        e.ptr++;
    }
    e.len = (size_t)(stop - e.ptr);
    return e;
}

/* Fills |row| in the order of the list. The count, or a negative code. */
static int
read_list(const aif_coding **row, const char *s, size_t len, aif_err *err)
{
    const char *end;
    const aif_coding *c;
    aif_slice e;
    int count = 0;

    if (len == 0) {
        return 0;
    }
    for (end = s + len; s < end;) {
        e = next_element(&s, end);
        if (e.len == 0 || aif_ascii_is(e.ptr, e.len, "identity")) {
            continue;
        }
        c = aif_coding_find(e.ptr, e.len);
        if (c == NULL) {
            return aif_err_set(err, AIF_EDECODE,
                               "the content coding \"%.*s\" is not known",
                               e.len < 40 ? (int)e.len : 40, e.ptr);
        }
        if (count == (int)AIF_MAX_CODINGS) {
            return aif_err_set(err, AIF_EDECODE,
                               "more than %u content codings",
                               AIF_MAX_CODINGS);
        }
        row[count++] = c;
    }
    return count;
}

static int
filter_open(aif_filter *f, const aif_coding *c, size_t cap)
{
    int rc;

    f->coding = c;
    f->cap = cap;
    f->buf = aif_mem_alloc(cap);
    if (f->buf == NULL) {
        return AIF_ENOMEM;
    }
    rc = c->open(f);
    f->open = rc == 0;
    return rc;
}

int
aif_decode_new(aif_decode **out, const char *list, size_t len, aif_err *err)
{
    const aif_coding *row[AIF_MAX_CODINGS];
    aif_decode *d = NULL;
    unsigned i;
    int count, rc;

    *out = NULL;
    count = read_list(row, list, len, err);
    if (count <= 0) {
        return count;
    }
    d = aif_mem_zalloc(sizeof(*d));
    if (d == NULL) {
        rc = AIF_ENOMEM;
        goto fail;
    }
    d->count = (unsigned)count;
    for (i = 0; i < d->count; i++) {
        rc = filter_open(&d->filters[i], row[d->count - 1 - i],
                         i + 1 == d->count ? AIF_DECODE_STEP : INNER_STEP);
        if (rc < 0) {
            goto fail;
        }
    }
    *out = d;
    return 0;

fail:
    aif_decode_free(d);
    return aif_err_set(err, rc, "no memory for a decoder");
}

void
aif_decode_free(aif_decode *d)
{
    unsigned i;

    if (d == NULL) {
        return;
    }
    for (i = 0; i < d->count; i++) {
        if (d->filters[i].open) {
            d->filters[i].coding->close(&d->filters[i]);
        }
        aif_mem_free(d->filters[i].buf);
    }
    aif_mem_free(d);
}

static int
filter_error(aif_decode *d, const aif_filter *f, aif_err *err)
{
    d->code = f->code;
    return aif_err_set(err, f->code, "%s: %s", f->coding->name, f->text);
}

/* 1 if a turn of |f| could do anything. A fault is reported by the turn after
 * the one that found it, when what came before it has been handed on. */
static int
has_work(const aif_filter *f)
{
    return f->in_len > 0 || f->more || f->code != 0;
}

/* The end of a member: another may follow where the coding has members. */
static void
filter_ended(aif_filter *f)
{
    f->ended = 1;
    f->more = 0;
    if (!f->gave && f->coding->has_members && ++f->empty > MAX_EMPTY_MEMBERS) {
        (void)aif_coding_refuse(f, AIF_EDECODE,
                                "too many members without content");
    }
    f->gave = 0;
}

/* One turn of |f|, which has work and room. */
static void
filter_turn(aif_filter *f)
{
    const size_t in = f->in_len, out = f->out_len;
    aif_turn turn;

    if (f->ended && !f->coding->has_members) {
        (void)aif_coding_refuse(f, AIF_EDECODE, "bytes behind the end");
        return;
    }
    f->ended = 0;
    turn = f->coding->turn(f);
    f->more = f->out_len == f->cap;
    f->gave |= f->out_len > out;
    if (turn == AIF_TURN_END) {
        filter_ended(f);
    }
    else if (turn == AIF_TURN_MORE && f->in_len == in && in > 0
             && f->out_len == out)
    {
        (void)aif_coding_refuse(f, AIF_EDECODE, "no progress");
    }
}

/* The last filter of the row that has work; NULL if none has. */
static aif_filter *
next_filter(aif_decode *d)
{
    unsigned i;

    for (i = d->count; i > 0; i--) {
        if (has_work(&d->filters[i - 1])) {
            return &d->filters[i - 1];
        }
    }
    return NULL;
}

/* Turns until the last filter has filled its buffer or would have to wait for
 * input. 0, or the error. */
static int
run_row(aif_decode *d, aif_err *err)
{
    aif_filter *last = &d->filters[d->count - 1];
    unsigned turns;

    for (turns = 0; turns < MAX_TURNS; turns++) {
        aif_filter *f = next_filter(d);

        if (last->out_len > 0
            && (f != last || f->code != 0 || last->out_len == last->cap))
        {
            return 0;
        }
        if (f == NULL) {
            return 0;
        }
        if (f->code != 0) {
            return filter_error(d, f, err);
        }
        filter_turn(f);
        if (f != last && f->out_len > 0) {
            /* The next one has used up what it had, or |f| would not have had
             * its turn. */
            f[1].in = f->buf;
            f[1].in_len = f->out_len;
            f->out_len = 0;
        }
    }
    return 0;
}

int
aif_decode_step(aif_decode *d, const char *data, size_t len, size_t *used,
                aif_slice *out, aif_err *err)
{
    aif_filter *first = &d->filters[0];
    aif_filter *last = &d->filters[d->count - 1];
    int rc;

    *used = 0;
    out->ptr = "";
    out->len = 0;
    if (d->code != 0) {
        return aif_err_set(err, d->code, "the decoder has failed before");
    }
    if (len > 0) {
        d->fed = 1;
    }
    first->in = (const unsigned char *)(data != NULL ? data : "");
    first->in_len = len;
    rc = run_row(d, err);
    *used = len - first->in_len;
    if (rc < 0) {
        return rc;
    }
    out->ptr = (const char *)last->buf;
    out->len = last->out_len;
    last->out_len = 0;
    rc = next_filter(d) != NULL;
    /* The bytes are the caller's. */
    first->in = NULL;
    first->in_len = 0;
    return rc;
}

int
aif_decode_end(aif_decode *d, aif_err *err)
{
    unsigned i;

    if (d->code != 0) {
        return aif_err_set(err, d->code, "the decoder has failed before");
    }
    if (!d->fed) {
        return 0;
    }
    for (i = 0; i < d->count; i++) {
        if (!d->filters[i].ended) {
            return aif_err_set(err, AIF_ETRUNCATED,
                               "the body ended inside its %s coding",
                               d->filters[i].coding->name);
        }
    }
    return 0;
}
