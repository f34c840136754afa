// escape: leave a set-user-id program behind
// layer: seccomp, guard
// outside: works
#include "payload.h"

static void attempt(void) {
    own_file("prog", 0755);
    if (chmod(join("ws", "prog"), 04755) < 0) blocked("chmod(04755)");
    if (!(stat_of(join("ws", "prog")).st_mode & 06000)) no_effect("chmod(04755)");
    worked("the bit is set");
}
