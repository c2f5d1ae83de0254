/* What a job may see and be: its own mounts, processes, devices, and a user without powers.
 *
 * Root only. Each step either holds or stops the start: a job never runs less isolated than its spec
 * says. The mount calls are the newer ones (Linux 5.12), which work on descriptors: a tree is taken
 * before the masks hide it and placed afterwards, and no path is walked through a symbolic link that
 * somebody may have planted. */
#include "runner.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* The kernel's own values; C libraries before glibc 2.36 lack them, later ones clash with linux/mount.h. */
enum {
    CALL_OPEN_TREE = 428,
    CALL_MOVE_MOUNT = 429,
    CALL_OPENAT2 = 437,
    CALL_MOUNT_SETATTR = 442,
    TREE_CLONE = 1,
    TREE_RECURSIVE = 0x8000,
    PATH_EMPTY = 0x1000,
    MOVE_FROM_EMPTY = 0x4,
    MOVE_TO_EMPTY = 0x40,
    ATTRIBUTE_RDONLY = 0x1,
    ATTRIBUTE_NOSUID = 0x2,
    ATTRIBUTE_NODEV = 0x4,
    RESOLVE_STRICT = 0x4 | 0x2, /* no symbolic links, no magic links */
    KEYCTL_JOIN = 1,
};

static const char *const basic_devices[] = {"null", "zero", "full", "random", "urandom", "tty"};
enum { BASIC_DEVICES = sizeof basic_devices / sizeof *basic_devices };

static int fail(struct failure *failure, const char *step, const char *detail) {
    *failure = (struct failure){REASON_ISOLATION_FAILED, errno, step, detail};
    return failure->error;
}

/* A detached copy of the tree at this path as it is now; only an open descriptor keeps it alive. */
static int take(const char *path, unsigned attributes) {
    struct {
        uint64_t flags, mode, resolve;
    } how = {O_PATH | O_CLOEXEC, 0, RESOLVE_STRICT};
    int fd = (int)syscall(CALL_OPENAT2, AT_FDCWD, path, &how, sizeof how);
    if (fd < 0)
        return -1;
    int tree = (int)syscall(CALL_OPEN_TREE, fd, "", TREE_CLONE | O_CLOEXEC | PATH_EMPTY | TREE_RECURSIVE);
    close(fd);
    struct {
        uint64_t set, clear, propagation, userns;
    } change = {attributes, 0, 0, 0};
    if (tree >= 0 && attributes != 0 &&
        syscall(CALL_MOUNT_SETATTR, tree, "", PATH_EMPTY | TREE_RECURSIVE, &change, sizeof change) != 0) {
        int error = errno;
        close(tree);
        errno = error;
        return -1;
    }
    return tree;
}

/* The mount point at this path, made where it is missing (only inside a mask or another fresh tmpfs:
 * everywhere else the tree itself was just found there). Component by component, never through a link. */
static int mount_point(const char *path, bool folder) {
    int at = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    while (at >= 0 && *path != '\0') {
        char name[256] = "";
        size_t length = strcspn(++path, "/");
        if (length >= sizeof name) {
            close(at);
            errno = ENAMETOOLONG;
            return -1;
        }
        memcpy(name, path, length);
        path += length;
        bool last_file = *path == '\0' && !folder;
        int flags = O_PATH | O_NOFOLLOW | O_CLOEXEC | (last_file ? 0 : O_DIRECTORY);
        int next = openat(at, name, flags);
        if (next < 0 && errno == ENOENT &&
            (last_file ? mknodat(at, name, S_IFREG | 0444, 0) : mkdirat(at, name, 0755)) == 0)
            next = openat(at, name, flags);
        int error = errno;
        close(at);
        errno = error;
        at = next;
    }
    return at;
}

static int place(int tree, const char *path) {
    struct stat info;
    if (fstat(tree, &info) != 0)
        return -1;
    int target = mount_point(path, S_ISDIR(info.st_mode));
    if (target < 0)
        return -1;
    int result = (int)syscall(CALL_MOVE_MOUNT, tree, "", target, "", MOVE_FROM_EMPTY | MOVE_TO_EMPTY);
    int error = errno;
    close(target);
    close(tree);
    errno = error;
    return result;
}

/* One of the harmless devices: a node of its own, which is a tenth of what a mount costs here and at the end. Where
 * nodes may not be made, as in most containers, the host's is mounted. */
static int basic_device(int host, int dev, const char *name) {
    struct stat info;
    if (fstatat(host, name, &info, AT_SYMLINK_NOFOLLOW) != 0)
        return -1;
    if (S_ISCHR(info.st_mode) && mknodat(dev, name, S_IFCHR | (info.st_mode & 0777), info.st_rdev) == 0)
        return 0;
    int tree = (int)syscall(CALL_OPEN_TREE, host, name, TREE_CLONE | O_CLOEXEC | AT_SYMLINK_NOFOLLOW);
    char path[32] = "/dev/";
    return tree < 0 ? -1 : place(tree, strcat(path, name));
}

