#include "verdict.h"

#include <string.h>

#include "sim.h"

/* The reasons under which a session may have ended, as a set. */
enum reason {
    COMPLETE = 1 << 0,
    CLIENT_RESET = 1 << 1,
    STOPPED = 1 << 2,
    SUPERSEDED = 1 << 3,
    MIRROR_GAP = 1 << 4,
    TARGET_REFUSED = 1 << 5,
    TARGET_RESET = 1 << 6,
    TARGET_CLOSED = 1 << 7,
    TARGET_SILENT = 1 << 8,
    TARGET_UNRESPONSIVE = 1 << 9,
    BACKLOG_EXCEEDED = 1 << 10,
    BUFFERS_FULL = 1 << 11,
};

static const char *const COUNTERS[] = {
    "end_complete",      "end_client_reset",        "end_stopped",          "end_superseded",
    "end_mirror_gap",    "end_target_refused",      "end_target_reset",     "end_target_closed",
    "end_target_silent", "end_target_unresponsive", "end_backlog_exceeded", "end_buffers_full",
};

enum { REASONS = sizeof(COUNTERS) / sizeof(COUNTERS[0]) };

/* --- which reasons are possible
 * ---------------------------------------------------------------------------------- */

/* Bytes are missing before others that were mirrored, before the FIN, or before what the numbers of either
 * side tell.
 */
static bool has_hole(const struct connection *connection, uint32_t reach, bool fin)
{
    bool all = reach == connection->total;
    return ranges_end(&connection->shown) > reach || (fin && !all) ||
           connection->known > reach + (fin && all);
}

/* As production ended, as far as the mirror has shown it. A FIN that the mirror has lost counts where the
 * server's closing shows it. */
static uint32_t by_production(const struct connection *connection)
{
    uint32_t reach = ranges_reach(&connection->shown, 0);
    bool all = reach == connection->total;
    bool fin = connection->fin_shown ||
               (all && connection->server_fin_shown && connection->known == connection->total + 1);
    if (has_hole(connection, reach, fin))
        return MIRROR_GAP;
    if (connection->reset_shown)
        return CLIENT_RESET;
    return fin ? COMPLETE : STOPPED;
}

static uint32_t by_target(const struct scenario *scenario)
{
    switch (scenario->misbehaviour) {
    case BEHAVES:
        return 0;
    case REFUSES:
        return TARGET_REFUSED;
    case ABSENT:
        return TARGET_UNRESPONSIVE;
    case STALLS:
        return TARGET_SILENT;
    case RESETS: /* its RST may be lost; it is said again only if something is said to it */
        return TARGET_RESET | TARGET_CLOSED |
               (scenario->down_loss || scenario->down_flip ? TARGET_SILENT : 0);
    case VANISHES:
        return TARGET_SILENT | TARGET_UNRESPONSIVE;
    default:
        return TARGET_RESET | TARGET_CLOSED | TARGET_SILENT;
    }
}

/* The same client port is used again: by a SYN; or, if the mirror has lost that, by segments that make no
 * sense. */
static uint32_t by_successor(const struct connection *successor, uint32_t reasons)
{
    if (successor->syn_shown)
        return (reasons & ~(uint32_t)STOPPED) | SUPERSEDED;
    return reasons | MIRROR_GAP | CLIENT_RESET;
}

static uint32_t possible(const struct sim *sim, const struct connection *connection)
{
    const struct scenario *scenario = &sim->scenario;
    uint32_t reasons = by_production(connection) | by_target(scenario);
    if (scenario->misbehaviour == REFUSES || scenario->misbehaviour == ABSENT)
        reasons &= ~(uint32_t)(COMPLETE | STOPPED);
    if (scenario->resync)
        reasons |= COMPLETE | CLIENT_RESET | MIRROR_GAP | STOPPED;
    if (scenario->resync && scenario->overlap)
        reasons |= TARGET_SILENT; /* joined in the midst of a request: it is not answered */
    if (scenario->stop_ms)
        reasons |= STOPPED;
    if (scenario->backlog < 100000000)
        reasons |= BACKLOG_EXCEEDED;
    if (scenario->chunks < 100000)
        reasons |= BUFFERS_FULL;
    if (connection->successor != NO_CONNECTION)
        reasons = by_successor(&sim->connections[connection->successor], reasons);
    return reasons;
}

