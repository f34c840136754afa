// escape: watch what happens in a directory outside
// layer: seccomp
// outside: works
#include "payload.h"

#include <sys/inotify.h>

static void attempt(void) {
    in("out", "secret.txt");
    int fd = inotify_init1(IN_CLOEXEC);
    if (fd < 0) blocked("inotify_init1");
    if (inotify_add_watch(fd, arg("out"), IN_ALL_EVENTS) < 0) blocked("inotify_add_watch");
    worked("watching it");
}
