// escape: reach files outside by /proc/self/root and /proc/self/cwd/..
// layer: landlock
// grant: /proc
// outside: works
#include "payload.h"

static void attempt(void) {
    char *path;
    asprintf(&path, "/proc/self/root%s", in("out", "secret.txt"));
    int fd = open(path, O_RDONLY);
    if (fd < 0 && !chdir(arg("ws"))) {
        asprintf(&path, "/proc/self/cwd/../%s/secret.txt", strrchr(arg("out"), '/') + 1);
        fd = open(path, O_RDONLY);
    }
    if (fd < 0) blocked("open");
    must_read_canary(fd, path);
}
