/* Tests of aif_url: what a URL is taken apart into, what is quoted, what is
 * refused, and the ceiling. Resolution is in test_aif_url_resolve.c. */
#include "http/aif_url.h"

#include "check.h"

/* Parses a copy in a block of just its size. */
static int
parse(aif_url *u, const char *s, size_t n, aif_err *err)
{
    char *copy = check_copy(s, n);
    int rc = aif_url_parse(u, copy, n, err);

    free(copy);
    return rc;
}

static void
check_empty(const aif_url *u)
{
    CHECK_EQ_INT(u->text.len, 0);
    CHECK_EQ_SLICE(aif_url_scheme(u), "");
    CHECK_EQ_SLICE(aif_url_userinfo(u), "");
    CHECK_EQ_SLICE(aif_url_authority(u), "");
    CHECK_EQ_SLICE(aif_url_host(u), "");
    CHECK_EQ_SLICE(aif_url_target(u), "");
    CHECK_EQ_SLICE(aif_url_fragment(u), "");
    CHECK(u->port == 0 && u->path_len == 0);
    CHECK(!u->secure && !u->has_userinfo && !u->has_fragment && !u->is_ipv6);
}

typedef struct row {
    const char *input;
    const char *text; /* the normal form; NULL if it is the input */
    const char *scheme, *userinfo, *authority, *host;
    int port;
    const char *path, *query; /* query with its '?' */
    const char *fragment;     /* NULL: none */
} row;

