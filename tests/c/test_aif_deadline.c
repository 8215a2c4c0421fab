/* Tests of aif_deadline: order, moving and clearing, also from inside on_due;
 * never early; and nothing to pay for deadlines behind the first. */
#include "net/aif_deadline.h"

#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/aif_err.h"
#include "base/aif_list.h"
#include "base/aif_mem.h"
#include "check.h"
#include "net/aif_loop.h"

#define MS 1000000u
#define MANY 10000

static aif_loop loop;
static unsigned wanted;

static void
on_wanted(void *user)
{
    (void)user;
    wanted++;
}

static void
begin(void)
{
    CHECK_EQ_INT(aif_loop_init(&loop), 0);
    loop.on_wanted = on_wanted;
    wanted = 0;
}

static void
end(void)
{
    CHECK_EQ_INT(aif_loop_fini(&loop), 0);
    CHECK_EQ_INT(aif_mem_live(), 0);
}

/* -- Nodes that write down what happened -------------------------------- */

typedef struct node {
    aif_deadline deadline;
    int fired;
    uint64_t fired_at;
} node;

static node *order[MANY];
static size_t order_len;

static void
note(aif_deadline *d)
{
    node *n = AIF_LIST_ENTRY(d, node, deadline);

    CHECK(!aif_deadline_is_set(d));
    n->fired++;
    n->fired_at = uv_hrtime();
    if (order_len < MANY) {
        order[order_len] = n;
    }
    order_len++;
}

static void
init_nodes(node *nodes, size_t count)
{
    order_len = 0;
    for (size_t i = 0; i < count; i++) {
        memset(&nodes[i], 0, sizeof(nodes[i]));
        aif_deadline_init(&nodes[i].deadline, note);
    }
}

static void
test_order_and_precision(void)
{
    static const unsigned after_ms[] = {30, 10, 20, 0, 25, 15};
    node nodes[6];
    uint64_t start;

    begin();
    init_nodes(nodes, 6);
    start = aif_loop_now(&loop);
    for (size_t i = 0; i < 6; i++) {
        CHECK_EQ_INT(aif_deadline_set(&loop.deadlines, &nodes[i].deadline,
                                      start + after_ms[i] * MS),
                     0);
        CHECK(aif_deadline_is_set(&nodes[i].deadline));
    }
    /* It ends by itself once no deadline is left. */
    CHECK_EQ_INT(uv_run(&loop.uv, UV_RUN_DEFAULT), 0);
    CHECK_EQ_INT(order_len, 6);
    CHECK(order[0] == &nodes[3]);
    CHECK(order[1] == &nodes[1]);
    CHECK(order[2] == &nodes[5]);
    CHECK(order[3] == &nodes[2]);
    CHECK(order[4] == &nodes[4]);
    CHECK(order[5] == &nodes[0]);
    for (size_t i = 0; i < 6; i++) {
        uint64_t due = start + after_ms[i] * MS;

        CHECK_EQ_INT(nodes[i].fired, 1);
        CHECK(nodes[i].fired_at >= due);
        CHECK(nodes[i].fired_at - due < 200 * MS);
    }
    end();
}

/* Two milliseconds are promised. A busy machine adds its own, hence the best
 * of many. */
static void
test_lateness(void)
{
    uint64_t best = UINT64_MAX;
    node one;

    begin();
    init_nodes(&one, 1);
    for (int i = 0; i < 20; i++) {
        uint64_t due = aif_loop_now(&loop) + 2 * MS + (unsigned)i * 50000u;

        CHECK_EQ_INT(aif_deadline_set(&loop.deadlines, &one.deadline, due), 0);
        (void)uv_run(&loop.uv, UV_RUN_DEFAULT);
        CHECK(one.fired_at >= due);
        if (one.fired_at - due < best) {
            best = one.fired_at - due;
        }
    }
    CHECK_EQ_INT(one.fired, 20);
    CHECK(best < 2 * MS);
    end();
}

