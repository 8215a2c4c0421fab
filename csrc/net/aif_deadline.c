/* aif_deadline -- the heap of deadlines behind one uv_timer.
 *
 * The rule that makes deadlines cheap: the timer is armed for a moment that is
 * never later than the earliest deadline, but it may well be earlier. A
 * request that sets a deadline behind all others and clears it again, the way
 * of nearly every request, then touches neither libuv nor the clock. The price
 * is one timer that finds nothing to do, once in a while, and arms itself
 * again.
 *
 * The timer holds the loop alive only while a deadline is set.
 */
#include "net/aif_deadline.h"

#include "base/aif_err.h"
#include "base/aif_mem.h"
#include "net/aif_loop.h"

#define NS_PER_MS 1000000u
#define FIRST_CAP 64u

static void
place(aif_deadlines *ds, size_t position, aif_deadline *d)
{
    ds->heap[position - 1] = d;
    d->position = position;
}

static void
rise(aif_deadlines *ds, size_t position, aif_deadline *d)
{
    while (position > 1) {
        aif_deadline *parent = ds->heap[position / 2 - 1];

        if (parent->due <= d->due) {
            break;
        }
        place(ds, position, parent);
        position /= 2;
    }
    place(ds, position, d);
}

static void
sink(aif_deadlines *ds, size_t position, aif_deadline *d)
{
    while (position <= ds->count / 2) {
        size_t child = position * 2;

        if (child < ds->count
            && ds->heap[child]->due < ds->heap[child - 1]->due)
        {
            child++;
        }
        if (d->due <= ds->heap[child - 1]->due) {
            break;
        }
        place(ds, position, ds->heap[child - 1]);
        position = child;
    }
    place(ds, position, d);
}

/* Puts |d| where it belongs, starting at |position|, which is free. */
static void
settle(aif_deadlines *ds, size_t position, aif_deadline *d)
{
    if (position > 1 && d->due < ds->heap[position / 2 - 1]->due) {
        rise(ds, position, d);
    }
    else {
        sink(ds, position, d);
    }
}

static void
take_out(aif_deadlines *ds, aif_deadline *d)
{
    size_t position = d->position;
    aif_deadline *last = ds->heap[ds->count - 1];

    d->position = 0;
    ds->count--;
    if (last != d) {
        settle(ds, position, last);
    }
    if (ds->count == 0) {
        uv_unref((uv_handle_t *)&ds->timer);
    }
}

static void
on_timer(uv_timer_t *timer)
{
    aif_deadlines_run(timer->data);
}

/* Arms the timer for the earliest deadline, |least| ms from now at the
 * soonest. libuv's clock counts whole milliseconds and stands still while the
 * host's loop waits, hence the rounding up and the update. */
static void
arm(aif_deadlines *ds, uint64_t least)
{
    uint64_t due = ds->heap[0]->due;
    uint64_t target = due / NS_PER_MS + (due % NS_PER_MS != 0);
    uint64_t now;
    uint64_t delay;

    uv_update_time(&ds->loop->uv);
    now = uv_now(&ds->loop->uv);
    delay = target > now ? target - now : 0;
    if (delay < least) {
        delay = least;
    }
    /* It fails only for a handle that is closing, which set() excludes. */
    (void)uv_timer_start(&ds->timer, on_timer, delay, 0);
    ds->armed = due != 0 ? due : 1;
}

static void
on_closed(uv_handle_t *handle)
{
    aif_deadlines *ds = handle->data;

    ds->loop->handles--;
}

int
aif_deadlines_init(aif_deadlines *ds, struct aif_loop *loop)
{
    int rc;

    ds->loop = loop;
    ds->armed = 0;
    ds->heap = NULL;
    ds->count = 0;
    ds->cap = 0;
    ds->running = 0;
    rc = uv_timer_init(&loop->uv, &ds->timer);
    if (rc == 0) {
        ds->timer.data = ds;
        uv_unref((uv_handle_t *)&ds->timer);
        loop->handles++;
    }
    return rc;
}

void
aif_deadlines_close(aif_deadlines *ds)
{
    /* What is still set will never be due; its owners may clear it later. */
    for (size_t i = 0; i < ds->count; i++) {
        ds->heap[i]->position = 0;
    }
    ds->count = 0;
    ds->armed = 0;
    if (!uv_is_closing((uv_handle_t *)&ds->timer)) {
        uv_close((uv_handle_t *)&ds->timer, on_closed);
    }
}

void
aif_deadlines_fini(aif_deadlines *ds)
{
    aif_mem_free(ds->heap);
    ds->heap = NULL;
    ds->cap = 0;
}

/* A deadline set from inside an on_due and due already waits for the next
 * turn: otherwise one that renews itself would keep the loop forever. */
void
aif_deadlines_run(aif_deadlines *ds)
{
    uint64_t now = uv_hrtime();
    size_t left = ds->count;

    if (ds->running) {
        return;
    }
    ds->running = 1;
    while (left > 0 && ds->count > 0 && ds->heap[0]->due <= now) {
        aif_deadline *d = ds->heap[0];

        take_out(ds, d);
        d->on_due(d);
        left--;
    }
    ds->running = 0;
    if (uv_is_closing((uv_handle_t *)&ds->timer)) {
        return;
    }
    if (ds->count > 0) {
        arm(ds, 1);
    }
    else {
        (void)uv_timer_stop(&ds->timer);
        ds->armed = 0;
    }
}

void
aif_deadline_init(aif_deadline *d, void (*on_due)(aif_deadline *d))
{
    d->due = 0;
    d->position = 0;
    d->on_due = on_due;
}

static int
grow(aif_deadlines *ds)
{
    size_t cap = ds->cap == 0 ? FIRST_CAP : ds->cap * 2;
    aif_deadline **heap;

    if (cap < ds->cap || cap > SIZE_MAX / sizeof(heap[0])) {
        return AIF_ENOMEM;
    }
    heap = aif_mem_realloc(ds->heap, cap * sizeof(heap[0]));
    if (heap == NULL) {
        return AIF_ENOMEM;
    }
    ds->heap = heap;
    ds->cap = cap;
    return 0;
}

int
aif_deadline_set(aif_deadlines *ds, aif_deadline *d, uint64_t due)
{
    if (uv_is_closing((uv_handle_t *)&ds->timer)) {
        return AIF_ECLOSED;
    }
    if (d->position != 0) {
        d->due = due;
        settle(ds, d->position, d);
    }
    else {
        if (ds->count == ds->cap && grow(ds) < 0) {
            return AIF_ENOMEM;
        }
        d->due = due;
        if (ds->count == 0) {
            uv_ref((uv_handle_t *)&ds->timer);
        }
        ds->count++;
        rise(ds, ds->count, d);
    }
    /* aif_deadlines_run() arms once, when it is through with all. */
    if (!ds->running && (ds->armed == 0 || ds->heap[0]->due < ds->armed)) {
        arm(ds, 0);
        /* Inside a run the host looks at the timeout afterwards anyway. */
        if (!ds->loop->running) {
            aif_loop_want(ds->loop);
        }
    }
    return 0;
}

void
aif_deadline_clear(aif_deadlines *ds, aif_deadline *d)
{
    if (d->position != 0) {
        take_out(ds, d);
    }
}
