// escape: a personality that makes memory executable or addresses predictable
// layer: seccomp
// outside: works
#include "payload.h"

static void attempt(void) {
    if (syscall(SYS_personality, 0x0040000 /* ADDR_NO_RANDOMIZE */) < 0) blocked("personality");
    if (!(syscall(SYS_personality, 0xffffffff) & 0x0040000)) no_effect("personality");
    worked("addresses are predictable");
}
