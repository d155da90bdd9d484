/* A chatbot that is never the bottleneck: many live dialogs over WebSocket from one thread.

   Each slot runs dialogs one after the other: connect, upgrade, open, `--messages` of them with at most `--window`
   unacked, consent, stored, close. Frames are masked. Prints one line of JSON.

   --sockets N    dialogs at once
   --dialogs N    stop after so many were stored (0: after --seconds)
   --seconds S    stop after so long
   --messages N   messages of each dialog (0: no end, and no consent)
   --window N     messages in flight
   --bytes N      bytes of each message's frame payload
   --rate R       begin so many dialogs a second, in free slots, instead of as fast as they end
   --every S      when all are open, each speaks every S seconds (acks are timed)
   --token T      come with this key
   --together     say nothing before all are open; the time counts from there
   --hold         do not consent: print `held` when all is acked, and keep still until stdin ends; with --every, one
                  line on stdin begins that, and the next one ends it and has the result printed */
#include "common.h"

enum { CLOSED, CONNECTING, UPGRADING, OPENING, TALKING, DECIDING, LEAVING };
enum { OPENING_S = 60 }; /* how long it may take until all are open, where that is waited for */
enum { RX = 8192, TX = 32768, PAYLOAD = 4096 };

typedef struct {
    int fd, state;
    long sent, acked;
    double asked; /* when the last message, or the consent, was sent */
    size_t rx_length, tx_length;
    char *rx, *tx;
} Slot;

static const char *token;
static int port, epoll, together, hold, paced;
static long sockets, dialogs, messages, window, bytes;
static double seconds, rate, every;
static Slot *slots;
static long begun, stored, acked, opened, held;
static double began, cpu_began;
static long spoken;
static Times ack_times, stored_times;

/* Begin to count: what came before does not. */
static void start_counting(void) {
    began = now();
    cpu_began = cpu_seconds();
    acked = spoken = 0;
    ack_times.count = 0;
}

static void flush(Slot *slot) {
    while (slot->tx_length) {
        ssize_t n = send(slot->fd, slot->tx, slot->tx_length, MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN) return; /* the next EPOLLOUT goes on */
        if (n < 0) die("send: %s", strerror(errno));
        slot->tx_length -= n;
        memmove(slot->tx, slot->tx + n, slot->tx_length);
    }
}

static void put(Slot *slot, const void *data, size_t length) {
    if (slot->tx_length + length > TX) die("the server does not read");
    memcpy(slot->tx + slot->tx_length, data, length);
    slot->tx_length += length;
}

static void put_frame(Slot *slot, int opcode, const char *payload, size_t length) {
    static const unsigned char mask[4] = {0x37, 0xfa, 0x21, 0x3d};
    char frame[PAYLOAD + 8];
    size_t head = 2;
    frame[0] = 0x80 | opcode;
    frame[1] = 0x80 | (length < 126 ? length : 126);
    if (length >= 126) {
        frame[2] = length >> 8;
        frame[3] = length;
        head = 4;
    }
    memcpy(frame + head, mask, 4);
    for (size_t i = 0; i < length; i++) frame[head + 4 + i] = payload[i] ^ mask[i & 3];
    put(slot, frame, head + 4 + length);
}

static void say(Slot *slot) {
    static char filler[PAYLOAD];
    char frame[PAYLOAD];
    if (!filler[0])
        for (int i = 0; i < PAYLOAD; i++) filler[i] = "where is my parcel "[i % 19];
    int head = sprintf(frame, "{\"type\":\"message\",\"seq\":%ld,\"text\":\"", ++slot->sent), text = bytes - head - 2;
    if (text < 1) die("--bytes is too small");
    memcpy(frame + head, filler, text);
    memcpy(frame + head + text, "\"}", 2);
    put_frame(slot, 1, frame, bytes);
}

static void consent(Slot *slot) {
    char frame[100];
    int length = sprintf(frame, "{\"type\":\"consent\",\"granted\":true,\"last_seq\":%ld}", slot->sent);
    put_frame(slot, 1, frame, length);
    slot->state = DECIDING;
}

