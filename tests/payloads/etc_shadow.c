// escape: read the password hashes
// layer: landlock, capabilities
// needs: root
// outside: works
#include "payload.h"

static void attempt(void) {
    if (open("/etc/shadow", O_RDONLY) < 0) blocked("open");
    worked("opened /etc/shadow");
}
