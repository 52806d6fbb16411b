/* forwarder.c: the least that AF_XDP can do between two devices: receive, copy, send.
 *
 *   forwarder OBJECT FROM TO STATS --seconds=60
 *
 * What the engine is compared with: the same sockets, rings and frames, without anything that the engine does
 * to them. Queue 0. Counts in a stats segment as the engine does: mirror_frames what arrived, sent_frames
 * what left. Prints "ready", and JSON at SIGTERM.
 */
#include <linux/if_link.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "afxdp.h"
#include "bench.h"
#include "files.h"

enum { BURST = 64, RING = 2048, SPIN_TURNS = 64, SLEEP_MILLISECONDS = 8, CLOCK_TURNS = 1024 };

#define SECOND 1000000000ull

struct forwarder {
    struct afxdp *from;
    struct afxdp *to;
    struct stats_segment *segment;
    uint64_t no_room; /* frames */
    bool answers;     /* come back, and are received */
};

static volatile sig_atomic_t stopped;

static void stop(int number)
{
    (void)number;
    stopped = 1;
}

static struct afxdp *open_socket(const char *device, bool transmit)
{
    char error[AFXDP_ERROR_SIZE];
    struct afxdp_config config = {.device = device, .ring_size = RING, .transmit = transmit};
    struct afxdp *socket;
    if (afxdp_open(&config, &socket, error))
        bench_fail("%s", error);
    return socket;
}

/* All frames of the device go to the socket. The kernel takes the program off when the process ends: the link
 * is never closed. */
static void attach(const struct afxdp *socket, const char *object, const char *device)
{
    struct program *program = file_program(object, "forward");
    struct program_map sockets;
    if (program_map_at(program, 0, &sockets) || afxdp_register(socket, sockets.fd))
        bench_fail("the socket cannot be registered");
    int ifindex = (int)if_nametoindex(device);
    if (link_attach(program_fd(program), ifindex, XDP_FLAGS_DRV_MODE) < 0)
        bench_fail("cannot attach to %s in native mode", device);
}

static uint64_t forward(struct forwarder *forwarder, const struct afxdp_frame *frames, uint32_t count)
{
    uint64_t sent = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct afxdp_frame out;
        if (!afxdp_reserve(forwarder->to, &out))
            continue;
        memcpy(out.data, frames[i].data, frames[i].size);
        out.size = frames[i].size;
        afxdp_submit(forwarder->to, &out);
        sent++;
    }
    forwarder->no_room += count - sent;
    return sent;
}

/* Receives what came back, which nobody wants; how much it was. */
static uint32_t forget(const struct forwarder *forwarder)
{
    struct afxdp_frame frames[BURST];
    if (!forwarder->answers)
        return 0;
    uint32_t count = afxdp_receive(forwarder->to, frames, BURST);
    afxdp_refill(forwarder->to, frames, count);
    return count;
}

/* One burst of each; false if there was none. */
static bool turn(struct forwarder *forwarder)
{
    struct afxdp_frame frames[BURST];
    struct stats *stats = &forwarder->segment->stats[0];
    uint32_t count = afxdp_receive(forwarder->from, frames, BURST);
    uint64_t sent = forward(forwarder, frames, count);
    afxdp_refill(forwarder->from, frames, count);
    uint32_t back = forget(forwarder);
    afxdp_flush(forwarder->to);
    stats_add(&stats->mirror_frames, count);
    stats_add(&stats->all.sent_frames, sent);
    stats_add(&stats->test_frames, back);
    return count || back;
}

static void run(struct forwarder *forwarder, uint64_t seconds)
{
    uint64_t deadline = bench_clock() + seconds * SECOND;
    uint32_t idle = 0;
    for (uint32_t turns = 0; !stopped; turns++) {
        if (turns % CLOCK_TURNS == 0 && bench_clock() > deadline)
            return;
        if (turn(forwarder))
            idle = 0;
        else if (++idle > SPIN_TURNS) {
            struct pollfd fd = {.fd = afxdp_fd(forwarder->from), .events = POLLIN};
            poll(&fd, 1, SLEEP_MILLISECONDS);
        }
    }
}

int main(int argc, char **argv)
{
    struct forwarder forwarder = {.no_room = 0};
    struct afxdp_statistics statistics;
    if (argc < 5)
        bench_fail("usage: forwarder OBJECT FROM TO STATS [--answers=0] [--seconds=60]");
    signal(SIGTERM, stop);
    signal(SIGINT, stop);
    if (stats_open(&forwarder.segment, argv[4], 1))
        bench_fail("cannot write %s", argv[4]);
    forwarder.from = open_socket(argv[2], false);
    forwarder.to = open_socket(argv[3], true);
    forwarder.answers = bench_option(argc, argv, "answers", 0);
    attach(forwarder.from, argv[1], argv[2]);
    if (forwarder.answers)
        attach(forwarder.to, argv[1], argv[3]);
    puts("ready");
    fflush(stdout);
    run(&forwarder, bench_option(argc, argv, "seconds", 60));
    if (afxdp_statistics_read(forwarder.from, &statistics))
        bench_fail("the statistics of the socket cannot be read");
    printf("{\"no_room\": %llu, \"ring_full\": %llu, \"mode\": \"%s\"}\n",
           (unsigned long long)forwarder.no_room, (unsigned long long)statistics.rx_ring_full,
           afxdp_mode_of(forwarder.from) == AFXDP_ZEROCOPY ? "zerocopy" : "copy");
    afxdp_close(forwarder.from);
    afxdp_close(forwarder.to);
    stats_close(forwarder.segment, argv[4]);
    return 0;
}