/* Say as much as the window lets, or consent when all is said and acked. */
static void talk(Slot *slot) {
    if (slot->state != TALKING || paced || (together && opened < sockets)) return;
    if (messages && slot->acked == messages) {
        if (hold)
            held++;
        else
            consent(slot);
    } else {
        while (slot->sent - slot->acked < window && (!messages || slot->sent < messages)) say(slot);
    }
    slot->asked = now();
    flush(slot);
}

static void begin(Slot *slot) {
    slot->fd = dial(port, begun++);
    slot->state = CONNECTING;
    slot->sent = slot->acked = slot->rx_length = slot->tx_length = 0;
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = slot};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, slot->fd, &event)) die("epoll_ctl: %s", strerror(errno));
}

static void upgrade(Slot *slot) {
    char request[600];
    int length = sprintf(request,
        "GET /v1/dialogs/live HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nAuthorization: Bearer %.200s\r\n\r\n", port, token);
    put(slot, request, length);
    flush(slot);
    slot->state = UPGRADING;
}

static void open_dialog(Slot *slot) {
    char frame[100];
    int length = sprintf(frame, "{\"type\":\"open\",\"customer_id\":\"c-%ld\",\"language\":\"en\"}", begun % 1000);
    put_frame(slot, 1, frame, length);
    flush(slot);
    slot->state = OPENING;
}

static void end(Slot *slot) {
    if (slot->state != LEAVING) die("the server hung up in state %d", slot->state);
    close(slot->fd);
    slot->state = CLOSED;
    stored++;
    if (!rate && (!dialogs || begun < dialogs)) begin(slot);
}

/* The type is the first member of each of the server's frames: {"type":"… */
static void take(Slot *slot, int opcode, const char *payload, size_t length) {
    char kind = length > 9 ? payload[9] : 0;
    if (opcode == 9) {
        put_frame(slot, 10, payload, length);
        flush(slot);
    } else if (opcode == 8) {
        if (slot->state != LEAVING) die("closed: %.*s", length > 2 ? (int)length - 2 : 0, payload + 2);
        put_frame(slot, 8, payload, length);
        flush(slot);
    } else if (kind == 'a') {
        long to = atol(payload + 20);
        if (paced) add_time(&ack_times, now() - slot->asked);
        acked += to - slot->acked;
        slot->acked = to;
    } else if (kind == 'o') {
        opened++;
        slot->state = TALKING;
        if (opened == sockets && (together || paced)) {
            start_counting();
            for (long i = 0; i < sockets; i++)
                if (slots + i != slot) talk(slots + i);
        }
    } else if (kind == 's') {
        add_time(&stored_times, now() - slot->asked);
        slot->state = LEAVING;
    } else {
        die("refused: %.*s", (int)length, payload);
    }
}

/* Take every whole frame out of what was read; acks of one read count as one. */
static void take_all(Slot *slot) {
    size_t at = 0;
    int talked = slot->state < TALKING;
    long before = slot->acked;
    if (slot->state == UPGRADING) {
        char *body = memmem(slot->rx, slot->rx_length, "\r\n\r\n", 4);
        if (!body) return;
        if (memcmp(slot->rx, "HTTP/1.1 101", 12)) die("no upgrade: %.60s", slot->rx);
        at = body + 4 - slot->rx;
        open_dialog(slot);
    }
    while (slot->rx_length - at >= 2) {
        unsigned char *head = (unsigned char *)slot->rx + at;
        size_t skip = 2, length = head[1] & 127;
        if (length == 127) die("too long a frame");
        if (length == 126) {
            if (slot->rx_length - at < 4) break;
            length = head[2] << 8 | head[3];
            skip = 4;
        }
        if (slot->rx_length - at < skip + length) break;
        take(slot, head[0] & 15, slot->rx + at + skip, length);
        at += skip + length;
    }
    slot->rx_length -= at;
    memmove(slot->rx, slot->rx + at, slot->rx_length);
    if (talked || slot->acked > before) talk(slot);
}

