/* engine.c: the lifecycle behind dataplane.h: allocates everything, owns ports, workers and threads. */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "config.h"
#include "engine.h"
#include "line/loop.h"

enum {
    HANDOFF_SLOTS = 2048,
    CAPTURE_SLOTS = 128,
    CAPTURE_FRAME = 66 << 10, /* as large as capture.c has them */
    STEP_NANOSECONDS = 1000000,
    /* After the resets have left, answers to them may still want one (a challenge, RFC 5961). */
    DRAIN_NANOSECONDS = 100000000,
};

int engine_fail(struct dp_engine *engine, int code, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(engine->error, sizeof(engine->error), format, arguments);
    va_end(arguments);
    return code;
}

static int open_port(struct dp_engine *engine, const struct dp_port *config, uint32_t queue, struct port **at)
{
    switch (config->kind) {
    case DP_PORT_XSK:
        return port_open_xsk(config, queue, at, engine->error);
    case DP_PORT_CAPTURE:
        return port_open_capture(&engine->config->capture, at, engine->error);
    default:
        return port_open_mem(config, at, engine->error);
    }
}

static int open_queue(struct dp_engine *engine, uint32_t port, uint32_t queue)
{
    const struct dp_port *config = &engine->config->ports[port];
    struct port **at = &engine->ports[port].queues[queue];
    int code = open_port(engine, config, queue, at);
    if (code)
        return code;
    struct worker *worker = &engine->workers[queue % engine->config->workers];
    if (worker->inlet_count == WORKER_QUEUES)
        return engine_fail(engine, -EINVAL, "more than %d queues for one worker", WORKER_QUEUES);
    worker->inlets[worker->inlet_count++] = (struct inlet){*at, config->verify_checksums};
    if (config->kind == DP_PORT_CAPTURE)
        engine->capture = worker->capture = *at;
    if (config->role == DP_ROLE_TEST && !worker->outlet) {
        worker->outlet = *at;
        memcpy(worker->mac, config->mac, sizeof(worker->mac));
    }
    return 0;
}

static int open_ports(struct dp_engine *engine)
{
    for (uint32_t port = 0; port < engine->config->port_count; port++) {
        for (uint32_t queue = 0; queue < engine->config->ports[port].queues; queue++) {
            int code = open_queue(engine, port, queue);
            if (code)
                return code;
        }
    }
    return 0;
}

/* So that the XDP programs of mirror ports can drop what would be refused. */
static int open_sheds(struct dp_engine *engine)
{
    for (uint32_t i = 0; i < engine->config->port_count; i++) {
        const struct dp_port *port = &engine->config->ports[i];
        if (port->shed_map <= 0)
            continue;
        int code = shed_open(port->shed_map, engine->config->workers, &engine->sheds.at[engine->sheds.count]);
        if (code)
            return engine_fail(engine, code, "the map of %.16s that says what to drop cannot be mapped: %s",
                               port->device, strerror(-code));
        engine->sheds.count++;
    }
    return 0;
}

static uint32_t largest_mtu(const struct dp_config *config)
{
    uint32_t largest = 0;
    for (uint32_t i = 0; i < config->port_count; i++)
        largest = config->ports[i].mtu > largest ? config->ports[i].mtu : largest;
    return largest;
}

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

/* A ring for an ordered pair of workers; for the frames of a capture, which can wait, another: from worker 0,
 * which reads it. */
static int open_pair(struct dp_engine *engine, uint32_t from, uint32_t to, uint32_t frame_size)
{
    struct worker *giver = &engine->workers[from];
    struct worker *taker = &engine->workers[to];
    int code = open_handoff(engine, HANDOFF_SLOTS, frame_size, &giver->to[to], &taker->from[from]);
    if (!code && giver->capture)
        code = open_handoff(engine, CAPTURE_SLOTS, CAPTURE_FRAME, &giver->patient_to[to],
                            &taker->patient_from[from]);
    return code;
}

