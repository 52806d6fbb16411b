/* Changes of the configuration while worker threads run; built with ThreadSanitizer. */
#include <errno.h>
#include <sched.h>
#include <string.h>

#include "check.h"
#include "dataplane.h"
#include "wire/rewrite.h"

enum { WORKERS = 3, EACH = 1000, MIRROR = 0, TEST = 1, CHANGES = 300, RING = 8192 };

static struct endpoint endpoint(uint32_t host, uint16_t port)
{
    uint8_t bytes[16] = {[10] = 0xff, 0xff, 198, 18, (uint8_t)(host >> 8), (uint8_t)host};
    return (struct endpoint){address_from_bytes(bytes), port};
}

static struct dp_config make_config(void)
{
    struct dp_config config = {
        .workers = WORKERS,
        .port_count = 2,
        .transfer_count = 2,
        .limits = {.connections = 16384, .sessions = 16384, .buffer_bytes = 1 << 20, .backlog_bytes = 65536},
        .timing = {.settle = 5000000,
                   .response_timeout = 120000000000,
                   .idle_timeout = 3600000000000,
                   .gap_timeout = 1000000000,
                   .tries = 8,
                   .syn_tries = 6},
    };
    struct dp_port port = {
        .kind = DP_PORT_MEMORY, .role = DP_ROLE_MIRROR, .queues = WORKERS, .ring_size = RING, .mtu = 1500};
    config.ports[MIRROR] = config.ports[TEST] = port;
    config.ports[TEST].role = DP_ROLE_TEST;
    for (uint32_t i = 0; i < WORKERS; i++)
        config.cpus[i] = DP_NO_CPU;
    for (uint16_t i = 0; i < 2; i++) {
        struct endpoint target = endpoint(0xff00 + i, 8080);
        memcpy(config.transfers[i].target_ip, &target.address, 16);
        config.transfers[i].target_port = target.port;
        config.transfers[i].source_port = 80 + i;
    }
    return config;
}

static void inject_syns(struct dp_engine *engine)
{
    struct link_addresses link = {{0}, {0}};
    for (uint32_t i = 0; i < WORKERS * EACH * 2; i++) {
        uint8_t bytes[REWRITE_HEADERS];
        struct frame frame = {bytes, sizeof(bytes), 0};
        struct segment syn = {.source = endpoint(1 + i / 2, 40000),
                              .destination = endpoint(0xfe00, 80 + i % 2),
                              .transport = DP_TCP,
                              .flags = TCP_SYN,
                              .options.window_scale = NO_WINDOW_SCALE};
        rewrite_segment(&syn, &link, &frame);
        CHECK(dp_mem_send(engine, MIRROR, i % WORKERS, bytes, frame.size) == 0);
    }
}

static uint64_t count(const struct dp_engine *engine, const char *name)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < dp_counter_count(); i++)
        for (uint32_t worker = 0; !strcmp(dp_counter_info(i)->name, name) && worker < WORKERS; worker++)
            sum += dp_counter_value(engine, worker, i);
    return sum;
}

static void change(struct dp_engine *engine, const struct dp_config *config)
{
    while (dp_change(engine, config) == -EBUSY) /* resets are leaving */
        sched_yield();
    while (!dp_change_taken(engine))
        sched_yield();
}

static uint32_t listed(struct dp_engine *engine, uint32_t transfer)
{
    static struct dp_session_row rows[WORKERS * DP_MAX_ROWS];
    struct dp_session_query query = {
        .transfer = transfer, .state = DP_ANY, .slot = DP_ANY, .limit = DP_MAX_ROWS};
    uint32_t more;
    int count;
    CHECK(dp_sessions_ask(engine, &query) == 0);
    while ((count = dp_sessions_take(engine, rows, WORKERS * DP_MAX_ROWS, &more)) == -EAGAIN)
        sched_yield();
    return (uint32_t)count + more;
}

static void test_workers_follow_changes_while_they_run(void)
{
    static struct dp_config config;
    struct dp_engine *engine;
    char error[DP_ERROR_SIZE];
    config = make_config();
    CHECK(dp_open(&config, &engine, error, sizeof(error)) == 0);
    inject_syns(engine);
    CHECK(dp_start(engine) == 0);
    while (count(engine, "sessions_live") < WORKERS * EACH * 2)
        sched_yield();
    for (uint32_t i = 0; i < CHANGES; i++) {
        config.transfers[i % 2].multiplier = i;
        change(engine, &config);
    }
    CHECK(count(engine, "sessions_live") == WORKERS * EACH * 2);
    config.transfers[0].state = DP_REMOVED;
    change(engine, &config);
    CHECK(count(engine, "end_transfer_removed") == WORKERS * EACH);
    CHECK(count(engine, "sessions_live") == WORKERS * EACH);
    CHECK(listed(engine, 0) == 0);
    CHECK(listed(engine, 1) >= DP_MAX_ROWS);
    config.transfers[0].state = DP_RUNNING;
    config.transfers[0].source_port = 82;
    change(engine, &config);
    CHECK(dp_stop(engine, 1000000000) == 0);
    CHECK(count(engine, "end_stopped") == WORKERS * EACH);
    dp_close(engine);
}

int main(void)
{
    RUN(test_workers_follow_changes_while_they_run);
    return 0;
}
