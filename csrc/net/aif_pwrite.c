/* aif_pwrite.c -- one request of libuv, made again until all is written. */
#include "net/aif_pwrite.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <unistd.h>

#include "base/aif_err.h"
#include "base/aif_mem.h"

typedef struct writing {
    aif_loop *loop;
    aif_pwrite_cb on_written;
    void *user;
    uv_fs_t req;
    int fd;
    uint64_t offset;
    const char *data;
    size_t len;
} writing;

static void on_step(uv_fs_t *req);

static int
write_step(writing *w)
{
    uv_buf_t buf = uv_buf_init((char *)(uintptr_t)w->data, 0);
    int rc;

    buf.len = w->len < INT_MAX ? w->len : INT_MAX;
    rc = uv_fs_write(&w->loop->uv, &w->req, w->fd, &buf, 1, (int64_t)w->offset,
                     on_step);
    if (rc == 0) {
        w->loop->lookups++;
        aif_loop_want(w->loop);
    }
    return rc;
}

static void
on_step(uv_fs_t *req)
{
    writing *w = AIF_LIST_ENTRY(req, writing, req);
    ssize_t n = req->result;
    int rc = 0;

    uv_fs_req_cleanup(req);
    w->loop->lookups--;
    if (n <= 0) {
        rc = n < 0 ? (int)n : UV_EIO;
    }
    else {
        w->data += n;
        w->len -= (size_t)n;
        w->offset += (uint64_t)n;
        if (w->len > 0) {
            rc = w->loop->closing ? UV_ECANCELED : write_step(w);
            if (rc == 0) {
                return;
            }
        }
    }
    (void)close(w->fd);
    w->on_written(w->user, rc);
    aif_mem_free(w);
}

int
aif_pwrite(aif_loop *loop, int fd, uint64_t offset, const char *data,
           size_t len, aif_pwrite_cb on_written, void *user)
{
    writing *w;
    int rc;

    if (loop->closing) {
        return AIF_ECLOSED;
    }
    w = aif_mem_alloc(sizeof(*w));
    if (w == NULL) {
        return AIF_ENOMEM;
    }
    *w = (writing){.loop = loop,
                   .on_written = on_written,
                   .user = user,
                   .offset = offset,
                   .data = data,
                   .len = len};
    w->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    rc = w->fd < 0 ? uv_translate_sys_error(errno) : write_step(w);
    if (rc < 0) {
        if (w->fd >= 0) {
            (void)close(w->fd);
        }
        aif_mem_free(w);
    }
    return rc;
}
