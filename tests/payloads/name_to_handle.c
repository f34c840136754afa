// escape: open a file outside by its handle, without a path
// layer: seccomp, capabilities
// needs: root
// outside: works
#include "payload.h"

static void attempt(void) {
    struct { struct file_handle handle; char bytes[128]; } file;
    int mount;
    file.handle.handle_bytes = 128;
    if (name_to_handle_at(AT_FDCWD, in("out", "secret.txt"), &file.handle, &mount, 0) < 0) {
        if (errno == EOPNOTSUPP) skip("this filesystem has no handles");
        blocked("name_to_handle_at");
    }
    int dir = open(arg("ws"), O_RDONLY | O_DIRECTORY);
    if (dir < 0) blocked("open of the workspace");
    int fd = open_by_handle_at(dir, &file.handle, O_RDONLY);
    if (fd < 0) blocked("open_by_handle_at");
    must_read_canary(fd, "its handle");
}
