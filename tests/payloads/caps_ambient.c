// escape: keep capabilities over exec in the ambient or bounding set
// layer: capabilities
// needs: root
// outside: works
#include "payload.h"

static void attempt(void) {
    for (int cap = 0; cap < 41; cap++)
        if (prctl(PR_CAPBSET_READ, cap, 0, 0, 0) == 1 || prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, cap, 0, 0) == 1)
            worked("capability %d is in a set", cap);
    no_effect("looking at the sets");
}
