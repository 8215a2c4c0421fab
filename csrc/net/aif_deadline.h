/* aif_deadline -- any number of deadlines on one uv_timer.
 *
 * A binary heap with the position kept in the node: setting, moving and
 * clearing cost O(log n), and O(1) for the common case of deadlines that grow.
 *
 * Owner:    nodes are embedded in the object that waits; clear before it goes.
 * Thread:   the loop's. Re-entry: an on_due may set and clear any deadline.
 */
#ifndef AIF_DEADLINE_H
#define AIF_DEADLINE_H

#include <stddef.h>
#include <stdint.h>
#include <uv.h>

struct aif_loop;

typedef struct aif_deadline {
    uint64_t due;    /* ns on uv_hrtime()'s clock */
    size_t position; /* in the heap, 1-based; 0 when not set */
    void (*on_due)(struct aif_deadline *d);
} aif_deadline;

typedef struct aif_deadlines {
    struct aif_loop *loop;
    uv_timer_t timer;
    uint64_t armed;      /* ns the timer waits for; 0 when stopped. Never
                          * later than the earliest deadline */
    aif_deadline **heap; /* owned */
    size_t count;
    size_t cap;
    unsigned running : 1; /* inside aif_deadlines_run() */
} aif_deadlines;

/* Used by aif_loop only. */
int aif_deadlines_init(aif_deadlines *ds, struct aif_loop *loop);
void aif_deadlines_close(aif_deadlines *ds); /* begins the timer's end */
void aif_deadlines_fini(aif_deadlines *ds);  /* after its close callback */
void aif_deadlines_run(aif_deadlines *ds);   /* on_due for what is due */

/* A node that is not set. */
void aif_deadline_init(aif_deadline *d, void (*on_due)(aif_deadline *d));

/* Sets or moves |d| to |due| (ns, uv_hrtime()). on_due is called once, at or
 * up to 2 ms after it, with |d| no longer set. 0, AIF_ENOMEM, or AIF_ECLOSED
 * once the loop is ending. */
int aif_deadline_set(aif_deadlines *ds, aif_deadline *d, uint64_t due);

/* Clears |d|; harmless if it is not set. */
void aif_deadline_clear(aif_deadlines *ds, aif_deadline *d);

static inline int
aif_deadline_is_set(const aif_deadline *d)
{
    return d->position != 0;
}

#endif
