// escape: look into the homes of the machine's users
// layer: landlock
// outside: works
#include "payload.h"

static void attempt(void) {
    if (!opendir("/home")) blocked("opendir(/home)");
    worked("listed /home");
}