/* How many sessions replay the connection: those of its SYN, and those that were joined later. */
static uint32_t sessions_of(const struct sim *sim, const struct connection *connection)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < sim->record_count; i++)
        count += sim->records[i].connection == connection->index && sim->records[i].joined;
    return count + (connection->syn_shown ? sim->scenario.multiplier : 0);
}

static void check_reason(struct sim *sim, uint32_t reason)
{
    uint64_t count = line_count(sim, COUNTERS[reason]);
    uint64_t least = 0;
    uint64_t most = 0;
    for (uint32_t i = 0; i < sim->connection_count; i++) {
        uint32_t reasons = possible(sim, &sim->connections[i]);
        uint32_t sessions = sessions_of(sim, &sim->connections[i]);
        most += (reasons >> reason & 1) * sessions;
        least += (reasons == 1u << reason) * sessions;
    }
    if (count < least || count > most)
        sim_fail(sim, "%s is %llu; %llu to %llu were possible", COUNTERS[reason], (unsigned long long)count,
                 (unsigned long long)least, (unsigned long long)most);
}

/* As many sessions have ended under each reason as can be, and as must be. */
static void check_reasons(struct sim *sim)
{
    uint64_t sum = 0;
    for (uint32_t reason = 0; reason < REASONS; reason++) {
        check_reason(sim, reason);
        sum += line_count(sim, COUNTERS[reason]);
    }
    if (sum != line_count(sim, "sessions_opened"))
        sim_fail(sim, "sessions have ended under a reason that was not possible");
}

/* --- what has been delivered
 * --------------------------------------------------------------------------------------- */

static void check_delivery(struct sim *sim, const struct record *record)
{
    const struct connection *connection = &sim->connections[record->connection];
    uint32_t reasons = by_production(connection);
    uint32_t wanted = ranges_reach(&connection->shown, 0);
    if (connection->successor != NO_CONNECTION || reasons & MIRROR_GAP)
        return;
    if (record->received != wanted)
        sim_fail(sim, "session %u: the target has got %u of %u bytes", record->index, record->received,
                 wanted);
    if (reasons == COMPLETE && (record->read != wanted || !record->ended))
        sim_fail(sim, "session %u: the application has read %u of %u bytes, and %s end", record->index,
                 record->read, wanted, record->ended ? "the" : "no");
    if (record->gave_up)
        sim_fail(sim, "session %u: the target has given up sending", record->index);
}

/* The first turn that begins behind what was shown first; turn_count: there is none. */
static uint32_t next_turn(const struct connection *connection)
{
    uint32_t turn = 0;
    while (turn < connection->turn_count && connection->turns[turn].offset <= connection->shown.at[0].start)
        turn++;
    return turn;
}

/* A connection that was under way when the mirror began is replayed from the next turn on, and wholly. */
static void check_joined(struct sim *sim, const struct connection *connection)
{
    uint32_t sessions = 0;
    uint32_t turn = next_turn(connection);
    uint32_t left = connection->turn_count - turn;
    uint32_t start = left ? connection->turns[turn].offset : 0;
    for (uint32_t i = 0; i < sim->record_count; i++) {
        const struct record *record = &sim->records[i];
        if (record->connection != connection->index)
            continue;
        sessions++;
        if (record->base != start || record->received != connection->total - start)
            sim_fail(sim, "session %u: %u bytes from %u on have arrived, not %u from %u", i, record->received,
                     record->base, connection->total - start, start);
    }
    if (sessions != (left ? sim->scenario.multiplier : 0))
        sim_fail(sim, "connection %u was joined by %u sessions", connection->index, sessions);
}

