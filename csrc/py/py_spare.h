/* py_spare -- the memory of large bodies that nobody has any more, for the
 * next ones.
 *
 * Fresh pages, cleared by the kernel one by one, are a good part of what a
 * large body costs, and the allocator gives those of a large `bytes` back at
 * once. So a host keeps a reference to the large bodies it has handed out;
 * when it is the only one left, that object becomes the next body of about the
 * size. What nobody wants within a second or so is let go.
 *
 * Owner:  the host. Thread: the loop's, with the interpreter.
 * Python: freeing `bytes` runs none, so all of this may be called inside the
 *         core.
 */
#ifndef PY_SPARE_H
#define PY_SPARE_H

#include "net/aif_loop.h"
#include "py/py_compat.h"

#define SPARE_MIN (1024u * 1024u)       /* from here on it pays */
#define SPARE_ALL (64u * 1024u * 1024u) /* all that is kept */
#define SPARE_COUNT 8u

typedef struct spare_set {
    aif_loop *loop;
    aif_deadline deadline; /* when to look what is too old */
    size_t size;           /* of all of them */
    unsigned count;
    struct {
        PyObject *bytes; /* owned */
        uint64_t since;  /* ns */
    } at[SPARE_COUNT];   /* the oldest first */
} spare_set;

void spare_init(spare_set *s, aif_loop *loop);

/* Lets all of them go; while the loop is there. */
void spare_fini(spare_set *s);

/* |bytes| is whole and on its way to the program: it may be used again once
 * the program has dropped it. Harmless for what is small. */
void spare_keep(spare_set *s, PyObject *bytes);

/* A `bytes` of |len| bytes that nobody else has, its content whatever it was;
 * NULL, without an exception, if there is none of the kind. */
PyObject *spare_take(spare_set *s, size_t len);

#endif
