/* py_spare.c -- the memory of large bodies, kept for the next ones. */
#include "py/py_spare.h"

#include <string.h>

#define KEEP_NS (1000ull * 1000u * 1000u)

/* A spare that is larger than what is wanted by more than this part of itself
 * is left for others. */
#define WASTE 8u

static void
drop(spare_set *s, unsigned i)
{
    PyObject *bytes = s->at[i].bytes;

    s->size -= (size_t)PyBytes_GET_SIZE(bytes);
    s->count--;
    memmove(&s->at[i], &s->at[i + 1], (s->count - i) * sizeof(s->at[0]));
    Py_DECREF(bytes);
}

static void
on_due(aif_deadline *d)
{
    spare_set *s = AIF_LIST_ENTRY(d, spare_set, deadline);
    uint64_t now = uv_hrtime();

    while (s->count > 0 && now - s->at[0].since >= KEEP_NS) {
        drop(s, 0);
    }
    if (s->count > 0
        && aif_deadline_set(&s->loop->deadlines, d, s->at[0].since + KEEP_NS)
               < 0)
    {
        spare_fini(s);
    }
}

void
spare_init(spare_set *s, aif_loop *loop)
{
    s->loop = loop;
    s->size = 0;
    s->count = 0;
    aif_deadline_init(&s->deadline, on_due);
}

void
spare_fini(spare_set *s)
{
    aif_deadline_clear(&s->loop->deadlines, &s->deadline);
    while (s->count > 0) {
        drop(s, s->count - 1);
    }
}

void
spare_keep(spare_set *s, PyObject *bytes)
{
    size_t size = (size_t)PyBytes_GET_SIZE(bytes);
    uint64_t now;

    if (size < SPARE_MIN || size > SPARE_ALL || !COMPAT_SOLE_OWNER) {
        return;
    }
    while (s->count == SPARE_COUNT || size > SPARE_ALL - s->size) {
        drop(s, 0);
    }
    now = uv_hrtime();
    if (!aif_deadline_is_set(&s->deadline)
        && aif_deadline_set(&s->loop->deadlines, &s->deadline, now + KEEP_NS)
               < 0)
    {
        return;
    }
    s->at[s->count].bytes = Py_NewRef(bytes);
    s->at[s->count].since = now;
    s->count++;
    s->size += size;
}

PyObject *
spare_take(spare_set *s, size_t len)
{
    unsigned i, idle = SPARE_COUNT;

    for (i = 0; i < s->count; i++) {
        PyObject *bytes = s->at[i].bytes;
        size_t size = (size_t)PyBytes_GET_SIZE(bytes);

        if (Py_REFCNT(bytes) != 1) {
            continue; /* The program has it. */
        }
        if (size < len || size - len > size / WASTE) {
            idle = idle == SPARE_COUNT ? i : idle;
            continue;
        }
        Py_INCREF(bytes);
        drop(s, i);
        compat_bytes_forget(bytes);
        if (size > len && _PyBytes_Resize(&bytes, (Py_ssize_t)len) < 0) {
            PyErr_Clear();
        }
        return bytes;
    }
    /* None of use: what is kept in vain makes room. */
    if (len >= SPARE_MIN && idle < SPARE_COUNT) {
        drop(s, idle);
    }
    return NULL;
}
