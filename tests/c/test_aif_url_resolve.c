/* Tests of aif_url_resolve: RFC 3986 5.4 in full, and what a Location field
 * may hold beyond it. */
#include "http/aif_url.h"

#include "check.h"

static int
resolve(aif_url *u, const aif_url *base, const char *s, size_t n, aif_err *err)
{
    char *copy = check_copy(s, n);
    int rc = aif_url_resolve(u, base, copy, n, err);

    free(copy);
    return rc;
}

typedef struct row {
    const char *ref;
    const char *want; /* NULL: AIF_EINVAL */
} row;

static void
check_rows(const char *base_text, const row *rows, size_t count)
{
    aif_url base, u, again;
    aif_err err;
    size_t i;
    int rc;

    aif_url_init(&base);
    aif_url_init(&u);
    aif_url_init(&again);
    CHECK_EQ_INT(aif_url_parse(&base, base_text, strlen(base_text), NULL), 0);
    for (i = 0; i < count; i++) {
        check_row = rows[i].ref;
        rc = resolve(&u, &base, rows[i].ref, strlen(rows[i].ref), &err);
        CHECK_EQ_INT(rc, rows[i].want == NULL ? AIF_EINVAL : 0);
        if (rows[i].want == NULL) {
            CHECK_EQ_INT(u.text.len, 0);
            CHECK_EQ_INT(err.code, AIF_EINVAL);
            CHECK(strstr(err.text, "secret") == NULL);
            continue;
        }
        CHECK_EQ_SLICE(aif_buf_slice(&u.text, 0, u.text.len), rows[i].want);
        /* The parts are those of the text. */
        CHECK_EQ_INT(aif_url_parse(&again, u.text.data, u.text.len, NULL), 0);
        CHECK_EQ_INT(u.target_off, again.target_off);
        CHECK_EQ_INT(u.path_len, again.path_len);
        CHECK_EQ_INT(u.fragment_off, again.fragment_off);
        CHECK_EQ_INT(u.has_userinfo, again.has_userinfo);
    }
    check_row = NULL;
    aif_url_fini(&base);
    aif_url_fini(&u);
    aif_url_fini(&again);
}

#define CHECK_ROWS(base, rows)                                                \
    check_rows(base, rows, sizeof(rows) / sizeof(rows[0]))

/* RFC 3986 5.4.1. "g:h" is no scheme of ours; "//g" gets its slash. */
static const row normal[] = {
    {"g:h", NULL},
    {"g", "http://a/b/c/g"},
    {"./g", "http://a/b/c/g"},
    {"g/", "http://a/b/c/g/"},
    {"/g", "http://a/g"},
    {"//g", "http://g/"},
    {"?y", "http://a/b/c/d;p?y"},
    {"g?y", "http://a/b/c/g?y"},
    {"#s", "http://a/b/c/d;p?q#s"},
    {"g#s", "http://a/b/c/g#s"},
    {"g?y#s", "http://a/b/c/g?y#s"},
    {";x", "http://a/b/c/;x"},
    {"g;x", "http://a/b/c/g;x"},
    {"g;x?y#s", "http://a/b/c/g;x?y#s"},
    {"", "http://a/b/c/d;p?q"},
    {".", "http://a/b/c/"},
    {"./", "http://a/b/c/"},
    {"..", "http://a/b/"},
    {"../", "http://a/b/"},
    {"../g", "http://a/b/g"},
    {"../..", "http://a/"},
    {"../../", "http://a/"},
    {"../../g", "http://a/g"},
};

/* RFC 3986 5.4.2; "http:g" by the strict reading. */
static const row abnormal[] = {
    {"../../../g", "http://a/g"},
    {"../../../../g", "http://a/g"},
    {"/./g", "http://a/g"},
    {"/../g", "http://a/g"},
    {"g.", "http://a/b/c/g."},
    {".g", "http://a/b/c/.g"},
    {"g..", "http://a/b/c/g.."},
    {"..g", "http://a/b/c/..g"},
    {"./../g", "http://a/b/g"},
    {"./g/.", "http://a/b/c/g/"},
    {"g/./h", "http://a/b/c/g/h"},
    {"g/../h", "http://a/b/c/h"},
    {"g;x=1/./y", "http://a/b/c/g;x=1/y"},
    {"g;x=1/../y", "http://a/b/c/y"},
    {"g?y/./x", "http://a/b/c/g?y/./x"},
    {"g?y/../x", "http://a/b/c/g?y/../x"},
    {"g#s/./x", "http://a/b/c/g#s/./x"},
    {"g#s/../x", "http://a/b/c/g#s/../x"},
    {"http:g", NULL},
};

