/* Fuzzes aif_url: what is accepted may stand in a request as it is, and is a
 * fixed point of the parser.
 *
 * Input: the length of a base URL, the base, and a reference; both are also
 * parsed as they are.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/aif_mem.h"
#include "http/aif_url.h"

static void
must(int condition)
{
    if (!condition) {
        abort();
    }
}

static void
check_host(const aif_url *u)
{
    const aif_slice host = aif_url_host(u);
    size_t i;

    must(host.len > 0);
    for (i = 0; i < host.len; i++) {
        must(host.ptr[i] > 0x20 && host.ptr[i] < 0x7f);
        must(host.ptr[i] < 'A' || host.ptr[i] > 'Z');
        must(strchr("@#%/\\?", host.ptr[i]) == NULL);
    }
}

static void
check_target(const aif_url *u)
{
    const aif_slice target = aif_url_target(u);
    size_t i;

    must(target.len > 0 && target.ptr[0] == '/');
    must(u->path_len > 0 && u->path_len <= target.len);
    for (i = 0; i < target.len; i++) {
        must(target.ptr[i] > 0x20 && target.ptr[i] < 0x7f);
        must(target.ptr[i] != '#');
    }
    must(memchr(target.ptr, '?', u->path_len) == NULL);
}

static void
check_whole(const aif_url *u)
{
    const aif_slice scheme = aif_url_scheme(u);
    aif_url again;
    size_t i;

    must(u->text.len <= AIF_MAX_URL);
    must(u->fragment_off <= u->text.len
         && u->fragment_len <= u->text.len - u->fragment_off);
    must(u->userinfo_off <= u->text.len
         && u->userinfo_len <= u->text.len - u->userinfo_off);
    must(u->authority_off + u->authority_len <= u->target_off);
    must(u->target_off + u->target_len <= u->text.len);
    must(scheme.len > 1 && (scheme.ptr[0] == 'h' || scheme.ptr[0] == 'w'));
    /* http, ws; https, wss */
    must((scheme.len % 2 == 1) == (u->secure != 0));
    for (i = 0; i < u->text.len; i++) {
        must((unsigned char)u->text.data[i] > 0x20 && u->text.data[i] != 0x7f);
    }
    check_host(u);
    check_target(u);
    aif_url_init(&again);
    must(aif_url_parse(&again, u->text.data, u->text.len, NULL) == 0);
    must(again.text.len == u->text.len
         && memcmp(again.text.data, u->text.data, u->text.len) == 0);
    must(again.port == u->port && again.target_off == u->target_off);
    must(aif_url_same_origin(u, &again));
    aif_url_fini(&again);
}

static void
check_result(const aif_url *u, int rc, const aif_err *err)
{
    aif_slice host;
    size_t i;

    if (rc == 0) {
        check_whole(u);
        return;
    }
    must(rc == AIF_EINVAL || rc == AIF_ETOOBIG || rc == AIF_EIDNA);
    must(err->code == rc && err->text[0] != '\0');
    if (rc != AIF_EIDNA) {
        return;
    }
    host = aif_url_host(u);
    for (i = 0; i < host.len && (unsigned char)host.ptr[i] < 0x80; i++) {
    }
    must(i < host.len);
}

/* Parses a copy of just its size. */
static int
parse(aif_url *u, const uint8_t *s, size_t n)
{
    char *copy = malloc(n > 0 ? n : 1);
    aif_err err;
    int rc;

    must(copy != NULL);
    memcpy(copy, s, n);
    aif_err_reset(&err);
    rc = aif_url_parse(u, copy, n, &err);
    free(copy);
    check_result(u, rc, &err);
    return rc;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    aif_url base, u;
    aif_err err;
    char *copy;
    size_t n;
    int rc;

    if (size < 1) {
        return 0;
    }
    n = data[0] < size - 1 ? data[0] : size - 1;
    aif_url_init(&base);
    aif_url_init(&u);
    (void)parse(&u, data + 1 + n, size - 1 - n);
    rc = parse(&base, data + 1, n);
    if (rc == 0) {
        copy = malloc(size - n);
        must(copy != NULL);
        memcpy(copy, data + 1 + n, size - 1 - n);
        aif_err_reset(&err);
        rc = aif_url_resolve(&u, &base, copy, size - 1 - n, &err);
        check_result(&u, rc, &err);
        aif_err_reset(&err);
        if (rc == 0) {
            rc = aif_url_add_query(&u, copy, size - 1 - n, &err);
            if (rc == 0) {
                check_whole(&u);
            }
        }
        free(copy);
    }
    aif_url_fini(&u);
    aif_url_fini(&base);
    must(aif_mem_live() == 0);
    return 0;
}
