/* aif_trace -- how long each phase of one exchange took.
 *
 * The phases follow one another; entering one ends the one before. A phase
 * that is skipped (no DNS on a kept connection) has taken 0.
 */
#ifndef AIF_TRACE_H
#define AIF_TRACE_H

#include <stdint.h>

typedef enum aif_phase {
    AIF_PHASE_QUEUED,  /* waiting for the pool */
    AIF_PHASE_DNS,     /* name lookup */
    AIF_PHASE_CONNECT, /* TCP, all addresses tried */
    AIF_PHASE_TLS,     /* handshake */
    AIF_PHASE_SEND,    /* until the last byte of the request was taken */
    AIF_PHASE_WAIT,    /* until the head of the response is whole */
    AIF_PHASE_RECEIVE, /* until the last byte of the body */
    AIF_PHASE_DONE
} aif_phase;

typedef struct aif_trace {
    uint64_t start; /* ns, uv_hrtime() */
    uint64_t at;    /* when the present phase began */
    uint64_t spent[AIF_PHASE_DONE];
    aif_phase phase;
} aif_trace;

static inline void
aif_trace_begin(aif_trace *t, uint64_t now)
{
    *t = (aif_trace){.start = now, .at = now};
}

static inline void
aif_trace_enter(aif_trace *t, aif_phase phase, uint64_t now)
{
    if (t->phase != AIF_PHASE_DONE) {
        t->spent[t->phase] += now - t->at;
    }
    t->at = now;
    t->phase = phase;
}

/* "queued", "dns", ... "done"; static. */
static inline const char *
aif_trace_name(aif_phase phase)
{
    static const char *const names[] = {"queued", "dns",  "connect", "tls",
                                        "send",   "wait", "receive", "done"};

    return names[phase];
}

#endif
