/* Tests of aif_h1fault: each fault has a code and a sentence of its own.
 */
#include "http/aif_h1fault.h"

#include <string.h>

#include "check.h"

int
main(void)
{
    int i;

    CHECK_EQ_INT(aif_h1fault_code(AIF_H1_FAULT_NONE), 0);
    for (i = 1; i <= (int)AIF_H1_FAULT_AFTER_CLOSE; i++) {
        const int code = aif_h1fault_code((aif_h1_fault)i);
        const char *text = aif_h1fault_text((aif_h1_fault)i);

        CHECK(code == AIF_EPARSE || code == AIF_ETOOBIG || code == AIF_ENOMEM);
        CHECK(strlen(text) > 10 && strlen(text) < 100);
        CHECK(text[strlen(text) - 1] != '.');
        CHECK(strcmp(text, aif_h1fault_text((aif_h1_fault)(i - 1))) != 0);
    }
    return check_failures();
}
