/* What both clients share: time, percentiles, sockets, arguments. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SOURCES 16 /* loopback addresses to connect from: one has 28,000 ports, and closed ones stay taken for a while */

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec * 1e-9;
}

static double cpu_seconds(void) {
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return u.ru_utime.tv_sec + u.ru_stime.tv_sec + (u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1e-6;
}

static void die(const char *format, ...) {
    va_list args;
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    exit(1);
}

static const char *text_arg(int argc, char **argv, const char *name, const char *otherwise) {
    for (int i = 1; i + 1 < argc; i++)
        if (!strcmp(argv[i], name)) return argv[i + 1];
    return otherwise;
}

static double number_arg(int argc, char **argv, const char *name, double otherwise) {
    const char *given = text_arg(argc, argv, name, NULL);
    return given ? atof(given) : otherwise;
}

/* A socket that is being connected. */
static int dial(int port, long count) {
    struct sockaddr_in from = {.sin_family = AF_INET}, to = {.sin_family = AF_INET, .sin_port = htons(port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), on = 1;
    if (fd < 0) die("socket: %s", strerror(errno));
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + count % SOURCES);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(fd, (struct sockaddr *)&from, sizeof from)) die("bind: %s", strerror(errno));
    if (connect(fd, (struct sockaddr *)&to, sizeof to) && errno != EINPROGRESS) die("connect: %s", strerror(errno));
    return fd;
}

typedef struct {
    double *at;
    size_t count, room;
} Times;

static void add_time(Times *times, double seconds) {
    if (times->count == times->room) {
        times->room = times->room ? 2 * times->room : 4096;
        times->at = realloc(times->at, times->room * sizeof(double));
        if (!times->at) die("out of memory");
    }
    times->at[times->count++] = seconds;
}

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Prints `"name_p50": …, "name_p99": …` in seconds; zeros if there are none. */
static void print_times(const char *name, Times *times) {
    size_t n = times->count;
    if (n) qsort(times->at, n, sizeof(double), by_size);
    printf("\"%s_p50\": %.9f, \"%s_p99\": %.9f", name, n ? times->at[n / 2] : 0, name, n ? times->at[n * 99 / 100] : 0);
}