static const row rows[] = {
    {"http://example.com/", NULL, "http", NULL, "example.com", "example.com",
     80, "/", "", NULL},
    {"https://example.com", "https://example.com/", "https", NULL,
     "example.com", "example.com", 443, "/", "", NULL},
    {"ws://h/c", NULL, "ws", NULL, "h", "h", 80, "/c", "", NULL},
    {"wss://h/c", NULL, "wss", NULL, "h", "h", 443, "/c", "", NULL},
    /* Case of scheme and host, and of nothing else. */
    {"HtTpS://ExAmple.COM/PaTh?Q#F", "https://example.com/PaTh?Q#F", "https",
     NULL, "example.com", "example.com", 443, "/PaTh", "?Q", "F"},
    /* Ports: default ones vanish from the text but are in |port|. */
    {"http://h:80/", "http://h/", "http", NULL, "h", "h", 80, "/", "", NULL},
    {"https://h:443/", "https://h/", "https", NULL, "h", "h", 443, "/", "",
     NULL},
    {"ws://h:80/", "ws://h/", "ws", NULL, "h", "h", 80, "/", "", NULL},
    {"wss://h:443/", "wss://h/", "wss", NULL, "h", "h", 443, "/", "", NULL},
    {"http://h:443/", NULL, "http", NULL, "h:443", "h", 443, "/", "", NULL},
    {"https://h:80/", NULL, "https", NULL, "h:80", "h", 80, "/", "", NULL},
    {"http://h:8080", "http://h:8080/", "http", NULL, "h:8080", "h", 8080, "/",
     "", NULL},
    {"http://h:65535/", NULL, "http", NULL, "h:65535", "h", 65535, "/", "",
     NULL},
    {"http://h:0/", NULL, "http", NULL, "h:0", "h", 0, "/", "", NULL},
    {"http://h:/", "http://h/", "http", NULL, "h", "h", 80, "/", "", NULL},
    {"http://h:", "http://h/", "http", NULL, "h", "h", 80, "/", "", NULL},
    {"http://h:00080/", "http://h/", "http", NULL, "h", "h", 80, "/", "",
     NULL},
    {"http://h:0000000000000000000000009/", "http://h:9/", "http", NULL, "h:9",
     "h", 9, "/", "", NULL},
    /* No path. */
    {"http://h?x", "http://h/?x", "http", NULL, "h", "h", 80, "/", "?x", NULL},
    {"http://h:81?x#y", "http://h:81/?x#y", "http", NULL, "h:81", "h", 81, "/",
     "?x", "y"},
    {"http://h#y", "http://h/#y", "http", NULL, "h", "h", 80, "/", "", "y"},
    {"http://h?", "http://h/?", "http", NULL, "h", "h", 80, "/", "?", NULL},
    {"http://h#", "http://h/#", "http", NULL, "h", "h", 80, "/", "", ""},
    /* Marks inside what they do not end. */
    {"http://h/a?b?c/d", NULL, "http", NULL, "h", "h", 80, "/a", "?b?c/d",
     NULL},
    {"http://h/a#b?c#d/e", NULL, "http", NULL, "h", "h", 80, "/a", "",
     "b?c#d/e"},
    {"http://h/a@b:c", NULL, "http", NULL, "h", "h", 80, "/a@b:c", "", NULL},
    {"http://h?a@b", "http://h/?a@b", "http", NULL, "h", "h", 80, "/", "?a@b",
     NULL},
    {"http://h#a@b", "http://h/#a@b", "http", NULL, "h", "h", 80, "/", "",
     "a@b"},
    /* Paths are left alone. */
    {"http://h/a/../b/./c//d/", NULL, "http", NULL, "h", "h", 80,
     "/a/../b/./c//d/", "", NULL},
    {"http://h//x", NULL, "http", NULL, "h", "h", 80, "//x", "", NULL},
    {"http://h/;a=b,c!$&'()*+-._~[]:@", NULL, "http", NULL, "h", "h", 80,
     "/;a=b,c!$&'()*+-._~[]:@", "", NULL},
    /* What is encoded stays as it is, in the case it has. */
    {"http://h/%41%2f%2F%c3%A9%00?%20%26", NULL, "http", NULL, "h", "h", 80,
     "/%41%2f%2F%c3%A9%00", "?%20%26", NULL},
    /* What may not stand in a target is quoted. */
    {"http://h/a b", "http://h/a%20b", "http", NULL, "h", "h", 80, "/a%20b",
     "", NULL},
    {"http://h/\"<>\\^`{|}?\"<>\\^`{|}#\"<>\\^`{|}",
     "http://h/%22%3C%3E%5C%5E%60%7B%7C%7D?%22%3C%3E%5C%5E%60%7B%7C%7D"
     "#%22%3C%3E%5C%5E%60%7B%7C%7D",
     "http", NULL, "h", "h", 80, "/%22%3C%3E%5C%5E%60%7B%7C%7D",
     "?%22%3C%3E%5C%5E%60%7B%7C%7D", "%22%3C%3E%5C%5E%60%7B%7C%7D"},
    {"http://h/\x01\t\x1f\x7f", "http://h/%01%09%1F%7F", "http", NULL, "h",
     "h", 80, "/%01%09%1F%7F", "", NULL},
    {"http://h/\xc3\xa9?\xe2\x82\xac#\xf0\x9f\x98\x80",
     "http://h/%C3%A9?%E2%82%AC#%F0%9F%98%80", "http", NULL, "h", "h", 80,
     "/%C3%A9", "?%E2%82%AC", "%F0%9F%98%80"},
    {"http://h/%zz", "http://h/%25zz", "http", NULL, "h", "h", 80, "/%25zz",
     "", NULL},
    {"http://h/%", "http://h/%25", "http", NULL, "h", "h", 80, "/%25", "",
     NULL},
    {"http://h/%4", "http://h/%254", "http", NULL, "h", "h", 80, "/%254", "",
     NULL},
    {"http://h/%4?%#%4", "http://h/%254?%25#%254", "http", NULL, "h", "h", 80,
     "/%254", "?%25", "%254"},
    {"http://h/%%41", "http://h/%25%41", "http", NULL, "h", "h", 80, "/%25%41",
     "", NULL},
    {"http://h/%4g%g4", "http://h/%254g%25g4", "http", NULL, "h", "h", 80,
     "/%254g%25g4", "", NULL},
    {"http://h?a b", "http://h/?a%20b", "http", NULL, "h", "h", 80, "/",
     "?a%20b", NULL},
    /* Userinfo. */
    {"http://u@h/", NULL, "http", "u", "h", "h", 80, "/", "", NULL},
    {"http://u:p@h:81/", NULL, "http", "u:p", "h:81", "h", 81, "/", "", NULL},
    {"http://:p@h/", NULL, "http", ":p", "h", "h", 80, "/", "", NULL},
    {"http://@h/", NULL, "http", "", "h", "h", 80, "/", "", NULL},
    {"http://U:P%40%3a@H/", "http://U:P%40%3a@h/", "http", "U:P%40%3a", "h",
     "h", 80, "/", "", NULL},
    {"http://u:p:q@h/", NULL, "http", "u:p:q", "h", "h", 80, "/", "", NULL},
    {"http://\xc3\xa9:a b%@h:80/a b", "http://%C3%A9:a%20b%25@h/a%20b", "http",
     "%C3%A9:a%20b%25", "h", "h", 80, "/a%20b", "", NULL},
    {"http://u:p@[::1]:81/", NULL, "http", "u:p", "[::1]:81", "::1", 81, "/",
     "", NULL},
    {"http://[::1]@h/", NULL, "http", "[::1]", "h", "h", 80, "/", "", NULL},
    /* IPv6. */
    {"http://[::1]/", NULL, "http", NULL, "[::1]", "::1", 80, "/", "", NULL},
    {"https://[2001:DB8::A]:443?x", "https://[2001:db8::a]/?x", "https", NULL,
     "[2001:db8::a]", "2001:db8::a", 443, "/", "?x", NULL},
    {"https://[2001:db8::a]:8443", "https://[2001:db8::a]:8443/", "https",
     NULL, "[2001:db8::a]:8443", "2001:db8::a", 8443, "/", "", NULL},
    {"http://[::ffff:1.2.3.4]:/", "http://[::ffff:1.2.3.4]/", "http", NULL,
     "[::ffff:1.2.3.4]", "::ffff:1.2.3.4", 80, "/", "", NULL},
    /* Names that are none of our business. */
    {"http://1.2.3.4/", NULL, "http", NULL, "1.2.3.4", "1.2.3.4", 80, "/", "",
     NULL},
    {"http://a_b.-.c./", NULL, "http", NULL, "a_b.-.c.", "a_b.-.c.", 80, "/",
     "", NULL},
    {"http://xn--BCHER-kva.example/", "http://xn--bcher-kva.example/", "http",
     NULL, "xn--bcher-kva.example", "xn--bcher-kva.example", 80, "/", "",
     NULL},
    {"http://a!$&'()*+,;=~z/", NULL, "http", NULL, "a!$&'()*+,;=~z",
     "a!$&'()*+,;=~z", 80, "/", "", NULL},
};

