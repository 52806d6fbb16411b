/* A worker that hangs, and what the others do meanwhile: one worker's loop runs here, and no other's. */
#include <string.h>

#include "check.h"
#include "dataplane.h"
#include "engine/engine.h"
#include "line/loop.h"
#include "wire/rewrite.h"

enum { WORKERS = 4, MIRROR = 0, TEST = 1, RING = 8192, MILLISECOND = 1000000 };
enum { RUNS = 0, HANGS = 1 }; /* workers */

static struct endpoint endpoint(uint32_t host, uint16_t port)
{
    uint8_t bytes[16] = {[10] = 0xff, 0xff, 198, 18, (uint8_t)(host >> 8), (uint8_t)host};
    return (struct endpoint){address_from_bytes(bytes), port};
}

static struct dp_engine *open_engine(void)
{
    static struct dp_config config = {
        .workers = WORKERS,
        .port_count = 2,
        .transfer_count = 1,
        .limits = {.connections = 16384, .sessions = 16384, .buffer_bytes = 1 << 20, .backlog_bytes = 65536},
        .timing = {.settle = 5000000,
                   .response_timeout = 120000000000,
                   .idle_timeout = 3600000000000,
                   .gap_timeout = 1000000000,
                   .tries = 8,
                   .syn_tries = 6},
        .transfers = {{.source_port = 80, .target_port = 8080}},
    };
    struct dp_port port = {
        .kind = DP_PORT_MEMORY, .role = DP_ROLE_MIRROR, .queues = WORKERS, .ring_size = RING, .mtu = 1500};
    struct endpoint target = endpoint(0xff00, 8080);
    char error[DP_ERROR_SIZE];
    struct dp_engine *engine = NULL;
    config.ports[MIRROR] = config.ports[TEST] = port;
    config.ports[TEST].role = DP_ROLE_TEST;
    memcpy(config.transfers[0].target_ip, &target.address, 16);
    CHECK(dp_open(&config, &engine, error, sizeof(error)) == 0);
    return engine;
}

/* SYNs of so many clients of one worker, all by the queue of the one that runs. Returns the next host. */
static uint32_t inject(struct dp_engine *engine, uint32_t owner, uint32_t host, uint32_t syns)
{
    struct link_addresses link = {{0}, {0}};
    for (; syns; host++) {
        uint8_t bytes[REWRITE_HEADERS];
        struct frame frame = {bytes, sizeof(bytes), 0};
        struct segment syn = {.source = endpoint(host, 40000),
                              .destination = endpoint(0xfe00, 80),
                              .transport = DP_TCP,
                              .flags = TCP_SYN,
                              .options.window_scale = NO_WINDOW_SCALE};
        if (flow_owner(&syn.source, WORKERS) != owner)
            continue;
        rewrite_segment(&syn, &link, &frame);
        CHECK(dp_mem_send(engine, MIRROR, RUNS, bytes, frame.size) == 0);
        syns--;
    }
    return host;
}

static const struct stats *runs_for(struct dp_engine *engine, uint64_t *now, uint32_t milliseconds)
{
    for (; milliseconds; milliseconds--)
        loop_once(&engine->workers[RUNS], *now += MILLISECOND);
    return engine->workers[RUNS].stats;
}

static void test_only_frames_for_a_worker_that_hangs_are_lost(void)
{
    struct dp_engine *engine = open_engine();
    uint64_t now = 1000ull * MILLISECOND;
    uint32_t host = inject(engine, HANGS, 1, 3000);
    inject(engine, RUNS, host, 100);
    const struct stats *stats = runs_for(engine, &now, 100);
    CHECK(stats->all.sessions_opened == 100);
    CHECK(stats->mirror_handed_off == 2048);
    CHECK(stats->drop[DP_ROLE_MIRROR][DROP_handoff_full] == 3000 - 2048);
    CHECK(stats->mirror_frames == 3100);
    dp_close(engine);
}

static void test_a_worker_that_is_only_late_loses_nothing(void)
{
    struct dp_engine *engine = open_engine();
    uint64_t now = 1000ull * MILLISECOND;
    inject(engine, HANGS, 1, 3000);
    const struct stats *stats = runs_for(engine, &now, 10);
    CHECK(stats->mirror_frames < 3000);
    for (uint32_t loops = 20; loops; loops--) {
        loop_once(&engine->workers[HANGS], now);
        runs_for(engine, &now, 1);
    }
    CHECK(stats->mirror_handed_off == 3000 && engine->workers[HANGS].stats->all.sessions_opened == 3000);
    CHECK(!stats->drop[DP_ROLE_MIRROR][DROP_handoff_full]);
    dp_close(engine);
}

int main(void)
{
    RUN(test_only_frames_for_a_worker_that_hangs_are_lost);
    RUN(test_a_worker_that_is_only_late_loses_nothing);
    return 0;
}
