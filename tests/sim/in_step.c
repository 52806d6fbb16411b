#include "in_step.h"

#include "sim.h"

#define AT_ONCE 3000000ull /* the line is turned every millisecond; a full ring costs it some turns more */

static uint32_t offset_of(const struct sim *sim, const struct record *record, uint32_t turn)
{
    const struct connection *connection = &sim->connections[record->connection];
    return turn < connection->turn_count ? connection->turns[turn].offset : connection->total;
}

static bool says_the_same(const struct scenario *scenario)
{
    return scenario->factor_least == 100 && scenario->factor_most == 100 &&
           (!scenario->pushes || scenario->target_pushes == PUSHES_THE_SAME);
}

/* A target that says just what production says may be ahead of what production's client had read when it went
 * on; of any other, more than production's bytes tell nothing. */
bool in_step_is_due(const struct sim *sim, const struct record *record, uint32_t turn)
{
    const struct connection *connection = &sim->connections[record->connection];
    uint32_t ack = turn < connection->turn_count ? connection->turns[turn].ack : connection->fin_ack;
    uint32_t level = judge_heard(sim, record, ack);
    if (record->joined || !record->opened || !judge_is_shown(sim, record, turn) ||
        record->acked < offset_of(sim, record, turn))
        return false;
    return says_the_same(&sim->scenario) ? record->answered >= level : record->answered == level;
}

void in_step_note(struct sim *sim, struct record *record)
{
    uint32_t turns = sim->connections[record->connection].turn_count;
    if (!record->step_since && record->step_turn < turns && in_step_is_due(sim, record, record->step_turn))
        record->step_since = sim->now;
}

void in_step_check(struct sim *sim, struct record *record, uint32_t end)
{
    const struct connection *connection = &sim->connections[record->connection];
    while (record->step_turn < connection->turn_count &&
           end > offset_of(sim, record, record->step_turn) - record->base) {
        uint64_t waited = record->step_since ? sim->now - record->step_since : 0;
        if (sim->scenario.in_step && !record->joined && waited > AT_ONCE)
            sim_fail(sim, "session %u: turn %u has waited %llu us for a target that is in step",
                     record->index, record->step_turn, (unsigned long long)waited / 1000);
        record->step_turn++;
        record->step_since = 0;
        in_step_note(sim, record);
    }
}

void in_step_verdict(struct sim *sim)
{
    uint64_t settled = line_count(sim, "gate_by_settle");
    if (settled)
        sim_fail(sim, "%llu of %llu turns have left because a target in step was quiet",
                 (unsigned long long)settled, (unsigned long long)line_count(sim, "turns_sent"));
}
