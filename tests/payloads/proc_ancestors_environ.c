// escape: read the environment of any ancestor, up to the host that started the sandbox
// layer: landlock
// grant: /proc
// outside: works
#include "payload.h"

static void attempt(void) {
    char path[64], line[256];
    for (int pid = getppid(), next; pid > 1; pid = next) {
        snprintf(path, sizeof path, "/proc/%d/environ", pid);
        if (open(path, O_RDONLY) >= 0) worked("read %s", path);
        snprintf(path, sizeof path, "/proc/%d/status", pid);
        FILE *status = fopen(path, "re");
        next = 0;
        while (status && fgets(line, sizeof line, status)) sscanf(line, "PPid: %d", &next);
        if (status) fclose(status);
    }
    blocked_unless_yama("open of every ancestor's environ");
}
