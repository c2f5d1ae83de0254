/* What the parts of the runner share. The contract with the caller is PROTOCOL.md. */
#ifndef COMITY_RUNNER_H
#define COMITY_RUNNER_H

#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

/* Exit statuses of `comity-runner DIR`; PROTOCOL.md says what each allows the caller to conclude. */
enum {
    CODE_RUNNING = 0,
    CODE_LOCKED = 10,
    CODE_STARTED_BEFORE = 11,
    CODE_FENCED = 12,
    CODE_EXEC_FAILED = 13,
    CODE_ISOLATION_FAILED = 14,
    CODE_SETUP_FAILED = 15,
    CODE_CALLED_OFF = 16,
    CODE_USAGE = 64,
    CODE_BAD_SPEC = 65,
    CODE_NO_FOLDER = 66,
    CODE_NOT_STARTED = 70,
};

enum reason {
    REASON_NONE,
    REASON_EXITED,
    REASON_SIGNALED,
    REASON_TIMEOUT,
    REASON_STOPPED,
    REASON_TERMINATED,
    REASON_LOST,
    REASON_EXEC_FAILED,
    REASON_ISOLATION_FAILED,
    REASON_SETUP_FAILED,
    REASON_CALLED_OFF, /* another rank of its gang could not start, so none did */
};

/* Why the job could not be started. Sent over a pipe between forks of this one image, which is why
 * it may hold pointers: text constants and the spec lie at the same addresses in each of them. */
struct failure {
    enum reason reason;
    int error;
    const char *step;
    const char *detail;
};

#define MS INT64_C(1000000) /* in nanoseconds */
#define NEVER INT64_MAX

enum { ISOLATE_MOUNT = 1, ISOLATE_PID = 2, ISOLATE_IPC = 4, ISOLATE_DEV = 8 };
enum { PATHS_MAX = 64, GROUPS_MAX = 32, RLIMITS_MAX = 16, CGROUPS_MAX = 4, OWN_CPUS_MAX = 256, GANG_MAX = 1024 };

struct reveal {
    const char *path;
    bool writable;
};

/* What DIR/exit will say. */
struct outcome {
    enum reason reason;
    struct failure failure; /* for the reasons of a job that never ran */
    bool main_ended, log_truncated;
    int main_status;
    struct rusage usage;
    int64_t started_ns, started_boottime_ns, ended_ns, ended_boottime_ns, oom_kills_before;
    int64_t cgroup_oom_kills; /* in the control groups of the attempt; -1: it has none, or they do not tell */
};

struct log {
    int pipe, file; /* pipe -1: no copying */
    int64_t bytes_max, bytes;
    bool truncated;
};

struct spec {
    void *arena; /* one mapping behind every pointer below, given back once the job runs */
    size_t arena_size;
    char **argv;
    char **envp;
    size_t argc, envc;
    const char *cwd;
    mode_t umask;
    int64_t timeout_ms; /* 0: none */
    int64_t grace_ms;
    int64_t log_bytes_max; /* 0: no cap, and no copying */
    bool has_nice, has_cpus, has_uid, has_gid, has_oom_score_adj;
    int nice, oom_score_adj;
    cpu_set_t cpus;
    size_t rlimits;
    struct {
        int resource;
        struct rlimit value;
    } rlimit[RLIMITS_MAX];
    uid_t uid;
    gid_t gid;
    size_t groups;
    gid_t group[GROUPS_MAX];
    unsigned isolate;
    size_t masks, reveals, devices;
    const char *mask[PATHS_MAX];
    struct reveal reveal[PATHS_MAX];
    const char *device[PATHS_MAX];
    const char *tmp;
    size_t cgroups;
    const char *cgroup[CGROUPS_MAX];
    int join[CGROUPS_MAX]; /* opened by the runner: what isolation hides is out of the job's reach by then */
    bool inside;           /* the job is forked in its groups, for its runner is */
    int into;              /* the folder of the first that is of version 2: a process is made inside it; -1: none */
    size_t into_at;
    size_t own_cpus; /* asked for, for this attempt alone */
    int64_t gang, gang_ms;
};

