// escape: read the memory of a process outside
// layer: seccomp, landlock
// outside: works
#include "payload.h"

static void attempt(void) {
    char text[4096];
    struct iovec here = {text, sizeof text};
    struct iovec there = {(void *)strtoul(arg("vstack"), NULL, 16), sizeof text};
    if (process_vm_readv(victim(), &here, 1, &there, 1, 0) < 0) blocked_unless_yama("process_vm_readv");
    if (!memmem(text, sizeof text, "CANARY-VICTIM", 13)) no_effect("process_vm_readv");
    worked("read the victim's secret");
}