static const row more[] = {
    /* Absolute and network-path references are taken as they are. */
    {"https://x/a/../b", "https://x/a/../b"},
    {"HTTPS://X", "https://x/"},
    {"//X:80/./a", "http://x/./a"},
    {"//x:443", "http://x:443/"},
    {"//u2:p2@x/", "http://u2:p2@x/"},
    {"ws://x/", "ws://x/"},
    {"//", NULL},
    {"///x", NULL},
    {"//?x", NULL},
    {"http:///x", NULL},
    {"http:/x", NULL},
    {"http:", NULL},
    {"mailto:secret@x", NULL},
    {"a:b", NULL},
    {"1:b", "http://u:p@a/b/c/1:b"},
    {"./a:b", "http://u:p@a/b/c/a:b"},
    {"g?a:b", "http://u:p@a/b/c/g?a:b"},
    /* Backslashes are bytes of a path. */
    {"\\\\evil\\x", "http://u:p@a/b/c/%5C%5Cevil%5Cx"},
    {"/\\evil", "http://u:p@a/%5Cevil"},
    {"//evil\\@b", NULL},
    {"https:\\\\evil", NULL},
    /* Empty segments stay; no path becomes an authority. */
    {"/.//evil", "http://u:p@a//evil"},
    {"..//../x", "http://u:p@a/b/x"},
    {"/a//../b", "http://u:p@a/a/b"},
    {"/..", "http://u:p@a/"},
    {"/.", "http://u:p@a/"},
    {"/a/b/../..", "http://u:p@a/"},
    {"/a/b/../../", "http://u:p@a/"},
    {"/a/...", "http://u:p@a/a/..."},
    {"%2e%2e/x", "http://u:p@a/b/c/%2e%2e/x"},
    /* Quoting as in any URL. */
    {"x y?a b#c d", "http://u:p@a/b/c/x%20y?a%20b#c%20d"},
    {"\xc3\xa9", "http://u:p@a/b/c/%C3%A9"},
    {"%zz", "http://u:p@a/b/c/%25zz"},
    {"?", "http://u:p@a/b/c/d?"},
    {"?#", "http://u:p@a/b/c/d?#"},
    {"#", "http://u:p@a/b/c/d?q#"},
    {"a\tb", "http://u:p@a/b/c/a%09b"},
    {"x\r\ny", NULL},
    {"x\ny", NULL},
    {" x", NULL},
    {"x ", NULL},
    {"\tx", NULL},
    {"x\t", NULL},
    {" ", NULL},
    {"//h h", NULL},
    {"//h:99999", NULL},
    {"//u:secret@h@i", NULL},
};

static const row with_fragment[] = {
    {"", "http://a/b?q#f"},
    {"g", "http://a/g#f"},
    {"g#", "http://a/g#"},
    {"g#s", "http://a/g#s"},
    {"?y", "http://a/b?y#f"},
    {"//x", "http://x/#f"},
    {"https://x/y?z", "https://x/y?z#f"},
    {"https://x/y?z#w", "https://x/y?z#w"},
    /* The blank would have ended up before the base's fragment. */
    {"g ", NULL},
};

static const row other_base[] = {
    {"", "https://[::1]:81/?x/y"},  {"g", "https://[::1]:81/g"},
    {"../g", "https://[::1]:81/g"}, {"?z", "https://[::1]:81/?z"},
    {"//h", "https://h/"},          {"//h:443/", "https://h/"},
};

/* Dots of the base's own path go only when paths are merged. */
static const row dotted_base[] = {
    {"", "http://a/b/../c/./d"},
    {"?y", "http://a/b/../c/./d?y"},
    {"#s", "http://a/b/../c/./d#s"},
    {"g", "http://a/c/g"},
    {"..", "http://a/"},
};

static void
test_rfc(void)
{
    CHECK_ROWS("http://a/b/c/d;p?q", normal);
    CHECK_ROWS("http://a/b/c/d;p?q", abnormal);
}

static void
test_more(void)
{
    CHECK_ROWS("http://u:p@a/b/c/d?q", more);
    CHECK_ROWS("http://a/b?q#f", with_fragment);
    CHECK_ROWS("https://[::1]:81?x/y", other_base);
    CHECK_ROWS("http://a/b/../c/./d", dotted_base);
}

static void
test_flags(void)
{
    aif_url base, u;
    aif_err err;

    aif_url_init(&base);
    aif_url_init(&u);
    CHECK_EQ_INT(aif_url_parse(&base, "https://u:p@h/a", 15, NULL), 0);
    CHECK_EQ_INT(resolve(&u, &base, "b", 1, &err), 0);
    CHECK(u.secure && u.has_userinfo && u.port == 443);
    CHECK_EQ_SLICE(aif_url_userinfo(&u), "u:p");
    /* Whatever names an authority loses the credentials, even its own. */
    CHECK_EQ_INT(resolve(&u, &base, "//h/b", 5, &err), 0);
    CHECK(u.secure && !u.has_userinfo);
    CHECK_EQ_INT(resolve(&u, &base, "https://h/b", 11, &err), 0);
    CHECK(u.secure && !u.has_userinfo);
    CHECK_EQ_INT(resolve(&u, &base, "http://h/b", 10, &err), 0);
    CHECK(!u.secure && !u.has_userinfo && u.port == 80);
    CHECK_EQ_INT(resolve(&u, &base, "//\xc3\xbc/b", 6, &err), AIF_EIDNA);
    CHECK_EQ_SLICE(aif_url_host(&u), "\xc3\xbc");
    CHECK_EQ_INT(err.code, AIF_EIDNA);
    CHECK_EQ_INT(resolve(&u, &base, "a\0b", 3, &err), AIF_EINVAL);
    /* The base is only read. */
    CHECK_EQ_SLICE(aif_buf_slice(&base.text, 0, base.text.len),
                   "https://u:p@h/a");
    aif_url_fini(&base);
    /* Without a base only an absolute URL stands on its own. */
    CHECK_EQ_INT(resolve(&u, &base, "http://h/b", 10, &err), 0);
    CHECK_EQ_INT(resolve(&u, &base, "/b", 2, &err), AIF_EINVAL);
    CHECK_EQ_INT(resolve(&u, &base, "", 0, &err), AIF_EINVAL);
    aif_url_fini(&u);
}

