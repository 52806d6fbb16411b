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
 * thread; with --foreign=1 each frame arrives at a queue of another worker than its owner, and is handed off.
 * --copies=N: each connection is replayed by N sessions, whose endpoints come from a pool; 0: by one, with
 * the client's own.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "case.h"
#include "counters.h"
#include "store/flow.h"

struct bench {
    struct options options;
    struct dp_engine *engine;
    struct talks talks;
    struct talks replays; /* the same, or the pool's: those of one connection behind those of another */
    uint32_t *ranks;      /* of connections: how many were opened before; the pool goes by that */
    uint32_t ranked;
    uint32_t *order;
    uint64_t random;
    uint64_t now;
    uint64_t spent;       /* nanoseconds in dp_step */
    uint64_t injected[2]; /* frames, by port */
    uint64_t said;        /* requests */
    uint64_t heard;       /* requests, by all sessions */
    uint64_t opened;      /* connections */
    uint64_t resident;    /* bytes, without the engine's */
};

/* --- counters ---------------------------------------------------------------------------------------------
 */

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
                                     : talk_hear(&bench->replays, frame, (uint32_t)size, &replayed);
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

static void send(struct bench *bench, uint32_t port, uint32_t place, const uint8_t *frame, uint32_t size)
{
    uint32_t queue = queue_of(&bench->options, bench->talks.first + place);
    if (dp_mem_send(bench->engine, port, queue, frame, size))
        bench_fail("a memory port is full: %s", dp_error(bench->engine));
    bench->injected[port]++;
}

/* The first of the sessions that replay the connection. */
static uint32_t first_replay(const struct bench *bench, uint32_t place)
{
    return bench->ranks[place] * sessions_each(&bench->options);
}

/* The pool gives out its endpoints in the order of the SYNs. */
static void rank(struct bench *bench, uint32_t place)
{
    bench->ranks[place] = bench->options.copies ? bench->ranked++ : place;
    for (uint32_t i = 0; i < bench->options.copies; i++)
        bench->replays.each[first_replay(bench, place) + i].origin = bench->talks.first + place;
}

/* The target says the line to each session. */
static void answer(struct bench *bench, uint32_t place, enum line line)
{
    uint8_t frame[TALK_FRAME];
    for (uint32_t i = 0; i < sessions_each(&bench->options); i++)
        send(bench, TEST, place, frame,
             talk_say(&bench->replays, first_replay(bench, place) + i, line, frame));
}

static void say(struct bench *bench, const struct stage *stage, uint32_t place)
{
    uint8_t frame[TALK_FRAME];
    for (uint32_t i = 0; i < STAGE_LINES; i++) {
        enum line line = stage->lines[i];
        if (line == CLIENT_SYN)
            rank(bench, place);
        if (line_is_of_target(line)) {
            answer(bench, place, line);
            continue;
        }
        uint32_t size = talk_say(&bench->talks, place, line, frame);
        if (stage_shows(stage, line, bench->options.mirrored))
            send(bench, MIRROR, place, frame, size);
        bench->said += line == CLIENT_REQUEST;
    }
}

/* Every connection goes through the script once. */
static void perform(struct bench *bench, const struct script *script)
{
    uint32_t count = bench->options.sessions;
    uint32_t size = script_cohort(script, bench->options.mirrored, sessions_each(&bench->options));
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
    uint32_t copies = bench->options.copies;
    if ((talks->first + (uint64_t)talks->count) * sessions_each(&bench->options) > TALK_MOST)
        bench_fail("no more client endpoints");
    for (uint32_t i = 0; i < talks->count; i++)
        talk_begin(&talks->each[i], talks->first + i);
    bench->opened += talks->count;
    bench->ranked = 0;
    bench->replays.first = talks->first * sessions_each(&bench->options);
    bench->replays.count = talks->count * sessions_each(&bench->options);
    for (uint32_t i = 0; copies && i < bench->replays.count; i++)
        talk_begin(&bench->replays.each[i], bench->replays.first + i);
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
    uint32_t each = sessions_each(&bench->options);
    uint64_t replayed = bench->said * each;
    require(bench, "sessions_established", bench->opened * each);
    require(bench, "turns_sent", replayed);
    require(bench, "sent_payload", replayed);
    require(bench, "retransmits", 0);
    require(bench, "gate_by_settle", 0);
    require(bench, "request_bytes_acked", replayed * TALK_REQUEST);
    require(bench, "answer_bytes", replayed * TALK_ANSWER);
    require(bench, "end_complete", bench->options.churn ? bench->opened * each : 0);
    require_sum("requests at the target", bench->heard, replayed);
}

static void check_ledger(const struct bench *bench)
{
    require(bench, "sessions_live", 0);
    require_sum("drops", sum_of(bench, "drop_"), 0);
    require_sum("sessions ended", sum_of(bench, "end_"), bench->opened * sessions_each(&bench->options));
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
    for (uint32_t i = 0; i == 0 || (i < bench->replays.count && value_of(bench, "sessions_live")); i++) {
        uint64_t before = bench->spent;
        step(bench);
        longest = bench->spent - before > longest ? bench->spent - before : longest;
    }
    for (uint32_t i = 0; i <= bench->replays.count / RING; i++)
        step(bench); /* the resets leave */
    return longest;
}

/* --- the program ---------------------------------------------------------------------------------------- */

static void open_bench(struct bench *bench)
{
    char error[DP_ERROR_SIZE];
    uint32_t count = bench->options.sessions;
    bench->talks.each = malloc(count * sizeof(bench->talks.each[0]));
    bench->order = malloc(count * sizeof(bench->order[0]));
    bench->ranks = malloc(count * sizeof(bench->ranks[0]));
    bench->replays.each = bench->talks.each;
    bench->replays.forged = bench->options.copies;
    if (bench->options.copies)
        bench->replays.each = malloc((size_t)count * bench->options.copies * sizeof(bench->talks.each[0]));
    if (!bench->talks.each || !bench->order || !bench->ranks || !bench->replays.each)
        bench_fail("no memory for %u connections", count);
    begin_all(bench);
    bench_shuffle(bench->order, count, &bench->random);
    bench->resident = bench_resident(); /* what comes now is the engine's */
    struct dp_config config = case_config(&bench->options);
    if (dp_open(&config, &bench->engine, error, sizeof(error)))
        bench_fail("%s", error);
}

int main(int argc, char **argv)
{
    struct slices slices = {.count = 0};
    struct bench bench = {.options = case_read(argc, argv), .now = 1000 * SECOND};
    open_bench(&bench);
    perform(&bench, bench.options.churn ? &SCRIPT_VISIT : &SCRIPT_HANDSHAKE);
    uint64_t opening = bench.spent;
    uint64_t frames = frames_in(&bench);
    uint64_t requests = bench.said;
    measure(&bench, &slices);
    uint64_t resident = bench_resident() - bench.resident;
    check_replay(&bench);
    case_print(&bench.options);
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
    if (bench.replays.each != bench.talks.each)
        free(bench.replays.each);
    free(bench.talks.each);
    free(bench.ranks);
    free(bench.order);
    return 0;
}
