// escape: a network socket by the 32-bit entry, where the socket call has another number
// layer: seccomp
// dies: yes
// outside: works
#include "payload.h"

#ifdef __x86_64__
static void no_entry(int sig) { skip("this kernel has no 32-bit entry"); }

static void attempt(void) {
    int fd;
    signal(SIGSEGV, no_entry);
    __asm__ volatile("int $0x80"
                     : "=a"(fd)
                     : "a"(359 /* socket */), "b"(AF_INET), "c"(SOCK_DGRAM), "d"(0)
                     : "memory", "r8", "r9", "r10", "r11");
    errno = -fd;
    if (fd < 0) blocked("socket by int 0x80");
    worked("opened a UDP socket (fd %d)", fd);
}
#else
static void attempt(void) { skip("x86_64 only"); }
#endif
