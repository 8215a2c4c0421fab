/* Tests of aif_url_split: parts by example, and every byte at every kind of
 * place. tests/parser holds it against httptools.
 */
#include "http/aif_url_split.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

/* Splits a copy of just the size of |s|. The parts as one line, or NULL. */
static const char *
split(const char *s)
{
    static char line[300];
    const size_t n = strlen(s);
    char *copy = malloc(n > 0 ? n : 1);
    aif_url_parts p;
    int rc;

    memcpy(copy, s, n);
    rc = aif_url_split(&p, copy, n);
    (void)snprintf(line, sizeof(line), "%.*s|%.*s|%.*s|%d|%.*s|%.*s|%.*s",
                   (int)p.scheme.len, p.scheme.ptr, (int)p.userinfo.len,
                   p.userinfo.ptr, (int)p.host.len, p.host.ptr, p.port,
                   (int)p.path.len, p.path.ptr, (int)p.query.len, p.query.ptr,
                   (int)p.fragment.len, p.fragment.ptr);
    free(copy);
    return rc == 0 ? line : NULL;
}

static void
test_parts(void)
{
    CHECK_EQ_STR(split("/"), "|||-1|/||");
    CHECK_EQ_STR(split("*"), "|||-1|*||");
    CHECK_EQ_STR(split("//h/p?q?#f#g"), "|||-1|//h/p|q?|f#g");
    CHECK_EQ_STR(split("http://u:p@h:080/p"), "http|u:p|h|80|/p||");
    CHECK_EQ_STR(split("x://[::1%25a]:0?q"), "x||::1%25a|0||q|");
    CHECK_EQ_STR(split("http://h"), "http||h|-1|||");
}

static void
test_refused(void)
{
    static const char *const refused[] = {
        "",
        "a",
        "h:80",
        "http:/h",
        "http://",
        "http:///p",
        "http://h:",
        "http://h:65536",
        "http://[]",
        "http://[::1",
        "http://[%a]",
        "http://[::1%]",
        "http://h#",
        "http://a@b@c",
        "http://u@",
        "/ ",
    };
    size_t i;

    for (i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        CHECK(split(refused[i]) == NULL);
    }
}

static void
test_every_byte(void)
{
    static const char userinfo[] = "-._~%!$&'()*+,;=:";
    char url[] = "x://u@h/p";
    char alnum;
    int c, visible;

    for (c = 1; c < 256; c++) {
        visible = c > 0x20 && c < 0x7f;
        alnum = (char)((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z')
                       || (c >= 'A' && c <= 'Z'));
        url[8] = (char)c;
        CHECK((split(url) != NULL) == visible);
        url[8] = 'p';
        url[6] = (char)c;
        CHECK((split(url) != NULL) == (alnum || c == '-' || c == '.'));
        url[6] = 'h';
        url[4] = (char)c;
        /* What ends the authority leaves it with a host of "@h" or none. */
        CHECK((split(url) != NULL) == (alnum || strchr(userinfo, c) != NULL));
        url[4] = 'u';
    }
}

int
main(void)
{
    test_parts();
    test_refused();
    test_every_byte();
    return check_failures();
}