static void
check_parts(const aif_url *u, const row *r)
{
    const aif_slice target = aif_url_target(u);

    CHECK_EQ_SLICE(aif_buf_slice(&u->text, 0, u->text.len),
                   r->text == NULL ? r->input : r->text);
    CHECK_EQ_SLICE(aif_url_scheme(u), r->scheme);
    CHECK_EQ_INT(u->secure, r->scheme[strlen(r->scheme) - 1] == 's'
                                && strcmp(r->scheme, "ws") != 0);
    CHECK_EQ_INT(u->has_userinfo, r->userinfo != NULL);
    CHECK_EQ_SLICE(aif_url_userinfo(u),
                   r->userinfo == NULL ? "" : r->userinfo);
    CHECK_EQ_SLICE(aif_url_authority(u), r->authority);
    CHECK_EQ_SLICE(aif_url_host(u), r->host);
    CHECK_EQ_INT(u->is_ipv6, r->authority[0] == '[');
    CHECK_EQ_INT(u->port, r->port);
    CHECK(u->path_len <= target.len);
    CHECK(check_str(target.ptr, u->path_len, r->path, "path", __FILE__,
                    __LINE__));
    CHECK(check_str(target.ptr + u->path_len, target.len - u->path_len,
                    r->query, "query", __FILE__, __LINE__));
    CHECK_EQ_INT(u->has_fragment, r->fragment != NULL);
    CHECK_EQ_SLICE(aif_url_fragment(u),
                   r->fragment == NULL ? "" : r->fragment);
}

static void
test_good(void)
{
    aif_url u, again;
    aif_err err;
    size_t i;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        check_row = rows[i].input;
        aif_err_reset(&err);
        aif_url_init(&u);
        CHECK_EQ_INT(parse(&u, rows[i].input, strlen(rows[i].input), &err), 0);
        CHECK_EQ_STR(err.text, "");
        check_parts(&u, &rows[i]);
        /* The normal form is a fixed point. */
        aif_url_init(&again);
        CHECK_EQ_INT(parse(&again, u.text.data, u.text.len, NULL), 0);
        check_parts(&again, &rows[i]);
        CHECK(aif_url_same_origin(&u, &again));
        aif_url_fini(&again);
        aif_url_fini(&u);
        check_empty(&u);
    }
}

/* One object for all of them: nothing of one URL is left in the next. */
static void
test_reuse(void)
{
    const size_t count = sizeof(rows) / sizeof(rows[0]);
    aif_url u;
    size_t i;

    aif_url_init(&u);
    for (i = 0; i < 2 * count; i++) {
        check_row = rows[i % count].input;
        CHECK_EQ_INT(parse(&u, check_row, strlen(check_row), NULL), 0);
        check_parts(&u, &rows[i % count]);
        CHECK_EQ_INT(parse(&u, "http://", 7, NULL), AIF_EINVAL);
        check_empty(&u);
    }
    CHECK_EQ_INT(parse(&u, "http://u@[::1]:1/?#x", 20, NULL), 0);
    aif_url_reset(&u);
    check_empty(&u);
    CHECK_EQ_INT(aif_mem_live(), 1);
    aif_url_fini(&u);
}

#define BAD_HOST                                                              \
    "the host of the URL has a character that no host name may have"
