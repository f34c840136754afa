// escape: the 32-bit entry, whose numbers mean other calls
// layer: seccomp
// dies: yes
// outside: works
#include "payload.h"

#ifdef __x86_64__
static void no_entry(int sig) { skip("this kernel has no 32-bit entry"); }

static void attempt(void) {
    int pid;
    signal(SIGSEGV, no_entry);
    __asm__ volatile("int $0x80" : "=a"(pid) : "a"(20 /* getpid */) : "memory", "r8", "r9", "r10", "r11");
    errno = -pid;
    if (pid != getpid()) blocked("getpid by int 0x80");
    worked("it answered: %d", pid);
}
#else
static void attempt(void) { skip("x86_64 only"); }
#endif
