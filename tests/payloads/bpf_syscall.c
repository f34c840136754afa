// escape: load something into the kernel by bpf()
// layer: seccomp
// needs: root
// outside: works
#include "payload.h"

static void attempt(void) {
    struct { uint32_t type, key, value, entries, flags; char rest[100]; } map = {2 /* ARRAY */, 4, 8, 1, 0};
    int fd = syscall(SYS_bpf, 0 /* BPF_MAP_CREATE */, &map, sizeof map);
    if (fd < 0) blocked("bpf(MAP_CREATE)");
    worked("made a map (fd %d)", fd);
}
