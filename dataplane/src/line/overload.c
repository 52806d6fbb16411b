#include "overload.h"

/* Frames that wait to be taken in, and sessions that wait to send. */
static uint32_t backlog_of(const struct worker *worker)
{
    uint32_t backlog = worker->replay.ready_count;
    for (uint32_t i = 0; i < worker->inlet_count; i++)
        backlog += worker->inlets[i].port->ops->waiting(worker->inlets[i].port);
    for (uint32_t other = 0; other < worker->config->workers; other++)
        backlog += worker->from[other] ? handoff_waiting(worker->from[other]) : 0;
    return backlog;
}

/* Connections of a capture are never refused: their frames can wait. */
void overload_adapt(struct worker *worker, bool busy, uint64_t now)
{
    struct replay *replay = &worker->replay;
    const struct stats *stats = worker->stats;
    struct loop loop = {
        .pressed = worker->pressed || pool_is_short(&replay->context.chunks),
        .caught_up = !worker->crowded && replay_is_quiet(replay),
        .idle = !busy && replay_is_quiet(replay),
    };
    worker->pressed = worker->crowded = false;
    if (worker->repeats_read)
        return;
    stats_add(&worker->stats->loops_pressed, loop.pressed);
    if (!admission_note(&replay->admission, loop, now))
        return;
    uint64_t done =
        stats->mirror_frames + stats->test_frames + stats->mirror_handed_in + stats->test_handed_in;
    admission_adapt(&replay->admission, backlog_of(worker), done, now);
    sheds_close_above(&replay->sheds, admission_closed(&replay->admission));
}
