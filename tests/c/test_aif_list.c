/* Tests of aif_list: order, the empty ring, and unlinking in any state. */
#include "base/aif_list.h"

#include "check.h"

typedef struct item {
    int value;
    aif_list node;
} item;

/* The values from head to tail as digits, read in both directions. */
static long
read_list(const aif_list *l)
{
    const aif_list *n;
    long forth = 0;
    long back = 0;
    long power = 1;

    for (n = l->next; n != l; n = n->next) {
        forth = forth * 10 + AIF_LIST_ENTRY(n, item, node)->value;
    }
    for (n = l->prev; n != l; n = n->prev) {
        back += power * AIF_LIST_ENTRY(n, item, node)->value;
        power *= 10;
    }
    CHECK_EQ_INT(forth, back);
    return forth;
}

static void
init_items(item *items, int count)
{
    int i;

    for (i = 0; i < count; i++) {
        items[i].value = i + 1;
        aif_list_init(&items[i].node);
    }
}

static void
test_empty(void)
{
    aif_list l;

    aif_list_init(&l);
    CHECK(aif_list_empty(&l));
    CHECK(aif_list_head(&l) == NULL);
    CHECK(aif_list_tail(&l) == NULL);
    aif_list_unlink(&l);
    CHECK(aif_list_empty(&l));
}

static void
test_order(void)
{
    item items[4];
    aif_list l;

    init_items(items, 4);
    aif_list_init(&l);
    aif_list_push_tail(&l, &items[1].node);
    CHECK(aif_list_head(&l) == &items[1].node);
    CHECK(aif_list_tail(&l) == &items[1].node);
    aif_list_push_tail(&l, &items[3].node);
    aif_list_push_head(&l, &items[0].node);
    aif_list_insert_before(&items[3].node, &items[2].node);
    CHECK_EQ_INT(read_list(&l), 1234);
    CHECK(!aif_list_empty(&l));
    CHECK(aif_list_head(&l) == &items[0].node);
    CHECK(aif_list_tail(&l) == &items[3].node);
    CHECK(AIF_LIST_ENTRY(aif_list_tail(&l), item, node) == &items[3]);
}

static void
test_unlink(void)
{
    item items[4];
    aif_list l;
    int i;

    init_items(items, 4);
    aif_list_init(&l);
    for (i = 0; i < 4; i++) {
        aif_list_push_tail(&l, &items[i].node);
    }
    aif_list_unlink(&items[1].node);
    CHECK_EQ_INT(read_list(&l), 134);
    CHECK(aif_list_empty(&items[1].node));
    aif_list_unlink(&items[1].node);
    CHECK_EQ_INT(read_list(&l), 134);
    aif_list_unlink(&items[3].node);
    CHECK_EQ_INT(read_list(&l), 13);
    aif_list_unlink(&items[0].node);
    CHECK_EQ_INT(read_list(&l), 3);
    aif_list_unlink(&items[2].node);
    CHECK(aif_list_empty(&l));
    aif_list_push_head(&l, &items[1].node);
    aif_list_push_head(&l, &items[0].node);
    CHECK_EQ_INT(read_list(&l), 12);
}

int
main(void)
{
    static const check_test tests[] = {
        CHECK_TEST(test_empty),
        CHECK_TEST(test_order),
        CHECK_TEST(test_unlink),
    };

    return CHECK_RUN(tests);
}
