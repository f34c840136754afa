// escape: walk out of the workspace by ..
// layer: landlock
// outside: works
#include "payload.h"

static void attempt(void) {
    if (chdir(arg("ws")) < 0) blocked("chdir");
    in("out", "secret.txt");
    const char *out = arg("out");
    char *path;
    asprintf(&path, "../%s/secret.txt", strrchr(out, '/') + 1);
    int fd = open(path, O_RDONLY);
    if (fd < 0) blocked("open");
    must_read_canary(fd, "..");
}
