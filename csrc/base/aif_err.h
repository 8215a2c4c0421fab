/* aif_err -- result codes of the core, and the detail that goes with one.
 *
 * Every core function that can fail returns 0 (or a positive count) on success
 * and a negative code on failure. Codes of libuv (negative errno, UV_EAI_*)
 * pass through unchanged; ours start below them at AIF_ERR_FIRST.
 *
 * Owner:    an aif_err is embedded in the object whose failure it describes.
 * Thread:   the loop's thread only.
 */
#ifndef AIF_ERR_H
#define AIF_ERR_H

#define AIF_ERR_FIRST (-5000)
#define AIF_ERR_TEXT 232

enum {
    AIF_ENOMEM = -5001,        /* an allocation failed */
    AIF_ETOOBIG = -5002,       /* the peer went past one of our ceilings */
    AIF_EINVAL = -5003,        /* the caller's input may not go on the wire */
    AIF_EPARSE = -5004,        /* the peer's bytes are not HTTP/1 */
    AIF_ETRUNCATED = -5005,    /* the peer ended inside a message */
    AIF_EDECODE = -5006,       /* a content coding is broken or unknown */
    AIF_ECLOSED = -5007,       /* our own side was closed under the work */
    AIF_EDISCONNECTED = -5008, /* the peer left before a byte of response */
    AIF_ETIMEOUT = -5009,      /* a limit of time ran out */
    AIF_ECANCELLED = -5010,    /* the caller asked to stop */
    AIF_ETLS = -5011,          /* the TLS stage failed */
    AIF_ECALLBACK = -5012,     /* an upcall failed and keeps its own reason */
    AIF_EDNS = -5013,          /* a name could not be resolved */
    AIF_EIDNA = -5014,         /* the host is not ASCII: encode it first */
    AIF_EFORBIDDEN = -5015     /* the address is not a public one */
};

/* The detail of one failure. |text| is a NUL-terminated English sentence
 * without a final period, bounded, never holding unescaped peer bytes. |sys|
 * is the libuv code behind |code|, or 0. */
typedef struct aif_err {
    int code;
    int sys;
    char text[AIF_ERR_TEXT];
} aif_err;

/* Clears |err| (NULL is allowed). */
void aif_err_reset(aif_err *err);

/* Fills |err| (NULL is allowed) and returns |code|, so that a caller can write
 * `return aif_err_set(err, AIF_EPARSE, "...")`. A text that does not fit is
 * cut. Bytes below 0x20 and above 0x7e in the result become '?'. */
int aif_err_set(aif_err *err, int code, const char *fmt, ...)
#if defined(__GNUC__)
    __attribute__((format(printf, 3, 4)))
#endif
    ;

/* As aif_err_set(), and remembers the libuv code |sys|. */
int aif_err_set_sys(aif_err *err, int code, int sys, const char *fmt, ...)
#if defined(__GNUC__)
    __attribute__((format(printf, 4, 5)))
#endif
    ;

/* The symbolic name of one of our codes ("AIF_EPARSE"), static; "AIF_E?" for
 * a code that is not ours. */
const char *aif_err_name(int code);

#endif