static void serve(Slot *slot, unsigned events) {
    if (slot->state == CONNECTING) {
        if (events & (EPOLLERR | EPOLLHUP)) die("cannot connect");
        if (events & EPOLLOUT) upgrade(slot);
    } else if (events & EPOLLOUT) {
        flush(slot);
    }
    while (slot->state != CLOSED) {
        ssize_t n = recv(slot->fd, slot->rx + slot->rx_length, RX - slot->rx_length, 0);
        if (n < 0 && errno == EAGAIN) return;
        if (n <= 0) return end(slot);
        slot->rx_length += n;
        take_all(slot);
    }
}

/* Begin the dialogs, or say the messages, that are due. */
static void keep_pace(void) {
    double at = now() - began;
    if (rate)
        for (long i = 0; i < sockets && begun < at * rate && (!dialogs || begun < dialogs); i++)
            if (slots[i].state == CLOSED) begin(slots + i);
    if (paced && opened == sockets)
        for (; spoken < at * sockets / every; spoken++) {
            Slot *slot = slots + spoken % sockets;
            say(slot);
            slot->asked = now();
            flush(slot);
        }
}

static void report(void) {
    double wall = now() - began;
    printf("{\"dialogs\": %ld, \"messages\": %ld, \"seconds\": %.6f, \"cpu\": %.6f, ", stored, acked, wall, cpu_seconds() - cpu_began);
    print_times("stored", &stored_times);
    printf(", ");
    print_times("ack", &ack_times);
    puts("}");
    fflush(stdout);
}

/* Begin to speak when told to, and stop when told so again. Returns 0 when stdin has ended. */
static int is_wanted(void) {
    struct pollfd input = {.fd = 0, .events = POLLIN};
    char byte;
    if (poll(&input, 1, 0) <= 0) return 1;
    if (read(0, &byte, 1) <= 0) return 0;
    paced = !paced;
    if (paced) start_counting();
    else report();
    return 1;
}

int main(int argc, char **argv) {
    port = number_arg(argc, argv, "--port", 0);
    token = text_arg(argc, argv, "--token", "none");
    sockets = number_arg(argc, argv, "--sockets", 1);
    dialogs = number_arg(argc, argv, "--dialogs", 0);
    messages = number_arg(argc, argv, "--messages", 0);
    window = number_arg(argc, argv, "--window", 1);
    bytes = number_arg(argc, argv, "--bytes", 120);
    seconds = number_arg(argc, argv, "--seconds", 60);
    rate = number_arg(argc, argv, "--rate", 0);
    every = number_arg(argc, argv, "--every", 0);
    together = number_arg(argc, argv, "--together", 0);
    hold = number_arg(argc, argv, "--hold", 0);
    paced = every && !hold;
    if (bytes > PAYLOAD || (bytes + 8) * window + 256 > TX) die("--bytes times --window is too much");
    epoll = epoll_create1(0);
    slots = calloc(sockets, sizeof(Slot));
    for (long i = 0; i < sockets; i++) {
        slots[i].rx = malloc(RX);
        slots[i].tx = malloc(TX);
    }
    began = now();
    long at_most = dialogs && dialogs < sockets ? dialogs : sockets, dialling = rate ? at_most : 0;
    struct epoll_event events[512];
    while ((!dialogs || stored < dialogs) && (hold ? is_wanted() : now() - began < (together && opened < sockets ? OPENING_S : seconds))) {
        for (int i = 0; i < 200 && dialling < at_most && (begun - opened) < 500; i++) begin(slots + dialling++);
        int n = epoll_wait(epoll, events, 512, rate || paced ? 1 : 50);
        for (int i = 0; i < n; i++) serve(events[i].data.ptr, events[i].events);
        keep_pace();
        if (hold && held == sockets) {
            puts("held");
            fflush(stdout);
            held = 0;
        }
    }
    if (together && opened < sockets) die("only %ld of %ld dialogs were open after %d s", opened, sockets, OPENING_S);
    if (!hold) report();
    return 0;
}
