#include "restarts.h"

#include "sim.h"

#define MILLI 1000000ull
#define BETWEEN_TRIES 1000000000ull /* of one connection */

void restarts_plan(struct sim *sim)
{
    sim->restart_at = sim->scenario.restarts ? sim->began + sim->scenario.restart_ms * MILLI : NEVER;
}

void restarts_run(struct sim *sim)
{
    if (sim->now < sim->restart_at)
        return;
    sim_note(sim, "the target restarts");
    for (uint32_t i = 0; i < sim->record_count; i++)
        sim->peers[i].state = PEER_CLOSED;
    sim->refuses_until = sim->now + sim->scenario.refuse_ms * MILLI;
    sim->restarts++;
    bool last = sim->restarts == sim->scenario.restarts;
    sim->restart_at = last ? NEVER : sim->restart_at + sim->scenario.restart_ms * MILLI;
}

/* --- when a session may be opened, and when one must be ----------------------------------------------------
 */

static const struct record *session_before(const struct sim *sim, const struct record *record)
{
    for (uint32_t i = record->index; i-- > 0;)
        if (sim->records[i].connection == record->connection)
            return &sim->records[i];
    return NULL;
}

static const struct record *session_after(const struct sim *sim, const struct record *record)
{
    for (uint32_t i = record->index + 1; i < sim->record_count; i++)
        if (sim->records[i].connection == record->connection)
            return &sim->records[i];
    return NULL;
}

void restarts_check_try(struct sim *sim, const struct record *record)
{
    const struct record *before = session_before(sim, record);
    if (sim->scenario.restarts && before && before->joined && record->joined &&
        record->opened_at < before->opened_at + BETWEEN_TRIES)
        sim_fail(sim, "connection %u: session %u is tried %llu us after the one before it",
                 record->connection, record->index,
                 (unsigned long long)(record->opened_at - before->opened_at) / 1000);
}

/* A reset with a number that the session believes. */
void restarts_note_reset(const struct sim *sim, struct record *record, const struct segment *segment)
{
    uint32_t offset = segment->seq - record->syn_ack.seq - 1;
    bool refuses = !record->opened && (segment->flags & ACK) && segment->ack == record->iss + 1;
    bool resets = record->opened && offset >= record->last_ack && offset <= record->answered;
    if ((segment->flags & RST) && (refuses || resets) && !record->reset_at)
        record->reset_at = sim->now;
}

/* The first turn after that moment at which the connection could be taken up; turn_count: there is none. Of
 * the connection's very first nothing shows that it begins there, but for its SYN. */
static uint32_t turn_from(const struct connection *connection, uint64_t moment)
{
    uint32_t turn = connection->turn_count ? 1 : 0;
    while (turn < connection->turn_count &&
           (connection->turns[turn].shown_at <= moment || connection->turns[turn].goes_on))
        turn++;
    return turn;
}

/* From when on the connection must be tried again: it knows that the session is over, and the try before is a
 * second old. */
static uint64_t again_from(const struct record *record)
{
    uint64_t next_try = record->joined ? record->opened_at + BETWEEN_TRIES : 0;
    return (record->reset_at > next_try ? record->reset_at : next_try) + MILLI;
}

static void check_next(struct sim *sim, const struct record *record)
{
    const struct connection *connection = &sim->connections[record->connection];
    const struct record *next = session_after(sim, record);
    uint32_t turn = turn_from(connection, again_from(record));
    if (!record->reset_at || turn == connection->turn_count)
        return;
    if (!next)
        sim_fail(sim, "connection %u: its session %u was reset, and turn %u opened no new one",
                 connection->index, record->index, turn);
    if (next->base_known && next->base > connection->turns[turn].offset)
        sim_fail(sim, "session %u begins at byte %u, though turn %u at %u might have opened it", next->index,
                 next->base, turn, connection->turns[turn].offset);
}

/* --- what has been delivered -------------------------------------------------------------------------------
 */

/* Whether the target gets for a second time what the session before has begun with. */
static bool is_repeated(const struct record *before, const struct record *record)
{
    return before && before->received && record->base_known && record->base <= before->base;
}

/* The last session, once nothing disturbs it any more, has delivered all from where it began. */
static void check_last(struct sim *sim, const struct record *record)
{
    const struct connection *connection = &sim->connections[record->connection];
    if (record->opened_at < sim->refuses_until || !record->base_known)
        return;
    if (record->received != connection->total - record->base)
        sim_fail(sim, "session %u: the target has got %u bytes from %u on, of %u", record->index,
                 record->received, record->base, connection->total);
    if (connection->fin_shown && !connection->reset_shown && !record->ended)
        sim_fail(sim, "session %u: the target has not got its end", record->index);
}

/* Even where the target went without a word: a session that waits for it ends after response_timeout, the
 * next turn fails at the latest, and the one a second behind it opens a session. */
static void check_reopened(struct sim *sim, const struct connection *connection)
{
    uint64_t silent = sim->refuses_until + (sim->scenario.response_s * 1000ull + 1000) * MILLI;
    uint32_t lost = turn_from(connection, silent);
    if (lost == connection->turn_count)
        return;
    uint32_t turn = turn_from(connection, connection->turns[lost].shown_at + BETWEEN_TRIES +
                                              sim->scenario.path_delay_us * 4000ull);
    if (turn == connection->turn_count)
        return;
    for (uint32_t i = 0; i < sim->record_count; i++) {
        const struct record *record = &sim->records[i];
        bool alive = record->opened_at >= sim->refuses_until && record->base_known;
        if (record->connection == connection->index && alive &&
            record->base <= connection->turns[turn].offset)
            return;
    }
    sim_fail(sim, "connection %u: turn %u reached no session, %llu ms after the target was back",
             connection->index, turn,
             (unsigned long long)((connection->turns[turn].shown_at - sim->refuses_until) / MILLI));
}

/* Every byte that the mirror has shown was taken for a session, or is counted as skipped. */
static void check_skipped(struct sim *sim)
{
    uint64_t shown = 0;
    uint64_t reopened = 0;
    for (uint32_t i = 0; i < sim->connection_count; i++)
        shown += ranges_reach(&sim->connections[i].shown, 0);
    for (uint32_t i = 0; i < sim->record_count; i++)
        reopened += sim->records[i].joined;
    if (!line_counts("request_bytes_skipped") || !line_counts("sessions_reopened"))
        sim_fail(sim, "the line has no counters request_bytes_skipped and sessions_reopened");
    uint64_t taken = line_count(sim, "request_bytes_taken");
    uint64_t skipped = line_count(sim, "request_bytes_skipped");
    if (taken + skipped != shown)
        sim_fail(sim, "%llu bytes were taken, %llu skipped; the mirror has shown %llu",
                 (unsigned long long)taken, (unsigned long long)skipped, (unsigned long long)shown);
    if (line_count(sim, "sessions_reopened") != reopened)
        sim_fail(sim, "sessions_reopened is %llu, not %llu",
                 (unsigned long long)line_count(sim, "sessions_reopened"), (unsigned long long)reopened);
}

void restarts_check(struct sim *sim)
{
    for (uint32_t i = 0; i < sim->record_count; i++) {
        const struct record *record = &sim->records[i];
        if (is_repeated(session_before(sim, record), record))
            sim_fail(sim, "session %u begins again at byte %u", record->index, record->base);
        check_next(sim, record);
        if (!session_after(sim, record))
            check_last(sim, record);
    }
    for (uint32_t i = 0; i < sim->connection_count; i++)
        check_reopened(sim, &sim->connections[i]);
    check_skipped(sim);
}
