// escape: lchown on a file outside
// layer: guard
// outside: works
#include "payload.h"

static void attempt(void) {
    if (lchown(in("out", "victim.txt"), getuid(), getgid()) < 0) blocked("lchown");
    worked("lchown");
}