static void
test_ceiling(void)
{
    const size_t max = AIF_MAX_URL;
    char *s = malloc(4 * max);
    aif_url base, u;
    aif_err err;

    memset(s, 'a', 4 * max);
    aif_url_init(&base);
    aif_url_init(&u);
    CHECK_EQ_INT(aif_url_parse(&base, "http://h/b/c", 12, NULL), 0);
    CHECK_EQ_INT(resolve(&u, &base, s, max - 11, &err), 0);
    CHECK_EQ_INT(u.text.len, max);
    CHECK_EQ_INT(resolve(&u, &base, s, max - 10, &err), AIF_ETOOBIG);
    CHECK_EQ_STR(err.text, "the URL is too long");
    CHECK_EQ_INT(u.text.len, 0);
    CHECK_EQ_INT(resolve(&u, &base, s, 4 * max, &err), AIF_ETOOBIG);
    CHECK_EQ_STR(err.text, "the URL is too long");
    /* A long reference against a long base, short in the end. */
    memcpy(s, "http://h/", 9);
    CHECK_EQ_INT(aif_url_parse(&base, s, max, NULL), 0);
    memset(s, '/', max);
    memcpy(s, "..", 2);
    memcpy(s + max - 6, "/../..", 6);
    CHECK_EQ_INT(resolve(&u, &base, s, max, &err), 0);
    CHECK(u.text.len < max);
    aif_url_fini(&base);
    aif_url_fini(&u);
    free(s);
}

/* Steps up and down by the ten thousand take no time that shows: each byte
 * is written once and dropped once. */
static void
test_many_dots(void)
{
    const size_t steps = 10000;
    char *s = malloc(5 * steps);
    aif_url base, u;
    size_t i;

    aif_url_init(&base);
    aif_url_init(&u);
    CHECK_EQ_INT(aif_url_parse(&base, "http://h/x/y", 12, NULL), 0);
    for (i = 0; i < steps; i++) {
        memcpy(s + 2 * i, "a/", 2);
        memcpy(s + 2 * steps + 3 * i, "../", 3);
    }
    CHECK_EQ_INT(resolve(&u, &base, s, 5 * steps, NULL), 0);
    CHECK_EQ_SLICE(aif_url_target(&u), "/x/");
    CHECK_EQ_INT(resolve(&u, &base, s + 2 * steps, 3 * steps, NULL), 0);
    CHECK_EQ_SLICE(aif_url_target(&u), "/");
    aif_url_fini(&base);
    aif_url_fini(&u);
    free(s);
}

static void
test_no_memory(void)
{
    static const char *const refs[] = {"g?y#s", "//x/y", "https://x", "",
                                       "?q"};
    aif_url base, u;
    aif_err err;
    size_t i;
    long nth;
    int rc;

    aif_url_init(&base);
    CHECK_EQ_INT(aif_url_parse(&base, "http://a/b/c/d?q#f", 18, NULL), 0);
    for (i = 0; i < sizeof(refs) / sizeof(refs[0]); i++) {
        check_row = refs[i];
        rc = AIF_ENOMEM;
        for (nth = 1; rc == AIF_ENOMEM && nth < 20; nth++) {
            aif_url_init(&u);
            aif_mem_fail_at(nth, 0);
            rc = resolve(&u, &base, refs[i], strlen(refs[i]), &err);
            aif_mem_fail_at(0, 0);
            if (rc == AIF_ENOMEM) {
                CHECK_EQ_INT(err.code, AIF_ENOMEM);
                CHECK_EQ_STR(err.text, "out of memory for the URL");
                CHECK_EQ_INT(u.text.len, 0);
            }
            aif_url_fini(&u);
        }
        CHECK_EQ_INT(rc, 0);
        /* The joined text and the result were missed once each. */
        CHECK(nth >= 4);
    }
    aif_url_fini(&base);
}

int
main(void)
{
    static const check_test tests[] = {
        CHECK_TEST(test_rfc),       CHECK_TEST(test_more),
        CHECK_TEST(test_flags),     CHECK_TEST(test_ceiling),
        CHECK_TEST(test_many_dots), CHECK_TEST(test_no_memory),
    };

    return CHECK_RUN(tests);
}
