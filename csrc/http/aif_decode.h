/* aif_decode -- content codings undone in bounded steps: gzip, deflate, br,
 * zstd, and stacks of them (RFC 9110 8.4, RFC 1950 to 1952, 7932, 8878).
 *
 * "deflate" is read both ways, zlib and raw. gzip may have several members;
 * bytes after the last one that do not start another member are an error, as
 * are missing ends.
 *
 * Owner:    whoever called aif_decode_new().
 */
#ifndef AIF_DECODE_H
#define AIF_DECODE_H

#include <stddef.h>

#include "base/aif_buf.h"
#include "base/aif_err.h"

typedef struct aif_decode aif_decode;

/* The value of Accept-Encoding that says what this build can undo, for
 * example "gzip, deflate, br, zstd". Static. */
const char *aif_decode_accept(void);

/* A decoder for the value |codings| of Content-Encoding (all fields joined by
 * commas). 0 with *|out| NULL if there is nothing to undo (empty, identity);
 * 0 with a decoder; AIF_EDECODE with a text for a coding that is unknown or
 * for more than AIF_MAX_CODINGS; AIF_ENOMEM. */
int aif_decode_new(aif_decode **out, const char *codings, size_t len,
                   aif_err *err);
void aif_decode_free(aif_decode *d);

/* What a call gives at most. */
#define AIF_DECODE_STEP (64u * 1024u)

/* One step of bounded work over the |len| bytes at |data|. *|used| of them
 * have been taken; *|out| is what came out, at most AIF_DECODE_STEP bytes and
 * often none, borrowed until the next call.
 *
 * 1: call again, with the bytes that follow those taken (there may be none
 * left: a few bytes can stand for many steps). 0: all are taken, and nothing
 * more comes out of them. AIF_EDECODE with a text, AIF_ENOMEM: final; what
 * could be decoded in front of the fault was given by the calls before. */
int aif_decode_step(aif_decode *d, const char *data, size_t len, size_t *used,
                    aif_slice *out, aif_err *err);

/* The coded body has ended, and aif_decode_step() has returned 0 for it. 0 if
 * every coding has reached its own end; AIF_ETRUNCATED with a text otherwise.
 * A body of no bytes at all is whole (servers send them for HEAD-like
 * answers). */
int aif_decode_end(aif_decode *d, aif_err *err);

#endif
