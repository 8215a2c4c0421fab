/* aif_pread -- a descriptor of its own, a buffer, and one request of libuv.
 *
 * The buffer and the descriptor are the thread's while it reads, so that a
 * close in between only leaves a note.
 */
#include "net/aif_pread.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/aif_err.h"
#include "base/aif_mem.h"

struct aif_pread {
    aif_loop *loop;
    aif_pread_cb on_read;
    void *user;
    uv_fs_t req;
    int fd;
    unsigned busy : 1; /* |req| is with libuv */
    unsigned closed : 1;
    size_t room;
    char data[];
};

aif_pread *
aif_pread_new(aif_loop *loop, int fd, size_t room, aif_pread_cb on_read,
              void *user, int *code)
{
    aif_pread *p;

    if (loop->closing) {
        *code = AIF_ECLOSED;
        return NULL;
    }
    p = aif_mem_alloc(sizeof(*p) + room);
    if (p == NULL) {
        *code = AIF_ENOMEM;
        return NULL;
    }
    *p = (aif_pread){.loop = loop, .on_read = on_read, .user = user};
    p->room = room;
    p->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (p->fd < 0) {
        *code = uv_translate_sys_error(errno);
        aif_mem_free(p);
        return NULL;
    }
    return p;
}

static void
let_go(aif_pread *p)
{
    if (p->closed && !p->busy) {
        (void)close(p->fd);
        aif_mem_free(p);
    }
}

static void
on_done(uv_fs_t *req)
{
    aif_pread *p = AIF_LIST_ENTRY(req, aif_pread, req);
    ssize_t n = req->result;

    uv_fs_req_cleanup(req);
    p->busy = 0;
    p->loop->lookups--;
    if (p->closed) {
        let_go(p);
        return;
    }
    p->on_read(p->user, p->data, n);
}

int
aif_pread_start(aif_pread *p, uint64_t offset, size_t len)
{
    uv_buf_t buf = uv_buf_init(p->data, 0);
    int rc;

    buf.len = len < p->room ? len : p->room;
    rc = uv_fs_read(&p->loop->uv, &p->req, p->fd, &buf, 1, (int64_t)offset,
                    on_done);
    if (rc == 0) {
        p->busy = 1;
        p->loop->lookups++;
        aif_loop_want(p->loop);
    }
    return rc;
}

void
aif_pread_close(aif_pread *p)
{
    if (p == NULL || p->closed) {
        return;
    }
    p->closed = 1;
    if (p->busy) {
        (void)uv_cancel((uv_req_t *)&p->req);
    }
    let_go(p);
}
