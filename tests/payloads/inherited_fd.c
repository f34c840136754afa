// escape: use a descriptor the host forgot to close
// layer: lockdown
// outside: works
#include "payload.h"

static void attempt(void) {
    int found = 0;
    for (int fd = 3; fd < 1024; fd++) {
        struct stat st;
        if (fstat(fd, &st) < 0) continue;
        say("descriptor %d is open, type %o\n", fd, st.st_mode & S_IFMT);
        found++;
    }
    if (!found) no_effect("looking for descriptors");
    worked("%d descriptors", found);
}
