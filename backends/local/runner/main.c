/* comity-runner DIR: supervises one process of one job, and outlives the control plane that asked for it.
 * comity-runner --serve: the same for each folder that is named to it, without the cost of an exec.
 *
 * The control plane prepares DIR, runs this and is told by the exit status whether the job runs; from
 * then on the two share nothing but DIR and signals. The contract is PROTOCOL.md; the process tree is
 * caller -> (gone, or the server's starter), runner -> init -> job. */
#include "runner.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { CALL_CLOSE_RANGE = 436 };

/* What the caller waits for: it learns how the start went, says it, and is gone. */
static int wait_for_start(int notify) {
    struct message message = {.code = CODE_NOT_STARTED};
    ssize_t n;
    do
        n = read(notify, &message, sizeof message);
    while (n < 0 && errno == EINTR);
    start_describe(STDERR_FILENO, &message);
    return message.code;
}

int main(int argc, char **argv) {
    static struct runner self; /* static: zeroed, and off the stack that the fork copies */
    for (int fd = open("/dev/null", O_RDWR); fd >= 0 && fd < 3;)
        fd = dup(fd); /* a caller may have closed 0, 1 or 2, and then our files would land there */
    if (syscall(CALL_CLOSE_RANGE, 3, ~0U, 0) != 0) /* before Linux 5.9, and in some sandboxes */
        for (int fd = (int)sysconf(_SC_OPEN_MAX); fd-- > 3;)
            close(fd);
    /* Ignored signals survive exec: an ignored SIGCHLD would lose statuses, an ignored SIGPIPE would
     * change how the job's pipelines end. By the system call, because glibc's posix_spawn leaves two
     * signals of its own ignored, which its signal() refuses to change. */
    static const long as_new[8]; /* all zero, whatever the order of the kernel's structure: SIG_DFL */
    for (int number = 1; number < NSIG; number++)
        syscall(SYS_rt_sigaction, number, as_new, NULL, 8);
    if (argc == 2 && strcmp(argv[1], "--probe") == 0)
        return isolation_probe();
    if ((argc == 2 || argc == 3) && strcmp(argv[1], "--serve") == 0)
        return starter_serve(&self, argv[1], strlen(argv[1]) + (argc == 3 ? strlen(argv[2]) + 1 : 0) + 1);
    if (argc >= 4 && strcmp(argv[1], "--seat") == 0) {
        self.inside = holds_sit(argv + 3); /* else each job moves itself, as it would without */
        return starter_serve(&self, argv[1], strlen(argv[1]) + strlen(argv[2]) + 2);
    }
    if (argc != 2 || argv[1][0] == '-') {
        fputs("usage: comity-runner DIR | --probe | --serve | --seat\n", stderr);
        return CODE_USAGE;
    }
    int code = start_enter(&self, argv[1]);
    if (code != 0)
        return code;
    int notify[2];
    if (pipe2(notify, O_CLOEXEC) != 0)
        return CODE_NOT_STARTED;
    pid_t pid = fork();
    if (pid < 0)
        return CODE_NOT_STARTED;
    if (pid > 0) {
        close(notify[1]);
        return wait_for_start(notify[0]);
    }
    close(notify[0]);
    self.notify = notify[1];
    if (!start_let_go())
        _exit(CODE_NOT_STARTED);
    runner_run(&self);
}
