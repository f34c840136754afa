// What every payload shares: arguments, verdicts, and a few ways to prove a point.
//
// A payload defines `attempt()`, which must end in worked() (exit 0), blocked() (1) or
// skip() (2). Its arguments are key=value; README.md lists the keys.
#ifndef PAYLOAD_H
#define PAYLOAD_H
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

// Newer than the oldest headers these are compiled with; the same on every architecture.
#define NR_pidfd_send_signal 424
#define NR_io_uring_setup 425
#define NR_io_uring_enter 426
#define NR_open_tree 428
#define NR_fsopen 430
#define NR_fsconfig 431
#define NR_pidfd_open 434
#define NR_clone3 435
#define NR_openat2 437
#define NR_pidfd_getfd 438
#define NR_process_madvise 440
#define NR_landlock_create_ruleset 444
#define NR_landlock_restrict_self 446
#define NR_fchmodat2 452
#define NR_setxattrat 463

static char **payload_argv;

static void attempt(void);

// dprintf and _exit, not stdio: verdicts are given from threads and forked children too.
#define say(...) dprintf(2, __VA_ARGS__)

__attribute__((noreturn, format(printf, 1, 2))) static inline void worked(const char *format, ...) {
    va_list list;
    va_start(list, format);
    say("worked: ");
    vdprintf(2, format, list);
    say("\n");
    va_end(list);
    _exit(0);
}

// The call named was refused, with the errno of the moment.
__attribute__((noreturn)) static inline void blocked(const char *call) {
    int error = errno;
    say("blocked: %s: %s (errno %d)\n", call, strerror(error), error);
    _exit(1);
}

// Every call succeeded, yet nothing came of it.
__attribute__((noreturn)) static inline void no_effect(const char *what) {
    say("blocked: %s had no effect\n", what);
    _exit(1);
}

__attribute__((noreturn, format(printf, 1, 2))) static inline void skip(const char *format, ...) {
    va_list list;
    va_start(list, format);
    say("couldn't try: ");
    vdprintf(2, format, list);
    say("\n");
    va_end(list);
    _exit(2);
}

static inline const char *maybe(const char *key) {
    size_t length = strlen(key);
    for (char **word = payload_argv + 1; *word; word++)
        if (!strncmp(*word, key, length) && (*word)[length] == '=') return *word + length + 1;
    return NULL;
}

static inline const char *arg(const char *key) {
    const char *value = maybe(key);
    if (!value) skip("argument %s= is missing", key);
    return value;
}

static inline int number(const char *key) { return atoi(arg(key)); }

// A path below the directory `key`, which need not exist.
static inline char *join(const char *key, const char *name) {
    char *path;
    if (asprintf(&path, "%s/%s", arg(key), name) < 0) skip("out of memory");
    return path;
}

// A path below the directory `key` that must be there: ENOENT would be no proof of a wall.
static inline char *in(const char *key, const char *name) {
    char *path = join(key, name);
    struct stat st;
    if (lstat(path, &st) < 0 && errno == ENOENT) skip("%s is missing", path);
    return path;
}

static inline struct stat stat_of(const char *path) {
    struct stat st;
    if (lstat(path, &st) < 0) blocked("stat of the outcome");
    return st;
}

static inline void must_read_canary(int fd, const char *how) {
    char text[64] = "";
    ssize_t n = read(fd, text, sizeof text - 1);
    if (n < 0) blocked("read");
    if (!strstr(text, "CANARY-SECRET")) no_effect(how);
    worked("read the secret by %s", how);
}

// A file of our own in the workspace, opened for reading and writing.
static inline int own_file(const char *name, mode_t mode) {
    int fd = open(join("ws", name), O_RDWR | O_CREAT | O_CLOEXEC, mode);
    if (fd < 0) skip("the workspace isn't writable: %s", strerror(errno));
    return fd;
}

static inline void pause_ms(long ms) {
    struct timespec t = {ms / 1000, ms % 1000 * 1000000};
    while (nanosleep(&t, &t) < 0 && errno == EINTR) {}
}

static inline double seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

// For calls younger than some kernels: ENOSYS from the kernel would look like a wall.
static inline void need_kernel(int major, int minor) {
    struct utsname name;
    int have[2] = {0, 0};
    if (uname(&name) < 0) blocked("uname");
    sscanf(name.release, "%d.%d", &have[0], &have[1]);
    if (have[0] < major || (have[0] == major && have[1] < minor)) skip("needs Linux %d.%d", major, minor);
}

