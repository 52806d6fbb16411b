/* life.c: an engine from dp_open to dp_close: what is allocated, and the threads. */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "config.h"
#include "engine.h"
#include "ports.h"

enum {
    HANDOFF_SLOTS = 2048,
    PATIENT_SLOTS = 128,
    STEP_NANOSECONDS = 1000000,
    /* After the resets have left, answers to them may still want one (a challenge, RFC 5961). */
    DRAIN_NANOSECONDS = 100000000,
};

static int open_handoff(struct dp_engine *engine, uint32_t slots, uint32_t frame_size, struct handoff **to,
                        struct handoff **from)
{
    struct handoff *handoff = handoff_open(slots, frame_size);
    if (!handoff)
        return engine_fail(engine, -ENOMEM, "no memory for the hand-off rings of %u workers",
                           engine->config->workers);
    *to = *from = handoff;
    return 0;
}

/* The largest frame that ports whose frames can wait (or cannot) give to the line. */
static uint32_t largest_frame(const struct dp_engine *engine, bool patient)
{
    uint32_t largest = 0;
    for (uint32_t i = 0; i < engine->config->port_count; i++) {
        const struct port *port = engine->ports[i].queues[0];
        if (!port->patience != patient && port->frame_size > largest)
            largest = port->frame_size;
    }
    return largest;
}

/* A ring for an ordered pair of workers; for frames that can wait another, from the worker that reads them.
 */
static int open_pair(struct dp_engine *engine, uint32_t from, uint32_t to)
{
    struct worker *giver = &engine->workers[from];
    struct worker *taker = &engine->workers[to];
    int code =
        open_handoff(engine, HANDOFF_SLOTS, largest_frame(engine, false), &giver->to[to], &taker->from[from]);
    if (!code && giver->capture)
        code = open_handoff(engine, PATIENT_SLOTS, largest_frame(engine, true), &giver->patient_to[to],
                            &taker->patient_from[from]);
    return code;
}

static int open_handoffs(struct dp_engine *engine)
{
    int code = 0;
    for (uint32_t from = 0; !code && from < engine->config->workers; from++)
        for (uint32_t to = 0; !code && to < engine->config->workers; to++)
            if (from != to)
                code = open_pair(engine, from, to);
    return code;
}

static int open_workers(struct dp_engine *engine)
{
    bool rss_known = engine->config->rss.table_size > 0 && engine->config->workers > 1;
    if (rss_known)
        toeplitz_open(&engine->toeplitz, &engine->config->rss);
    for (uint32_t i = 0; i < engine->config->workers; i++) {
        struct worker *worker = &engine->workers[i];
        worker->config = engine->config;
        worker->next_hops = engine->next_hops;
        worker->stats = &engine->segment->stats[i];
        worker->orders = &engine->orders;
        worker->pace.rate = (double)engine->config->limits.packets_per_second / engine->config->workers;
        worker->all = engine->workers;
        worker->repeats_read = engine->capture ? &engine->repeats_read : NULL;
        worker->index = i;
        if (!worker->outlet)
            return engine_fail(engine, -EINVAL, "worker %u has no queue of the test port", i);
        if (replay_open(&worker->replay, engine->config, worker->stats, worker->outlet->mtu, i))
            return engine_fail(engine, -ENOMEM,
                               "no memory for limits: connections %u, sessions %u, buffer_bytes %llu",
                               engine->config->limits.connections, engine->config->limits.sessions,
                               (unsigned long long)engine->config->limits.buffer_bytes);
        worker->replay.sheds = engine->sheds;
        worker->replay.sheds.worker = i;
        worker->replay.context.transfers = stats_transfers(engine->segment, i);
        worker->replay.endpoints.toeplitz = rss_known ? &engine->toeplitz : NULL;
    }
    return 0;
}

static int copy_captures(struct dp_engine *engine)
{
    struct dp_config *config = &engine->configs[0];
    for (uint32_t i = 0; i < config->port_count && i < DP_MAX_PORTS; i++) {
        struct dp_port *port = &config->ports[i];
        if (port->kind != DP_PORT_CAPTURE)
            port->capture = NULL;
        if (!port->capture)
            continue;
        struct dp_capture *copy = engine->captures[i] = malloc(sizeof(*copy));
        if (!copy)
            return engine_fail(engine, -ENOMEM, "no memory for the names of captures");
        *copy = *port->capture;
        port->capture = copy;
    }
    return 0;
}

