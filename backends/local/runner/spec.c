/* Reads DIR/spec: records `key=value`, each ended by a NUL byte, which is the one byte that argv, env
 * and paths cannot hold anyway; so nothing is ever quoted, split or expanded. An unknown key is refused,
 * because a limit that an old runner would skip is a limit that is not enforced. */
#include "runner.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SPEC_BYTES_MAX = 16 << 20 };

static bool number(const char *text, int base, int64_t min, int64_t max, int64_t *value) {
    char *end;
    if (*text == '\0' || *text == ' ' || *text == '+')
        return false;
    errno = 0;
    long long n = strtoll(text, &end, base);
    if (errno != 0 || *end != '\0' || n < min || n > max)
        return false;
    *value = n;
    return true;
}

/* Absolute and without `.`, `..`, `//` or a trailing slash, so that comparing paths is comparing text. */
static bool canonical(const char *path) {
    if (path[0] != '/' || path[1] == '\0' || strlen(path) >= PATH_MAX)
        return false;
    for (const char *part = path; part != NULL; part = strchr(part + 1, '/')) {
        const char *name = part + 1;
        size_t length = strcspn(name, "/");
        if (length == 0 || length > NAME_MAX || (length == 1 && name[0] == '.') ||
            (length == 2 && name[0] == '.' && name[1] == '.'))
            return false;
    }
    return true;
}

bool path_within(const char *path, const char *parent) {
    size_t length = strlen(parent);
    return strncmp(path, parent, length) == 0 && (path[length] == '\0' || path[length] == '/');
}

static bool parse_rlimit(struct spec *spec, char *value) {
    static const struct {
        const char *name;
        int resource;
    } known[] = {{"as", RLIMIT_AS},         {"core", RLIMIT_CORE},       {"cpu", RLIMIT_CPU},
                 {"fsize", RLIMIT_FSIZE},   {"memlock", RLIMIT_MEMLOCK}, {"nofile", RLIMIT_NOFILE},
                 {"nproc", RLIMIT_NPROC},   {"stack", RLIMIT_STACK},     {"data", RLIMIT_DATA},
                 {"rtprio", RLIMIT_RTPRIO}, {"nice", RLIMIT_NICE}};
    char *rest = value;
    const char *name = strsep(&rest, ":"), *soft = strsep(&rest, ":"), *hard = rest;
    if (hard == NULL || spec->rlimits == RLIMITS_MAX)
        return false;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strcmp(name, known[i].name) != 0)
            continue;
        int64_t low = 0, high = 0;
        bool no_low = strcmp(soft, "unlimited") == 0, no_high = strcmp(hard, "unlimited") == 0;
        if (!(no_low || number(soft, 10, 0, INT64_MAX, &low)) ||
            !(no_high || number(hard, 10, 0, INT64_MAX, &high)))
            return false;
        spec->rlimit[spec->rlimits].resource = known[i].resource;
        spec->rlimit[spec->rlimits].value.rlim_cur = no_low ? RLIM_INFINITY : (rlim_t)low;
        spec->rlimit[spec->rlimits].value.rlim_max = no_high ? RLIM_INFINITY : (rlim_t)high;
        spec->rlimits++;
        return true;
    }
    return false;
}

static bool parse_cpus(struct spec *spec, char *value) {
    CPU_ZERO(&spec->cpus);
    for (char *one; (one = strsep(&value, ",")) != NULL;) {
        int64_t cpu;
        if (!number(one, 10, 0, CPU_SETSIZE - 1, &cpu))
            return false;
        CPU_SET((size_t)cpu, &spec->cpus);
    }
    return spec->has_cpus = true;
}

static bool parse_isolate(struct spec *spec, const char *value) {
    static const char *const names[] = {"mount", "pid", "ipc", "dev"};
    for (unsigned i = 0; i < 4; i++)
        if (strcmp(value, names[i]) == 0) {
            spec->isolate |= 1U << i;
            return true;
        }
    return false;
}

static bool add_path(const char **paths, size_t *count, const char *value) {
    if (*count == PATHS_MAX || !canonical(value))
        return false;
    paths[(*count)++] = value;
    return true;
}

