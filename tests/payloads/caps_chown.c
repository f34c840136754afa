// escape: give a file of its own to another user
// layer: capabilities, guard
// needs: root
// outside: works
#include "payload.h"

static void attempt(void) {
    int fd = own_file("gift", 0644);
    if (fchown(fd, 12345, 12345) < 0) blocked("fchown");
    worked("gave it away");
}