#define BAD_PORT "the port of the URL is not a number up to 65535"
#define NO_SCHEME "the URL has no scheme, such as http://"
#define BAD_SCHEME "the scheme of the URL is not http, https, ws or wss"
#define NO_SLASHES "the URL has no // after its scheme"
#define NO_HOST "the URL has no host"
#define BLANK "the URL has a blank at its start or end"
#define CONTROL "the URL has a line break or a NUL in it"
#define BRACKETS                                                              \
    "the URL has brackets around something other than an IPv6 address"
#define BEHIND "the URL has something other than a port after its IPv6 address"
#define BACKSLASH                                                             \
    "the URL has a backslash before its path, which some readers take for a " \
    "slash"
#define TWO_ATS                                                               \
    "the URL has more than one @ before its path: write %40 in a user name "  \
    "or password"

static const struct {
    const char *input, *text;
} bad[] = {
    {"", "the URL is empty"},
    {"h", NO_SCHEME},
    {"/x", NO_SCHEME},
    {"//h/x", NO_SCHEME},
    {"example.com/", NO_SCHEME},
    {"://h/", NO_SCHEME},
    {"1http://h/", NO_SCHEME},
    {"ht tp://h/", NO_SCHEME},
    {"example.com:80/", BAD_SCHEME},
    {"ftp://h/", BAD_SCHEME},
    {"file:///etc/passwd", BAD_SCHEME},
    {"httpx://h/", BAD_SCHEME},
    {"htt://h/", BAD_SCHEME},
    {"javascript:alert(1)", BAD_SCHEME},
    {"http", NO_SCHEME},
    {"http:", NO_SLASHES},
    {"http:/", NO_SLASHES},
    {"http:/x", NO_SLASHES},
    {"http:x", NO_SLASHES},
    {"http:\\\\h\\", NO_SLASHES},
    {"http:/\\h/", NO_SLASHES},
    {"http://", NO_HOST},
    {"http:///x", NO_HOST},
    {"http://?x", NO_HOST},
    {"http://#x", NO_HOST},
    {"http://:80/", NO_HOST},
    {"http://u:p@/", NO_HOST},
    {"http://u:p@:80/", NO_HOST},
    {" http://h/", BLANK},
    {"http://h/ ", BLANK},
    {"\thttp://h/", BLANK},
    {"http://h/\t", BLANK},
    {" ", BLANK},
    {"http://h h/", BAD_HOST},
    {"http://h\t/", BAD_HOST},
    {"http://\x01/", BAD_HOST},
    {"http://h\x7f/", BAD_HOST},
    {"http://h\r\n/", BAD_HOST},
    {"http://h%41/", BAD_HOST},
    {"http://h%2fevil/", BAD_HOST},
    /* The WHATWG's readers end the host at it, RFC 3986 does not. */
    {"http://h\\evil/", BACKSLASH},
    {"http://h\\@evil/", BACKSLASH},
    {"http://u:secret\\@h/", BACKSLASH},
    {"http://a<b/", BAD_HOST},
    {"http://a>b/", BAD_HOST},
    {"http://a\"b/", BAD_HOST},
    {"http://a^b/", BAD_HOST},
    {"http://a`b/", BAD_HOST},
    {"http://a{b}/", BAD_HOST},
    {"http://a|b/", BAD_HOST},
    {"http://a[b]/", BAD_HOST},
    {"http://a]/", BAD_HOST},
    {"http://h:65536/", BAD_PORT},
    {"http://h:99999999999999999999/", BAD_PORT},
    {"http://h:8a/", BAD_PORT},
    {"http://h:-1/", BAD_PORT},
    {"http://h:+1/", BAD_PORT},
    {"http://h: 1/", BAD_PORT},
    {"http://h:1 /", BAD_PORT},
    {"http://h:1:2/", BAD_PORT},
    {"http://::1/", NO_HOST},
    {"http://1::1/", BAD_PORT},
    {"http://h:80\r\nx/", BAD_PORT},
    {"http://[::1", BRACKETS},
    {"http://[::1/", BRACKETS},
    {"http://[]/", BRACKETS},
    {"http://[h]/", BRACKETS},
    {"http://[1.2.3.4]/", BRACKETS},
    {"http://[v1.x]/", BRACKETS},
    {"http://[::1%eth0]/", BRACKETS},
    {"http://[::1%25eth0]/", BRACKETS},
    {"http://[[::1]]/", BRACKETS},
    {"http://[::1]x/", BEHIND},
    {"http://[::1]]/", BEHIND},
    {"http://[::1]80/", BEHIND},
    {"http://[::1]:x/", BAD_PORT},
    {"http://u:secret@h@evil/", TWO_ATS},
    {"http://u:secret@@h/", TWO_ATS},
    {"http://h/a\rb", CONTROL},
    {"http://h/a\nb", CONTROL},
    {"http://h/\r\nHost: evil", CONTROL},
    {"http://h/?\n", CONTROL},
    {"http://h/#\r", CONTROL},
    {"http://u:\nsecret@h/", CONTROL},
    /* A password that looks like a port must not be shown. */
    {"http://u:secret/1@h/", BAD_PORT},
    {"http://u:secret?@h/", BAD_PORT},
    {"http://u:secret@h h/", BAD_HOST},
    {"http://u:secret@h:x/", BAD_PORT},
    {"foo://u:secret@h/", BAD_SCHEME},
};