static bool parse_reveal(struct spec *spec, const char *value) {
    bool writable = strncmp(value, "rw:", 3) == 0;
    if (spec->reveals == PATHS_MAX || (!writable && strncmp(value, "ro:", 3) != 0) || !canonical(value + 3))
        return false;
    spec->reveal[spec->reveals++] = (struct reveal){.path = value + 3, .writable = writable};
    return true;
}

/* Keys that may come once; each has one bit, so that a second one is refused. */
static bool parse_scalar(struct spec *spec, const char *key, char *value, unsigned *seen, bool *known) {
    static const char *const keys[] = {"cwd",  "umask", "timeout_ms", "grace_ms", "log_bytes_max", "nice",    "cpus",
                                       "uid",  "gid",   "tmp",        "own_cpus", "gang",          "gang_ms", "oom_score_adj"};
    unsigned which = 0;
    while (which < sizeof keys / sizeof *keys && strcmp(key, keys[which]) != 0)
        which++;
    *known = which < sizeof keys / sizeof *keys;
    if (!*known || (*seen & (1U << which)) != 0)
        return false;
    *seen |= 1U << which;
    int64_t n = 0;
    /* A year is beyond any job, and keeps each later sum of nanoseconds far from overflow. */
    const int64_t ms_max = INT64_C(366) * 24 * 3600 * 1000;
    switch (which) {
    case 0: spec->cwd = value; return canonical(value) || strcmp(value, "/") == 0;
    case 1: return number(value, 8, 0, 0777, &n) && (spec->umask = (mode_t)n, true);
    case 2: return number(value, 10, 1, ms_max, &spec->timeout_ms);
    case 3: return number(value, 10, 0, ms_max, &spec->grace_ms);
    case 4: return number(value, 10, 1, INT64_MAX / 2, &spec->log_bytes_max);
    case 5: return number(value, 10, -20, 19, &n) && (spec->nice = (int)n, spec->has_nice = true);
    case 6: return parse_cpus(spec, value);
    /* (uid_t)-1 means "leave as it is" to setresuid, and 0 is not a user to drop to. */
    case 7: return number(value, 10, 1, UINT32_MAX - 1, &n) && (spec->uid = (uid_t)n, spec->has_uid = true);
    case 8: return number(value, 10, 1, UINT32_MAX - 1, &n) && (spec->gid = (gid_t)n, spec->has_gid = true);
    case 9: spec->tmp = value; return canonical(value);
    case 10: return number(value, 10, 1, OWN_CPUS_MAX, &n) && (spec->own_cpus = (size_t)n, true);
    case 11: return number(value, 10, 2, GANG_MAX, &spec->gang);
    case 12: return number(value, 10, 1, ms_max, &spec->gang_ms);
    default:
        return number(value, 10, -1000, 1000, &n) &&
               (spec->oom_score_adj = (int)n, spec->has_oom_score_adj = true);
    }
}

static bool parse_record(struct spec *spec, const char *key, char *value, unsigned *seen, bool *known) {
    *known = true;
    int64_t n = 0;
    if (strcmp(key, "arg") == 0)
        return spec->argv[spec->argc++] = value, true;
    if (strcmp(key, "env") == 0)
        return spec->envp[spec->envc++] = value, value[0] != '=' && strchr(value, '=') != NULL;
    if (strcmp(key, "rlimit") == 0)
        return parse_rlimit(spec, value);
    if (strcmp(key, "group") == 0)
        return spec->groups < GROUPS_MAX && number(value, 10, 1, UINT32_MAX - 1, &n) &&
               (spec->group[spec->groups++] = (gid_t)n, true);
    if (strcmp(key, "isolate") == 0)
        return parse_isolate(spec, value);
    if (strcmp(key, "mask") == 0)
        return add_path(spec->mask, &spec->masks, value);
    if (strcmp(key, "reveal") == 0)
        return parse_reveal(spec, value);
    if (strcmp(key, "device") == 0)
        return add_path(spec->device, &spec->devices, value) && path_within(value, "/dev");
    if (strcmp(key, "cgroup") == 0) {
        if (spec->cgroups == CGROUPS_MAX || !canonical(value))
            return false;
        spec->cgroup[spec->cgroups++] = value;
        return true;
    }
    return parse_scalar(spec, key, value, seen, known);
}

