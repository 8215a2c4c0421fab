/* Tests of aif_h1frame: what the framing fields of a head come to.
 */
#include "http/aif_h1frame.h"

#include <stdio.h>
#include <string.h>

#include "check.h"
#include "http/aif_h1scan.h"

static aif_slice
slice(const char *s, size_t len)
{
    const aif_slice t = {s, len};

    return t;
}

/* Reads fields, "name=value;name=value". The first fault, or NONE. */
static aif_h1_fault
read_fields(aif_h1frame *f, unsigned rules, const char *s)
{
    aif_h1_fault fault = AIF_H1_FAULT_NONE;
    const char *end, *is;

    f->rules = rules;
    aif_h1frame_reset(f);
    while (*s != '\0' && fault == AIF_H1_FAULT_NONE) {
        end = strchr(s, ';');
        is = strchr(s, '=');
        end = end != NULL ? end : s + strlen(s);
        fault = aif_h1frame_field(f, slice(s, (size_t)(is - s)),
                                  slice(is + 1, (size_t)(end - is - 1)),
                                  slice(is + 1, (size_t)(end - is - 1)));
        s = *end != '\0' ? end + 1 : end;
    }
    return fault;
}

static void
test_lengths(void)
{
    static const char *const wrong[] = {
        "",
        "+1",
        "-1",
        "0x1",
        "1 1",
        "1,1",
        "1.0",
        "9223372036854775808",
        "18446744073709551616",
    };
    char line[100];
    aif_h1frame f;
    size_t i;

    CHECK_EQ_INT((int)read_fields(&f, 0, "content-LENGTH=007"), 0);
    CHECK(f.length == 7 && f.lengths == 1);
    CHECK_EQ_INT((int)read_fields(&f, 0, "Content-Length=9223372036854775807"),
                 0);
    CHECK(f.length == INT64_MAX);
    CHECK_EQ_INT((int)read_fields(&f, 0,
                                  "Content-Length=0000000000000000000000000000"
                                  "00000000000000000000000000000000000000005"),
                 0);
    CHECK(f.length == 5);
    CHECK(f.note_len == strlen("Content-Length: \r\n") + 20);
    for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        (void)snprintf(line, sizeof(line), "Content-Length=%s", wrong[i]);
        CHECK_EQ_INT((int)read_fields(&f, 0, line), AIF_H1_FAULT_LENGTH);
    }
    CHECK_EQ_INT((int)read_fields(&f, 0, "Content-Length=1\t"),
                 AIF_H1_FAULT_FRAMING_TAB);
    CHECK_EQ_INT((int)read_fields(&f, 0, "Content-Length=1;Content-Length=1"),
                 AIF_H1_FAULT_LENGTH_TWICE);
}

typedef struct codings {
    const char *fields;
    unsigned rules;
    aif_h1_fault fault;
    int chunked;
} codings;

