// escape: make a control group, the start of several known escapes
// layer: landlock
// needs: root
// outside: works
#include "payload.h"

static void attempt(void) {
    static const char *roots[] = {"/sys/fs/cgroup", "/sys/fs/cgroup/unified", "/sys/fs/cgroup/cpu"};
    char path[64];
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/evalbox-payload-%d", roots[i], getpid());
        if (mkdir(path, 0755) == 0) {
            rmdir(path);
            worked("made %s", path);
        }
    }
    blocked("mkdir below /sys/fs/cgroup");
}
