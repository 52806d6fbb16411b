#include "scenario.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "excluded.h"
#include "frame.h"
#include "random.h"

const struct parameter PARAMETERS[] = {
#define PARAMETER(name, simplest, help) {#name, help, simplest, offsetof(struct scenario, name)},
#include "scenario.def"
#undef PARAMETER
};

const uint32_t PARAMETER_COUNT = sizeof(PARAMETERS) / sizeof(PARAMETERS[0]);

enum { STRICT_SETTLE_MS = 4000 };

enum kind { KIND_WHOLE, KIND_LOSSY_MIRROR, KIND_BAD_TARGET, KIND_NARROW };

uint32_t *scenario_at(struct scenario *scenario, const struct parameter *parameter)
{
    return (uint32_t *)(void *)((uint8_t *)scenario + parameter->offset);
}

static uint32_t one_of(struct random *random, const uint32_t *choices, uint32_t count)
{
    return choices[below(random, count)];
}

#define ONE_OF(random, ...)                                                                                  \
    one_of(random, (const uint32_t[]){__VA_ARGS__}, sizeof((const uint32_t[]){__VA_ARGS__}) / 4)

/* Often nothing, else up to `most` per mille. */
static uint32_t rate(struct random *random, uint32_t most)
{
    return chance(random, 500) ? 0 : 1 + below(random, most);
}

static void draw_production(struct scenario *s, struct random *random)
{
    s->connections = between(random, 1, 6);
    s->turns = any_size(random, 24);
    s->request_most = ONE_OF(random, 20, 500, 3000, 3000, 20000, 200000);
    s->answer_most = ONE_OF(random, 20, 500, 3000, 3000, 20000, 200000);
    if (s->request_most + s->answer_most > 50000) /* so that no run is much longer than others */
        s->turns = 1 + s->turns % 6;
    s->greeting = ONE_OF(random, 0, 500, 1000);
    s->pipelined = rate(random, 800);
    s->no_answer = rate(random, 300);
    s->overlap = rate(random, 500);
    s->copies = rate(random, 200);
    s->probes = rate(random, 300);
    s->ending = ENDING_ANY;
    s->reuse = rate(random, 500);
    s->ipv6 = below(random, 3) == 0;
    s->rtt_us = ONE_OF(random, 50, 1000, 20000, 100000);
    s->pace_us = ONE_OF(random, 1, 10, 100, 1000);
}

static void draw_client(struct scenario *s, struct random *random)
{
    s->client_mss = ONE_OF(random, 88, 536, 1220, 1460, 1460, 8960);
    s->client_scale = ONE_OF(random, NO_SCALE, 0, 2, 7, 7, 14);
    s->client_timestamps = below(random, 2);
    s->client_sack = below(random, 2);
    s->client_window = ONE_OF(random, 9000, 30000, 65535, 500000);
    if (s->client_scale == NO_SCALE && s->client_window > 65535)
        s->client_window = 65535;
}

static void draw_line(struct scenario *s, struct random *random)
{
    s->workers = ONE_OF(random, 1, 1, 2, 2, 4);
    s->spray = chance(random, 100);
    s->multiplier = ONE_OF(random, 1, 1, 1, 2, 3);
    s->pool = s->connections == 1 ? ONE_OF(random, 0, 1, 3) : 0;
    s->test_mtu = ONE_OF(random, 576, 1280, 1500, 1500, 9000);
    s->ring = ONE_OF(random, 1, 3, 16, 256, 256);
    s->settle_ms = chance(random, 400) ? STRICT_SETTLE_MS : ONE_OF(random, 5, 5, 20);
    s->ack_mirrored = chance(random, 150);
    s->no_wait = chance(random, 80);
    s->response_s = 300;
    s->chunks = 100000;
    s->backlog = 100000000;
    s->limit = 256; /* shared out to the workers */
}

static void draw_mirror(struct scenario *s, struct random *random)
{
    s->both = below(random, 2);
    s->mirror_tags = ONE_OF(random, 0, 0, 1, 2);
    s->mirror_duplicate = chance(random, 100) ? 1000 : rate(random, 100);
    s->mirror_reorder = rate(random, 200);
    s->mirror_late_us = ONE_OF(random, 50, 1000, 20000, 300000);
}

static void draw_path(struct scenario *s, struct random *random)
{
    s->quantum_us = ONE_OF(random, 1, 1, 20, 1000);
    s->path_delay_us = ONE_OF(random, 20, 200, 5000, 80000);
    s->path_late_us = ONE_OF(random, 10, 500, 10000, 200000);
    s->up_loss = rate(random, 100);
    s->up_duplicate = rate(random, 100);
    s->up_reorder = rate(random, 200);
    s->up_flip = rate(random, 20);
    s->down_loss = rate(random, 100);
    s->down_duplicate = rate(random, 100);
    s->down_reorder = rate(random, 200);
    s->down_flip = rate(random, 20);
}

static void draw_target(struct scenario *s, struct random *random)
{
    s->target_mss = ONE_OF(random, 88, 536, 1220, 1460, 1460, 8960);
    s->target_scale = ONE_OF(random, NO_SCALE, 0, 3, 7, 14);
    s->target_timestamps = below(random, 2);
    s->target_sack = below(random, 2);
    s->target_buffer = ONE_OF(random, 1500, 5000, 20000, 65535, 250000);
    s->target_read = chance(random, 600) ? 0 : ONE_OF(random, 20, 100, 1000, 10000);
    s->target_ack_ms = ONE_OF(random, 0, 1, 40, 200);
    s->target_think_us = ONE_OF(random, 0, 100, 3000, 100000);
    s->target_pieces = rate(random, 500);
    s->target_window = ONE_OF(random, 1, 4, 10, 10);
    s->factor_least = s->factor_most = 100;
    if (chance(random, 600)) {
        s->factor_least = 30;
        s->factor_most = s->settle_ms == STRICT_SETTLE_MS ? 100 : 200;
    }
    s->freeze_ms = chance(random, 100) ? ONE_OF(random, 500, 5000) : 0;
}

