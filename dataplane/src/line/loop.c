#define _GNU_SOURCE
#include "loop.h"

#include <poll.h>
#include <time.h>

#include "orders.h"
#include "overload.h"
#include "receive.h"
#include "repeats.h"
#include "replay/clock.h"
#include "transmit.h"

enum {
    SPIN_LOOPS = 16,      /* idle ones before the thread sleeps */
    MOST_SLEEP_TICKS = 8, /* so that orders and housekeeping are not late */
    HOUSEKEEPING = 50 * 1000 * 1000,
    NANOSECONDS = 1000000000,
};

static void housekeeping(struct worker *worker, uint64_t now)
{
    worker->housekeeping_at = now + HOUSEKEEPING;
    stats_set(&worker->stats->heartbeat, now);
    replay_housekeeping(&worker->replay);
    if (worker->capture) {
        struct dp_capture_progress progress;
        worker->capture->ops->progress(worker->capture, &progress);
        stats_set(&worker->stats->capture_broken, progress.broken);
    }
}

bool loop_once(struct worker *worker, uint64_t now)
{
    bool busy = orders_follow(worker, now);
    replay_on_time(&worker->replay, now);
    busy |= receive_from_ports(worker, now);
    busy |= receive_from_workers(worker, now);
    busy |= transmit_ready(worker, now);
    overload_adapt(worker, busy, now);
    if (worker->repeats_read)
        repeats_step(worker, now);
    if (worker->draining && replay_is_quiet(&worker->replay))
        __atomic_store_n(&worker->drained, 1, __ATOMIC_RELEASE);
    stats_add(&worker->stats->loops, 1);
    if (now >= worker->housekeeping_at)
        housekeeping(worker, now);
    return busy;
}

static uint64_t clock_now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * NANOSECONDS + (uint64_t)time.tv_nsec;
}

/* Sleeps until a frame comes or a timer is due, and never so long that orders are late. */
static void sleep_until_needed(const struct worker *worker, uint64_t now)
{
    struct pollfd fds[WORKER_QUEUES];
    for (uint32_t i = 0; i < worker->inlet_count; i++) {
        const struct port *port = worker->inlets[i].port;
        fds[i] = (struct pollfd){.fd = port->ops->wait_fd(port), .events = POLLIN};
    }
    uint64_t until = wheel_idle_until(&worker->replay.wheel, MOST_SLEEP_TICKS);
    bool full = !replay_is_quiet(&worker->replay); /* no room to send: look again soon */
    int64_t rest = full ? 20000 : (int64_t)(until - now);
    if (worker->config->workers > 1 && rest > 200000)
        rest = 200000; /* hand-offs wake nobody */
    uint64_t due = worker->capture ? worker->capture->ops->due(worker->capture) : PORT_NEVER;
    if (due > now && due - now < (uint64_t)rest)
        rest = (int64_t)(due - now);
    if (rest <= 0)
        return;
    struct timespec time = {rest / NANOSECONDS, rest % NANOSECONDS};
    ppoll(fds, worker->inlet_count, &time, NULL);
}

void *loop_run(void *argument)
{
    struct worker *worker = argument;
    uint32_t idle = 0;
    replay_warm(&worker->replay);
    loop_once(worker, clock_now());
    __atomic_store_n(&worker->warm, 1, __ATOMIC_RELEASE);
    while (!(__atomic_load_n(&worker->orders->bits, __ATOMIC_ACQUIRE) & ORDER_STOP)) {
        uint64_t now = clock_now();
        if (loop_once(worker, now))
            idle = 0;
        else if (++idle > SPIN_LOOPS)
            sleep_until_needed(worker, now);
    }
    housekeeping(worker, clock_now());
    return NULL;
}