/* Combinations that would promise more than they hold. */
static const char *contradiction(const struct spec *spec) {
    if (spec->argc == 0 || spec->argv[0][0] == '\0')
        return "no arg";
    if (spec->cwd == NULL)
        return "no cwd";
    if (spec->has_uid != spec->has_gid || (spec->groups > 0 && !spec->has_uid))
        return "uid and gid come together, group only with them";
    /* Whoever keeps root inside can undo a mount, so isolation without a user would be for show. */
    if (spec->isolate != 0 && !spec->has_uid)
        return "isolate needs uid and gid";
    /* A PID namespace behind the old /proc would still show every process of the host. */
    if ((spec->isolate & ISOLATE_MOUNT) == 0 &&
        ((spec->isolate & (ISOLATE_PID | ISOLATE_DEV)) != 0 || spec->masks + spec->reveals > 0 || spec->tmp != NULL))
        return "isolate=pid, isolate=dev, mask, reveal and tmp need isolate=mount";
    if (spec->own_cpus > 0 && spec->has_cpus)
        return "own_cpus and cpus";
    if (spec->devices > 0 && (spec->isolate & ISOLATE_DEV) == 0)
        return "device needs isolate=dev";
    /* A revealed tree is taken from before the masks: what is masked inside it would reappear. */
    for (size_t r = 0; r < spec->reveals; r++)
        for (size_t m = 0; m < spec->masks; m++)
            if (path_within(spec->mask[m], spec->reveal[r].path))
                return "a mask lies inside a reveal";
    return NULL;
}

static const char *parse(struct spec *spec, char *text, size_t size) {
    bool first = true, ended = false;
    unsigned seen = 0;
    for (char *end = text + size; text < end;) {
        char *value = strchr(text, '='), *key = text;
        text += strlen(text) + 1;
        if (value == NULL || ended)
            return ended ? "records after end" : "a record without =";
        *value++ = '\0';
        bool known = true;
        if (first) {
            if (strcmp(key, "comity-spec") != 0 || strcmp(value, "1") != 0)
                return "not a spec of version 1";
            first = false;
        } else if (strcmp(key, "end") == 0) {
            ended = true;
        } else if (!parse_record(spec, key, value, &seen, &known)) {
            static char why[64];
            strcpy(why, known ? "bad or repeated value of " : "unknown key ");
            strncat(why, key, 24);
            for (char *c = why; *c != '\0'; c++) /* it goes to a terminal */
                if (*c < 0x20 || *c > 0x7e)
                    *c = '?';
            return why;
        }
    }
    /* The writer may have been cut short: without its last record a spec could lack a limit. */
    return ended ? contradiction(spec) : "truncated: no end record";
}

const char *spec_read(int folder, struct spec *spec) {
    memset(spec, 0, sizeof *spec);
    spec->umask = 077;
    spec->grace_ms = 10000;
    spec->gang_ms = 30000;
    spec->into = -1;
    int fd = openat(folder, "spec", O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    struct stat info;
    if (fd < 0 || fstat(fd, &info) != 0)
        return "cannot be opened";
    if (!S_ISREG(info.st_mode) || info.st_size == 0 || info.st_size > SPEC_BYTES_MAX)
        return "not a plain file of 1 byte to 16 MiB";
    /* The shortest record is three bytes (`k=` and NUL), which bounds the pointers of argv and env. */
    size_t size = (size_t)info.st_size, text_room = (size + 16) & ~(size_t)7;
    size_t slots = size / 3 + 2;
    spec->arena_size = text_room + 2 * slots * sizeof(char *);
    spec->arena = mmap(NULL, spec->arena_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (spec->arena == MAP_FAILED)
        return "too large for memory";
    char *text = spec->arena;
    spec->argv = (char **)(void *)(text + text_room);
    spec->envp = spec->argv + slots;
    size_t have = 0;
    while (have < size) {
        ssize_t n = read(fd, text + have, size - have);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return "cannot be read";
        have += (size_t)n;
    }
    close(fd);
    if (text[size - 1] != '\0')
        return "truncated: the last record has no NUL";
    return parse(spec, text, size);
}

void spec_release(struct spec *spec) {
    munmap(spec->arena, spec->arena_size);
    spec->arena = NULL;
}