/* The order of turns can only be told where no pause of the target's looks like the end of its answer. */
static void make_strict(struct scenario *s)
{
    s->freeze_ms = 0;
    s->up_loss = s->up_loss > 10 ? 10 : s->up_loss;
    s->down_loss = s->down_loss > 10 ? 10 : s->down_loss;
    s->up_flip = s->up_flip > 5 ? 5 : s->up_flip;
    s->down_flip = s->down_flip > 5 ? 5 : s->down_flip;
    if (s->target_read && s->target_read < s->target_buffer / 500)
        s->target_read = s->target_buffer / 500;
    if (s->factor_least < 100 && s->turns > 6)
        s->turns = 6; /* each costs the settle time */
}

/* The line is started while connections are under way. */
static void start_late(struct scenario *s, struct random *random)
{
    s->mirror_from_ms = any_size(random, 1000);
    s->resync = 1;
    s->rtt_us = ONE_OF(random, 20000, 100000);
    s->mirror_reorder = s->copies = s->probes = s->overlap = 0;
}

static void lose_on_the_mirror(struct scenario *s, struct random *random)
{
    s->mirror_loss = rate(random, 100);
    s->mirror_truncate = rate(random, 30);
    s->mirror_flip = rate(random, 30);
    s->resync = below(random, 2);
}

/* Where nothing is lost the target is never silent for long. A large request may take its time all the same.
 */
static void shorten_response(struct scenario *s)
{
    bool lossless = !s->up_loss && !s->down_loss && !s->up_flip && !s->down_flip && !s->freeze_ms;
    if (lossless && s->target_think_us <= 3000)
        s->response_s = 5;
}

static void draw_troubles(struct scenario *s, enum kind kind, struct random *random)
{
    switch (kind) {
    case KIND_LOSSY_MIRROR:
        if (chance(random, 300))
            start_late(s, random);
        else
            lose_on_the_mirror(s, random);
        break;
    case KIND_BAD_TARGET:
        s->misbehaviour = 1 + below(random, MISBEHAVIOURS - 1);
        s->misbehave_at = below(random, s->turns);
        s->response_s = 30;
        break;
    case KIND_NARROW:
        s->chunks = chance(random, 300) ? between(random, 2, 60) : s->chunks;
        s->backlog = chance(random, 300) ? any_size(random, 100000) : s->backlog;
        s->limit = chance(random, 300) ? between(random, 1, 4) : s->limit;
        s->stop_ms = chance(random, 600) ? any_size(random, 3000) : 0;
        break;
    case KIND_WHOLE:
        break;
    }
}

static void leave_out(struct scenario *s)
{
    if (EXCLUDE_SHORTER_ANSWERS_BEHIND_NO_ANSWER && s->no_answer && (s->overlap || s->pipelined))
        s->factor_least = 100;
    if (EXCLUDE_SHORTER_ANSWERS_BEHIND_COPIES && s->overlap && s->copies)
        s->factor_least = 100;
}

void scenario_draw(struct scenario *scenario, uint64_t seed)
{
    *scenario = (struct scenario){.seed = seed};
    struct random random = random_stream(seed, 0);
    uint32_t dice = below(&random, 100);
    enum kind kind = dice < 60   ? KIND_WHOLE
                     : dice < 76 ? KIND_LOSSY_MIRROR
                     : dice < 90 ? KIND_BAD_TARGET
                                 : KIND_NARROW;
    draw_production(scenario, &random);
    draw_client(scenario, &random);
    draw_line(scenario, &random);
    draw_mirror(scenario, &random);
    draw_path(scenario, &random);
    draw_target(scenario, &random);
    if (scenario->settle_ms == STRICT_SETTLE_MS)
        make_strict(scenario);
    shorten_response(scenario);
    draw_troubles(scenario, kind, &random);
    leave_out(scenario);
}

bool scenario_set(struct scenario *scenario, const char *setting)
{
    const char *equals = strchr(setting, '=');
    for (uint32_t i = 0; equals && i < PARAMETER_COUNT; i++) {
        size_t size = strlen(PARAMETERS[i].name);
        if (size != (size_t)(equals - setting) || strncmp(PARAMETERS[i].name, setting, size) != 0)
            continue;
        *scenario_at(scenario, &PARAMETERS[i]) = (uint32_t)strtoul(equals + 1, NULL, 10);
        return true;
    }
    return false;
}

bool scenario_mirror_is_whole(const struct scenario *s)
{
    return !s->mirror_loss && !s->mirror_truncate && !s->mirror_flip && !s->mirror_from_ms;
}

bool scenario_completes(const struct scenario *s)
{
    return scenario_mirror_is_whole(s) && !s->misbehaviour && !s->stop_ms && s->chunks >= 100000 &&
           s->backlog >= 100000000 && s->limit >= 256;
}

bool scenario_is_strict(const struct scenario *s)
{
    return !s->misbehaviour && s->settle_ms >= STRICT_SETTLE_MS && s->factor_most <= 100 && !s->no_wait &&
           !s->ack_mirrored;
}

void scenario_print(struct scenario *scenario, FILE *file)
{
    for (uint32_t i = 0; i < PARAMETER_COUNT; i++)
        if (*scenario_at(scenario, &PARAMETERS[i]) != PARAMETERS[i].simplest)
            fprintf(file, "  %s=%u", PARAMETERS[i].name, *scenario_at(scenario, &PARAMETERS[i]));
    fputc('\n', file);
}
