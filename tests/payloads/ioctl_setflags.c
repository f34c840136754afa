// escape: change a file's flags (chattr) by a descriptor that may only read
// layer: seccomp
// outside: works
#include "payload.h"

static void attempt(void) {
    int fd = open(in("ro", "file.txt"), O_RDONLY);
    if (fd < 0) blocked("open");
    int flags = 0;
    if (ioctl(fd, _IOR('f', 1, long), &flags) < 0) blocked("ioctl(FS_IOC_GETFLAGS)");
    flags |= 0x40; // nodump
    if (ioctl(fd, _IOW('f', 2, long), &flags) < 0) blocked("ioctl(FS_IOC_SETFLAGS)");
    worked("set a flag");
}