static void
test_bad(void)
{
    aif_url u;
    aif_err err;
    size_t i, n;
    int rc;

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        check_row = bad[i].input;
        n = strlen(bad[i].input);
        aif_url_init(&u);
        aif_err_reset(&err);
        rc = parse(&u, bad[i].input, n, &err);
        CHECK_EQ_INT(rc, AIF_EINVAL);
        CHECK_EQ_INT(err.code, AIF_EINVAL);
        CHECK_EQ_STR(err.text, bad[i].text);
        CHECK(strstr(err.text, "secret") == NULL);
        check_empty(&u);
        CHECK_EQ_INT(parse(&u, bad[i].input, n, NULL), AIF_EINVAL);
        aif_url_fini(&u);
    }
}

/* Each byte in each part, judged by the rules in the header's words. */
static void
test_every_byte(void)
{
    static const char quoted[] = " \"<>\\^`{|}%";
    static const char in_name[] = "-._~!$&'()*+,;=";
    static const struct {
        const char *format;
        size_t at;
    } tail[] = {
        {"http://h/a*b", 10}, {"http://h/?*b", 10}, {"http://h/#*b", 10}};
    char text[32], want[4];
    aif_url u;
    size_t i;
    int c, rc, fatal, letter;

    aif_url_init(&u);
    for (c = 0; c < 256; c++) {
        fatal = c == 0 || c == '\r' || c == '\n';
        (void)snprintf(want, sizeof(want), "%%%02X", (unsigned)c);
        for (i = 0; i < 3; i++) {
            memcpy(text, tail[i].format, 13);
            text[tail[i].at] = (char)c;
            rc = parse(&u, text, 12, NULL);
            CHECK_EQ_INT(rc, fatal ? AIF_EINVAL : 0);
            if (rc < 0) {
                continue;
            }
            if (c < 32 || c > 126 || strchr(quoted, c) != NULL) {
                CHECK_EQ_INT(u.text.len, 14);
                CHECK(memcmp(u.text.data + 10, want, 3) == 0);
            }
            else {
                CHECK_EQ_INT(u.text.len, 12);
                CHECK_EQ_INT(u.text.data[10], c);
            }
        }
        letter = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z')
                 || (c >= 'A' && c <= 'Z');
        memcpy(text, "http://aa*aa/", 14);
        text[9] = (char)c;
        rc = parse(&u, text, 13, NULL);
        if (letter || (c > 0 && strchr(in_name, c) != NULL)) {
            CHECK_EQ_INT(rc, 0);
            CHECK_EQ_INT(u.host_len, 5);
        }
        else if (c > 127) {
            CHECK_EQ_INT(rc, AIF_EIDNA);
        }
        else if (c == '/' || c == '?' || c == '#' || c == '@') {
            CHECK_EQ_INT(rc, 0);
            CHECK_EQ_INT(u.host_len, 2);
        }
        else {
            CHECK_EQ_INT(rc, AIF_EINVAL);
        }
    }
    aif_url_fini(&u);
}

static void
test_idna(void)
{
    aif_url u;
    aif_err err;

    aif_url_init(&u);
    CHECK_EQ_INT(parse(&u,
                       "https://u:p@B\xc3\xbc"
                       "CHER.example:81/a b?q#f",
                       38, &err),
                 AIF_EIDNA);
    CHECK_EQ_INT(err.code, AIF_EIDNA);
    CHECK_EQ_STR(err.text, "the host of the URL is not ASCII");
    CHECK_EQ_SLICE(aif_url_host(&u), "b\xc3\xbc"
                                     "cher.example");
    CHECK_EQ_SLICE(aif_url_authority(&u), "b\xc3\xbc"
                                          "cher.example:81");
    CHECK_EQ_SLICE(aif_url_userinfo(&u), "u:p");
    CHECK_EQ_SLICE(aif_url_target(&u), "/a%20b?q");
    CHECK_EQ_SLICE(aif_url_fragment(&u), "f");
    CHECK_EQ_INT(u.port, 81);
    /* Something else is wrong as well: that is what is said. */
    CHECK_EQ_INT(parse(&u, "http://\xc3\xbc:x/", 12, &err), AIF_EINVAL);
    check_empty(&u);
    CHECK_EQ_INT(parse(&u, "http://\xc3\xbc%/", 11, &err), AIF_EINVAL);
    CHECK_EQ_INT(parse(&u, "http://\xc3\xbc/\n", 11, &err), AIF_EINVAL);
    /* Non-ASCII elsewhere is no matter of IDNA. */
    CHECK_EQ_INT(parse(&u, "http://\xc3\xbc@h/", 12, &err), 0);
    CHECK_EQ_INT(parse(&u, "http://[\xc3\xbc]/", 12, &err), AIF_EINVAL);
    aif_url_fini(&u);
}

