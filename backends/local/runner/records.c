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

/* The name first, then one journal commit for content and name together: the second fsync finds little left to do. A
 * power cut between may leave the record empty: `started` then still says "maybe ran", and an empty `exit` says as much
 * as none. The file's own fsync is not to be spared where the name alone would do: without a journal the folder's
 * writes an entry, and not what it leads to. Readers see a record whole or not at all. */
int record_write(int folder, const char *name, const char *text, bool exclusive) {
    char temporary[32];
    snprintf(temporary, sizeof temporary, ".%s.new", name);
    int flags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW;
    int fd = openat(folder, temporary, flags, 0600);
    /* Only the holder of the lock writes records, so a leftover is one of a runner that died. */
    if (fd < 0 && errno == EEXIST && unlinkat(folder, temporary, 0) == 0)
        fd = openat(folder, temporary, flags, 0600);
    if (fd < 0)
        return errno;
    size_t length = strlen(text);
    ssize_t written = write(fd, text, length);
    int error = written < 0 ? errno : (size_t)written != length ? ENOSPC : 0;
    /* link refuses an existing name where rename would replace it. */
    if (error == 0 && (exclusive ? linkat(folder, temporary, folder, name, 0) : renameat(folder, temporary, folder, name)))
        error = errno;
    bool named = error == 0;
    if (error != 0 || exclusive)
        unlinkat(folder, temporary, 0);
    if (error == 0 && fsync(fd) != 0)
        error = errno;
    close(fd);
    /* The name is as much part of the promise as the content. */
    if (error == 0 && fsync(folder) != 0)
        error = errno;
    if (error != 0 && named && exclusive)
        unlinkat(folder, name, 0); /* it would say "maybe ran", and nothing will */
    return error;
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

int record_started(int folder, int64_t realtime_ns, int64_t boottime_ns) {
    char stat_line[1024], text[512];
    slurp("/proc/self/stat", stat_line, sizeof stat_line);
    records_warm();
    /* The name of the program, field 2, may hold spaces and brackets: count from its last bracket.
     * Field 22 is when the process started; with the pid and the boot it names one process for ever. */
    char *field = strrchr(stat_line, ')');
    for (int at = 2; field != NULL && at < 22; at++)
        field = strchr(field + 1, ' ');
    unsigned long long ticks = field == NULL ? 0 : strtoull(field, NULL, 10);
    snprintf(text, sizeof text,
             "version=1\npid=%d\nstart_ticks=%llu\nboot_id=%s\nstarted_ns=%lld\nstarted_boottime_ns=%lld\n",
             (int)getpid(), ticks, boot, (long long)realtime_ns, (long long)boottime_ns);
    return record_write(folder, "started", text, true);
}

int64_t record_grace_ms(int folder, int64_t otherwise) {
    char text[64];
    int fd = openat(folder, "stopped", O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (fd >= 0)
        close(fd);
    text[n < 0 ? 0 : n] = '\0';
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
