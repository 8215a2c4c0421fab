/* aif_h1fault -- codes and sentences of what is wrong with a message. */
#include "http/aif_h1fault.h"

typedef struct fault {
    int code;
    const char *text;
} fault;

static const fault faults[] = {
#define ROW(name, code, text) {code, text},
    AIF_H1_EACH_FAULT(ROW)
#undef ROW
};

int
aif_h1fault_code(aif_h1_fault fault)
{
    return faults[fault].code;
}

const char *
aif_h1fault_text(aif_h1_fault fault)
{
    return faults[fault].text;
}
