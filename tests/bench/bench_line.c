/* bench_line.c: the whole line over memory ports: nanoseconds for each frame that it receives.
 *
 * Only dp_step is timed. Frames are made before it and taken out, checked, after it. In each step up to 64
 * frames arrive on either port; an answer comes --latency steps after what it answers. Connections are
 * visited in a new random order each time; connections that come and go never use an endpoint again. At the
 * end every request must have reached the target once and in order, and the ledger must close; otherwise
 * there is no result.
 *
 *   bench_line --sessions=10000           requests on connections that stay open
 *   bench_line --churn=1 --sessions=50000 connections that come, make one request and go; so many at a time
 *
 * --mirrored: what the mirror shows, enum mirrored of script.h. --workers: one after the other in this
 * thread; with
 * --foreign=1 each frame arrives at a queue of another worker than its owner, and is handed off.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "counters.h"
#include "dataplane.h"
#include "script.h"
#include "session/flow.h"

enum {
    MIRROR = 0,
    TEST = 1,
    RING = 1024,
    STEP = 20000, /* virtual nanoseconds: about what a step takes, so that timers are as they would be */
    MILLISECOND = 1000000,
};

#define SECOND 1000000000ull

struct options {
    uint32_t sessions;
    uint32_t latency;
    enum mirrored mirrored;
    uint32_t slices;
    uint64_t slice_frames;
    uint64_t seconds;
    uint64_t linger;
    uint32_t workers;
    bool foreign;
    bool churn;
    bool verify;
};

struct bench {
    struct options options;
    struct dp_engine *engine;
    struct talks talks;
    uint32_t *order;
    uint64_t random;
    uint64_t now;
    uint64_t spent;       /* nanoseconds in dp_step */
    uint64_t injected[2]; /* frames, by port */
    uint64_t said;        /* requests */
    uint64_t heard;       /* requests */
    uint64_t opened;      /* connections */
    uint64_t resident;    /* bytes, without the engine's */
};

/* --- the engine ----------------------------------------------------------------------------------------- */

static uint32_t connections_held(const struct options *options)
{
    if (!options->churn)
        return options->sessions;
    return (uint32_t)(options->linger / STEP) * script_cohort(&SCRIPT_VISIT, options->mirrored) +
           options->sessions;
}

