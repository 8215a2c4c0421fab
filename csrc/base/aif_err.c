/* aif_err -- filling in the detail of a failure.
 *
 * Texts may carry pieces of what a peer or a caller sent. They end up in
 * exceptions, logs and terminals, so this is where everything that is not
 * plain printable ASCII is taken out, once, whoever wrote the format.
 */
#include "base/aif_err.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

void
aif_err_reset(aif_err *err)
{
    if (err == NULL) {
        return;
    }
    err->code = 0;
    err->sys = 0;
    err->text[0] = '\0';
}

static void
set_text(aif_err *err, const char *fmt, va_list args)
{
    char *c;

    /* A negative result says that the format could not be converted, and
     * leaves the text unspecified. */
    if (vsnprintf(err->text, sizeof(err->text), fmt, args) < 0) {
        err->text[0] = '\0';
    }
    for (c = err->text; *c != '\0'; c++) {
        if (*c < ' ' || *c > '~') {
            *c = '?';
        }
    }
}

int
aif_err_set(aif_err *err, int code, const char *fmt, ...)
{
    va_list args;

    if (err == NULL) {
        return code;
    }
    err->code = code;
    err->sys = 0;
    va_start(args, fmt);
    set_text(err, fmt, args);
    va_end(args);
    return code;
}

int
aif_err_set_sys(aif_err *err, int code, int sys, const char *fmt, ...)
{
    va_list args;

    if (err == NULL) {
        return code;
    }
    err->code = code;
    err->sys = sys;
    va_start(args, fmt);
    set_text(err, fmt, args);
    va_end(args);
    return code;
}

const char *
aif_err_name(int code)
{
    /* In the order of the enum, which counts down from -5001. */
    static const char *const names[] = {
        "AIF_ENOMEM",     "AIF_ETOOBIG",       "AIF_EINVAL",
        "AIF_EPARSE",     "AIF_ETRUNCATED",    "AIF_EDECODE",
        "AIF_ECLOSED",    "AIF_EDISCONNECTED", "AIF_ETIMEOUT",
        "AIF_ECANCELLED", "AIF_ETLS",          "AIF_ECALLBACK",
        "AIF_EDNS",       "AIF_EIDNA",         "AIF_EFORBIDDEN",
    };
    const int count = (int)(sizeof(names) / sizeof(names[0]));

    if (code >= AIF_ERR_FIRST || code < AIF_ERR_FIRST - count) {
        return "AIF_E?";
    }
    return names[AIF_ERR_FIRST - 1 - code];
}