static void
test_codings(void)
{
    static const codings table[] = {
        {"Transfer-Encoding=chunked", 0, AIF_H1_FAULT_NONE, 1},
        {"transfer-encoding=CHUNKED", 0, AIF_H1_FAULT_NONE, 1},
        {"Transfer-Encoding=", 0, AIF_H1_FAULT_CODING, 0},
        {"Transfer-Encoding=xchunked", 0, AIF_H1_FAULT_CODING, 0},
        {"Transfer-Encoding=gzip, chunked", 0, AIF_H1_FAULT_CODING, 0},
        {"Transfer-Encoding=chunked, chunked", 0, AIF_H1_FAULT_CODING, 1},
        {"Transfer-Encoding=chunked\t", 0, AIF_H1_FAULT_FRAMING_TAB, 0},
        {"Transfer-Encoding=chunked;Transfer-Encoding=chunked", 0,
         AIF_H1_FAULT_CODING_TWICE, 1},
        {"Transfer-Encoding=gzip, chunked", AIF_H1_CODINGS, AIF_H1_FAULT_NONE,
         1},
        {"Transfer-Encoding=gzip ,br,  chunked", AIF_H1_CODINGS,
         AIF_H1_FAULT_NONE, 1},
        {"Transfer-Encoding=gzip;Transfer-Encoding=chunked", AIF_H1_CODINGS,
         AIF_H1_FAULT_NONE, 1},
        {"Transfer-Encoding=gzip", AIF_H1_CODINGS, AIF_H1_FAULT_NONE, 0},
        {"Transfer-Encoding=chunked, gzip", AIF_H1_CODINGS,
         AIF_H1_FAULT_CODING, 1},
        {"Transfer-Encoding=chunked;Transfer-Encoding=chunked", AIF_H1_CODINGS,
         AIF_H1_FAULT_CODING, 1},
        {"Transfer-Encoding=gzip,, chunked", AIF_H1_CODINGS,
         AIF_H1_FAULT_CODING, 0},
        {"Transfer-Encoding=g(zip, chunked", AIF_H1_CODINGS,
         AIF_H1_FAULT_CODING, 0},
        {"Transfer-Encoding=chunked, (", AIF_H1_ANY_CODING, AIF_H1_FAULT_NONE,
         0},
        {"Content-Length=1;Transfer-Encoding=chunked", 0,
         AIF_H1_FAULT_LENGTH_AND_CODING, 0},
        {"Transfer-Encoding=chunked;Content-Length=1", 0,
         AIF_H1_FAULT_LENGTH_AND_CODING, 1},
        {"Content-Length=1;Transfer-Encoding=chunked", AIF_H1_LENGTH_TOO,
         AIF_H1_FAULT_NONE, 1},
        {"Transfer-Encoding=chunked;Content-Length=1", AIF_H1_LENGTH_TOO,
         AIF_H1_FAULT_NONE, 1},
    };
    char line[300];
    aif_h1frame f;
    size_t i;

    for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        CHECK_EQ_INT((int)read_fields(&f, table[i].rules, table[i].fields),
                     (int)table[i].fault);
        CHECK_EQ_INT((int)f.chunked, table[i].chunked);
        CHECK(f.codings == 0 || f.length == 0 || table[i].fault != 0);
        CHECK(f.note_len + 2 <= sizeof(f.note));
    }
    /* What does not fit is refused, to the byte. */
    for (i = 100; i < 250; i++) {
        (void)snprintf(line, sizeof(line), "Transfer-Encoding=%0*d", (int)i,
                       0);
        CHECK_EQ_INT((int)read_fields(&f, AIF_H1_CODINGS, line),
                     17 + 2 + 2 + 2 + i > sizeof(f.note)
                         ? (int)AIF_H1_FAULT_CODING
                         : 0);
    }
}

static void
test_connection(void)
{
    aif_h1frame f;

    CHECK_EQ_INT((int)read_fields(&f, 0, "Connection=Keep-Alive"), 0);
    CHECK(f.says_keep && !f.says_close && !f.says_upgrade);
    CHECK_EQ_INT((int)read_fields(&f, 0, "Connection=a , CLOSE"), 0);
    CHECK(!f.says_keep && f.says_close);
    CHECK_EQ_INT((int)read_fields(&f, 0, "connection=keep-alive,upgrade"), 0);
    CHECK(f.says_keep && f.says_upgrade && !f.upgrade);
    CHECK_EQ_INT((int)read_fields(&f, 0, "uPgrade=x;Connection=closed"), 0);
    CHECK(!f.says_close && f.upgrade && f.note_len == 0);
    CHECK(!aif_h1frame_is_framing(slice("Content-Lengths", 15)));
    CHECK(aif_h1frame_is_framing(slice("CONTENT-LENGTH", 14)));
    CHECK(aif_h1frame_is_framing(slice("Transfer-encoding", 17)));
}

int
main(void)
{
    test_lengths();
    test_codings();
    test_connection();
    return check_failures();
}