static struct dp_config make_config(const struct options *options)
{
    /* Of several workers each owns about its part. */
    uint32_t connections = connections_held(options) * (options->workers > 1 ? 2 : 1);
    struct dp_config config = {
        .workers = options->workers,
        .cpus = {DP_NO_CPU, DP_NO_CPU},
        .port_count = 2,
        .transfer_count = 1,
        .limits = {.connections = connections,
                   .sessions = connections,
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
    return config;
}

static uint64_t sum_of(const struct bench *bench, const char *prefix)
{
    return counters_sum(bench->engine, bench->options.workers, prefix);
}

static uint64_t value_of(const struct bench *bench, const char *name)
{
    return counters_value(bench->engine, bench->options.workers, name);
}

/* --- a step --------------------------------------------------------------------------------------------- */

static void collect_queue(struct bench *bench, uint32_t queue)
{
    uint8_t frame[TALK_FRAME];
    for (int size; (size = dp_mem_receive(bench->engine, TEST, queue, frame, sizeof(frame)));) {
        struct replayed replayed;
        const char *wrong = size < 0 ? "a frame that is too long"
                                     : talk_hear(&bench->talks, frame, (uint32_t)size, &replayed);
        if (wrong)
            bench_fail("the line sent %s", wrong);
        bench->heard += replayed.request;
    }
}

static void collect(struct bench *bench)
{
    for (uint32_t queue = 0; queue < bench->options.workers; queue++)
        collect_queue(bench, queue);
}

static void step(struct bench *bench)
{
    bench->now += STEP;
    uint64_t start = bench_cpu_clock();
    dp_step(bench->engine, bench->now);
    bench->spent += bench_cpu_clock() - start;
    collect(bench);
}

/* --- saying --------------------------------------------------------------------------------------------- */

static uint32_t queue_of(const struct options *options, uint32_t number)
{
    struct endpoint client = talk_client(number);
    return (flow_owner(&client, options->workers) + options->foreign) % options->workers;
}

static void say(struct bench *bench, const struct stage *stage, uint32_t place)
{
    uint8_t frame[TALK_FRAME];
    uint32_t queue = queue_of(&bench->options, bench->talks.first + place);
    for (uint32_t i = 0; i < STAGE_LINES; i++) {
        enum line line = stage->lines[i];
        uint32_t port = line_is_of_target(line) ? TEST : MIRROR;
        uint32_t size = talk_say(&bench->talks.each[place], bench->talks.first + place, line, frame);
        if (port == MIRROR && !stage_shows(stage, line, bench->options.mirrored))
            continue;
        if (dp_mem_send(bench->engine, port, queue, frame, size))
            bench_fail("a memory port is full: %s", dp_error(bench->engine));
        bench->injected[port]++;
        bench->said += line == CLIENT_REQUEST;
    }
}

/* Every connection goes through the script once. */
static void perform(struct bench *bench, const struct script *script)
{
    uint32_t count = bench->options.sessions;
    uint32_t size = script_cohort(script, bench->options.mirrored);
    uint32_t cohorts = (count + size - 1) / size;
    uint32_t latency = bench->options.latency;
    uint32_t steps =
        cohorts + (script->count - 1) * latency + bench->options.foreign; /* what is handed back */
    bench_shuffle(bench->order, count, &bench->random);
    for (uint32_t at = 0; at < steps; at++) {
        for (uint32_t stage = 0; stage < script->count && stage * latency <= at; stage++) {
            uint32_t first = (at - stage * latency) * size; /* of the cohort that has got so far */
            for (uint32_t i = first; i < first + size && i < count; i++)
                say(bench, &script->stages[stage], bench->order[i]);
        }
        step(bench);
    }
}

/* Connections that were never there before. */
static void begin_all(struct bench *bench)
{
    struct talks *talks = &bench->talks;
    talks->first += talks->count;
    talks->count = bench->options.sessions;
    if (talks->first > TALK_MOST - talks->count)
        bench_fail("no more client endpoints");
    for (uint32_t i = 0; i < talks->count; i++)
        talk_begin(&talks->each[i], talks->first + i);
    bench->opened += talks->count;
}

/* --- measuring ------------------------------------------------------------------------------------------ */

static uint64_t frames_in(const struct bench *bench)
{
    return bench->injected[MIRROR] + bench->injected[TEST];
}

static void measure_slice(struct bench *bench, struct slices *slices)
{
    uint64_t spent = bench->spent;
    uint64_t before = frames_in(bench);
    do {
        if (bench->options.churn)
            begin_all(bench);
        perform(bench, bench->options.churn ? &SCRIPT_VISIT : &SCRIPT_EXCHANGE);
    } while (frames_in(bench) - before < bench->options.slice_frames);
    slices_add(slices, bench->spent - spent, frames_in(bench) - before);
}

static void measure(struct bench *bench, struct slices *slices)
{
    uint64_t deadline = bench_clock() + bench->options.seconds * SECOND;
    struct slices warm_up = {.count = 0};
    uint64_t steady = bench->now + 2 * bench->options.linger; /* as many connections are forgotten as come */
    do
        measure_slice(bench, &warm_up);
    while (bench->options.churn && bench->now < steady && bench_clock() < deadline);
    if (bench->options.churn && bench->now < steady)
        bench_fail("no steady state within %llu s", (unsigned long long)bench->options.seconds);
    while (slices->count < 3 || (slices->count < bench->options.slices && bench_clock() < deadline))
        measure_slice(bench, slices);
}

/* --- checking ------------------------------------------------------------------------------------------- */

static void require(const struct bench *bench, const char *name, uint64_t wanted)
{
    uint64_t value = value_of(bench, name);
    if (value != wanted)
        bench_fail("%s is %llu, not %llu: not what was meant to happen was measured", name,
                   (unsigned long long)value, (unsigned long long)wanted);
}

static void require_sum(const char *what, uint64_t value, uint64_t wanted)
{
    if (value != wanted)
        bench_fail("the ledger does not close: %s %llu, not %llu", what, (unsigned long long)value,
                   (unsigned long long)wanted);
}

/* Everything that was said was used, and every request was replayed, once, when its turn came. */
static void check_replay(const struct bench *bench)
{
    require(bench, "mirror_frames", bench->injected[MIRROR]);
    require(bench, "mirror_accepted", bench->injected[MIRROR]);
    require(bench, "test_frames", bench->injected[TEST]);
    require(bench, "test_accepted", bench->injected[TEST]);
    uint64_t handed = bench->options.foreign ? bench->injected[MIRROR] + bench->injected[TEST] : 0;
    require_sum("frames handed off",
                value_of(bench, "mirror_handed_off") + value_of(bench, "test_handed_off"), handed);
    require(bench, "connections_opened", bench->opened);
    require(bench, "sessions_established", bench->opened);
    require(bench, "turns_sent", bench->said);
    require(bench, "sent_payload", bench->said);
    require(bench, "retransmits", 0);
    require(bench, "gate_by_settle", 0);
    require(bench, "request_bytes_acked", bench->said * TALK_REQUEST);
    uint64_t answers = bench->said * TALK_ANSWER;
    if (bench->options.churn && value_of(bench, "answer_bytes") != answers)
        answers += bench->said; /* the FIN counts as a byte */
    require(bench, "answer_bytes", answers);
    require(bench, "end_complete", bench->options.churn ? bench->opened : 0);
    require_sum("requests at the target", bench->heard, bench->said);
}

static void check_ledger(const struct bench *bench)
{
    require(bench, "sessions_live", 0);
    require_sum("drops", sum_of(bench, "drop_"), 0);
    require_sum("sessions ended", sum_of(bench, "end_"), bench->opened);
    require_sum("connections", value_of(bench, "connections_closed") + value_of(bench, "connections_live"),
                bench->opened);
    require_sum("request bytes",
                value_of(bench, "request_bytes_acked") + value_of(bench, "request_bytes_abandoned"),
                value_of(bench, "request_bytes_taken"));
}

/* Resets all sessions that are left; how long the longest turn of that took. */
static uint64_t drain(struct bench *bench)
{
    uint64_t longest = 0;
    dp_drain(bench->engine);
    for (uint32_t i = 0; i == 0 || (i < bench->options.sessions && value_of(bench, "sessions_live")); i++) {
        uint64_t before = bench->spent;
        step(bench);
        longest = bench->spent - before > longest ? bench->spent - before : longest;
    }
    for (uint32_t i = 0; i <= bench->options.sessions / RING; i++)
        step(bench); /* the resets leave */
    return longest;
}

/* --- the program ---------------------------------------------------------------------------------------- */

static struct options read_options(int argc, char **argv)
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
        .foreign = bench_option(argc, argv, "foreign", 0),
        .churn = bench_option(argc, argv, "churn", 0),
        .verify = bench_option(argc, argv, "verify", 1),
    };
    if (!options.sessions || options.sessions > TALK_MOST || !options.latency ||
        options.mirrored > MIRRORED_BOTH || options.slices > BENCH_SLICES || !options.workers ||
        options.workers > 2 || options.foreign >= options.workers)
        bench_fail("usage: bench_line --sessions=N --latency=STEPS --mirrored=0|1|2 --slices=3..%d "
                   "--workers=1|2 [--foreign=1, with two workers]",
                   BENCH_SLICES);
    return options;
}

