/* Tests of aif_err: what a text may hold, how long it may be, the names. */
#include "base/aif_err.h"

#include "check.h"

static void
test_set(void)
{
    aif_err err;

    memset(&err, 'x', sizeof(err));
    aif_err_reset(&err);
    CHECK_EQ_INT(err.code, 0);
    CHECK_EQ_INT(err.sys, 0);
    CHECK_EQ_STR(err.text, "");
    CHECK_EQ_INT(aif_err_set_sys(&err, AIF_EDNS, -3008, "no %s", "name"),
                 AIF_EDNS);
    CHECK_EQ_INT(err.code, AIF_EDNS);
    CHECK_EQ_INT(err.sys, -3008);
    CHECK_EQ_STR(err.text, "no name");
    /* A new failure does not keep the old one's system code. */
    CHECK_EQ_INT(aif_err_set(&err, AIF_EPARSE, "at %d", 7), AIF_EPARSE);
    CHECK_EQ_INT(err.code, AIF_EPARSE);
    CHECK_EQ_INT(err.sys, 0);
    CHECK_EQ_STR(err.text, "at 7");
}

static void
test_null(void)
{
    aif_err_reset(NULL);
    CHECK_EQ_INT(aif_err_set(NULL, AIF_EPARSE, "%s", "x"), AIF_EPARSE);
    CHECK_EQ_INT(aif_err_set_sys(NULL, AIF_ETLS, -1, "%s", "x"), AIF_ETLS);
}

static void
test_cut(void)
{
    char text[2 * AIF_ERR_TEXT];
    aif_err err;
    size_t n;

    memset(text, 'a', sizeof(text));
    for (n = AIF_ERR_TEXT - 2; n < AIF_ERR_TEXT + 2; n++) {
        text[n] = '\0';
        (void)aif_err_set(&err, AIF_EPARSE, "%s", text);
        CHECK_EQ_INT(strlen(err.text),
                     n < AIF_ERR_TEXT ? n : AIF_ERR_TEXT - 1);
        text[n] = 'a';
    }
    CHECK_EQ_INT(err.text[AIF_ERR_TEXT - 2], 'a');
}

static void
test_every_byte(void)
{
    aif_err err;
    int c;

    for (c = 0; c < 256; c++) {
        (void)aif_err_set(&err, AIF_EPARSE, "<%c>", c);
        if (c == 0) {
            CHECK_EQ_STR(err.text, "<");
            continue;
        }
        CHECK_EQ_INT(strlen(err.text), 3);
        CHECK_EQ_INT(err.text[1], c < 0x20 || c > 0x7e ? '?' : c);
    }
    (void)aif_err_set_sys(&err, AIF_EPARSE, 0, "\x1b[31m\r\n\xc3\xa9");
    CHECK_EQ_STR(err.text, "?[31m????");
}

static void
test_names(void)
{
    CHECK_EQ_STR(aif_err_name(AIF_ENOMEM), "AIF_ENOMEM");
    CHECK_EQ_STR(aif_err_name(AIF_ETOOBIG), "AIF_ETOOBIG");
    CHECK_EQ_STR(aif_err_name(AIF_EINVAL), "AIF_EINVAL");
    CHECK_EQ_STR(aif_err_name(AIF_EPARSE), "AIF_EPARSE");
    CHECK_EQ_STR(aif_err_name(AIF_ETRUNCATED), "AIF_ETRUNCATED");
    CHECK_EQ_STR(aif_err_name(AIF_EDECODE), "AIF_EDECODE");
    CHECK_EQ_STR(aif_err_name(AIF_ECLOSED), "AIF_ECLOSED");
    CHECK_EQ_STR(aif_err_name(AIF_EDISCONNECTED), "AIF_EDISCONNECTED");
    CHECK_EQ_STR(aif_err_name(AIF_ETIMEOUT), "AIF_ETIMEOUT");
    CHECK_EQ_STR(aif_err_name(AIF_ECANCELLED), "AIF_ECANCELLED");
    CHECK_EQ_STR(aif_err_name(AIF_ETLS), "AIF_ETLS");
    CHECK_EQ_STR(aif_err_name(AIF_ECALLBACK), "AIF_ECALLBACK");
    CHECK_EQ_STR(aif_err_name(AIF_EDNS), "AIF_EDNS");
    CHECK_EQ_STR(aif_err_name(AIF_EIDNA), "AIF_EIDNA");
    CHECK_EQ_STR(aif_err_name(AIF_EFORBIDDEN), "AIF_EFORBIDDEN");
    CHECK_EQ_STR(aif_err_name(AIF_ERR_FIRST), "AIF_E?");
    CHECK_EQ_STR(aif_err_name(AIF_EFORBIDDEN - 1), "AIF_E?");
    CHECK_EQ_STR(aif_err_name(0), "AIF_E?");
    CHECK_EQ_STR(aif_err_name(-104), "AIF_E?");
    CHECK_EQ_STR(aif_err_name(5001), "AIF_E?");
    CHECK_EQ_STR(aif_err_name(-2147483647 - 1), "AIF_E?");
}

int
main(void)
{
    static const check_test tests[] = {
        CHECK_TEST(test_set),   CHECK_TEST(test_null),
        CHECK_TEST(test_cut),   CHECK_TEST(test_every_byte),
        CHECK_TEST(test_names),
    };

    return CHECK_RUN(tests);
}
