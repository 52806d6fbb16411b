#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "sim.h"
#include "verdict.h"

#define MILLI 1000000ull
#define SECOND 1000000000ull

enum {
    MOST_VIRTUAL_S = 3600,
    MOST_FRAMES = 2000000,
    QUIET_S = 320, /* longer than any pause that is followed by something */
    LEDGER_EVERY = 64,
};

void sim_fail(struct sim *sim, const char *format, ...)
{
    va_list arguments;
    if (!sim->quiet) {
        printf("seed %llu failed at %.6f s: ", (unsigned long long)sim->scenario.seed,
               (double)(sim->now - sim->began) / 1e9);
        va_start(arguments, format);
        vprintf(format, arguments);
        va_end(arguments);
        printf("\n");
    }
    uint64_t kind = 0;
    for (const char *at = format; *at; at++)
        kind = mix64(kind ^ (uint8_t)*at);
    sim->failure = (uint8_t)(1 + kind % 250);
    longjmp(sim->failed, 1);
}

void sim_note(const struct sim *sim, const char *format, ...)
{
    va_list arguments;
    if (!sim->trace)
        return;
    printf("%12.6f  ", (double)(sim->now - sim->began) / 1e9);
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    printf("\n");
}

struct host sim_host(const struct sim *sim, uint8_t net, uint8_t number, uint16_t port)
{
    struct host host = {.port = port};
    if (sim->scenario.ipv6)
        memcpy(host.ip, (const uint8_t[16]){0xfd, 0, 0, 198, 0, net, [15] = number}, 16);
    else
        memcpy(host.ip, (const uint8_t[16]){[10] = 0xff, 0xff, 198, net, 0, number}, 16);
    return host;
}

/* --- the loop
 * ------------------------------------------------------------------------------------------------------- */

static uint64_t next_of_target(const struct sim *sim)
{
    uint64_t next = NEVER;
    for (uint32_t i = 0; i < sim->record_count; i++) {
        uint64_t at = target_deadline(&sim->peers[i]);
        next = at < next ? at : next;
    }
    return next;
}

/* The line is turned whenever something happens, and else at times that are the rarer the longer nothing
 * does. */
static uint64_t next_of_line(const struct sim *sim, uint64_t event_at)
{
    if (sim->line.busy)
        return sim->now + 10000;
    uint64_t stride = (sim->now - event_at) / 8;
    stride = stride < MILLI ? MILLI : stride > 100 * MILLI ? 100 * MILLI : stride;
    return sim->now + stride;
}

static void deliver(struct sim *sim)
{
    const struct event *event = path_take(&sim->path);
    if (event->way == WAY_UP)
        target_on_frame(sim, event->bytes, event->size);
    else
        line_take(sim, event);
}

/* The clock goes on to where something happens next; everything that is due happens. Returns whether there
 * was more than a turn of the line. */
static bool tick(struct sim *sim, uint64_t event_at)
{
    uint64_t at = next_of_line(sim, event_at);
    uint64_t next = next_of_target(sim);
    at = next < at ? next : at;
    at = path_next(&sim->path) < at ? path_next(&sim->path) : at;
    uint64_t before = sim->line.frames_out + sim->path.carried[WAY_DOWN];
    bool any = false;
    sim->now = at > sim->now ? at : sim->now;
    for (uint32_t burst = 0; path_next(&sim->path) <= sim->now && burst < 500; burst++, any = true)
        deliver(sim);
    for (uint32_t i = 0; i < sim->record_count; i++)
        if (target_deadline(&sim->peers[i]) <= sim->now)
            target_on_time(sim, &sim->peers[i]);
    line_step(sim);
    if (sim->line.steps % LEDGER_EVERY == 0)
        line_check_ledger(sim);
    return any || before != sim->line.frames_out + sim->path.carried[WAY_DOWN];
}

/* Whether anything is still going on: frames under way, sessions, a target that is not done. */
static bool is_busy(const struct sim *sim)
{
    bool busy = path_next(&sim->path) != NEVER || line_account(sim, ACCOUNT_sessions_live) || sim->line.busy;
    for (uint32_t i = 0; i < sim->record_count && !busy; i++)
        busy = target_is_busy(&sim->peers[i]);
    return busy;
}

/* Until nothing is under way and every session has ended, or nothing has happened for long. */
static void play(struct sim *sim)
{
    uint64_t event_at = sim->now;
    uint64_t stop_at = sim->scenario.stop_ms ? sim->began + sim->scenario.stop_ms * MILLI : NEVER;
    while (is_busy(sim)) {
        if (sim->now >= stop_at) {
            sim_note(sim, "the line is stopped");
            dp_drain(sim->line.engine);
            stop_at = NEVER;
        }
        if (tick(sim, event_at))
            event_at = sim->now;
        if (sim->now - event_at > QUIET_S * SECOND)
            return;
        if (sim->now - sim->began > MOST_VIRTUAL_S * SECOND || sim->line.frames_out > MOST_FRAMES)
            sim_fail(sim, "it does not end: %llu frames sent", (unsigned long long)sim->line.frames_out);
    }
}

/* All times pass: every connection is forgotten. */
static void let_time_pass(struct sim *sim)
{
    for (uint32_t i = 0; i < 100; i++) {
        sim->now += 60 * SECOND;
        line_step(sim);
    }
}

static void run(struct sim *sim)
{
    path_open(&sim->path, &sim->scenario, sim->now);
    sim->target = sim_host(sim, 19, 2, 8080);
    sim->frozen_from = sim->now + 100 * MILLI;
    sim->frozen_until = sim->frozen_from + sim->scenario.freeze_ms * MILLI;
    line_open(sim);
    line_step(sim);
    production_open(sim);
    play(sim);
    sim->now += SECOND / 10; /* its gauges are of the last housekeeping */
    line_step(sim);
    verdict_check_quiet(sim);
    dp_drain(sim->line.engine);
    line_step(sim);
    play(sim);
    verdict_check(sim);
    let_time_pass(sim);
    verdict_check_empty(sim);
}

uint8_t sim_run(const struct scenario *scenario, bool trace, bool quiet, uint64_t *digest)
{
    struct sim *sim = calloc(1, sizeof(*sim));
    if (!sim)
        abort();
    sim->scenario = *scenario;
    sim->trace = trace;
    sim->quiet = quiet;
    sim->now = sim->began = 1000 * SECOND + mix64(scenario->seed) % (4000000 * SECOND);
    if (setjmp(sim->failed) == 0)
        run(sim);
    *digest = sim->digest;
    uint8_t failure = sim->failure;
    path_close(&sim->path);
    production_close(sim);
    line_close(sim);
    free(sim);
    return failure;
}