static void
test_move_and_clear(void)
{
    node nodes[3];
    uint64_t start;

    begin();
    init_nodes(nodes, 3);
    start = aif_loop_now(&loop);
    for (size_t i = 0; i < 3; i++) {
        CHECK_EQ_INT(aif_deadline_set(&loop.deadlines, &nodes[i].deadline,
                                      start + (i + 1) * 5 * MS),
                     0);
    }
    CHECK_EQ_INT(
        aif_deadline_set(&loop.deadlines, &nodes[0].deadline, start + 30 * MS),
        0);
    aif_deadline_clear(&loop.deadlines, &nodes[1].deadline);
    CHECK(!aif_deadline_is_set(&nodes[1].deadline));
    aif_deadline_clear(&loop.deadlines, &nodes[1].deadline);
    (void)uv_run(&loop.uv, UV_RUN_DEFAULT);
    CHECK_EQ_INT(order_len, 2);
    CHECK(order[0] == &nodes[2]);
    CHECK(order[1] == &nodes[0]);
    CHECK(nodes[0].fired_at >= start + 30 * MS);
    CHECK_EQ_INT(nodes[1].fired, 0);
    end();
}

/* -- From inside on_due ------------------------------------------------- */

static node peers[4];

static void
clear_the_others(aif_deadline *d)
{
    note(d);
    for (size_t i = 0; i < 4; i++) {
        aif_deadline_clear(&loop.deadlines, &peers[i].deadline);
    }
}

static void
renew(aif_deadline *d)
{
    note(d);
    if (order_len < 5) {
        /* Due at once, and still not before the next turn. */
        CHECK_EQ_INT(aif_deadline_set(&loop.deadlines, d, 0), 0);
    }
}

static void
renew_forever(aif_deadline *d)
{
    note(d);
    CHECK_EQ_INT(aif_deadline_set(&loop.deadlines, d, 1), 0);
}

static void
test_inside_on_due(void)
{
    begin();
    init_nodes(peers, 4);
    for (size_t i = 0; i < 4; i++) {
        peers[i].deadline.on_due = clear_the_others;
        CHECK_EQ_INT(
            aif_deadline_set(&loop.deadlines, &peers[i].deadline, 9 - i), 0);
    }
    (void)uv_run(&loop.uv, UV_RUN_DEFAULT);
    CHECK_EQ_INT(order_len, 1);
    CHECK(order[0] == &peers[3]);

    init_nodes(peers, 4);
    peers[0].deadline.on_due = renew;
    CHECK_EQ_INT(aif_deadline_set(&loop.deadlines, &peers[0].deadline, 0), 0);
    (void)uv_run(&loop.uv, UV_RUN_DEFAULT);
    CHECK_EQ_INT(order_len, 5);

    init_nodes(peers, 4);
    peers[0].deadline.on_due = renew_forever;
    CHECK_EQ_INT(aif_deadline_set(&loop.deadlines, &peers[0].deadline, 1), 0);
    usleep(3000);
    aif_loop_run(&loop);
    CHECK(order_len >= 1 && order_len <= 3);
    aif_deadline_clear(&loop.deadlines, &peers[0].deadline);
    end();
}

/* -- Many, against a model ---------------------------------------------- */

static node many[MANY];

static uint32_t
dice(void)
{
    static uint32_t state = 12345;

    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return state;
}

static void
check_heap(void)
{
    const aif_deadlines *ds = &loop.deadlines;
    int bad = 0;

    for (size_t i = 1; i <= ds->count; i++) {
        bad += ds->heap[i - 1]->position != i;
        bad += i > 1 && ds->heap[i / 2 - 1]->due > ds->heap[i - 1]->due;
    }
    CHECK_EQ_INT(bad, 0);
}

static void
test_many_against_a_model(void)
{
    static uint64_t model[MANY]; /* 0: not set */
    size_t set = 0;
    int bad = 0;

    begin();
    init_nodes(many, MANY);
    memset(model, 0, sizeof(model));
    for (int step = 0; step < 10 * MANY; step++) {
        size_t i = dice() % MANY;

        if (dice() % 4 == 0) {
            aif_deadline_clear(&loop.deadlines, &many[i].deadline);
            model[i] = 0;
        }
        else {
            model[i] = 1 + dice() % 1000;
            CHECK_EQ_INT(
                aif_deadline_set(&loop.deadlines, &many[i].deadline, model[i]),
                0);
        }
        if (step % 5000 == 0) {
            check_heap();
        }
    }
    for (size_t i = 0; i < MANY; i++) {
        set += model[i] != 0;
        bad += (model[i] != 0) != aif_deadline_is_set(&many[i].deadline);
    }
    CHECK_EQ_INT(loop.deadlines.count, set);
    aif_deadlines_run(&loop.deadlines);
    CHECK_EQ_INT(order_len, set);
    CHECK_EQ_INT(loop.deadlines.count, 0);
    for (size_t i = 0; i < set; i++) {
        bad += i > 0 && order[i - 1]->deadline.due > order[i]->deadline.due;
    }
    for (size_t i = 0; i < MANY; i++) {
        bad += many[i].fired != (model[i] != 0);
        bad += model[i] != 0 && many[i].deadline.due != model[i];
    }
    CHECK_EQ_INT(bad, 0);
    end();
}

