/* The small text files that outlive the runner. Each appears whole or not at all, and is on disk before
 * anybody acts on it. */
#include "runner.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

int64_t clock_ns(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Whatever cannot be ruled out exists: an unreadable fence is a fence. */
bool record_exists(int folder, const char *name) {
    struct stat info;
    return fstatat(folder, name, &info, AT_SYMLINK_NOFOLLOW) == 0 || errno != ENOENT;
}

/* Whether the fsync of a new file also makes its name durable, which the standard does not ask for: ext4 commits both
 * in one transaction, and without a journal writes the folders above a new file; XFS and btrfs log the name. */
static bool names_with_file(int fd) {
    struct statfs info;
    if (fstatfs(fd, &info) != 0)
        return false;
    const unsigned long type = (unsigned long)info.f_type;
    return type == 0xef53 || type == 0x58465342 || type == 0x9123683e;
}

/* The name first, then one commit for content and name together. A power cut between may leave the record empty:
 * `started` then still says "maybe ran", and an empty `exit` says as much as none. An exclusive record has its name from
 * the beginning, and its content in one write: readers see it empty or whole. */
int record_write(int folder, const char *name, const char *text, bool exclusive) {
    char temporary[32];
    snprintf(temporary, sizeof temporary, ".%s.new", name);
    int flags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW;
    int fd = openat(folder, exclusive ? name : temporary, flags, 0600);
    /* Only the holder of the lock writes records, so a leftover is one of a runner that died. */
    if (fd < 0 && !exclusive && errno == EEXIST && unlinkat(folder, temporary, 0) == 0)
        fd = openat(folder, temporary, flags, 0600);
    if (fd < 0)
        return errno;
    size_t length = strlen(text);
    ssize_t written = write(fd, text, length);
    int error = written < 0 ? errno : (size_t)written != length ? ENOSPC : 0;
    if (error == 0 && !exclusive && renameat(folder, temporary, folder, name) != 0)
        error = errno;
    bool named = exclusive || error == 0;
    if (!named)
        unlinkat(folder, temporary, 0);
    if (error == 0 && fsync(fd) != 0)
        error = errno;
    bool all = names_with_file(fd);
    close(fd);
    /* The name is as much part of the promise as the content. */
    if (error == 0 && !all && fsync(folder) != 0)
        error = errno;
    if (error != 0 && named && exclusive)
        unlinkat(folder, name, 0); /* it would say "maybe ran", and nothing will */
    return error;
}

size_t record_read(int folder, const char *name, char *text, size_t room) {
    int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    ssize_t n = fd < 0 ? -1 : read(fd, text, room - 1);
    if (fd >= 0)
        close(fd);
    text[n < 0 ? 0 : n] = '\0';
    return n < 0 ? 0 : (size_t)n;
}

static size_t slurp(const char *path, char *buffer, size_t room) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, buffer, room - 1);
    if (fd >= 0)
        close(fd);
    buffer[n < 0 ? 0 : n] = '\0';
    return n < 0 ? 0 : (size_t)n;
}

static char boot[64]; /* the id of this boot of the machine */

void records_warm(void) {
    if (boot[0] == '\0')
        slurp("/proc/sys/kernel/random/boot_id", boot, sizeof boot);
    boot[strcspn(boot, "\n")] = '\0';
}

int record_started(const struct runner *self) {
    char stat_line[1024], text[512 + 5 * OWN_CPUS_MAX];
    slurp("/proc/self/stat", stat_line, sizeof stat_line);
    records_warm();
    /* The name of the program, field 2, may hold spaces and brackets: count from its last bracket.
     * Field 22 is when the process started; with the pid and the boot it names one process for ever. */
    char *field = strrchr(stat_line, ')');
    for (int at = 2; field != NULL && at < 22; at++)
        field = strchr(field + 1, ' ');
    unsigned long long ticks = field == NULL ? 0 : strtoull(field, NULL, 10);
    int at = snprintf(text, sizeof text,
                      "version=1\npid=%d\nstart_ticks=%llu\nboot_id=%s\nstarted_ns=%lld\nstarted_boottime_ns=%lld\n",
                      (int)getpid(), ticks, boot, (long long)self->end.started_ns,
                      (long long)self->end.started_boottime_ns);
    for (int cpu = 0, left = (int)self->own_cpus; left > 0 && cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET((size_t)cpu, &self->spec.cpus))
            at += snprintf(text + at, sizeof text - (size_t)at, "%s%d%s",
                           left == (int)self->own_cpus ? "own_cpus=" : ",", cpu, left == 1 ? "\n" : ""),
                left--;
    return record_write(self->folder, "started", text, true);
}

int64_t record_grace_ms(int folder, int64_t otherwise) {
    char text[64];
    record_read(folder, "stopped", text, sizeof text);
    long long grace;
    char end;
    /* The newline proves that the number is whole. */
    if (sscanf(text, "grace_ms=%9lld%c", &grace, &end) == 2 && end == '\n' && grace >= 0)
        return grace;
    return otherwise;
}

int64_t oom_kills(void) {
    static char text[16384]; /* touched once at the start and once at the end; not part of the resting set */
    slurp("/proc/vmstat", text, sizeof text);
    const char *line = strstr(text, "\noom_kill ");
    return line == NULL ? -1 : strtoll(line + strlen("\noom_kill "), NULL, 10);
}

/* `oom_kill` of memory.events (version 2) or of memory.oom_control (version 1): the group's processes that were killed
 * because memory ran out, its own or that of a group above. */
int64_t cgroup_oom_kills(const char *folder) {
    static const char *const files[] = {"memory.events", "memory.oom_control"};
    char path[PATH_MAX + 32], text[1024];
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, files[i]);
        slurp(path, text, sizeof text);
        const char *line = strstr(text, "\noom_kill ");
        if (line != NULL)
            return strtoll(line + strlen("\noom_kill "), NULL, 10);
    }
    return -1;
}
