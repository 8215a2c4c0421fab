/* py_headers -- header fields between Python and aif_header. */
#ifndef PY_HEADERS_H
#define PY_HEADERS_H

#include "http/aif_header.h"
#include "py/state.h"

/* Appends |source| to |h|: a mapping of str to str (an exact dict, anything
 * with items()), or an iterable of pairs; None is empty. Text goes out as
 * UTF-8. 0, or -1 with TypeError or ValueError (too many, too long). */
int headers_read(core_state *st, aif_header *h, PyObject *source);

/* A multidict.CIMultiDictProxy of |h|. NULL with an exception. */
PyObject *headers_proxy(core_state *st, const aif_header *h);

/* A tuple of (name, value) pairs of bytes. */
PyObject *headers_raw(const aif_header *h);

/* Text of a field as aiohttp decodes it: UTF-8, surrogateescape. */
PyObject *headers_text(aif_slice s);

#endif