static int open_handoffs(struct dp_engine *engine)
{
    uint32_t frame_size = largest_mtu(engine->config) + 64; /* link headers */
    int code = 0;
    for (uint32_t from = 0; !code && from < engine->config->workers; from++)
        for (uint32_t to = 0; !code && to < engine->config->workers; to++)
            if (from != to)
                code = open_pair(engine, from, to, frame_size);
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

static int open_engine(struct dp_engine *engine)
{
    int code = config_check(&engine->configs[0], engine->error);
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
    code = open_ports(engine);
    code = code ? code : open_sheds(engine);
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
    int code = pthread_create(&engine->threads[index], &attributes, loop_run, &engine->workers[index]);
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
    for (uint32_t port = 0; port < DP_MAX_PORTS; port++)
        for (uint32_t queue = 0; queue < WORKER_QUEUES; queue++)
            if (engine->ports[port].queues[queue])
                engine->ports[port].queues[queue]->ops->close(engine->ports[port].queues[queue]);
    for (uint32_t i = 0; i < engine->sheds.count; i++)
        shed_close(engine->sheds.at[i]);
    stats_close(engine->segment, engine->config->stats_path);
    free(engine->workers);
    free(engine->rows);
    free(engine);
}

const char *dp_error(const struct dp_engine *engine)
{
    return engine->error;
}

void dp_step(struct dp_engine *engine, uint64_t now)
{
    for (uint32_t i = 0; i < engine->config->workers; i++)
        dp_step_worker(engine, i, now);
}

void dp_step_worker(struct dp_engine *engine, uint32_t worker, uint64_t now)
{
    loop_once(&engine->workers[worker], now);
}

void dp_drain(struct dp_engine *engine)
{
    __atomic_fetch_or(&engine->orders.bits, ORDER_DRAIN, __ATOMIC_RELEASE);
}

const void *dp_segment(const struct dp_engine *engine, size_t *size)
{
    *size = stats_size(engine->segment);
    return engine->segment;
}

uint64_t dp_counter_value(const struct dp_engine *engine, uint32_t worker, uint32_t counter)
{
    return dp_segment_value(engine->segment, worker, counter);
}

static struct port *port_at(const struct dp_engine *engine, uint32_t port, uint32_t queue)
{
    if (port >= engine->config->port_count || queue >= engine->config->ports[port].queues)
        return NULL;
    return engine->ports[port].queues[queue];
}

int dp_port_mode(const struct dp_engine *engine, uint32_t port, uint32_t queue)
{
    const struct port *at = port_at(engine, port, queue);
    return at ? (int)at->mode : -EINVAL;
}

int dp_port_huge_pages(const struct dp_engine *engine, uint32_t port, uint32_t queue)
{
    const struct port *at = port_at(engine, port, queue);
    return at ? at->huge_pages : -EINVAL;
}

int dp_port_statistics(const struct dp_engine *engine, uint32_t port, uint32_t queue,
                       struct dp_port_statistics *statistics)
{
    const struct port *at = port_at(engine, port, queue);
    return at ? at->ops->statistics(at, statistics) : -EINVAL;
}

int dp_capture_progress(const struct dp_engine *engine, struct dp_capture_progress *progress)
{
    if (!engine->capture)
        return -EINVAL;
    port_capture_progress(engine->capture, progress);
    return 0;
}

int dp_capture_trouble(const struct dp_engine *engine, uint32_t file, char *trouble, size_t size)
{
    if (!engine->capture)
        return -EINVAL;
    port_capture_trouble(engine->capture, file, trouble, size);
    return 0;
}

int dp_capture_pause(struct dp_engine *engine, uint32_t paused)
{
    if (!engine->capture)
        return engine_fail(engine, -EINVAL, "there is no capture to pause");
    if (paused)
        __atomic_fetch_or(&engine->orders.bits, ORDER_PAUSE, __ATOMIC_RELEASE);
    else
        __atomic_fetch_and(&engine->orders.bits, ~(uint32_t)ORDER_PAUSE, __ATOMIC_RELEASE);
    port_capture_pause(engine->capture, paused);
    return 0;
}

static struct port *mem_at(struct dp_engine *engine, uint32_t port, uint32_t queue)
{
    struct port *at = port_at(engine, port, queue);
    return at && at->mode == DP_MODE_MEMORY ? at : NULL;
}

int dp_mem_send(struct dp_engine *engine, uint32_t port, uint32_t queue, const uint8_t *frame, uint32_t size)
{
    struct port *at = mem_at(engine, port, queue);
    return at ? port_mem_send(at, frame, size)
              : engine_fail(engine, -EINVAL, "port %u queue %u is no memory port", port, queue);
}

int dp_mem_receive(struct dp_engine *engine, uint32_t port, uint32_t queue, uint8_t *frame, uint32_t size)
{
    struct port *at = mem_at(engine, port, queue);
    return at ? port_mem_receive(at, frame, size)
              : engine_fail(engine, -EINVAL, "port %u queue %u is no memory port", port, queue);
}

int dp_mem_limit(struct dp_engine *engine, uint32_t port, uint32_t queue, uint32_t frames)
{
    struct port *at = mem_at(engine, port, queue);
    if (!at)
        return engine_fail(engine, -EINVAL, "port %u queue %u is no memory port", port, queue);
    port_mem_limit(at, frames);
    return 0;
}
