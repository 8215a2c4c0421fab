/* py_url -- URLs between Python text and aif_url. */
#ifndef PY_URL_H
#define PY_URL_H

#include "base/aif_err.h"
#include "http/aif_url.h"
#include "py/state.h"

/* Parses |text| (a str), encodes a host that is not ASCII (RFC 5891, UTS 46)
 * and adds |query| (str or NULL). 0; a code with |err|; or -1 with an
 * exception (our codes are all below -5000). */
int url_parse(core_state *st, aif_url *u, PyObject *text, PyObject *query,
              aif_err *err);

/* The URL as text, without userinfo; |given| itself if it is the same. */
PyObject *url_text(const aif_url *u, PyObject *given);

/* |ref| (a str) resolved against the URL |base|, as text. NULL with an
 * exception, InvalidURL for what is none. */
PyObject *url_join(core_state *st, PyObject *base, PyObject *ref);

/* The module's functions; signatures in _core.pyi. */
PyObject *core_url_join(PyObject *module, PyObject *const *args,
                        Py_ssize_t nargs);
PyObject *core_url_origin(PyObject *module, PyObject *text);
PyObject *core_quote_query(PyObject *module, PyObject *text);

/* parse_url(bytes-like): a URL object, or HttpParserInvalidURLError. */
PyObject *core_parse_url(PyObject *module, PyObject *url);

#endif