static void open_bench(struct bench *bench)
{
    char error[DP_ERROR_SIZE];
    uint32_t count = bench->options.sessions;
    bench->talks.each = malloc(count * sizeof(bench->talks.each[0]));
    bench->order = malloc(count * sizeof(bench->order[0]));
    if (!bench->talks.each || !bench->order)
        bench_fail("no memory for %u connections", count);
    begin_all(bench);
    bench_shuffle(bench->order, count, &bench->random);
    bench->resident = bench_resident(); /* what comes now is the engine's */
    struct dp_config config = make_config(&bench->options);
    if (dp_open(&config, &bench->engine, error, sizeof(error)))
        bench_fail("%s", error);
}

static void print_options(const struct options *options)
{
    printf("{\"workers\": %u, \"foreign\": %s, ", options->workers, options->foreign ? "true" : "false");
    printf("\"sessions\": %u, \"churn\": %s, \"mirrored\": %u, \"verify_checksums\": %s, \"latency\": %u",
           options->sessions, options->churn ? "true" : "false", options->mirrored,
           options->verify ? "true" : "false", options->latency);
}

int main(int argc, char **argv)
{
    struct slices slices = {.count = 0};
    struct bench bench = {.options = read_options(argc, argv), .now = 1000 * SECOND};
    open_bench(&bench);
    perform(&bench, bench.options.churn ? &SCRIPT_VISIT : &SCRIPT_HANDSHAKE);
    uint64_t opening = bench.spent;
    uint64_t frames = frames_in(&bench);
    uint64_t requests = bench.said;
    measure(&bench, &slices);
    uint64_t resident = bench_resident() - bench.resident;
    check_replay(&bench);
    print_options(&bench.options);
    printf(", ");
    slices_print(&slices);
    counters_print("requests", bench.said);
    counters_print("frames_per_request", (frames_in(&bench) - frames) / (bench.said - requests));
    counters_print("frames", frames_in(&bench));
    counters_print("sent_frames", value_of(&bench, "sent_frames"));
    counters_print("connections_live", value_of(&bench, "connections_live"));
    counters_print("resident_bytes", resident);
    counters_print("first_pass_ns", opening);
    counters_print("longest_drain_turn_ns", drain(&bench));
    printf("}\n");
    check_ledger(&bench);
    dp_close(bench.engine);
    free(bench.talks.each);
    free(bench.order);
    return 0;
}
