/* The copying kind of log, used only where a cap was asked for: the job writes into a pipe, and what
 * fits below the cap is copied. Without a cap the job holds the file itself and nothing is copied. */
#include "runner.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

static void append(int file, const char *bytes, size_t length) {
    while (length > 0) {
        ssize_t n = write(file, bytes, length);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return; /* a full disk loses log lines; it does not stop the job */
        bytes += n;
        length -= (size_t)n;
    }
}

bool log_copy(struct log *log) {
    static char buffer[65536];
    ssize_t n = read(log->pipe, buffer, sizeof buffer);
    if (n <= 0)
        return n < 0 && errno == EINTR;
    int64_t room = log->bytes_max - log->bytes, kept = n < room ? n : room;
    append(log->file, buffer, (size_t)kept);
    log->bytes += kept;
    if (n > room && !log->truncated) {
        char mark[96];
        int length = snprintf(mark, sizeof mark, "\n[comity: log cut at %lld bytes, the rest is not kept]\n",
                              (long long)log->bytes_max);
        append(log->file, mark, (size_t)length);
        log->truncated = true;
    }
    return true;
}
