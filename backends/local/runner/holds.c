/* What an attempt holds of the machine besides its processes, and gives back at its end: control groups, and folders
 * that isolation has to make below a /tmp of the job's own. */
#include "runner.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

enum { CGROUP_2 = 0x63677270 }; /* statfs of a control group of version 2 */

/* Opens the door of each control group. One that is not there is a limit that would not hold: nothing is started. */
bool holds_open_cgroups(struct runner *self) {
    struct spec *spec = &self->spec;
    for (size_t i = 0; i < spec->cgroups; i++) {
        char path[PATH_MAX + 16];
        snprintf(path, sizeof path, "%s/cgroup.procs", spec->cgroup[i]);
        spec->join[i] = open(path, O_WRONLY | O_CLOEXEC);
        if (spec->join[i] < 0 || (self->cgroup[i] = strdup(spec->cgroup[i])) == NULL)
            return false;
        self->cgroups++;
        struct statfs info;
        if (spec->into < 0 && fstatfs(spec->join[i], &info) == 0 && info.f_type == CGROUP_2) {
            spec->into = open(spec->cgroup[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
            spec->into_at = i;
        }
    }
    return true;
}

/* Asks the control groups how often memory ran out. */
void holds_count_kills(struct runner *self) {
    self->end.cgroup_oom_kills = -1;
    for (size_t i = 0; i < self->cgroups; i++) {
        int64_t kills = cgroup_oom_kills(self->cgroup[i]);
        if (kills > self->end.cgroup_oom_kills)
            self->end.cgroup_oom_kills = kills;
    }
}

static bool move_to(const char *folder) {
    char path[PATH_MAX + 16];
    snprintf(path, sizeof path, "%s/cgroup.procs", folder);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool done = fd >= 0 && write(fd, "0", 1) == 1;
    if (fd >= 0)
        close(fd);
    return done;
}

bool holds_sit(char *const *groups) {
    for (; *groups != NULL; groups++)
        if (!move_to(*groups))
            return false;
    return true;
}

/* Removes the control groups: everyone else in them is dead. */
void holds_leave_cgroups(struct runner *self) {
    for (size_t i = 0; i < self->cgroups; i++) {
        char above[PATH_MAX];
        snprintf(above, sizeof above, "%s", self->cgroup[i]);
        if (self->inside && strrchr(above, '/') != NULL) {
            *strrchr(above, '/') = '\0';
            move_to(above);
        }
        /* A group may be busy for a moment after its last process was reaped. */
        for (int tries = 0; rmdir(self->cgroup[i]) != 0 && errno == EBUSY && tries < 100; tries++)
            nanosleep(&(struct timespec){0, MS}, NULL);
    }
}

/* A CPU belongs to whoever has bound its name among the abstract sockets, on this machine as a whole, and is free when
 * that process is gone, however it went. A runner that gets too few takes none: its job then runs on all, accounted
 * and not held. */
void holds_take_cpus(struct runner *self) {
    struct spec *spec = &self->spec;
    cpu_set_t allowed;
    if (spec->own_cpus == 0 || sched_getaffinity(0, sizeof allowed, &allowed) != 0)
        return;
    CPU_ZERO(&spec->cpus);
    for (int cpu = 0; cpu < CPU_SETSIZE && self->own_cpus < spec->own_cpus; cpu++) {
        if (!CPU_ISSET((size_t)cpu, &allowed))
            continue;
        struct sockaddr_un name = {.sun_family = AF_UNIX};
        int length = snprintf(name.sun_path + 1, sizeof name.sun_path - 1, "comity-cpu-%d", cpu);
        int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (fd < 0)
            break;
        if (bind(fd, (struct sockaddr *)&name, (socklen_t)(sizeof name.sun_family + 1 + (size_t)length)) != 0) {
            close(fd);
            continue;
        }
        self->own_cpu[self->own_cpus++] = fd;
        CPU_SET((size_t)cpu, &spec->cpus);
    }
    spec->has_cpus = self->own_cpus == spec->own_cpus;
    if (!spec->has_cpus)
        holds_close(self);
}

void holds_close(struct runner *self) {
    while (self->own_cpus > 0)
        close(self->own_cpu[--self->own_cpus]);
}

/* What is revealed below /tmp needs folders there to be mounted on, and there they stay, of root and empty. Noted
 * now, for the spec is given back once the job runs. */
void holds_note_points(struct runner *self) {
    if (self->spec.tmp == NULL)
        return;
    for (size_t i = 0; i < self->spec.reveals; i++) {
        const char *path = self->spec.reveal[i].path;
        size_t skip = strncmp(path, "/tmp/", 5) == 0 ? 5 : strncmp(path, "/var/tmp/", 9) == 0 ? 9 : 0;
        if (skip > 0 && (self->point[self->points] = strdup(path + skip)) != NULL)
            self->points++;
    }
    if (self->points > 0)
        self->tmp = open(self->spec.tmp, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/* Removes one, innermost first, never through a link of the job's, and nothing but empty things of our own. */
static void remove_point(int at, char *path) {
    char *rest = strchr(path, '/');
    if (rest != NULL)
        *rest++ = '\0';
    struct stat info;
    if (fstatat(at, path, &info, AT_SYMLINK_NOFOLLOW) != 0 || info.st_uid != geteuid())
        return;
    if (S_ISREG(info.st_mode)) {
        if (rest == NULL && info.st_size == 0)
            unlinkat(at, path, 0);
        return;
    }
    int below = rest == NULL ? -1 : openat(at, path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (below >= 0) {
        remove_point(below, rest);
        close(below);
    }
    unlinkat(at, path, AT_REMOVEDIR);
}

void holds_remove_points(struct runner *self) {
    for (size_t i = 0; self->tmp >= 0 && i < self->points; i++)
        remove_point(self->tmp, self->point[i]);
}
