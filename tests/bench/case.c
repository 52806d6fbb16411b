#include "case.h"

#include <stdio.h>
#include <string.h>

#include "bench.h"

enum { MILLISECOND = 1000000 };

static uint32_t connections_held(const struct options *options)
{
    if (!options->churn)
        return options->sessions;
    uint32_t cohort = script_cohort(&SCRIPT_VISIT, options->mirrored, sessions_each(options));
    return (uint32_t)(options->linger / STEP) * cohort + options->sessions;
}

static void use_pool(struct dp_config *config, uint32_t copies)
{
    struct endpoint first = talk_forged(0);
    config->range_count = config->transfers[0].range_count = 1;
    config->ranges[0].count = TALK_CLIENTS;
    memcpy(config->ranges[0].first, &first.address, 16);
    config->transfers[0].multiplier = copies;
}

struct dp_config case_config(const struct options *options)
{
    /* Of several workers each owns about its part. */
    uint32_t connections = connections_held(options) * (options->workers > 1 ? 2 : 1);
    struct dp_config config = {
        .workers = options->workers,
        .cpus = {DP_NO_CPU, DP_NO_CPU},
        .port_count = 2,
        .transfer_count = 1,
        .limits = {.connections = connections,
                   .sessions = connections * sessions_each(options),
                   .buffer_bytes = 256 << 20,
                   .backlog_bytes = 16 << 20},
        .timing = {.settle = 5 * MILLISECOND,
                   .response_timeout = 120 * SECOND,
                   .idle_timeout = 3600 * SECOND,
                   .gap_timeout = SECOND,
                   .linger = options->linger,
                   .tries = 8,
                   .syn_tries = 6},
    };
    struct dp_port port = {.kind = DP_PORT_MEMORY,
                           .queues = options->workers,
                           .ring_size = RING,
                           .verify_checksums = options->verify,
                           .mtu = 1500};
    config.ports[MIRROR] = config.ports[TEST] = port;
    config.ports[MIRROR].role = DP_ROLE_MIRROR;
    config.ports[TEST].role = DP_ROLE_TEST;
    struct endpoint source = talk_source();
    struct endpoint target = talk_target();
    memcpy(config.transfers[0].source_ip, &source.address, 16);
    memcpy(config.transfers[0].target_ip, &target.address, 16);
    config.transfers[0].source_port = source.port;
    config.transfers[0].target_port = target.port;
    if (options->copies)
        use_pool(&config, options->copies);
    return config;
}

struct options case_read(int argc, char **argv)
{
    struct options options = {
        .sessions = (uint32_t)bench_option(argc, argv, "sessions", 10000),
        .latency = (uint32_t)bench_option(argc, argv, "latency", 8),
        .mirrored = (enum mirrored)bench_option(argc, argv, "mirrored", MIRRORED_CLIENT),
        .slices = (uint32_t)bench_option(argc, argv, "slices", 9),
        .slice_frames = bench_option(argc, argv, "slice-frames", 400000),
        .seconds = bench_option(argc, argv, "seconds", 20),
        .linger = bench_option(argc, argv, "linger-ms", 500) * MILLISECOND,
        .workers = (uint32_t)bench_option(argc, argv, "workers", 1),
        .copies = (uint32_t)bench_option(argc, argv, "copies", 0),
        .foreign = bench_option(argc, argv, "foreign", 0),
        .churn = bench_option(argc, argv, "churn", 0),
        .verify = bench_option(argc, argv, "verify", 1),
    };
    if (!options.sessions || options.sessions > TALK_MOST || !options.latency ||
        options.mirrored > MIRRORED_BOTH || options.slices > BENCH_SLICES || !options.workers ||
        options.workers > 2 || options.foreign >= options.workers || options.copies > SCRIPT_BURST ||
        (options.copies && options.workers > 1))
        bench_fail("usage: bench_line --sessions=N --latency=STEPS --mirrored=0|1|2 --slices=3..%d "
                   "--workers=1|2 [--foreign=1, with two workers] [--copies=1..%d, with one]",
                   BENCH_SLICES, SCRIPT_BURST);
    return options;
}

void case_print(const struct options *options)
{
    printf("{\"workers\": %u, \"foreign\": %s, ", options->workers, options->foreign ? "true" : "false");
    printf("\"copies\": %u, ", options->copies);
    printf("\"sessions\": %u, \"churn\": %s, \"mirrored\": %u, \"verify_checksums\": %s, \"latency\": %u",
           options->sessions, options->churn ? "true" : "false", options->mirrored,
           options->verify ? "true" : "false", options->latency);
}