static void check_late_start(struct sim *sim)
{
    for (uint32_t i = 0; i < sim->connection_count; i++) {
        const struct connection *connection = &sim->connections[i];
        if (!connection->syn_shown && connection->shown.count && connection->successor == NO_CONNECTION)
            check_joined(sim, connection);
    }
}

/* Each connection whose SYN was shown has been replayed as often as it was wanted. */
static void check_sessions(struct sim *sim)
{
    uint32_t shown = 0;
    for (uint32_t i = 0; i < sim->connection_count; i++)
        shown += sim->connections[i].syn_shown;
    uint64_t opened = line_count(sim, "sessions_opened");
    if (opened != shown * sim->scenario.multiplier)
        sim_fail(sim, "%llu sessions of %u connections", (unsigned long long)opened, shown);
}

/* Where the line's resets arrive, the target holds no connection any more. */
static void check_target(struct sim *sim)
{
    bool arrives = !sim->scenario.up_loss && !sim->scenario.up_flip;
    for (uint32_t i = 0; arrives && i < sim->record_count; i++) {
        const struct peer *peer = &sim->peers[i];
        if (peer->state != PEER_CLOSED && peer->state != PEER_TIME_WAIT && !peer->silent)
            sim_fail(sim, "session %u: the target still holds its connection (state %u)", i, peer->state);
    }
}

/* No storms: what the line has sent is in proportion to what there was to say. */
static void check_frames(struct sim *sim)
{
    uint64_t useful = sim->line.frames_in[PORT_MIRROR] * sim->scenario.multiplier;
    uint64_t mss = sim->scenario.target_mss < sim->scenario.test_mtu - 80 ? sim->scenario.target_mss
                                                                          : sim->scenario.test_mtu - 80;
    uint64_t client_mss = sim->scenario.client_mss < mss ? sim->scenario.client_mss : mss;
    for (uint32_t i = 0; i < sim->record_count; i++)
        useful +=
            40 + sim->records[i].received / (mss - 12) + 2 * sim->records[i].written / (client_mss - 12);
    if (sim->line.frames_out > 2 * useful)
        sim_fail(sim, "a storm: %llu frames sent for %llu that were needed",
                 (unsigned long long)sim->line.frames_out, (unsigned long long)useful);
}

void verdict_check_quiet(struct sim *sim)
{
    if (!line_count(sim, "request_bytes_pending") && line_count(sim, "buffers_used"))
        sim_fail(sim, "all bytes are delivered, and %llu buffers are in use",
                 (unsigned long long)line_count(sim, "buffers_used"));
}

void verdict_check(struct sim *sim)
{
    const struct scenario *scenario = &sim->scenario;
    line_check_ledger(sim);
    if (line_count(sim, "sessions_live"))
        sim_fail(sim, "%llu sessions have not ended", (unsigned long long)line_count(sim, "sessions_live"));
    check_frames(sim);
    check_target(sim);
    bool all_let_in = scenario->limit >= 256 && !line_count(sim, "drop_mirror_overloaded");
    if (all_let_in && !scenario->stop_ms) {
        check_reasons(sim);
        if (!scenario->resync && scenario->misbehaviour == BEHAVES)
            check_sessions(sim);
    }
    if (all_let_in && scenario->mirror_from_ms && scenario->resync)
        check_late_start(sim);
    bool delivers =
        scenario_completes(scenario) || (!scenario_mirror_is_whole(scenario) && !scenario->resync);
    for (uint32_t i = 0; delivers && i < sim->record_count; i++)
        check_delivery(sim, &sim->records[i]);
}

void verdict_check_empty(struct sim *sim)
{
    static const char *const GAUGES[] = {"connections_live", "sessions_live", "request_bytes_pending",
                                         "buffers_used", "refused_destination"};
    line_check_ledger(sim);
    for (uint32_t i = 0; i < sizeof(GAUGES) / sizeof(GAUGES[0]); i++)
        if (line_count(sim, GAUGES[i]))
            sim_fail(sim, "in the end %s is %llu", GAUGES[i], (unsigned long long)line_count(sim, GAUGES[i]));
}