// The number in a /proc/sys file, or `otherwise` where it can't be read.
static inline long setting(const char *path, long otherwise) {
    char text[32] = "";
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return otherwise;
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    return n > 0 ? atol(text) : otherwise;
}

// Yama and friends refuse strangers without any sandbox; then there is nothing to learn.
static inline void blocked_unless_yama(const char *call) {
    int error = errno;
    if (geteuid() && setting("/proc/sys/kernel/yama/ptrace_scope", 0) > 0) skip("Yama forbids it here");
    errno = error;
    blocked(call);
}

static inline void blocked_unless_no_userns(const char *call) {
    int error = errno;
    if (setting("/proc/sys/user/max_user_namespaces", 1) == 0 ||
        (geteuid() && setting("/proc/sys/kernel/unprivileged_userns_clone", 1) == 0) ||
        (geteuid() && setting("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", 0) == 1))
        skip("user namespaces are disabled here");
    errno = error;
    blocked(call);
}

// 1 if `sig` is pending for `pid` (the victim blocks all signals), 0 if not, -1 if unknown.
static inline int pending(int pid, int sig) {
    char path[64], line[256];
    int found = -1;
    snprintf(path, sizeof path, "/proc/%d/status", pid);
    FILE *status = fopen(path, "re");
    if (!status) return -1;
    while (fgets(line, sizeof line, status)) {
        if (strncmp(line, "SigPnd:", 7) && strncmp(line, "ShdPnd:", 7)) continue;
        if (found < 0) found = 0;
        if (strtoull(line + 7, NULL, 16) >> (sig - 1) & 1) found = 1;
    }
    fclose(status);
    return found;
}

// The victim must be there, or its absence would look like a wall.
static inline int victim(void) {
    int pid = number("vpid");
    if (kill(pid, 0) < 0 && errno == ESRCH) skip("the victim is gone");
    return pid;
}

static inline int pidfd_of(int pid) {
    int fd = syscall(NR_pidfd_open, pid, 0);
    if (fd < 0) blocked("pidfd_open");
    return fd;
}

static inline struct sockaddr_in loopback(int port) {
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static inline struct sockaddr_un unix_address(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path) skip("socket path too long");
    strcpy(address.sun_path, path);
    return address;
}

static inline int new_socket(int family, int type, int protocol) {
    int fd = socket(family, type | SOCK_CLOEXEC, protocol);
    if (fd < 0) blocked("socket");
    struct timeval limit = {2, 0};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    return fd;
}

// The server on the other end sends back what it gets.
static inline void must_echo(int fd, const char *how) {
    char answer[8] = "";
    if (send(fd, "ping", 4, MSG_NOSIGNAL) != 4) blocked("send");
    if (recv(fd, answer, sizeof answer, 0) < 4) blocked("recv");
    if (memcmp(answer, "ping", 4)) no_effect(how);
    worked("talked to a server outside by %s", how);
}

// Waits for a forked child and hands back its exit code, or -1 if a signal ended it.
static inline int reap(pid_t child) {
    int status;
    if (waitpid(child, &status, __WALL) < 0) blocked("waitpid");
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

// Whether a program ran and ended with code 42; if not, errno is execve's.
static inline int ran(const char *path, char *const argv[]) {
    pid_t child = fork();
    if (child < 0) blocked("fork");
    if (!child) {
        // A fork of the harness may hold the new file open for a moment.
        for (int i = 0; i < 100 && execv(path, argv) && errno == ETXTBSY; i++) pause_ms(2);
        _exit(errno);
    }
    errno = reap(child);
    return errno == 42;
}

// Copies this program's file, which a sandbox must let it read, to `to`.
static inline void copy_self(int to) {
    char buffer[65536];
    ssize_t n;
    int from = open(payload_argv[0], O_RDONLY | O_CLOEXEC);
    if (from < 0) skip("can't read my own program");
    while ((n = read(from, buffer, sizeof buffer)) > 0)
        if (write(to, buffer, n) != n) blocked("write of a program");
    close(from);
}

// Writes to every page, so that the memory is really used.
static inline void touch(char *memory, size_t size) {
    for (size_t i = 0; i < size; i += 4096) memory[i] = 1;
}

int main(int argc, char **argv) {
    payload_argv = argv;
    attempt();
    say("the payload ended without a verdict\n");
    return 3;
}
#endif
