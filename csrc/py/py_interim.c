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

void
interim_tell(interim *list, WaitObject *w, PyObject *function)
{
    for (; list != NULL; list = list->next) {
        PyObject *pair, *res = NULL;

        if (list->told) {
            continue;
        }
        list->told = 1;
        pair = pair_of(w->st, list);
        if (pair != NULL) {
            res = PyObject_Call(function, pair, NULL);
            Py_DECREF(pair);
        }
        if (res == NULL && !host_keep_interrupt(w->host)) {
            host_report(w->loop, "Exception in on_informational", function);
        }
        Py_XDECREF(res);
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