static int build_dev(const struct spec *spec, int host, const int *extra, struct failure *failure) {
    if (mount("tmpfs", "/dev", "tmpfs", MS_NOSUID | MS_NOEXEC, "mode=0755,size=1m") != 0)
        return fail(failure, "dev", "/dev");
    int dev = open("/dev", O_PATH | O_DIRECTORY | O_CLOEXEC);
    for (int i = 0; i < BASIC_DEVICES; i++)
        if (basic_device(host, dev, basic_devices[i]) != 0)
            return fail(failure, "dev", basic_devices[i]);
    close(dev);
    close(host);
    for (size_t i = 0; i < spec->devices; i++)
        if (place(extra[i], spec->device[i]) != 0)
            return fail(failure, "dev", spec->device[i]);
    /* A devpts of its own: the terminals of the host are neither listed nor reachable. */
    if (mkdir("/dev/pts", 0755) != 0 ||
        mount("devpts", "/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620") != 0)
        return fail(failure, "dev", "/dev/pts");
    if (mkdir("/dev/shm", 01777) != 0 ||
        mount("tmpfs", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777") != 0)
        return fail(failure, "dev", "/dev/shm");
    static const char *const links[][2] = {{"pts/ptmx", "/dev/ptmx"},
                                           {"/proc/self/fd", "/dev/fd"},
                                           {"/proc/self/fd/0", "/dev/stdin"},
                                           {"/proc/self/fd/1", "/dev/stdout"},
                                           {"/proc/self/fd/2", "/dev/stderr"}};
    for (size_t i = 0; i < sizeof links / sizeof *links; i++)
        if (symlink(links[i][0], links[i][1]) != 0)
            return fail(failure, "dev", links[i][1]);
    return 0;
}

static bool hidden_already(const struct spec *spec, size_t which) {
    const char *path = spec->mask[which];
    if (spec->tmp != NULL && (path_within(path, "/tmp") || path_within(path, "/var/tmp")))
        return true;
    for (size_t i = 0; i < spec->masks; i++)
        /* Inside another mask, or the earlier one of two equal ones. */
        if (i != which && path_within(path, spec->mask[i]) && (strcmp(path, spec->mask[i]) != 0 || i < which))
            return true;
    return false;
}

int isolation_enter(const struct spec *spec, struct failure *failure) {
    if (spec->isolate == 0)
        return 0;
    int flags = (spec->isolate & ISOLATE_MOUNT ? CLONE_NEWNS : 0) | (spec->isolate & ISOLATE_IPC ? CLONE_NEWIPC : 0);
    if (unshare(flags) != 0)
        return fail(failure, "unshare", NULL);
    if ((spec->isolate & ISOLATE_MOUNT) == 0)
        return 0;
    umask(0);
    /* 1. Private first: on most hosts / is shared, and each mount below would show up outside. Private
     *    rather than slave, so that what the host mounts later does not appear inside either. */
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
        return fail(failure, "private", "/");
    /* 2. Take all that must survive while every path still leads where the caller meant. */
    int reveals[PATHS_MAX], devices[PATHS_MAX], host_dev = -1, tmp[2];
    static const char *const tmp_paths[2] = {"/tmp", "/var/tmp"};
    for (size_t i = 0; i < spec->reveals; i++)
        if ((reveals[i] = take(spec->reveal[i].path, (spec->reveal[i].writable ? 0 : ATTRIBUTE_RDONLY) |
                                                         ATTRIBUTE_NOSUID | ATTRIBUTE_NODEV)) < 0)
            return fail(failure, "reveal", spec->reveal[i].path);
    for (size_t i = 0; spec->tmp != NULL && i < 2; i++)
        if ((tmp[i] = take(spec->tmp, ATTRIBUTE_NOSUID | ATTRIBUTE_NODEV)) < 0)
            return fail(failure, "tmp", spec->tmp);
    for (size_t i = 0; i < spec->devices; i++)
        if ((devices[i] = take(spec->device[i], 0)) < 0)
            return fail(failure, "dev", spec->device[i]);
    if ((spec->isolate & ISOLATE_DEV) && (host_dev = open("/dev", O_PATH | O_DIRECTORY | O_CLOEXEC)) < 0)
        return fail(failure, "dev", "/dev");
    /* 3. /tmp before the masks and the reveals, which may lie inside it. */
    for (size_t i = 0; spec->tmp != NULL && i < 2; i++)
        if (place(tmp[i], tmp_paths[i]) != 0)
            return fail(failure, "tmp", tmp_paths[i]);
    /* 4. Hide. An empty tmpfs of root over each path; the job cannot write it, nor lift it off. */
    for (size_t i = 0; i < spec->masks; i++)
        if (!hidden_already(spec, i) &&
            mount("tmpfs", spec->mask[i], "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0755,size=1m") != 0)
            return fail(failure, "mask", spec->mask[i]);
    /* 5. Devices before the reveals, which may add to /dev. */
    if ((spec->isolate & ISOLATE_DEV) && build_dev(spec, host_dev, devices, failure) != 0)
        return failure->error;
    /* 6. Bring back what the job needs, in the order of the spec. */
    for (size_t i = 0; i < spec->reveals; i++)
        if (place(reveals[i], spec->reveal[i].path) != 0)
            return fail(failure, "reveal", spec->reveal[i].path);
    /* 7. /proc last: it shows the namespace of the process that mounts it, which is ours by now. */
    if ((spec->isolate & ISOLATE_PID) &&
        mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) != 0)
        return fail(failure, "proc", "/proc");
    /* Out of the covered tree: a working folder there would be a door back. */
    return chdir("/") == 0 ? 0 : fail(failure, "chdir", "/");
}

int isolation_drop(const struct spec *spec, struct failure *failure) {
    if (spec->has_uid) {
        struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
        struct __user_cap_data_struct none[2] = {{0, 0, 0}, {0, 0, 0}}, now[2];
        uid_t real, effective, saved;
        /* A fresh session keyring, else the job holds root's; where keyrings are refused to us (errors
         * are ignored) they are refused to the job too. */
        syscall(SYS_keyctl, KEYCTL_JOIN, NULL);
        /* The bounding set needs a capability to shrink, the groups need one too: both before the user. */
        int capability = 0;
        while (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0)
            capability++;
        if (errno != EINVAL || capability == 0) /* the number after the last one that there is */
            return fail(failure, "bounding", NULL);
        if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0)
            return fail(failure, "ambient", NULL);
        if (setgroups(spec->groups, spec->group) != 0)
            return fail(failure, "setgroups", NULL);
        if (setresgid(spec->gid, spec->gid, spec->gid) != 0)
            return fail(failure, "setgid", NULL);
        if (setresuid(spec->uid, spec->uid, spec->uid) != 0)
            return fail(failure, "setuid", NULL);
        /* Leaving root clears what is effective and permitted, unless a secure bit says otherwise; the
         * inheritable ones stay. So clear all, and then look rather than trust. */
        if (syscall(SYS_capset, &header, none) != 0 || syscall(SYS_capget, &header, now) != 0)
            return fail(failure, "capset", NULL);
        if (getresuid(&real, &effective, &saved) != 0 || real != spec->uid || effective != spec->uid ||
            saved != spec->uid || memcmp(now, none, sizeof now) != 0) {
            errno = EPERM;
            return fail(failure, "verify", NULL);
        }
    }
    /* For every job: a set-user-id program would be a descendant that this runner may not kill. */
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return fail(failure, "no_new_privs", NULL);
    return 0;
}

