// escape: open the terminal of whoever started the sandbox
// layer: landlock, lockdown
// outside: works
#include "payload.h"

static void attempt(void) {
    int fd = open("/dev/tty", O_RDWR | O_NOCTTY);
    if (fd < 0) blocked("open(/dev/tty)");
    worked("it is open (fd %d)", fd);
}
