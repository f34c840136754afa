// escape: walk out by .. from a handle of a granted directory
// layer: landlock
// outside: works
#include "payload.h"

static void attempt(void) {
    int dir = open(arg("ro"), O_RDONLY | O_DIRECTORY);
    if (dir < 0) blocked("open of the grant");
    in("out", "secret.txt");
    char *path;
    asprintf(&path, "../%s/secret.txt", strrchr(arg("out"), '/') + 1);
    int fd = openat(dir, path, O_RDONLY);
    if (fd < 0) blocked("openat");
    must_read_canary(fd, "openat and ..");
}
