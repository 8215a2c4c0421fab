/* py_interim.c -- informational responses, kept until somebody asks. */
#include "py/py_interim.h"

#include "base/aif_mem.h"
#include "py/py_headers.h"
#include "py/py_host.h"

struct interim {
    interim *next;
    int status;
    int told;
    aif_header header;
};

int
interim_add(interim **list, aif_h1parse *p)
{
    interim *one = aif_mem_zalloc(sizeof(*one));

    if (one == NULL) {
        return AIF_ENOMEM;
    }
    one->status = aif_h1parse_status(p);
    aif_header_take(&one->header, aif_h1parse_header(p));
    while (*list != NULL) {
        list = &(*list)->next; /* There are AIF_MAX_INFORMATIONAL at most. */
    }
    *list = one;
    return 0;
}

void
interim_free(interim *list)
{
    while (list != NULL) {
        interim *next = list->next;

        aif_header_fini(&list->header);
        aif_mem_free(list);
        list = next;
    }
}

static PyObject *
pair_of(core_state *st, const interim *one)
{
    PyObject *headers = headers_proxy(st, &one->header);
    PyObject *pair = NULL;

    if (headers != NULL) {
        pair = Py_BuildValue("(iO)", one->status, headers);
        Py_DECREF(headers);
    }
    return pair;
}

/* What |function| raised, or what kept it from being called. */
static void
report(WaitObject *w, PyObject *function)
{
    if (w->host == NULL || !host_keep_interrupt(w->host)) {
        host_report(w->loop, "Exception in on_informational", function);
    }
}

void
interim_tell(interim *list, WaitObject *w, PyObject *function)
{
    PyObject *pairs[AIF_MAX_INFORMATIONAL];
    size_t count = 0;

    /* The list may be gone as soon as the function has been called. */
    for (; list != NULL && count < AIF_MAX_INFORMATIONAL; list = list->next) {
        if (!list->told) {
            list->told = 1;
            pairs[count] = pair_of(w->st, list);
            if (pairs[count] == NULL) {
                report(w, function);
            }
            else {
                count++;
            }
        }
    }
    for (size_t i = 0; i < count; i++) {
        PyObject *res = PyObject_Call(function, pairs[i], NULL);

        if (res == NULL) {
            report(w, function);
        }
        Py_XDECREF(res);
        Py_DECREF(pairs[i]);
    }
}

PyObject *
interim_tuple(core_state *st, const interim *list)
{
    Py_ssize_t count = 0, i = 0;
    const interim *at;
    PyObject *all;

    for (at = list; at != NULL; at = at->next) {
        count++;
    }
    all = PyTuple_New(count);
    for (at = list; all != NULL && at != NULL; at = at->next) {
        PyObject *pair = pair_of(st, at);

        if (pair == NULL) {
            Py_CLEAR(all);
        }
        else {
            PyTuple_SET_ITEM(all, i++, pair);
        }
    }
    return all;
}
