/* generator.c: sends what generate.bpf.c makes: mirrored traffic of connections that stay open.
 *
 *   generator OBJECT DEVICE OWN-STATS RECEIVER-STATS --connections=512 --window=1024 --rate=0 --visit=0 ...
 *
 * The kernel sends live frames (BPF_PROG_RUN, Linux 5.18): no skb, no copy, so one core offers more than any
 * receiver on another takes. One thread is inside the kernel all the time; the other wakes now and then and
 * says how far it may go. With a window, no more frames are under way than that: the receiver's counter
 * mirror_frames is read from its stats segment, and the receiver is never idle and never overrun. With a
 * rate they leave one by one, evenly, so many a second; without either (0) as many as the core can send.
 * Connections stay, or make --visit requests each, go, and are followed by others. Its own count is
 * sent_frames of a stats segment. Ends after --seconds, or at SIGTERM; prints JSON.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <net/if.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"
#include "files.h"
#include "talk.h"

enum {
    BATCH = 64,                   /* frames between two looks of the receiver's driver */
    EVEN = 16,                    /* the same, where frames leave evenly: they wait for it */
    TICK = 100 * 1000,            /* nanoseconds between two looks at the receiver */
    PATIENCE = 500 * 1000 * 1000, /* nanoseconds after which what did not arrive is lost */
    ANSWER = 64,
};

#define SECOND 1000000000ull

/* As in generate.bpf.c; a page that the kernel shares. */
struct plan {
    uint32_t next;
    uint32_t end;
    uint32_t connections;
    uint32_t device;
    uint32_t isn;
    uint32_t request;
    uint32_t answer;
    uint32_t payload_sum;
    uint32_t visit;
    uint32_t gap;
    uint64_t due;
};

struct generator {
    struct stats_segment *own;
    const struct stats_segment *receiver;
    struct plan *plan;
    int program;
    uint8_t frame[TALK_FRAME];
    uint32_t size;
    uint64_t window;
    uint64_t lost;     /* frames that were sent and did not arrive, as it seems */
    uint32_t arrived;  /* at the receiver, at the last look */
    uint64_t moved_at; /* when that last changed */
};

static volatile sig_atomic_t stopped;

static void stop(int number)
{
    (void)number;
    stopped = 1;
}

/* --- the plan ------------------------------------------------------------------------------------------- */

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
    memset(generator->frame + frame.size - TALK_REQUEST, 0, sizeof(uint64_t)); /* the time will be here */
    plan->request = TALK_REQUEST;
    plan->answer = ANSWER;
    for (uint32_t at = frame.size - TALK_REQUEST; at < frame.size; at += 2) {
        uint16_t word;
        memcpy(&word, generator->frame + at, sizeof(word));
        plan->payload_sum += word;
    }
}

static struct plan *map_plan(const struct program *program)
{
    struct program_map map;
    if (program_map_at(program, 0, &map))
        bench_fail("the program has no plan");
    void *memory = mmap(NULL, (size_t)sysconf(_SC_PAGESIZE), PROT_READ | PROT_WRITE, MAP_SHARED, map.fd, 0);
    if (memory == MAP_FAILED)
        bench_fail("the plan cannot be mapped: %s", strerror(errno));
    return memory;
}

static void load(struct generator *generator, const char *object, const char *device, struct plan plan)
{
    struct program *program = file_program(object, "generate");
    plan.device = if_nametoindex(device);
    if (!plan.device)
        bench_fail("there is no device %s", device);
    make_frame(generator, &plan);
    generator->plan = map_plan(program);
    *generator->plan = plan;
    generator->program = program_fd(program);
}

/* --- the thread in the kernel --------------------------------------------------------------------------- */

static void *send_all(void *argument)
{
    const struct generator *generator = argument;
    while (!stopped) {
        LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = generator->frame, .data_size_in = generator->size,
                    .repeat = INT32_MAX, .flags = BPF_F_TEST_XDP_LIVE_FRAMES,
                    .batch_size = generator->plan->gap ? EVEN : BATCH);
        if (bpf_prog_test_run_opts(generator->program, &options) && errno != EINTR)
            bench_fail("the kernel does not send live frames (Linux 5.18): %s", strerror(errno));
    }
    return NULL;
}

/* --- the thread that watches ---------------------------------------------------------------------------- */