static void
test_nul(void)
{
    aif_url u;

    aif_url_init(&u);
    CHECK_EQ_INT(parse(&u, "http://h/a\0b", 12, NULL), AIF_EINVAL);
    CHECK_EQ_INT(parse(&u, "http://h\0.evil/", 15, NULL), AIF_EINVAL);
    CHECK_EQ_INT(parse(&u, "http://u\0@h/", 12, NULL), AIF_EINVAL);
    CHECK_EQ_INT(parse(&u, "http://h:8\0/", 12, NULL), AIF_EINVAL);
    CHECK_EQ_INT(parse(&u, "http\0://h/", 10, NULL), AIF_EINVAL);
    CHECK_EQ_INT(parse(&u, "http://h/\0", 10, NULL), AIF_EINVAL);
    aif_url_fini(&u);
}

/* Every prefix of a URL with everything in it. */
static void
test_prefixes(void)
{
    static const char url[] =
        "https://us%41er:pa%2@[2001:db8::1.2.3.4]:8443/a%2/b c?d=%e#f%f";
    aif_url u;
    size_t n;
    int rc;

    aif_url_init(&u);
    for (n = 0; n < sizeof(url); n++) {
        rc = parse(&u, url, n, NULL);
        CHECK(rc == 0 || rc == AIF_EINVAL);
    }
    CHECK_EQ_INT(parse(&u, url, sizeof(url) - 1, NULL), 0);
    CHECK_EQ_SLICE(aif_buf_slice(&u.text, 0, u.text.len),
                   "https://us%41er:pa%252@[2001:db8::1.2.3.4]:8443/a%252/"
                   "b%20c?d=%25e#f%25f");
    aif_url_fini(&u);
}

/* A URL of |n| bytes: front, many times |fill|, back. */
static int
parse_long(aif_url *u, const char *front, char fill, const char *back,
           size_t n, aif_err *err)
{
    const size_t f = strlen(front);
    const size_t b = strlen(back);
    char *s = malloc(n);
    int rc;

    memcpy(s, front, f);
    memset(s + f, fill, n - f - b);
    memcpy(s + n - b, back, b);
    rc = aif_url_parse(u, s, n, err);
    free(s);
    return rc;
}

static void
test_ceiling(void)
{
    const size_t max = AIF_MAX_URL;
    aif_url u;
    aif_err err;

    aif_url_init(&u);
    CHECK_EQ_INT(parse_long(&u, "http://h/", 'a', "", max, &err), 0);
    CHECK_EQ_INT(u.text.len, max);
    CHECK_EQ_INT(parse_long(&u, "http://h/", 'a', "", max + 1, &err),
                 AIF_ETOOBIG);
    CHECK_EQ_INT(err.code, AIF_ETOOBIG);
    CHECK_EQ_STR(err.text, "the URL is too long");
    check_empty(&u);
    CHECK_EQ_INT(parse_long(&u, "http://", 'a', "/", max, &err), 0);
    CHECK_EQ_INT(u.host_len, max - 8);
    CHECK_EQ_INT(parse_long(&u, "http://", 'a', "", max, &err), AIF_ETOOBIG);
    CHECK_EQ_INT(parse_long(&u, "http://u:", 'a', "@h/", max, &err), 0);
    CHECK_EQ_INT(parse_long(&u, "http://h/#", 'a', "", max, &err), 0);
    CHECK_EQ_INT(u.fragment_len, max - 10);
    /* It counts what goes out, not what came in. */
    CHECK_EQ_INT(
        parse_long(&u, "http://h/abcd", ' ', "z", 14 + (max - 14) / 3, &err),
        0);
    CHECK_EQ_INT(u.text.len, 14 + (max - 14) / 3 * 3);
    CHECK_EQ_INT(
        parse_long(&u, "http://h/abcd", ' ', "z", 15 + (max - 14) / 3, &err),
        AIF_ETOOBIG);
    CHECK_EQ_INT(parse_long(&u, "http://h:", '0', "80/", 3 * max, &err), 0);
    CHECK_EQ_SLICE(aif_buf_slice(&u.text, 0, u.text.len), "http://h/");
    CHECK_EQ_INT(parse_long(&u, "http://h/", ' ', "z", 1u << 22, &err),
                 AIF_ETOOBIG);
    CHECK_EQ_INT(parse_long(&u, "http://u", '@', "h/", max, &err), AIF_EINVAL);
    CHECK_EQ_INT(parse_long(&u, "http://[", ':', "]/", max, &err), AIF_EINVAL);
    CHECK_EQ_INT(parse_long(&u, "", 'h', "://h", max, &err), AIF_EINVAL);
    aif_url_fini(&u);
}

