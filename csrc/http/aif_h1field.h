/* aif_h1field -- sections of field lines (RFC 9112 5, 7.1.2), one field at a
 * time. A line that lies whole in the input is not copied.
 *
 * Owner:    embedded in aif_h1parse, which is its only user.
 * Rule:     whatever way the input is cut, the same fields come out and the
 *           same byte is refused for the same reason.
 */
#ifndef AIF_H1FIELD_H
#define AIF_H1FIELD_H

#include "http/aif_h1scan.h"

typedef struct aif_h1field {
    aif_buf line;       /* what earlier feeds had of the line, without end */
    size_t section;     /* bytes of the section; the owner may add to them */
    size_t section_max; /* their ceiling */
    unsigned fields;    /* field lines of the section */
    unsigned fields_max;
    unsigned rules;    /* set by the owner; enum aif_h1_rule */
    uint32_t name_len; /* of the line that is read */
    unsigned char state;
    unsigned char ended; /* the section is whole */
    aif_h1_fault fault;

    /* The field that is whole, without the blanks around its value, and its
     * value with them; borrowed until the next call. */
    aif_slice name, value, raw;
} aif_h1field;

/* |line_max| is the ceiling for a line without its end. Allocates nothing. */
void aif_h1field_init(aif_h1field *f, size_t line_max);
void aif_h1field_fini(aif_h1field *f);

/* Ready for a section of up to |section_max| bytes and |fields_max| fields, of
 * which |before| bytes have been. |rules| and some memory stay. */
void aif_h1field_reset(aif_h1field *f, size_t section_max, unsigned fields_max,
                       size_t before);

/* Goes on to the end of the next field or of the section. AIF_SCAN_MORE: all
 * bytes were taken; AIF_SCAN_END: a field is whole, or |ended|; AIF_SCAN_BAD:
 * s[*n] is refused, |fault| says why. A field is whole once the byte behind
 * its line is there, because that may be a blank (RFC 9112 5.2). */
aif_scan aif_h1field_next(aif_h1field *f, const char *s, size_t len,
                          size_t *n);

#endif
