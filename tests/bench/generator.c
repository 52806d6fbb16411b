/* generator.c: sends what generate.bpf.c makes: mirrored traffic of connections that stay open.
 *
 *   generator OBJECT DEVICE OWN-STATS RECEIVER-STATS --connections=512 --window=1024 --rate=0 --seconds=5
 *
 * The kernel sends live frames (BPF_PROG_RUN, Linux 5.18): no skb, no copy, so one core offers more than any
 * receiver on another takes. With a window, no more frames are under way than that: the receiver's counter
 * mirror_frames is read from its stats segment. Without one (0) as many go out as the core can send, or
 * --rate a second. Its own count is sent_frames of a stats segment. Ends after --seconds, or at SIGTERM;
 * prints JSON.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"
#include "files.h"
#include "observe/stats.h"
#include "program.h"
#include "talk.h"

enum {
    CHUNK = 512,       /* frames of one run: that setting up is little of it */
    LEAST_CHUNK = 128, /* unless there is nothing else to do */
    BATCH = 64,        /* frames between two looks of the receiver's driver */
    PAUSE = 50 * 1000 * 1000,
    ANSWER = 64,
};

#define SECOND 1000000000ull

/* As in generate.bpf.c. */
struct plan {
    uint32_t next;
    uint32_t connections;
    uint32_t device;
    uint32_t isn;
    uint32_t request;
    uint32_t answer;
    uint32_t payload_sum;
};

struct generator {
    struct stats_segment *own;
    const struct stats_segment *receiver;
    int program;
    uint8_t frame[TALK_FRAME];
    uint32_t size;
    uint64_t sent;
    uint64_t window;
    uint64_t rate;
    uint64_t start;
};

static volatile sig_atomic_t stopped;

static void stop(int number)
{
    (void)number;
    stopped = 1;
}

/* A request of the benchmark's client, without TCP options. */
static void make_frame(struct generator *generator, struct plan *plan)
{
    static const struct link_addresses LINK = {{2, 0, 0, 0, 0, 2}, {2, 0, 0, 0, 0, 1}};
    struct talk talk;
    struct segment segment;
    struct frame frame = {generator->frame, sizeof(generator->frame), 0};
    talk_begin(&talk, 0);
    talk_segment(&talk, 0, CLIENT_REQUEST, &segment);
    segment.options.has_timestamp = false;
    rewrite_segment(&segment, &LINK, &frame);
    generator->size = frame.size;
    plan->request = TALK_REQUEST;
    plan->answer = ANSWER;
    for (uint32_t at = frame.size - TALK_REQUEST; at < frame.size; at += 2) {
        uint16_t word;
        memcpy(&word, generator->frame + at, sizeof(word));
        plan->payload_sum += word;
    }
}

static int map_of(const struct program *program, const char *name)
{
    struct program_map map;
    for (uint32_t i = 0; program_map_at(program, i, &map) == 0; i++)
        if (strcmp(map.name, name) == 0)
            return map.fd;
    bench_fail("the program has no map %s", name);
}

static void load(struct generator *generator, const char *object, const char *device, uint32_t connections)
{
    struct plan plan = {.connections = connections, .isn = (uint32_t)bench_clock()};
    struct program *program = file_program(object, "generate");
    plan.device = if_nametoindex(device);
    if (!plan.device)
        bench_fail("there is no device %s", device);
    make_frame(generator, &plan);
    uint32_t zero = 0;
    if (map_update(map_of(program, "plan_map"), (const uint8_t *)&zero, (const uint8_t *)&plan))
        bench_fail("the plan cannot be written");
    generator->program = program_fd(program);
}

/* Sends the next frames of the plan. */
static void send_frames(struct generator *generator, uint32_t count)
{
    LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = generator->frame, .data_size_in = generator->size,
                .repeat = (int)count, .flags = BPF_F_TEST_XDP_LIVE_FRAMES, .batch_size = BATCH);
    int code = bpf_prog_test_run_opts(generator->program, &options);
    if (code && errno != EINTR)
        bench_fail("the kernel does not send live frames (Linux 5.18): %s", strerror(errno));
    generator->sent += count;
    stats_set(&generator->own->stats[0].sent_frames, generator->sent);
}

/* How many frames may go now. */
static uint64_t allowed(const struct generator *generator)
{
    if (generator->window) {
        uint64_t under_way = generator->sent - stats_get(&generator->receiver->stats[0].mirror_frames);
        return under_way < generator->window ? generator->window - under_way : 0;
    }
    if (!generator->rate)
        return CHUNK;
    uint64_t due = (bench_clock() - generator->start) * generator->rate / SECOND;
    return due > generator->sent ? due - generator->sent : 0;
}

/* One frame for each connection, never too many at once; then time for what they cause. */
static void send_round(struct generator *generator, uint32_t connections)
{
    struct timespec pause = {0, PAUSE};
    for (uint32_t sent = 0; sent < connections && !stopped; sent += BATCH) {
        send_frames(generator, BATCH);
        struct timespec moment = {0, PAUSE / 200};
        nanosleep(&moment, NULL);
    }
    nanosleep(&pause, NULL);
}

static void send_exchanges(struct generator *generator, uint64_t seconds)
{
    uint64_t before = generator->sent;
    generator->start = bench_clock() - (generator->rate ? generator->sent * SECOND / generator->rate : 0);
    uint64_t start = bench_clock();
    uint64_t least = generator->window && generator->window < 2 * LEAST_CHUNK ? 1 : LEAST_CHUNK;
    while (!stopped && bench_clock() - start < seconds * SECOND) {
        uint64_t count = allowed(generator);
        if (count >= least)
            send_frames(generator, count < CHUNK ? (uint32_t)count : CHUNK);
    }
    printf("{\"frames\": %llu, \"exchange_frames\": %llu, \"exchange_ns\": %llu}\n",
           (unsigned long long)generator->sent, (unsigned long long)(generator->sent - before),
           (unsigned long long)(bench_clock() - start));
}

int main(int argc, char **argv)
{
    static struct generator generator;
    if (argc < 5)
        bench_fail("usage: generator OBJECT DEVICE OWN-STATS RECEIVER-STATS [--connections=512] "
                   "[--window=1024] [--rate=0] [--seconds=5]");
    uint32_t connections = (uint32_t)bench_option(argc, argv, "connections", 512) / BATCH * BATCH;
    generator.window = bench_option(argc, argv, "window", 1024);
    generator.rate = bench_option(argc, argv, "rate", 0);
    generator.receiver = file_segment(argv[4]);
    if (stats_open(&generator.own, argv[3], 1))
        bench_fail("cannot write %s", argv[3]);
    signal(SIGTERM, stop);
    signal(SIGINT, stop);
    load(&generator, argv[1], argv[2], connections);
    send_round(&generator, connections);
    send_round(&generator, connections);
    send_exchanges(&generator, bench_option(argc, argv, "seconds", 5));
    stats_close(generator.own, argv[3]);
    return 0;
}
