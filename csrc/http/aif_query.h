/* aif_query -- keys and values of a query, escaped (RFC 3986 3.4).
 *
 * A blank becomes '+', as in forms; what would end a value or the query, mean
 * an escape or stand for nothing in a URL is percent-encoded. The rest stands
 * as it is, so that a query stays legible.
 */
#ifndef AIF_QUERY_H
#define AIF_QUERY_H

#include "base/aif_buf.h"

/* How many bytes the |n| at |s| take once they are escaped. */
size_t aif_query_size(const char *s, size_t n);

/* Writes them to |to|, where there is room for aif_query_size(), and returns
 * where they end. */
char *aif_query_put(char *to, const char *s, size_t n);

/* Appends "key=value", and a '&' before it unless |out| is empty. Results as
 * aif_buf_reserve(). */
int aif_query_add(aif_buf *out, aif_slice key, aif_slice value);

#endif