static int open_engine(struct dp_engine *engine)
{
    int code = copy_captures(engine);
    code = code ? code : config_check(&engine->configs[0], engine->error);
    if (code)
        return code;
    engine->configs[1] = engine->configs[0];
    for (uint32_t i = 0; i < engine->config->transfer_count; i++)
        engine->next_hops[i] = mac_pack(engine->config->transfers[i].target_mac);
    engine->workers = aligned_alloc(64, sizeof(struct worker) * engine->config->workers);
    if (!engine->workers)
        return engine_fail(engine, -ENOMEM, "no memory for %u workers", engine->config->workers);
    memset(engine->workers, 0, sizeof(struct worker) * engine->config->workers);
    engine->rows = calloc(engine->config->workers, DP_MAX_ROWS * sizeof(struct dp_session_row));
    if (!engine->rows)
        return engine_fail(engine, -ENOMEM, "no memory for %u workers", engine->config->workers);
    code = stats_open(&engine->segment, engine->config->stats_path, engine->config->workers);
    if (code)
        return engine_fail(engine, code, "cannot make the stats segment %s: %s", engine->config->stats_path,
                           strerror(-code));
    code = engine_open_ports(engine);
    code = code ? code : open_workers(engine);
    return code ? code : open_handoffs(engine);
}

int dp_open(const struct dp_config *config, struct dp_engine **out, char *error, size_t error_size)
{
    *out = NULL;
    struct dp_engine *engine = calloc(1, sizeof(*engine));
    if (!engine) {
        snprintf(error, error_size, "no memory for the engine");
        return -ENOMEM;
    }
    engine->configs[0] = *config;
    engine->config = &engine->configs[0];
    int code = open_engine(engine);
    if (code) {
        snprintf(error, error_size, "%s", engine->error);
        dp_close(engine);
        return code;
    }
    *out = engine;
    return 0;
}

static int start_thread(struct dp_engine *engine, uint32_t index)
{
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    uint32_t cpu = engine->config->cpus[index];
    if (cpu != DP_NO_CPU) {
        cpu_set_t set;
        CPU_ZERO(&set);
        CPU_SET(cpu, &set);
        pthread_attr_setaffinity_np(&attributes, sizeof(set), &set);
    }
    int code = pthread_create(&engine->threads[index], &attributes, worker_run, &engine->workers[index]);
    pthread_attr_destroy(&attributes);
    if (code)
        return engine_fail(engine, -code, "cannot start worker %u on CPU %u: %s", index, cpu, strerror(code));
    char name[16];
    snprintf(name, sizeof(name), "worker-%u", index);
    pthread_setname_np(engine->threads[index], name);
    return 0;
}

static void join_threads(struct dp_engine *engine)
{
    __atomic_fetch_or(&engine->orders.bits, ORDER_STOP, __ATOMIC_RELEASE);
    for (; engine->running; engine->running--)
        pthread_join(engine->threads[engine->running - 1], NULL);
}

int dp_start(struct dp_engine *engine)
{
    for (uint32_t i = 0; i < engine->config->workers; i++) {
        int code = start_thread(engine, i);
        if (code) {
            join_threads(engine);
            return code;
        }
        engine->running++;
    }
    struct timespec step = {0, STEP_NANOSECONDS};
    for (uint32_t i = 0; i < engine->config->workers; i++)
        while (!__atomic_load_n(&engine->workers[i].warm, __ATOMIC_ACQUIRE))
            nanosleep(&step, NULL);
    return 0;
}

/* Every session has been reset, and the resets have left. */
static bool is_drained(const struct dp_engine *engine)
{
    for (uint32_t i = 0; i < engine->config->workers; i++)
        if (!__atomic_load_n(&engine->workers[i].drained, __ATOMIC_ACQUIRE))
            return false;
    return true;
}

int dp_stop(struct dp_engine *engine, uint64_t timeout)
{
    if (!engine->running)
        return 0;
    struct timespec step = {0, STEP_NANOSECONDS};
    dp_drain(engine);
    uint64_t waited = 0;
    for (; waited < timeout && !is_drained(engine); waited += STEP_NANOSECONDS)
        nanosleep(&step, NULL);
    struct timespec rest = {0, DRAIN_NANOSECONDS};
    nanosleep(&rest, NULL);
    join_threads(engine);
    return 0;
}

void dp_close(struct dp_engine *engine)
{
    join_threads(engine);
    for (uint32_t i = 0; engine->workers && i < engine->config->workers; i++) {
        replay_close(&engine->workers[i].replay);
        for (uint32_t other = 0; other < engine->config->workers; other++) {
            handoff_close(engine->workers[i].to[other]);
            handoff_close(engine->workers[i].patient_to[other]);
        }
    }
    engine_close_ports(engine);
    for (uint32_t i = 0; i < DP_MAX_PORTS; i++)
        free(engine->captures[i]);
    stats_close(engine->segment, engine->config->stats_path);
    free(engine->workers);
    free(engine->rows);
    free(engine);
}

void dp_step(struct dp_engine *engine, uint64_t now)
{
    for (uint32_t i = 0; i < engine->config->workers; i++)
        dp_step_worker(engine, i, now);
}

void dp_step_worker(struct dp_engine *engine, uint32_t worker, uint64_t now)
{
    worker_turn(&engine->workers[worker], now);
}

void dp_drain(struct dp_engine *engine)
{
    __atomic_fetch_or(&engine->orders.bits, ORDER_DRAIN, __ATOMIC_RELEASE);
}
