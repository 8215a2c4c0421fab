/* nomalloc -- a library for tests, to be preloaded: the n-th block of the C
 * library's memory that one shared object asks for fails, and no other.
 *
 * What asks is told by the return address: the shared object itself, whose
 * core allocates by malloc(), and libzstd, which no other uses. What OpenSSL
 * asks for counts where the stack leads to the object before it leads to
 * Python, which has an ssl module of its own. libuv is left out: it ends the
 * process where it cannot have its tables (tests/c/test_torture.c fails the
 * rest of what it asks for).
 *
 * nomalloc_watch(path)  whose blocks; 0, or -1 if it is not loaded
 * nomalloc_arm(n)       the n-th that this thread asks for fails; 0: none
 * nomalloc_disarm()     the address that asked for the one that failed,
 *                       relative to its object's; 0 if none did
 */
#define _GNU_SOURCE
#include <link.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unwind.h>

typedef struct range {
    uintptr_t begin, end;
} range;

enum { WATCHED, ZSTD, SSL, CRYPTO, RANGES };

static range ranges[RANGES];
static _Thread_local long left;
static _Thread_local int looking;
static _Thread_local uintptr_t failed_for;

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *old, size_t size);

long nomalloc_disarm(void);
int nomalloc_watch(const char *path);
void nomalloc_arm(long n);

static int
in(int which, uintptr_t pc)
{
    return pc >= ranges[which].begin && pc < ranges[which].end;
}

/* ---- who is where ------------------------------------------------------- */

static int
each_object(struct dl_phdr_info *info, size_t size, void *path)
{
    static const char *const names[] = {NULL, "libzstd.so", "libssl.so",
                                        "libcrypto.so"};
    const char *name = info->dlpi_name, *last = strrchr(name, '/');
    int which = RANGES;

    (void)size;
    last = last == NULL ? name : last + 1;
    for (int i = 1; i < RANGES; i++) {
        which = strncmp(last, names[i], strlen(names[i])) == 0 ? i : which;
    }
    which = strcmp(name, path) == 0 ? WATCHED : which;
    for (int i = 0; which < RANGES && i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &info->dlpi_phdr[i];
        uintptr_t begin = info->dlpi_addr + part->p_vaddr;

        if (part->p_type == PT_LOAD) {
            range *r = &ranges[which];

            r->begin = r->begin == 0 || begin < r->begin ? begin : r->begin;
            r->end = begin + part->p_memsz > r->end ? begin + part->p_memsz
                                                    : r->end;
        }
    }
    return 0;
}

int
nomalloc_watch(const char *path)
{
    memset(ranges, 0, sizeof(ranges));
    (void)dl_iterate_phdr(each_object, (void *)(uintptr_t)path);
    return ranges[WATCHED].end == 0 ? -1 : 0;
}

void
nomalloc_arm(long n)
{
    failed_for = 0;
    left = n;
}

long
nomalloc_disarm(void)
{
    left = 0;
    return failed_for == 0 ? 0
                           : (long)(failed_for - ranges[WATCHED].begin);
}

/* ---- who asks ----------------------------------------------------------- */

/* Outwards through OpenSSL, to whoever called that. */
static _Unwind_Reason_Code
each_frame(struct _Unwind_Context *context, void *arg)
{
    uintptr_t pc = (uintptr_t)_Unwind_GetIP(context) - 1;
    uintptr_t *own = arg;

    if (*own == 0) {
        *own = pc; /* this very library: the frames of malloc() */
        return _URC_NO_REASON;
    }
    if (in(SSL, pc) || in(CRYPTO, pc)) {
        *own = 1;
        return _URC_NO_REASON;
    }
    if (*own != 1) {
        return _URC_NO_REASON;
    }
    *own = in(WATCHED, pc) ? 2 : 3;
    return _URC_END_OF_STACK;
}

static int
asked_by_openssl_for_us(void)
{
    uintptr_t found = 0;

    looking = 1; /* Unwinding may allocate. */
    (void)_Unwind_Backtrace(each_frame, &found);
    looking = 0;
    return found == 2;
}

static int
must_fail(void *caller)
{
    uintptr_t pc = (uintptr_t)caller - 1;

    if (left == 0 || looking) {
        return 0;
    }
    if (!in(WATCHED, pc) && !in(ZSTD, pc)
        && !((in(SSL, pc) || in(CRYPTO, pc)) && asked_by_openssl_for_us()))
    {
        return 0;
    }
    if (--left > 0) {
        return 0;
    }
    failed_for = pc;
    return 1;
}

void *
malloc(size_t size)
{
    return must_fail(__builtin_return_address(0)) ? NULL : __libc_malloc(size);
}

void *
calloc(size_t n, size_t size)
{
    return must_fail(__builtin_return_address(0)) ? NULL
                                                  : __libc_calloc(n, size);
}

void *
realloc(void *old, size_t size)
{
    return must_fail(__builtin_return_address(0)) ? NULL
                                                  : __libc_realloc(old, size);
}
