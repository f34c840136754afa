// escape: list /tmp, where other sandboxes and the host keep their files
// layer: landlock
// outside: works
#include "payload.h"

static void attempt(void) {
    if (!opendir("/tmp")) blocked("opendir(/tmp)");
    worked("listed /tmp");
}
