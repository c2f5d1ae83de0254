/* The process between the runner and the job: parent of the job's main process, reaper of all others.
 *
 * It is pid 1 where the job has a PID namespace, so that the job's own main process is an ordinary one
 * (signals without a handler work, orphans are reaped). Without a namespace it is a subreaper, and the
 * second lock on the door: if the runner is killed, the control socket closes and everything here dies;
 * if this process is killed, the runner inherits and kills what it held. It keeps root where the job has
 * lost it, and no byte of the job's ever reaches it. */
#include "runner.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <stdio.h>

enum { CALL_CLONE3 = 435, CALL_CLOSE_RANGE = 436, CLOSE_ON_EXEC = 4 };
static const uint64_t FORK_INTO_CGROUP = UINT64_C(0x200000000);

static _Noreturn void report_and_exit(int report, struct failure failure) {
    ssize_t written = write(report, &failure, sizeof failure); /* below PIPE_BUF: whole or not at all */
    _exit(written == sizeof failure ? 0 : 1);
}

static _Noreturn void setup_failed(int report, const char *step, const char *detail) {
    report_and_exit(report, (struct failure){REASON_SETUP_FAILED, errno, step, detail});
}

/* Like execvpe, but with the job's own PATH and without its fallback of feeding an unknown format to a
 * shell: a command is run as it stands or not at all. */
static int execute(const struct spec *spec) {
    const char *file = spec->argv[0], *path = "/usr/local/bin:/usr/bin:/bin";
    if (strchr(file, '/') != NULL) {
        execve(file, spec->argv, spec->envp);
        return errno;
    }
    for (size_t i = 0; i < spec->envc; i++)
        if (strncmp(spec->envp[i], "PATH=", 5) == 0)
            path = spec->envp[i] + 5;
    int error = ENOENT;
    while (*path != '\0') {
        size_t length = strcspn(path, ":");
        char candidate[4096];
        int n = snprintf(candidate, sizeof candidate, "%.*s/%s", (int)length, path, file);
        /* An empty or relative element would mean "whatever lies in the working folder". */
        if (*path == '/' && n > 0 && (size_t)n < sizeof candidate) {
            execve(candidate, spec->argv, spec->envp);
            if (errno != ENOENT && errno != ENOTDIR)
                error = errno;
            /* A file that is there but may not be run does not hide a later one that may. */
            if (error != ENOENT && error != EACCES)
                return error;
        }
        path += length + (path[length] == ':');
    }
    return error;
}

/* Forks straight into the control group where it is of version 2: a fork is cheap where moving a process waits for the
 * whole machine. `inside` says in the child whether that worked; where it does not, the child moves itself. */
static pid_t fork_job(const struct spec *spec, bool *inside) {
    struct {
        uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid, set_tid_size, cgroup;
    } how = {.flags = FORK_INTO_CGROUP, .exit_signal = SIGCHLD, .cgroup = (uint64_t)spec->into};
    long pid = spec->into < 0 ? -1 : syscall(CALL_CLONE3, &how, sizeof how);
    *inside = pid >= 0;
    return pid >= 0 ? (pid_t)pid : fork();
}

static _Noreturn void job_main(const struct spec *spec, pid_t init, bool inside, int go, int report, int output) {
    struct failure failure = {REASON_NONE, 0, NULL, NULL};
    const struct failure ready = failure;
    setsid();
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0 || dup2(null, 0) < 0 || dup2(output, 1) < 0 || dup2(output, 2) < 0)
        setup_failed(report, "stdio", NULL);
    umask(spec->umask);
    /* The runner made itself opaque; the job's own files in /proc are the job's. */
    prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
    /* Priorities and hard limits may need root, so they come before the user. */
    if (spec->has_oom_score_adj) {
        int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
        if (fd < 0 || dprintf(fd, "%d", spec->oom_score_adj) < 0)
            setup_failed(report, "oom_score_adj", NULL);
        close(fd);
    }
    /* Its first act that could cost anything: what it takes from here on is counted. 0 is "whoever writes". */
    for (size_t i = 0; i < spec->cgroups; i++) {
        if (!spec->inside && !(inside && i == spec->into_at) && write(spec->join[i], "0", 1) != 1)
            setup_failed(report, "cgroup", spec->cgroup[i]);
        close(spec->join[i]);
    }
    if (spec->has_nice && setpriority(PRIO_PROCESS, 0, spec->nice) != 0)
        setup_failed(report, "nice", NULL);
    if (spec->has_cpus && sched_setaffinity(0, sizeof spec->cpus, &spec->cpus) != 0)
        setup_failed(report, "cpus", NULL);
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0}); /* a core file is a copy of the job's data */
    for (size_t i = 0; i < spec->rlimits; i++)
        if (setrlimit((__rlimit_resource_t)spec->rlimit[i].resource, &spec->rlimit[i].value) != 0)
            setup_failed(report, "rlimit", NULL);
    if (isolation_drop(spec, &failure) != 0)
        report_and_exit(report, failure);
    /* A change of user clears the death signal, so it is asked for afterwards; and whoever asks too late,
     * when the parent is dead already, never gets it. */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0 || getppid() != init)
        _exit(1);
    if (chdir(spec->cwd) != 0) /* as the job's user: what it may not enter is no place for it */
        setup_failed(report, "cwd", spec->cwd);
    syscall(CALL_CLOSE_RANGE, 3, ~0U, CLOSE_ON_EXEC); /* all are close-on-exec already; this is the belt */
    /* All this overlaps with the runner's writing of `started`; what is executed waits for that to be on disk. */
    if (spec->gang > 1 && write(report, &ready, sizeof ready) != sizeof ready)
        _exit(1);
    char word;
    if (read(go, &word, 1) != 1)
        _exit(0);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    int error = execute(spec);
    report_and_exit(report, (struct failure){REASON_EXEC_FAILED, error, "exec", spec->argv[0]});
}