/* Tries one feature for real, in a process of its own, by the very code that a job goes through. */
static void probe(const char *name, const struct spec *spec) {
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        struct failure failure = {REASON_NONE, 0, "", NULL};
        if ((spec->isolate & ISOLATE_PID) != 0) {
            if (unshare(CLONE_NEWPID) != 0)
                fail(&failure, "unshare", NULL);
            else if ((pid = fork()) > 0) {
                waitpid(pid, NULL, 0);
                _exit(0);
            }
        }
        if (failure.error == 0 && isolation_enter(spec, &failure) == 0)
            isolation_drop(spec, &failure);
        if (failure.error == 0)
            printf("%s=ok\n", name);
        else
            printf("%s=failed %s %d\n", name, failure.step, failure.error);
        fflush(stdout);
        _exit(0);
    }
    waitpid(pid, NULL, 0);
}

int isolation_probe(void) {
    struct spec nobody = {.has_uid = true, .has_gid = true, .uid = 65534, .gid = 65534};
    struct spec one = nobody;
    printf("version=1\n");
    probe("setuid", &one);
    one.isolate = ISOLATE_IPC;
    probe("ipc", &one);
    one.isolate = ISOLATE_MOUNT;
    one.masks = one.reveals = 1;
    one.mask[0] = "/proc";
    one.reveal[0] = (struct reveal){.path = "/proc/sys", .writable = false};
    probe("mount", &one);
    one = nobody;
    one.isolate = ISOLATE_MOUNT | ISOLATE_DEV;
    probe("dev", &one);
    one.isolate = ISOLATE_MOUNT | ISOLATE_PID;
    probe("pid", &one);
    return fflush(stdout) == 0 ? 0 : CODE_NOT_STARTED;
}