static void
test_scheme_length(void)
{
    static const struct {
        const char *text;
        size_t len;
    } table[] = {
        {"", 0},        {":", 0},         {"a", 0},       {"a:", 1},
        {"http://", 4}, {"HTTP:", 4},     {"a1+-.:x", 5}, {"1a:", 0},
        {"+a:", 0},     {"a/b:", 0},      {"a?b:", 0},    {"a#b:", 0},
        {"a b:", 0},    {"a_b:", 0},      {"//a:1", 0},   {"./a:b", 0},
        {"a:b:c", 1},   {"\xc3\xa9:", 0},
    };
    size_t i, n;
    char *s;

    for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        check_row = table[i].text;
        n = strlen(table[i].text);
        s = check_copy(table[i].text, n);
        CHECK_EQ_INT(aif_url_scheme_length(s, n), table[i].len);
        free(s);
    }
}

static const struct {
    const char *url, *extra, *text;
} queries[] = {
    {"http://h", "a=1", "http://h/?a=1"},
    {"http://h/p", "a=1&b=2", "http://h/p?a=1&b=2"},
    {"http://h/p?x=y", "a=1", "http://h/p?x=y&a=1"},
    {"http://h/p?", "a=1", "http://h/p?a=1"},
    {"http://h/p#f?g", "a=1", "http://h/p?a=1#f?g"},
    {"http://h/p?x#f", "a=1", "http://h/p?x&a=1#f"},
    {"http://h/p?#", "a=1", "http://h/p?a=1#"},
    {"http://h/p?x", "", "http://h/p?x"},
    {"http://h/p", "", "http://h/p"},
    {"http://h/p", "a=%20%c3%A9+?/:@", "http://h/p?a=%20%c3%A9+?/:@"},
    {"http://h/p", "a b", NULL},
    {"http://h/p", "a#b", NULL},
    {"http://h/p", "a%", NULL},
    {"http://h/p", "a%2", NULL},
    {"http://h/p", "a%zz", NULL},
    {"http://h/p", "a\r\nb", NULL},
    {"http://h/p", "\xc3\xa9", NULL},
    {"http://h/p", "a\"b", NULL},
    {"http://h/p", "a\tb", NULL},
};

static void
test_add_query(void)
{
    aif_url u, again;
    aif_err err;
    size_t i, n;
    char *extra;
    int rc;

    aif_url_init(&u);
    aif_url_init(&again);
    CHECK_EQ_INT(aif_url_add_query(&u, "a=1", 3, &err), AIF_EINVAL);
    CHECK_EQ_STR(err.text, "there is no URL to add a query to");
    for (i = 0; i < sizeof(queries) / sizeof(queries[0]); i++) {
        check_row = queries[i].extra;
        CHECK_EQ_INT(parse(&u, queries[i].url, strlen(queries[i].url), NULL),
                     0);
        n = strlen(queries[i].extra);
        extra = check_copy(queries[i].extra, n);
        rc = aif_url_add_query(&u, extra, n, &err);
        free(extra);
        if (queries[i].text == NULL) {
            CHECK_EQ_INT(rc, AIF_EINVAL);
            CHECK_EQ_STR(err.text,
                         "the query has a character that must be encoded");
            CHECK_EQ_SLICE(aif_buf_slice(&u.text, 0, u.text.len),
                           queries[i].url);
            continue;
        }
        CHECK_EQ_INT(rc, 0);
        CHECK_EQ_SLICE(aif_buf_slice(&u.text, 0, u.text.len), queries[i].text);
        /* The parts are those of the new text read afresh. */
        CHECK_EQ_INT(parse(&again, u.text.data, u.text.len, NULL), 0);
        CHECK_EQ_INT(u.target_off, again.target_off);
        CHECK_EQ_INT(u.target_len, again.target_len);
        CHECK_EQ_INT(u.path_len, again.path_len);
        CHECK_EQ_INT(u.fragment_off, again.fragment_off);
        CHECK_EQ_INT(u.fragment_len, again.fragment_len);
    }
    CHECK_EQ_INT(parse(&u, "http://h/", 9, NULL), 0);
    CHECK_EQ_INT(aif_url_add_query(&u, "a\0b", 3, &err), AIF_EINVAL);
    aif_url_fini(&u);
    aif_url_fini(&again);
}