/* -- What is free of charge, and what is not ---------------------------- */

static void
test_later_ones_cost_nothing(void)
{
    node first;
    uint64_t now;
    uint64_t armed;

    begin();
    init_nodes(&first, 1);
    init_nodes(many, 1000);
    now = aif_loop_now(&loop);
    CHECK_EQ_INT(
        aif_deadline_set(&loop.deadlines, &first.deadline, now + 1000 * MS),
        0);
    CHECK_EQ_INT(wanted, 1);
    aif_loop_run(&loop);
    armed = loop.deadlines.armed;
    for (unsigned i = 0; i < 1000; i++) {
        CHECK_EQ_INT(aif_deadline_set(&loop.deadlines, &many[i].deadline,
                                      now + (2000 + i) * MS),
                     0);
        aif_deadline_clear(&loop.deadlines, &many[i].deadline);
    }
    /* Neither is the timer stopped when the last one is cleared. */
    aif_deadline_clear(&loop.deadlines, &first.deadline);
    CHECK_EQ_INT(
        aif_deadline_set(&loop.deadlines, &first.deadline, now + 1500 * MS),
        0);
    CHECK_EQ_INT(wanted, 1);
    CHECK(loop.deadlines.armed == armed);
    /* An earlier one is another matter. */
    CHECK_EQ_INT(
        aif_deadline_set(&loop.deadlines, &many[0].deadline, now + 500 * MS),
        0);
    CHECK_EQ_INT(wanted, 2);
    CHECK(loop.deadlines.armed == now + 500 * MS);
    aif_deadline_clear(&loop.deadlines, &many[0].deadline);
    aif_deadline_clear(&loop.deadlines, &first.deadline);
    /* Nothing set: the loop is not held, although the timer runs. */
    CHECK(!uv_loop_alive(&loop.uv));
    end();
}

static void
test_out_of_memory(void)
{
    node one;

    begin();
    init_nodes(&one, 1);
    aif_mem_fail_at(1, 0);
    CHECK_EQ_INT(aif_deadline_set(&loop.deadlines, &one.deadline, 1),
                 AIF_ENOMEM);
    aif_mem_fail_at(0, 0);
    CHECK(!aif_deadline_is_set(&one.deadline));
    CHECK_EQ_INT(loop.deadlines.count, 0);
    CHECK_EQ_INT(aif_deadline_set(&loop.deadlines, &one.deadline, 1), 0);
    (void)uv_run(&loop.uv, UV_RUN_DEFAULT);
    CHECK_EQ_INT(one.fired, 1);
    end();
}

static void
test_the_end(void)
{
    node one;

    begin();
    init_nodes(&one, 1);
    CHECK_EQ_INT(aif_deadline_set(&loop.deadlines, &one.deadline, 1), 0);
    aif_deadlines_close(&loop.deadlines);
    CHECK(!aif_deadline_is_set(&one.deadline));
    aif_deadline_clear(&loop.deadlines, &one.deadline);
    CHECK_EQ_INT(aif_deadline_set(&loop.deadlines, &one.deadline, 1),
                 AIF_ECLOSED);
    end();
    CHECK_EQ_INT(one.fired, 0);
}

/* The far end of the clock is a way of saying never. */
static void
test_never(void)
{
    node one;

    begin();
    init_nodes(&one, 1);
    CHECK_EQ_INT(aif_deadline_set(&loop.deadlines, &one.deadline, UINT64_MAX),
                 0);
    aif_loop_run(&loop);
    CHECK_EQ_INT(aif_loop_timeout(&loop), INT_MAX);
    CHECK_EQ_INT(one.fired, 0);
    aif_deadline_clear(&loop.deadlines, &one.deadline);
    end();
}

int
main(void)
{
    test_order_and_precision();
    test_lateness();
    test_move_and_clear();
    test_inside_on_due();
    test_many_against_a_model();
    test_later_ones_cost_nothing();
    test_out_of_memory();
    test_the_end();
    test_never();
    return check_failures();
}
