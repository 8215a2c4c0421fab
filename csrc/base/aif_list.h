/* aif_list -- an intrusive doubly linked ring, header only.
 *
 * A list head and a node are the same struct. An unlinked node points to
 * itself, so unlinking twice is harmless. The list owns nothing.
 */
#ifndef AIF_LIST_H
#define AIF_LIST_H

#include <assert.h>
#include <stddef.h>

typedef struct aif_list aif_list;

struct aif_list {
    aif_list *next;
    aif_list *prev;
};

/* The object of |type| whose member |member| is the node |node|. */
#define AIF_LIST_ENTRY(node, type, member)                                    \
    ((type *)(void *)((char *)(node) - offsetof(type, member)))

static inline void
aif_list_init(aif_list *l)
{
    l->next = l;
    l->prev = l;
}

static inline int
aif_list_empty(const aif_list *l)
{
    return l->next == l;
}

static inline void
aif_list_unlink(aif_list *n)
{
    n->prev->next = n->next;
    n->next->prev = n->prev;
    n->next = n;
    n->prev = n;
}

/* Links |n| in front of |at|; with |at| a list head that is the tail. */
static inline void
aif_list_insert_before(aif_list *at, aif_list *n)
{
    assert(at->prev != NULL);
    n->prev = at->prev;
    n->next = at;
    at->prev->next = n;
    at->prev = n;
}

static inline void
aif_list_push_tail(aif_list *l, aif_list *n)
{
    aif_list_insert_before(l, n);
}

static inline void
aif_list_push_head(aif_list *l, aif_list *n)
{
    aif_list_insert_before(l->next, n);
}

/* The first node, or NULL when the list is empty. */
static inline aif_list *
aif_list_head(aif_list *l)
{
    return l->next == l ? NULL : l->next;
}

/* The last node, or NULL when the list is empty. */
static inline aif_list *
aif_list_tail(aif_list *l)
{
    return l->prev == l ? NULL : l->prev;
}

#endif
