#include "modes.h"

#include <string.h>

#include "random.h"

#define ONE_OF(random, ...)                                                                                  \
    one_of(random, (const uint32_t[]){__VA_ARGS__}, sizeof((const uint32_t[]){__VA_ARGS__}) / 4)

static uint32_t one_of(struct random *random, const uint32_t *choices, uint32_t count)
{
    return choices[below(random, count)];
}

/* The mirror shows all in its order, and nothing of the line's or the target's stands in the way. */
static void complete(struct scenario *s)
{
    s->mirror_loss = s->mirror_truncate = s->mirror_flip = s->mirror_from_ms = 0;
    s->mirror_reorder = s->mirror_duplicate = s->resync = 0;
    s->misbehaviour = s->misbehave_at = s->stop_ms = 0;
    s->chunks = 100000;
    s->backlog = 100000000;
    s->limit = 256;
    s->response_s = 300;
    s->settle_ms = 5;
}

/* A network and a target that lose no time. */
static void calm(struct scenario *s, struct random *random)
{
    complete(s);
    s->quantum_us = 1;
    s->path_delay_us = ONE_OF(random, 20, 200);
    s->rtt_us = ONE_OF(random, 1000, 20000, 100000);
    s->up_loss = s->up_duplicate = s->up_reorder = s->up_flip = 0;
    s->down_loss = s->down_duplicate = s->down_reorder = s->down_flip = 0;
    s->target_think_us = s->target_pieces = s->target_read = s->freeze_ms = 0;
    s->target_window = 10;
    s->target_buffer = 250000;
    s->factor_least = s->factor_most = 100;
    s->overlap = s->copies = s->probes = s->reuse = 0;
    s->no_wait = s->ack_mirrored = 0;
}

/* Uploads that last longer than a hole in the mirror may, each segment acknowledged as it arrives: where the
 * client's direction is late, the server's is never without bytes that the mirror has not shown. */
static void mode_skew(struct scenario *s, struct random *random)
{
    uint32_t late_us = between(random, 1000, 5000);
    bool server_is_late = s->seed % 3 == 1;
    complete(s);
    s->both = 1;
    s->connections = between(random, 1, 3);
    s->turns = between(random, 1, 4);
    s->client_mss = 536;
    s->pace_us = late_us * 9 / 10;
    s->request_least = 536 * (1500000 / s->pace_us);
    s->quantum_us = 1;
    s->server_acks = ONE_OF(random, 500, 1000, 1000);
    *(server_is_late ? &s->server_late_us : &s->client_late_us) = late_us;
    s->target_read = 0;
}

static void mode_old_segments(struct scenario *s, struct random *random)
{
    complete(s);
    s->both = s->seed % 3 != 0;
    s->reuse = 0;
    s->strays = between(random, 20, 300);
}

static void mode_restarts(struct scenario *s, struct random *random)
{
    calm(s, random);
    s->connections = between(random, 3, 6);
    s->turns = 24;
    s->pause_ms = between(random, 500, 2000);
    s->request_most = ONE_OF(random, 500, 3000, 20000);
    s->answer_most = ONE_OF(random, 500, 3000, 20000);
    s->response_s = 2;
    s->multiplier = 1;
    s->restarts = between(random, 1, 3);
    s->restart_ms = between(random, 1500, 3000);
    s->refuse_ms = chance(random, 500) ? 0 : between(random, 10, 1400);
}

static void draw_pushes(struct scenario *s, struct random *random)
{
    calm(s, random);
    s->turns = between(random, 3, 24);
    s->request_most = ONE_OF(random, 20, 500, 3000);
    s->answer_most = ONE_OF(random, 20, 500, 3000);
    s->no_answer = ONE_OF(random, 0, 300, 1000);
    s->pushes = ONE_OF(random, 300, 1000);
    s->push_most = ONE_OF(random, 20, 500, 3000);
    s->push_pause_ms = ONE_OF(random, 1, 200);
    s->response_s = 30;
    s->target_ack_ms = 0; /* else turns would leave later than production's, and the target's pushes, too */
}

static void mode_pushes(struct scenario *s, struct random *random)
{
    draw_pushes(s, random);
    s->target_pushes = PUSHES_THE_SAME;
    s->in_step = 1;
}

static void mode_pushes_none(struct scenario *s, struct random *random)
{
    draw_pushes(s, random);
    s->target_pushes = PUSHES_NOTHING;
}

static void mode_pushes_late(struct scenario *s, struct random *random)
{
    draw_pushes(s, random);
    s->target_pushes = PUSHES_LATE;
    s->push_late_ms = ONE_OF(random, 50, 500, 3000);
}

static void mode_in_step(struct scenario *s, struct random *random)
{
    calm(s, random);
    s->turns = between(random, 3, 12);
    s->request_most = ONE_OF(random, 3000, 20000, 200000);
    s->answer_most = ONE_OF(random, 500, 3000, 20000);
    s->overlap = ONE_OF(random, 0, 500, 1000);
    s->pipelined = ONE_OF(random, 0, 300);
    s->update_every = between(random, 1000, 40000);
    s->update_size = between(random, 1, 40);
    s->in_step = 1;
}

bool mode_apply(const char *name, struct scenario *scenario)
{
    static const struct {
        const char *name;
        void (*apply)(struct scenario *, struct random *);
    } MODES[] = {
#define MODE(name, help) {#name, mode_##name},
#include "modes.def"
#undef MODE
    };
    struct random random = random_stream(scenario->seed, 1);
    for (uint32_t i = 0; i < sizeof(MODES) / sizeof(MODES[0]); i++) {
        if (strcmp(MODES[i].name, name) != 0)
            continue;
        MODES[i].apply(scenario, &random);
        scenario->pool = scenario->connections == 1 ? scenario->pool : 0;
        return true;
    }
    return false;
}
