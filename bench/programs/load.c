/* A closed-loop HTTP/1.1 load generator for one loopback port: N keep-alive connections, each sends a request, waits for
 * its whole answer, and sends the next. Cheap on purpose: it shares the cores with the server that is measured.
 *
 *   load PORT CONNECTIONS WARM_MS MEASURED_MS REQUEST_FILE
 *
 * REQUEST_FILE holds one request, byte for byte; each "@@@@@@@@" in it becomes a new eight-digit number, so that no two
 * documents are the same. Prints one JSON object: answers and seconds between the end of warming up and the deadline,
 * percentiles of the latency from the first byte sent to the last byte received, and failures (status not 2xx).
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define HEAD_MAX 16384
#define SAMPLES_MAX 4000000

struct connection {
    int fd, events;
    char *request;
    size_t sent;
    char head[HEAD_MAX + 1];
    size_t have;     /* bytes of the answer so far */
    size_t wanted;   /* its whole length, 0 while the head is not complete */
    int64_t begun;
};

static char *template;
static size_t length, places_count, *places;
static uint64_t counter;
static double *samples;
static size_t samples_count, failed;
static char failure[256];

static int64_t now_ns(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return (int64_t)at.tv_sec * 1000000000 + at.tv_nsec;
}

static void die(const char *what) {
    fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
    exit(2);
}

static void read_template(const char *path) {
    FILE *file = fopen(path, "rb");
    if (!file) die(path);
    fseek(file, 0, SEEK_END);
    length = (size_t)ftell(file);
    rewind(file);
    template = malloc(length + 1);
    if (!template || fread(template, 1, length, file) != length) die(path);
    template[length] = 0;
    fclose(file);
    places = malloc((length / 8 + 1) * sizeof *places);
    for (char *at = template; (at = strstr(at, "@@@@@@@@")); at += 8) places[places_count++] = (size_t)(at - template);
}

static void watch(int loop, struct connection *c, int events, int operation) {
    if (operation == EPOLL_CTL_MOD && c->events == events) return;
    struct epoll_event event = {.events = (uint32_t)events, .data.ptr = c};
    if (epoll_ctl(loop, operation, c->fd, &event)) die("epoll_ctl");
    c->events = events;
}

static void push(int loop, struct connection *c) {
    while (c->sent < length) {
        ssize_t done = send(c->fd, c->request + c->sent, length - c->sent, MSG_NOSIGNAL);
        if (done < 0) {
            if (errno == EAGAIN) {
                watch(loop, c, EPOLLIN | EPOLLOUT, EPOLL_CTL_MOD);
                return;
            }
            die("send");
        }
        c->sent += (size_t)done;
    }
    watch(loop, c, EPOLLIN, EPOLL_CTL_MOD);
}

static void begin(int loop, struct connection *c) {
    for (size_t i = 0; i < places_count; i++) {
        uint64_t number = counter++;
        for (int digit = 7; digit >= 0; digit--, number /= 10) c->request[places[i] + (size_t)digit] = (char)('0' + number % 10);
    }
    c->sent = c->have = c->wanted = 0;
    c->begun = now_ns();
    push(loop, c);
}

/* Read what is there; return 1 when the answer is whole. */
static int pull(struct connection *c) {
    static char sink[1 << 18];
    for (;;) {
        int in_head = !c->wanted;
        char *to = in_head ? c->head + c->have : sink;
        size_t room = in_head ? HEAD_MAX - c->have : sizeof sink;
        ssize_t got = recv(c->fd, to, room, 0);
        if (got < 0) {
            if (errno == EAGAIN) return 0;
            die("recv");
        }
        if (got == 0) {
            errno = ECONNRESET;
            die("the server closed a connection");
        }
        c->have += (size_t)got;
        if (in_head) {
            c->head[c->have] = 0;
            char *end = strstr(c->head, "\r\n\r\n");
            if (!end) {
                if (c->have == HEAD_MAX) die("the head of an answer is too long");
                continue;
            }
            char *size = strcasestr(c->head, "\r\ncontent-length:");
            c->wanted = (size_t)(end + 4 - c->head) + (size && size < end ? strtoull(size + 17, NULL, 10) : 0);
        }
        if (c->have >= c->wanted) return 1;
    }
}

static int by_value(const void *left, const void *right) {
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

static double percentile(double percent) {
    if (!samples_count) return 0;
    size_t at = (size_t)((double)samples_count * percent / 100);
    return samples[at < samples_count ? at : samples_count - 1];
}

int main(int argc, char **argv) {
    if (argc != 6) {
        fprintf(stderr, "usage: load PORT CONNECTIONS WARM_MS MEASURED_MS REQUEST_FILE\n");
        return 2;
    }
    int port = atoi(argv[1]), count = atoi(argv[2]);
    read_template(argv[5]);
    samples = malloc(SAMPLES_MAX * sizeof *samples);
    int loop = epoll_create1(EPOLL_CLOEXEC);
    struct connection *all = calloc((size_t)count, sizeof *all);
    for (int i = 0; i < count; i++) {
        struct connection *c = &all[i];
        struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
        to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (connect(c->fd, (struct sockaddr *)&to, sizeof to)) die("connect");
        int one = 1;
        setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        c->request = malloc(length + 1);
        memcpy(c->request, template, length + 1);
    }
    int64_t start = now_ns() + atoll(argv[3]) * 1000000, end = start + atoll(argv[4]) * 1000000;
    for (int i = 0; i < count; i++) {
        struct connection *c = &all[i];
        if (fcntl(c->fd, F_SETFL, O_NONBLOCK)) die("fcntl");
        watch(loop, c, EPOLLIN, EPOLL_CTL_ADD);
        begin(loop, c);
    }
    int busy = count;
    while (busy > 0) {
        struct epoll_event ready[64];
        int found = epoll_wait(loop, ready, 64, 60000);
        if (found == 0) {
            errno = ETIMEDOUT;
            die("no answer within a minute");
        }
        for (int i = 0; i < found; i++) {
            struct connection *c = ready[i].data.ptr;
            if (ready[i].events & EPOLLOUT) push(loop, c);
            if (!(ready[i].events & ~(uint32_t)EPOLLOUT) || !pull(c)) continue;
            int64_t at = now_ns();
            if (c->head[9] != '2') {
                if (!failed++) snprintf(failure, sizeof failure, "%.12s", c->head);
            } else if (at >= start && at < end && samples_count < SAMPLES_MAX) {
                samples[samples_count++] = (double)(at - c->begun) / 1e6;
            }
            if (at >= end) busy--;
            else begin(loop, c);
        }
    }
    qsort(samples, samples_count, sizeof *samples, by_value);
    printf("{\"answers\": %zu, \"seconds\": %.3f, \"failed\": %zu, \"failure\": \"%s\", \"p50_ms\": %.3f, \"p99_ms\": %.3f}\n",
           samples_count, (double)(end - start) / 1e9, failed, failure, percentile(50), percentile(99));
    return 0;
}
