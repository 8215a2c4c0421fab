/* aif_header -- fields as offsets into one arena.
 *
 * The entry behind the last counted field is the open one: it is filled by
 * the piecewise calls and becomes a field when it ends, so that nobody ever
 * finds half a field.
 */
#include "http/aif_header.h"

#include <string.h>

#include "base/aif_ascii.h"
#include "base/aif_err.h"
#include "base/aif_mem.h"

/* What a list keeps for its next message. */
#define KEEP_BYTES (16u * 1024u)
#define KEEP_FIELDS 256u

/* Most responses have 8 to 20 fields. */
#define FIRST_FIELDS 16u

/* Past this the size of the table would not fit 32 bits. */
#define MOST_FIELDS (UINT32_MAX / (unsigned)sizeof(aif_field))

void
aif_header_limit(aif_header *h, size_t max_bytes, unsigned max_fields)
{
    h->bytes.max = max_bytes > UINT32_MAX ? UINT32_MAX : max_bytes;
    h->max_fields = max_fields > MOST_FIELDS ? MOST_FIELDS : max_fields;
}

void
aif_header_init(aif_header *h, size_t max_bytes, unsigned max_fields)
{
    aif_buf_init(&h->bytes, 0);
    h->fields = NULL;
    h->count = 0;
    h->cap = 0;
    aif_header_limit(h, max_bytes, max_fields);
    h->in_value = 0;
    h->open = 0;
}

static void
free_fields(aif_header *h)
{
    aif_mem_free(h->fields);
    h->fields = NULL;
    h->cap = 0;
}

void
aif_header_fini(aif_header *h)
{
    aif_buf_fini(&h->bytes);
    free_fields(h);
    h->count = 0;
    h->in_value = 0;
    h->open = 0;
}

void
aif_header_reset(aif_header *h)
{
    aif_buf_reset(&h->bytes, KEEP_BYTES);
    if (h->cap > KEEP_FIELDS) {
        free_fields(h);
    }
    h->count = 0;
    h->in_value = 0;
    h->open = 0;
}

void
aif_header_take(aif_header *dst, aif_header *src)
{
    *dst = *src;
    dst->in_value = 0;
    dst->open = 0;
    aif_header_init(src, dst->bytes.max, dst->max_fields);
}

/* Makes room for one more entry in the table. */
static int
reserve_field(aif_header *h)
{
    aif_field *fields;
    unsigned cap;

    if (h->count >= h->max_fields) {
        return AIF_ETOOBIG;
    }
    if (h->count < h->cap) {
        return 0;
    }
    cap = h->cap > h->max_fields / 2 ? h->max_fields : h->cap * 2;
    if (cap < FIRST_FIELDS) {
        cap = h->max_fields < FIRST_FIELDS ? h->max_fields : FIRST_FIELDS;
    }
    fields = aif_mem_realloc(h->fields, cap * sizeof(*fields));
    if (fields == NULL) {
        return AIF_ENOMEM;
    }
    h->fields = fields;
    h->cap = cap;
    return 0;
}

int
aif_header_add(aif_header *h, const char *name, size_t name_len,
               const char *value, size_t value_len)
{
    aif_field *f;
    int rc;

    if (h->open) {
        return AIF_EINVAL;
    }
    if (name_len > SIZE_MAX - value_len) {
        return AIF_ETOOBIG;
    }
    rc = reserve_field(h);
    if (rc < 0) {
        return rc;
    }
    rc = aif_buf_reserve(&h->bytes, name_len + value_len);
    if (rc < 0) {
        return rc;
    }
    f = &h->fields[h->count];
    f->name_off = (uint32_t)h->bytes.len;
    f->name_len = (uint32_t)name_len;
    f->value_off = (uint32_t)(h->bytes.len + name_len);
    f->value_len = (uint32_t)value_len;
    if (name_len > 0) {
        memcpy(h->bytes.data + f->name_off, name, name_len);
    }
    if (value_len > 0) {
        memcpy(h->bytes.data + f->value_off, value, value_len);
    }
    h->bytes.len += name_len + value_len;
    h->count++;
    return 0;
}

int
aif_header_add_name(aif_header *h, const char *data, size_t len)
{
    aif_field *f;
    int rc;

    if (h->in_value) {
        return AIF_EINVAL;
    }
    if (!h->open) {
        rc = reserve_field(h);
        if (rc < 0) {
            return rc;
        }
        f = &h->fields[h->count];
        f->name_off = (uint32_t)h->bytes.len;
        f->name_len = 0;
        h->open = 1;
    }
    rc = aif_buf_add(&h->bytes, data, len);
    if (rc < 0) {
        return rc;
    }
    h->fields[h->count].name_len += (uint32_t)len;
    return 0;
}

/* From here on bytes belong to the value of the open field. */
static void
start_value(aif_header *h)
{
    aif_field *f = &h->fields[h->count];

    f->value_off = (uint32_t)h->bytes.len;
    f->value_len = 0;
    h->in_value = 1;
}

int
aif_header_add_value(aif_header *h, const char *data, size_t len)
{
    int rc;

    if (!h->open) {
        return AIF_EINVAL;
    }
    if (!h->in_value) {
        start_value(h);
    }
    rc = aif_buf_add(&h->bytes, data, len);
    if (rc < 0) {
        return rc;
    }
    h->fields[h->count].value_len += (uint32_t)len;
    return 0;
}

static int
is_blank(char c)
{
    return c == ' ' || c == '\t';
}

int
aif_header_end_field(aif_header *h)
{
    const char *value;
    aif_field *f;

    if (!h->open) {
        return AIF_EINVAL;
    }
    if (!h->in_value) {
        start_value(h);
    }
    f = &h->fields[h->count];
    value = aif_buf_slice(&h->bytes, f->value_off, f->value_len).ptr;
    while (f->value_len > 0 && is_blank(value[f->value_len - 1])) {
        f->value_len--;
    }
    /* What is cut from the tail is given back to the arena, so that blanks
     * sent after a value do not count against the head's memory for long. */
    h->bytes.len = (size_t)f->value_off + f->value_len;
    while (f->value_len > 0 && is_blank(*value)) {
        f->value_off++;
        f->value_len--;
        value++;
    }
    h->count++;
    h->in_value = 0;
    h->open = 0;
    return 0;
}

int
aif_header_find(const aif_header *h, const char *name, unsigned from)
{
    const size_t len = strlen(name);
    const aif_field *f;
    unsigned i;

    for (i = from; i < h->count; i++) {
        f = &h->fields[i];
        if (f->name_len == len
            && aif_ascii_equal(aif_header_name(h, i).ptr, name, len))
        {
            return (int)i;
        }
    }
    return -1;
}

int
aif_header_has_token(const aif_header *h, const char *name, const char *token)
{
    aif_slice value;
    int i;

    for (i = aif_header_find(h, name, 0); i >= 0;
         i = aif_header_find(h, name, (unsigned)i + 1))
    {
        value = aif_header_value(h, (unsigned)i);
        if (aif_ascii_has_token(value.ptr, value.len, token)) {
            return 1;
        }
    }
    return 0;
}
