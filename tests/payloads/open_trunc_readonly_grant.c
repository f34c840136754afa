// escape: open(O_RDONLY | O_TRUNC): a read that empties the file
// layer: landlock
// outside: works
#include "payload.h"

static void attempt(void) {
    if (open(in("ro", "file.txt"), O_RDONLY | O_TRUNC) < 0) blocked("open(O_TRUNC)");
    if (stat_of(in("ro", "file.txt")).st_size) no_effect("O_TRUNC");
    worked("emptied it");
}
