// escape: open the descriptors of its parent, which may be the sandbox's own guard
// layer: landlock
// grant: /proc
// outside: works
#include "payload.h"

static void attempt(void) {
    char path[300];
    snprintf(path, sizeof path, "/proc/%d/fd", getppid());
    DIR *list = opendir(path);
    if (!list) blocked_unless_yama("opendir");
    // The numbers may be listed by the same user; what they lead to must stay closed.
    for (struct dirent *entry; (entry = readdir(list));) {
        if (entry->d_name[0] == '.') continue;
        char target[300];
        snprintf(path, sizeof path, "/proc/%d/fd/%s", getppid(), entry->d_name);
        if (readlink(path, target, sizeof target) > 0) worked("read where one leads");
        if (open(path, O_RDONLY | O_NONBLOCK) >= 0) worked("opened one");
    }
    blocked_unless_yama("readlink and open");
}