/* One attempt under way. */
struct runner {
    struct spec spec;
    struct outcome end;
    struct log log;
    int folder, lock, notify, control, go, report, signals, timer, tmp;
    size_t points;
    char *point[PATHS_MAX]; /* below `tmp`: where isolation makes mount points that the job did not ask for */
    size_t cgroups;
    char *cgroup[CGROUPS_MAX]; /* for the end, when the spec is long given back */
    size_t own_cpus;
    int own_cpu[OWN_CPUS_MAX]; /* sockets, each bound to the name of a CPU */
    pid_t init;
    bool init_ended, announced, served, inside, ready, meeting; /* inside: in its control groups from the beginning */
    int64_t deadline, kill_at, force_at; /* CLOCK_BOOTTIME: a limit goes on while the machine sleeps */
};

struct message { /* from the runner to the process that the caller waits for */
    int code;
    struct failure failure;
};

/* spec.c */
const char *spec_read(int folder, struct spec *spec); /* NULL, or what is wrong */
void spec_release(struct spec *spec);
bool path_within(const char *path, const char *parent); /* equal or beneath */

/* records.c */
int64_t clock_ns(clockid_t clock);
bool record_exists(int folder, const char *name);
int record_write(int folder, const char *name, const char *text, bool exclusive); /* 0 or errno */
size_t record_read(int folder, const char *name, char *text, size_t room); /* bytes read; 0 where there is none */
void records_warm(void); /* reads what never changes, for all forks to come */
int record_started(const struct runner *self); /* 0 or errno */
int64_t record_grace_ms(int folder, int64_t otherwise);
int64_t oom_kills(void); /* the machine's counter; -1 where the kernel does not tell */
int64_t cgroup_oom_kills(const char *folder); /* of one control group; -1 where it does not tell */

/* outcome.c, log.c */
int outcome_write(int folder, struct outcome *outcome); /* 0 or errno */
bool log_copy(struct log *log); /* reads on beyond the cap, for a job must not block; false at the end */

/* isolation.c: each answers 0 or errno, and on error names the step */
int isolation_enter(const struct spec *spec, struct failure *failure);
int isolation_drop(const struct spec *spec, struct failure *failure);
int isolation_probe(void);

/* holds.c: what an attempt holds of the machine besides processes, and gives back at its end */
bool holds_open_cgroups(struct runner *self);
void holds_count_kills(struct runner *self);
void holds_leave_cgroups(struct runner *self);
bool holds_sit(char *const *groups); /* moves this process into control groups */
void holds_take_cpus(struct runner *self); /* all that are asked for, or none */
void holds_close(struct runner *self);      /* in the init, which must not hold them */
void holds_note_points(struct runner *self);
void holds_remove_points(struct runner *self);

/* gang.c */
void gang_prepare(struct runner *self); /* waits until the job's process is ready to execute, or says why not */
bool gang_meet(struct runner *self);    /* waits until every rank is; false, with the reason of the end: this one may not */
void gang_call_off(const struct runner *self);

/* start.c */
int start_enter(struct runner *self, const char *path); /* 0, or the code to leave with */
bool start_let_go(void);
void start_describe(int fd, const struct message *message);
void start_tell(struct runner *self, int code); /* once: whoever asked is gone after it */

/* watch.c */
void watch_arm(struct runner *self); /* sets the timer to the earliest of its times */
void watch_hear(struct runner *self); /* signals that have come */
void watch_run(struct runner *self);  /* until the init has ended and nothing of the job is left */

/* runner.c, starter.c */
_Noreturn void runner_run(struct runner *self);
int starter_serve(struct runner *self, char *arguments, size_t room);

/* processes.c */
void processes_signal(int signal_number, bool own_pid_namespace); /* every descendant of the caller */
void processes_sweep(bool own_pid_namespace); /* SIGKILL and reap until there is no descendant */

/* init.c */
_Noreturn void init_main(struct spec *spec, int control, int go, int report, int output);

#endif
