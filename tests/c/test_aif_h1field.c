/* Tests of aif_h1field: which fields come out of a section and which byte is
 * refused, in pieces of every size; control bytes at every place.
 */
#include "http/aif_h1field.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/aif_mem.h"
#include "check.h"

typedef struct section {
    const char *bytes;
    unsigned rules;
    aif_h1_fault fault;
    size_t used;        /* where a byte is refused, or the section ends */
    const char *fields; /* "[name=value]" */
} section;

static char trace[4096];

static void
note(aif_slice s, const char *behind)
{
    const size_t at = strlen(trace);

    CHECK(at + s.len + 2 < sizeof(trace));
    memcpy(trace + at, s.ptr, s.len);
    memcpy(trace + at + s.len, behind, strlen(behind) + 1);
}

/* Reads |s| in pieces of |step| bytes, each out of a block of its size. */
static aif_h1_fault
read_section(aif_h1field *f, const char *s, size_t len, size_t step,
             size_t *used)
{
    aif_scan rc = AIF_SCAN_MORE;
    size_t at = 0;
    size_t n, part;
    char *copy;

    aif_h1field_reset(f, 200, 4, 0);
    trace[0] = '\0';
    while (rc != AIF_SCAN_BAD && !f->ended && at < len) {
        part = step < len - at ? step : len - at;
        copy = malloc(part);
        memcpy(copy, s + at, part);
        n = 0;
        do {
            size_t took;

            rc = aif_h1field_next(f, copy + n, part - n, &took);
            n += took;
            CHECK(n <= part);
            if (rc == AIF_SCAN_END && !f->ended) {
                note(f->name, "=");
                note(f->value, "]");
                CHECK(f->raw.len >= f->value.len);
            }
        } while (rc == AIF_SCAN_END && !f->ended);
        CHECK(rc != AIF_SCAN_MORE || n == part);
        free(copy);
        at += n;
    }
    CHECK(f->section == at);
    *used = at;
    return f->fault;
}

static void
check_section(aif_h1field *f, const section *t)
{
    const size_t len = strlen(t->bytes);
    size_t step, used;

    f->rules = t->rules;
    for (step = len; step > 0; step--) {
        CHECK_EQ_INT((int)read_section(f, t->bytes, len, step, &used),
                     (int)t->fault);
        CHECK_EQ_INT((int)used, (int)t->used);
        CHECK_EQ_STR(trace, t->fields);
    }
}

static void
test_sections(void)
{
    static const section sections[] = {
        {"\r\n", 0, AIF_H1_FAULT_NONE, 2, ""},
        {"A:b\r\n\r\n", 0, AIF_H1_FAULT_NONE, 7, "A=b]"},
        {"A: \t b\tc \t\r\nB:\r\nC:  \r\n\r\nX", 0, AIF_H1_FAULT_NONE, 24,
         "A=b\tc]B=]C=]"},
        {"A: 1\r\n", 0, AIF_H1_FAULT_NONE, 6, ""},
        {"A: 1\r\nB", 0, AIF_H1_FAULT_NONE, 7, "A=1]"},
        {" A: 1\r\n", 0, AIF_H1_FAULT_FIRST_FOLD, 0, ""},
        {"A: 1\r\n b\r\n", 0, AIF_H1_FAULT_FOLD, 6, ""},
        {"A: 1\r\n\tb\r\n", 0, AIF_H1_FAULT_FOLD, 6, ""},
        {"A: 1\r\n  b \r\n\tc\r\n\r\n", AIF_H1_FOLDS, AIF_H1_FAULT_NONE, 18,
         "A=1  b \tc]"},
        {"A:\r\n b\r\n\r\n", AIF_H1_FOLDS, AIF_H1_FAULT_NONE, 10, "A=b]"},
        {"A: \x01\x1f\x7f\r\n\r\n", AIF_H1_FOLDS, AIF_H1_FAULT_NONE, 10,
         "A=\x01\x1f\x7f]"},
        {":b\r\n", 0, AIF_H1_FAULT_NO_NAME, 0, ""},
        {"A : b\r\n", 0, AIF_H1_FAULT_NAME, 1, ""},
        {"A\r\n", 0, AIF_H1_FAULT_NAME, 1, ""},
        {"A\n", 0, AIF_H1_FAULT_BARE_LF, 1, ""},
        {"\xe9: b\r\n", 0, AIF_H1_FAULT_NAME, 0, ""},
        {"A\x01: b\r\n", 0, AIF_H1_FAULT_CONTROL, 1, ""},
        {"A: b\nB", 0, AIF_H1_FAULT_BARE_LF, 4, ""},
        {"A: b\r\n\n", 0, AIF_H1_FAULT_BARE_LF, 6, "A=b]"},
        {"A: b\rB", 0, AIF_H1_FAULT_BARE_CR, 5, ""},
        {"A: b\r\n\rB", 0, AIF_H1_FAULT_BARE_CR, 7, "A=b]"},
        {"A: b\nB: c\n\n", AIF_H1_LONE_LF, AIF_H1_FAULT_NONE, 11, "A=b]B=c]"},
        {"A: b\rB: c\r\rX", AIF_H1_LONE_CR, AIF_H1_FAULT_NONE, 11, "A=b]B=c]"},
        {"A:\r\nB:\r\nC:\r\nD:\r\nE", 0, AIF_H1_FAULT_FIELDS, 16,
         "A=]B=]C=]D=]"},
        /* A line may have 20 bytes. */
        {"A:345678901234567890\r\n\r\n", 0, AIF_H1_FAULT_NONE, 24,
         "A=345678901234567890]"},
        {"A:3456789012345678901\r\n", 0, AIF_H1_FAULT_LINE, 20, ""},
        {"1234567890123456789:\r\n\r\n", 0, AIF_H1_FAULT_NONE, 24,
         "1234567890123456789=]"},
        {"12345678901234567890:\r\n", 0, AIF_H1_FAULT_LINE, 20, ""},
        {"123456789012345678901:\r\n", 0, AIF_H1_FAULT_LINE, 20, ""},
        {"A:345678901\r\n 234567890\r\n", AIF_H1_FOLDS, AIF_H1_FAULT_LINE, 22,
         ""},
    };
    aif_h1field f;
    size_t i;

    aif_h1field_init(&f, 20);
    for (i = 0; i < sizeof(sections) / sizeof(sections[0]); i++) {
        check_section(&f, &sections[i]);
    }
    aif_h1field_fini(&f);
}