static void
test_add_query_limits(void)
{
    const size_t room = AIF_MAX_URL - 10;
    char *extra = malloc(room + 1);
    aif_url u;
    aif_err err;

    memset(extra, 'q', room + 1);
    aif_url_init(&u);
    CHECK_EQ_INT(parse(&u, "http://h/", 9, NULL), 0);
    CHECK_EQ_INT(aif_url_add_query(&u, extra, room + 1, &err), AIF_ETOOBIG);
    CHECK_EQ_STR(err.text, "the URL is too long");
    aif_mem_fail_at(1, 0);
    CHECK_EQ_INT(aif_url_add_query(&u, extra, room, &err), AIF_ENOMEM);
    CHECK_EQ_STR(err.text, "out of memory for the URL");
    CHECK_EQ_SLICE(aif_buf_slice(&u.text, 0, u.text.len), "http://h/");
    CHECK_EQ_SLICE(aif_url_target(&u), "/");
    CHECK_EQ_INT(aif_url_add_query(&u, extra, room, &err), 0);
    CHECK_EQ_INT(u.text.len, AIF_MAX_URL);
    CHECK_EQ_INT(u.target_len, room + 2);
    CHECK_EQ_INT(aif_url_add_query(&u, "q", 1, &err), AIF_ETOOBIG);
    CHECK_EQ_INT(aif_url_add_query(&u, "", 0, &err), 0);
    aif_url_fini(&u);
    free(extra);
}

static void
test_same_origin(void)
{
    static const struct {
        const char *a, *b;
        int same;
    } table[] = {
        {"http://h/a", "http://h/b?c#d", 1},
        {"http://h/", "HTTP://H:80", 1},
        {"http://u:p@h/", "http://h/", 1},
        {"https://[::A]:443/", "https://[::a]/", 1},
        {"http://h/", "https://h/", 0},
        {"http://h:443/", "https://h/", 0},
        {"https://h/", "wss://h/", 0},
        {"http://h/", "http://h:81/", 0},
        {"http://h/", "http://hh/", 0},
        {"http://h/", "http://h./", 0},
        {"http://h/", "http://i/", 0},
    };
    aif_url a, b;
    size_t i;

    aif_url_init(&a);
    aif_url_init(&b);
    CHECK(!aif_url_same_origin(&a, &b));
    for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        check_row = table[i].b;
        CHECK_EQ_INT(parse(&a, table[i].a, strlen(table[i].a), NULL), 0);
        CHECK_EQ_INT(parse(&b, table[i].b, strlen(table[i].b), NULL), 0);
        CHECK_EQ_INT(aif_url_same_origin(&a, &b), table[i].same);
        CHECK_EQ_INT(aif_url_same_origin(&b, &a), table[i].same);
    }
    aif_url_reset(&b);
    CHECK(!aif_url_same_origin(&a, &b));
    CHECK(!aif_url_same_origin(&b, &a));
    aif_url_fini(&a);
    aif_url_fini(&b);
}

static void
test_no_memory(void)
{
    aif_url u;
    aif_err err;

    aif_url_init(&u);
    check_empty(&u);
    CHECK_EQ_INT(aif_mem_live(), 0);
    aif_mem_fail_at(1, 0);
    CHECK_EQ_INT(parse(&u, "http://h/", 9, &err), AIF_ENOMEM);
    CHECK_EQ_STR(err.text, "out of memory for the URL");
    check_empty(&u);
    /* One allocation for a URL; none for one that fits the last one's. */
    aif_mem_fail_at(2, 0);
    CHECK_EQ_INT(parse(&u, "http://h/a?b#c", 14, &err), 0);
    aif_mem_fail_at(1, 0);
    CHECK_EQ_INT(parse(&u, "http://h/a?b#d", 14, &err), 0);
    aif_mem_fail_at(0, 0);
    aif_url_fini(&u);
}

int
main(void)
{
    static const check_test tests[] = {
        CHECK_TEST(test_good),
        CHECK_TEST(test_reuse),
        CHECK_TEST(test_bad),
        CHECK_TEST(test_every_byte),
        CHECK_TEST(test_idna),
        CHECK_TEST(test_nul),
        CHECK_TEST(test_prefixes),
        CHECK_TEST(test_ceiling),
        CHECK_TEST(test_scheme_length),
        CHECK_TEST(test_add_query),
        CHECK_TEST(test_add_query_limits),
        CHECK_TEST(test_same_origin),
        CHECK_TEST(test_no_memory),
    };

    return CHECK_RUN(tests);
}