static uint32_t sent_of(const struct generator *generator)
{
    return __atomic_load_n(&generator->plan->next, __ATOMIC_RELAXED);
}

static void allow(struct generator *generator, uint64_t end)
{
    __atomic_store_n(&generator->plan->end, (uint32_t)end, __ATOMIC_RELAXED);
}

/* Frames that the receiver has taken, and those that will never come. */
static uint64_t done(struct generator *generator, uint64_t now)
{
    uint32_t arrived = (uint32_t)stats_get(&generator->receiver->stats[0].mirror_frames);
    if (arrived != generator->arrived) {
        generator->arrived = arrived;
        generator->moved_at = now;
    }
    uint32_t missing = sent_of(generator) - arrived;
    if (now - generator->moved_at > PATIENCE) {
        generator->lost = missing;
        generator->moved_at = now;
    }
    if (generator->lost > missing)
        generator->lost = missing; /* they were late */
    return arrived + generator->lost;
}

static void wait_tick(struct generator *generator)
{
    struct timespec tick = {0, TICK};
    nanosleep(&tick, NULL);
    stats_set(&generator->own->stats[0].all.sent_frames, sent_of(generator));
}

/* The next frame of each connection, a batch at a time, and a moment for what they cause. */
static void send_round(struct generator *generator, uint32_t connections)
{
    uint32_t end = sent_of(generator) + connections;
    for (uint32_t at = sent_of(generator); at < end && !stopped;) {
        at += BATCH;
        allow(generator, at);
        for (int i = 0; i < 10; i++)
            wait_tick(generator);
    }
    for (int i = 0; i < 500 && !stopped; i++)
        wait_tick(generator);
}

static void send_exchanges(struct generator *generator, uint64_t seconds)
{
    uint64_t start = bench_clock();
    uint32_t before = sent_of(generator);
    generator->moved_at = start;
    for (uint64_t now; !stopped && (now = bench_clock()) - start < seconds * SECOND; wait_tick(generator)) {
        allow(generator, generator->window ? done(generator, now) + generator->window : UINT32_MAX);
    }
    allow(generator, 0);
    uint64_t spent = bench_clock() - start;
    uint32_t sent = sent_of(generator);
    printf("{\"frames\": %u, \"exchange_frames\": %u, \"exchange_ns\": %llu, \"lost\": %llu}\n", sent,
           sent - before, (unsigned long long)spent, (unsigned long long)generator->lost);
}

/* This thread must not wait for the other one, which never sleeps. */
static void go_first(void)
{
    struct sched_param priority = {.sched_priority = 1};
    if (pthread_setschedparam(pthread_self(), SCHED_FIFO, &priority))
        bench_fail("a thread cannot be given priority: run as root");
}

static void watch_signals(void)
{
    struct sigaction action = {.sa_handler = stop}; /* without SA_RESTART: the kernel lets go of the thread */
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGUSR1, &action, NULL);
}

int main(int argc, char **argv)
{
    static struct generator generator;
    pthread_t sender;
    if (argc < 5)
        bench_fail("usage: generator OBJECT DEVICE OWN-STATS RECEIVER-STATS [--connections=512] "
                   "[--window=1024] [--rate=0] [--visit=0] [--seconds=5]");
    uint32_t connections = (uint32_t)bench_option(argc, argv, "connections", 512) / BATCH * BATCH;
    generator.window = bench_option(argc, argv, "window", 1024);
    uint64_t rate = bench_option(argc, argv, "rate", 0);
    generator.receiver = file_segment(argv[4]);
    if (stats_open(&generator.own, argv[3], 1))
        bench_fail("cannot write %s", argv[3]);
    watch_signals();
    load(&generator, argv[1], argv[2],
         (struct plan){.connections = connections,
                       .isn = (uint32_t)bench_clock(),
                       .visit = (uint32_t)bench_option(argc, argv, "visit", 0),
                       .gap = rate ? (uint32_t)(SECOND / rate) : 0});
    if (pthread_create(&sender, NULL, send_all, &generator))
        bench_fail("cannot start a thread");
    go_first();
    send_round(&generator, connections);
    send_round(&generator, connections);
    send_exchanges(&generator, bench_option(argc, argv, "seconds", 5));
    stopped = 1;
    pthread_kill(sender, SIGUSR1);
    pthread_join(sender, NULL);
    stats_close(generator.own, argv[3]);
    return 0;
}
