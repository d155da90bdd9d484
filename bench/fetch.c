/* An HTTP client that is never the bottleneck: keep-alive sockets, one request after the other on each, one thread.

   Either the same GET over and over, or whole dialogs of the original contract: `--messages` POSTs to /data, then the
   consent. Answers have a Content-Length. Prints one line of JSON.

   --sockets N    at once
   --seconds S    stop after so long, and at least one answer
   --path P       what to get
   --messages N   messages of each dialog, instead of --path
   --dialogs N    stop after so many dialogs were consented to
   --text N       bytes of each message */
#include "common.h"

enum { RX = 1 << 20, TX = 8192, FIRST_ANSWER_S = 10 };

typedef struct {
    int fd, connected;
    long dialog, step; /* which dialog, and how many of its requests were answered */
    double asked;
    size_t rx_length, tx_length;
    char *rx, *tx;
} Slot;

static int port, epoll;
static long messages, dialogs, text_length, dialled, begun, consented, answered;
static const char *path;
static Times request_times, consent_times;

static void flush(Slot *slot) {
    if (!slot->connected || !slot->tx_length) return;
    ssize_t n = send(slot->fd, slot->tx, slot->tx_length, MSG_NOSIGNAL);
    if (n < 0 && errno == EAGAIN) return;
    if (n < 0) die("send: %s", strerror(errno));
    slot->tx_length -= n;
    memmove(slot->tx, slot->tx + n, slot->tx_length);
}

static void ask(Slot *slot) {
    char body[TX - 512];
    if (path) {
        slot->tx_length = sprintf(slot->tx, "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n", path, port);
    } else {
        char where[100];
        int length = sprintf(body, "true");
        if (slot->step < messages) {
            length = sprintf(body, "{\"language\":\"en\",\"text\":\"%0*ld\"}", (int)text_length, slot->step);
            sprintf(where, "/data/c-%ld/d-%d-%ld", slot->dialog % 1000, getpid(), slot->dialog);
        } else {
            sprintf(where, "/consents/d-%d-%ld", getpid(), slot->dialog);
        }
        slot->tx_length = sprintf(slot->tx,
            "POST %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
            where, port, length, body);
    }
    slot->asked = now();
    flush(slot);
}

static void begin(Slot *slot) {
    slot->fd = dial(port, dialled++);
    slot->connected = 0;
    slot->rx_length = slot->tx_length = 0;
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = slot};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, slot->fd, &event)) die("epoll_ctl: %s", strerror(errno));
}

/* The next request of this dialog, or the first of the next one, which gets a connection of its own. */
static void go_on(Slot *slot, int closes) {
    double took = now() - slot->asked;
    answered++;
    add_time(&request_times, took);
    if (!path && slot->step++ == messages) {
        add_time(&consent_times, took);
        consented++;
        slot->dialog = begun++;
        slot->step = 0;
        closes = 1;
    }
    if (!closes) return ask(slot);
    close(slot->fd);
    begin(slot);
}

/* Whether the whole answer is there; it must be a success. */
static int is_whole(Slot *slot, int *closes) {
    slot->rx[slot->rx_length] = 0;
    char *body = memmem(slot->rx, slot->rx_length, "\r\n\r\n", 4);
    if (!body) return 0;
    if (slot->rx[9] != '2') die("refused: %.300s", slot->rx);
    *body = 0;
    char *length = strcasestr(slot->rx, "\r\ncontent-length:");
    *closes = strcasestr(slot->rx, "\r\nconnection: close") != NULL;
    long whole = length ? body + 4 - slot->rx + atol(length + 17) : -1;
    *body = '\r';
    if (whole < 0) die("no Content-Length: %.300s", slot->rx);
    return (long)slot->rx_length >= whole;
}

static void serve(Slot *slot, unsigned events) {
    if (!slot->connected) {
        if (events & (EPOLLERR | EPOLLHUP)) die("cannot connect");
        if (!(events & EPOLLOUT)) return;
        slot->connected = 1;
        return ask(slot);
    }
    flush(slot);
    for (;;) {
        int closes = 0;
        ssize_t n = recv(slot->fd, slot->rx + slot->rx_length, RX - 1 - slot->rx_length, 0);
        if (n < 0 && errno == EAGAIN) return;
        if (n <= 0) die("the server hung up");
        slot->rx_length += n;
        if (!is_whole(slot, &closes)) continue;
        slot->rx_length = 0;
        go_on(slot, closes);
        if (!slot->connected) return;
    }
}

int main(int argc, char **argv) {
    long sockets = number_arg(argc, argv, "--sockets", 1);
    double seconds = number_arg(argc, argv, "--seconds", 60);
    port = number_arg(argc, argv, "--port", 0);
    path = text_arg(argc, argv, "--path", NULL);
    messages = number_arg(argc, argv, "--messages", 0);
    dialogs = number_arg(argc, argv, "--dialogs", 0);
    text_length = number_arg(argc, argv, "--text", 80);
    if (text_length > TX / 2) die("--text is too much");
    epoll = epoll_create1(0);
    double began = now(), cpu = cpu_seconds();
    for (long i = 0; i < sockets; i++) {
        Slot *slot = calloc(1, sizeof(Slot));
        slot->rx = malloc(RX);
        slot->tx = malloc(TX);
        slot->dialog = begun++;
        begin(slot);
    }
    struct epoll_event events[512];
    while ((!dialogs || consented < dialogs) && now() - began < (answered ? seconds : seconds + FIRST_ANSWER_S)) {
        int n = epoll_wait(epoll, events, 512, 50);
        for (int i = 0; i < n; i++) serve(events[i].data.ptr, events[i].events);
    }
    double wall = now() - began;
    printf("{\"dialogs\": %ld, \"requests\": %ld, \"seconds\": %.6f, \"cpu\": %.6f, ", consented, answered, wall, cpu_seconds() - cpu);
    print_times("request", &request_times);
    printf(", ");
    print_times("consent", &consent_times);
    puts("}");
    return 0;
}
