// escape: leave a set-user-id program behind, by descriptor
// layer: seccomp, guard
// outside: works
#include "payload.h"

static void attempt(void) {
    int fd = own_file("prog", 0755);
    if (fchmod(fd, 06755) < 0) blocked("fchmod(06755)");
    if (!(stat_of(join("ws", "prog")).st_mode & 06000)) no_effect("fchmod(06755)");
    worked("the bit is set");
}