/* A control byte is found at each place of the words that are looked at. */
static void
test_every_byte(void)
{
    char line[60];
    const size_t len = sizeof(line);
    aif_h1field f;
    aif_h1_fault fault;
    size_t at, used;
    int c;

    aif_h1field_init(&f, 100);
    for (at = 2; at < len - 4; at++) {
        for (c = 0; c < 256; c++) {
            memset(line, 'x', len);
            line[0] = 'A';
            line[1] = ':';
            memcpy(line + len - 4, "\r\n\r\n", 4);
            line[at] = (char)c;
            fault = read_section(&f, line, len, len, &used);
            if (c == '\r') {
                CHECK(fault == AIF_H1_FAULT_BARE_CR || at + 5 == len);
            }
            else if (c == '\n') {
                CHECK(fault == AIF_H1_FAULT_BARE_LF && used == at);
            }
            else if ((c < 0x20 && c != '\t') || c == 0x7f) {
                CHECK(fault == AIF_H1_FAULT_CONTROL && used == at);
            }
            else {
                CHECK(fault == AIF_H1_FAULT_NONE && used == len);
            }
        }
    }
    aif_h1field_fini(&f);
}

/* Every byte of a name. */
static void
test_every_name_byte(void)
{
    static const char tchars[] =
        "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
        "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    char line[] = "Ab: c\r\n\r\n";
    aif_h1field f;
    size_t used;
    int c, good;

    aif_h1field_init(&f, 100);
    for (c = 0; c < 256; c++) {
        line[1] = (char)c;
        good = c == ':' || (c != 0 && strchr(tchars, c) != NULL);
        CHECK((read_section(&f, line, sizeof(line) - 1, 99, &used)
               == AIF_H1_FAULT_NONE)
              == good);
        CHECK(used == (good ? sizeof(line) - 1 : 1));
    }
    aif_h1field_fini(&f);
}

static void
test_memory(void)
{
    aif_h1field f;
    size_t used;

    aif_h1field_init(&f, 100);
    aif_mem_fail_at(1, 1);
    /* A line in one piece needs none. */
    CHECK_EQ_INT((int)read_section(&f, "A: b\r\n\r\n", 8, 99, &used), 0);
    CHECK_EQ_INT((int)read_section(&f, "A: b\r\n\r\n", 8, 3, &used),
                 AIF_H1_FAULT_MEMORY);
    aif_mem_fail_at(0, 0);
    aif_h1field_fini(&f);
}

int
main(void)
{
    test_sections();
    test_every_byte();
    test_every_name_byte();
    test_memory();
    CHECK(aif_mem_live() == 0);
    return check_failures();
}
