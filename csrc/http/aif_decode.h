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

/* Takes decoded bytes, at most AIF_DECODE_STEP at a time. Returns 0, or a
 * negative code that ends the feed and is returned by it. */
typedef int (*aif_decode_sink)(void *user, const char *data, size_t len);

#define AIF_DECODE_STEP (64u * 1024u)

/* Decodes all |len| bytes at |data| and hands on what comes out. 0; the sink's
 * code; AIF_EDECODE with a text; AIF_ENOMEM. An error is final. */
int aif_decode_feed(aif_decode *d, const char *data, size_t len,
                    aif_decode_sink sink, void *user, aif_err *err);

/* The coded body has ended. 0 if every coding has reached its own end;
 * AIF_ETRUNCATED with a text otherwise. A body of no bytes at all is whole
 * (servers send them for HEAD-like answers). */
int aif_decode_end(aif_decode *d, aif_err *err);

#endif