/* Ends with everybody dead. `main_process` 0: it has been reported. */
static void supervise(pid_t main_process, int control, bool own_pid_namespace) {
    sigset_t child;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    int signals = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
    bool ending = false; /* asked to end: the grace belongs to the whole tree, not to its root alone */
    if (signals < 0)
        return;
    for (;;) {
        int status;
        pid_t pid;
        while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
            if (pid == main_process) {
                main_process = 0;
                send(control, &status, sizeof status, MSG_NOSIGNAL);
            }
        if (pid < 0 && errno == ECHILD)
            return;
        if (main_process == 0 && !ending)
            return;
        struct pollfd on[2] = {{.fd = control, .events = POLLIN}, {.fd = signals, .events = POLLIN}};
        if (poll(on, 2, -1) < 0 && errno != EINTR)
            return;
        if (on[1].revents != 0) {
            struct signalfd_siginfo ignored;
            while (read(signals, &ignored, sizeof ignored) > 0) {
            }
        }
        if (on[0].revents != 0) {
            char order = 'K';
            /* End of file: the runner is dead, and with it everyone who could enforce a limit. */
            if (recv(control, &order, 1, 0) != 1)
                order = 'K';
            if (order == 'K')
                break;
            ending = true;
            processes_signal(SIGTERM, own_pid_namespace);
            processes_signal(SIGCONT, own_pid_namespace); /* a halted process could not use its grace */
        }
    }
    /* Here main_process may still live: kill first, then reap it apart, for its status is wanted. */
    if (main_process != 0) {
        int status;
        processes_signal(SIGKILL, own_pid_namespace);
        kill(main_process, SIGKILL);
        while (waitpid(main_process, &status, 0) < 0 && errno == EINTR) {
        }
        send(control, &status, sizeof status, MSG_NOSIGNAL);
    }
}

_Noreturn void init_main(struct spec *spec, int control, int go, int report, int output) {
    bool own_pid_namespace = (spec->isolate & ISOLATE_PID) != 0;
    struct failure failure = {REASON_NONE, 0, NULL, NULL};
    prctl(PR_SET_NAME, "comity-init", 0, 0, 0);
    /* In a namespace our death is the death of all in it. Without one we must outlive the runner for as
     * long as it takes to kill the tree; there the closing socket is the message. */
    if (own_pid_namespace)
        prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    else if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0)
        setup_failed(report, "subreaper", NULL);
    if (isolation_enter(spec, &failure) != 0)
        report_and_exit(report, failure);
    bool inside;
    pid_t init = getpid(), main_process = fork_job(spec, &inside);
    if (main_process == 0)
        job_main(spec, init, inside, go, report, output);
    if (main_process < 0)
        setup_failed(report, "fork", NULL);
    /* The job's copies must be the last ones: the runner waits for the ends of both. */
    close(go);
    close(report);
    close(output);
    for (size_t i = 0; i < spec->cgroups; i++)
        close(spec->join[i]);
    if (spec->into >= 0)
        close(spec->into);
    spec_release(spec);
    supervise(main_process, control, own_pid_namespace);
    processes_sweep(own_pid_namespace);
    _exit(0);
}
