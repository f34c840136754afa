// escape: rename the machine (to the name it has)
// layer: seccomp, capabilities
// needs: root
// outside: works
#include "payload.h"

static void attempt(void) {
    struct utsname name;
    if (uname(&name) < 0) blocked("uname");
    if (sethostname(name.nodename, strlen(name.nodename)) < 0) blocked("sethostname");
    worked("sethostname is open");
}
