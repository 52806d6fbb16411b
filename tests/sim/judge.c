#include "judge.h"

#include <string.h>

#include "sim.h"

#define SILENCE 1000000000ull

/* --- records ----------------------------------------------------------------------------------------------
 */

struct record *judge_find(struct sim *sim, const struct host *client)
{
    for (uint32_t i = sim->record_count; i-- > 0;)
        if (host_equal(&sim->records[i].client, client))
            return &sim->records[i];
    return NULL;
}

/* The connection that the line replays from this address: the last that it has seen of those that use it. An
 * address of a pool may stand for any client; but then there is only one. */
static struct connection *connection_of(struct sim *sim, const struct host *client)
{
    struct connection *found = NULL;
    for (uint32_t i = 0; i < sim->connection_count; i++) {
        struct connection *connection = &sim->connections[i];
        bool seen = connection->syn_shown || connection->shown.count;
        bool own = memcmp(connection->client.ip, client->ip, sizeof(client->ip)) == 0;
        if (seen && (sim->scenario.pool ? !own : own))
            found = connection;
    }
    return found;
}

static uint32_t sessions_of(const struct sim *sim, uint32_t connection)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < sim->record_count; i++)
        count += sim->records[i].connection == connection;
    return count;
}

static struct record *record_open(struct sim *sim, const struct segment *syn)
{
    const struct connection *connection = connection_of(sim, &syn->from);
    if (!connection)
        sim_fail(sim, "a SYN from an address of which nothing was mirrored");
    if (sim->record_count == MOST_RECORDS)
        sim_fail(sim, "more sessions than the simulator has room for");
    bool joined = !connection->syn_shown || sessions_of(sim, connection->index) >= sim->scenario.multiplier;
    if (joined && !sim->scenario.resync)
        sim_fail(sim, "connection %u has more sessions than it may have", connection->index);
    struct record *record = &sim->records[sim->record_count];
    *record = (struct record){
        .index = sim->record_count,
        .connection = connection->index,
        .client = syn->from,
        .iss = syn->seq,
        .joined = joined,
        .base_known = !joined,
        .last_tsval = syn->tsval,
        .syn = *syn,
    };
    sim->record_count++;
    sim_note(sim, "session %u replays connection %u%s", record->index, connection->index,
             joined ? ", joined" : "");
    return record;
}

/* --- turns ------------------------------------------------------------------------------------------------
 */

/* What the line knows of how far the client had heard the server: counted from the first acknowledgement that
 * it has seen, where it has not seen how the server's numbers begin. */
static uint32_t heard(const struct sim *sim, const struct record *record, uint32_t ack)
{
    uint32_t origin = record->joined ? 0 : sim->connections[record->connection].origin;
    return ack > origin ? ack - origin : 0;
}

/* By how much production's server had answered between the turn before and this one. */
static uint32_t growth_of(const struct sim *sim, const struct record *record, uint32_t index)
{
    const struct connection *connection = &sim->connections[record->connection];
    const struct turn *turns = connection->turns;
    uint32_t ack = index < connection->turn_count ? turns[index].ack : connection->fin_ack;
    bool first = index < connection->turn_count && turns[index].offset == record->base;
    uint32_t before = !first ? turns[index - 1].ack : record->joined ? ack : 0;
    return heard(sim, record, ack) - heard(sim, record, before);
}

/* Whether the line has been shown the first byte of the turn, or the FIN. */
static bool turn_is_shown(const struct sim *sim, const struct record *record, uint32_t index)
{
    const struct connection *connection = &sim->connections[record->connection];
    uint32_t reach = ranges_reach(&connection->shown, record->base);
    if (index < connection->turn_count)
        return reach > connection->turns[index].offset;
    return reach == connection->total && (connection->fin_shown || connection->known > connection->total);
}

/* The target cannot have been silent before it had the whole request. */
static uint64_t quiet_since(const struct record *record)
{
    uint64_t since = record->turn_at > record->answered_at ? record->turn_at : record->answered_at;
    return record->acked_at > since ? record->acked_at : since;
}

/* A turn may leave when the target has acknowledged all before, and has answered what production had, or
 * something and then nothing for a while. What it had said too early counts, too, after a while; and what
 * goes on behind a full segment may leave after a second without a word. Returns since when it may, or
 * NEVER. */
static uint64_t due_since(const struct sim *sim, const struct record *record, uint32_t index)
{
    const struct connection *connection = &sim->connections[record->connection];
    uint32_t offset = index < connection->turn_count ? connection->turns[index].offset : connection->total;
    uint32_t growth = growth_of(sim, record, index);
    uint32_t own = record->answered - record->mark;
    if (!turn_is_shown(sim, record, index))
        return NEVER;
    if (!growth || sim->scenario.no_wait)
        return sim->now;
    if (!record->opened || record->acked < offset - record->base)
        return NEVER;
    if (own >= growth)
        return sim->now;
    bool silent = !own && !record->surplus;
    if (silent && !(index < connection->turn_count && connection->turns[index].goes_on))
        return NEVER;
    uint64_t settle = sim->scenario.settle_ms * 1000000ull;
    uint64_t settled_at = quiet_since(record) + (silent && settle < SILENCE ? SILENCE : settle);
    return settled_at <= sim->now ? settled_at : NEVER;
}

/* Notes which turns may leave by now. */
static void turns_open(struct sim *sim, struct record *record)
{
    const struct connection *connection = &sim->connections[record->connection];
    while (record->base_known && record->next_turn <= connection->turn_count) {
        uint32_t growth = growth_of(sim, record, record->next_turn);
        uint32_t own = record->answered - record->mark;
        uint64_t since = due_since(sim, record, record->next_turn);
        if (since == NEVER)
            return;
        if (growth || !record->next_turn) {
            record->surplus = own + record->surplus > growth ? own + record->surplus - growth : 0;
            record->mark = record->kept;
            record->turn_at = since;
        }
        record->next_turn++;
    }
}

/* --- what leaves the line ---------------------------------------------------------------------------------
 */

/* A joined session must begin where a turn begins; its first bytes tell which one. */
static void find_base(struct sim *sim, struct record *record, const struct segment *segment)
{
    const struct connection *connection = &sim->connections[record->connection];
    uint8_t wanted[8];
    uint32_t size = segment->size < sizeof(wanted) ? segment->size : sizeof(wanted);
    for (uint32_t i = 0; i < connection->turn_count; i++) {
        uint32_t offset = connection->turns[i].offset;
        bool ends = offset + segment->size == connection->total;
        content_fill(connection->index, offset, wanted, size);
        if (memcmp(wanted, segment->payload, size) != 0 ||
            ranges_reach(&connection->shown, offset) == offset || ((segment->flags & FIN) && !ends))
            continue;
        record->base_known = true;
        record->base = offset;
        record->next_turn = i;
        turns_open(sim, record);
        sim_note(sim, "session %u begins at turn %u, byte %u", record->index, i, record->base);
        return;
    }
    sim_fail(sim, "session %u of connection %u was joined where no turn begins", record->index,
             connection->index);
}

static void check_bytes(struct sim *sim, const struct record *record, uint32_t offset,
                        const struct segment *segment)
{
    const struct connection *connection = &sim->connections[record->connection];
    uint8_t wanted[MOST_FRAME];
    uint32_t end = record->base + offset + segment->size;
    if (end > connection->total)
        sim_fail(sim, "session %u: bytes to %u, but the client sent %u", record->index, end,
                 connection->total);
    if (end > ranges_reach(&connection->shown, record->base))
        sim_fail(sim, "session %u: bytes to %u, mirrored without a hole are %u", record->index, end,
                 ranges_reach(&connection->shown, record->base));
    content_fill(connection->index, record->base + offset, wanted, segment->size);
    if (memcmp(wanted, segment->payload, segment->size) != 0)
        sim_fail(sim, "session %u: wrong bytes at %u", record->index, record->base + offset);
}

/* Where a client sends bytes again while it reads on, the copy may be what the mirror shows first; then the
 * line sees other turns than production.c has noted. Of a FIN that the mirror has lost nobody knows the turn.
 */
static bool turns_are_known(const struct sim *sim, bool shown)
{
    return shown && !(sim->scenario.overlap && sim->scenario.copies);
}

/* A byte that leaves belongs to a turn that may leave. */
static void check_turns(struct sim *sim, struct record *record, uint32_t end)
{
    const struct connection *connection = &sim->connections[record->connection];
    const struct turn *next = &connection->turns[record->next_turn];
    if (turns_are_known(sim, true) && record->next_turn < connection->turn_count &&
        end > next->offset - record->base)
        sim_fail(sim, "session %u: turn %u leaves; the target has acknowledged %u, and answered %u since %u",
                 record->index, record->next_turn, record->acked, record->answered, record->mark);
}

static void check_fin(struct sim *sim, struct record *record, uint32_t offset)
{
    const struct connection *connection = &sim->connections[record->connection];
    if (record->base + offset != connection->total)
        sim_fail(sim, "session %u: a FIN at %u, where the client sent none", record->index,
                 record->base + offset);
    if (turns_are_known(sim, connection->fin_shown) && record->next_turn <= connection->turn_count)
        sim_fail(sim, "session %u: the FIN leaves; the target has acknowledged %u, and answered %u since %u",
                 record->index, record->acked, record->answered, record->mark);
}

struct record *judge_on_sent(struct sim *sim, const struct segment *segment, uint32_t frame_size)
{
    struct record *record = judge_find(sim, &segment->from);
    if (!host_equal(&segment->to, &sim->target))
        sim_fail(sim, "a frame to somebody else than the target");
    if ((segment->flags & SYN) && (!record || record->iss != segment->seq))
        record = record_open(sim, segment);
    if (!record)
        sim_fail(sim, "a frame from an endpoint that has no session");
    if (segment->flags & (SYN | RST)) {
        if (segment->size)
            sim_fail(sim, "session %u: bytes in a SYN or RST", record->index);
        return record;
    }
    conformance_check(sim, record, segment, frame_size);
    turns_open(sim, record);
    uint32_t offset = segment->seq - record->iss - 1;
    if (segment->size && !record->base_known)
        find_base(sim, record, segment);
    if (segment->size) {
        check_bytes(sim, record, offset, segment);
        check_turns(sim, record, offset + segment->size);
    }
    if (segment->flags & FIN)
        check_fin(sim, record, offset + segment->size);
    return record;
}

/* --- what reaches the line, and the target
 * ------------------------------------------------------------------ */

static void note_window(struct record *record, const struct segment *segment)
{
    bool scaled = record->syn.scale != NO_SCALE && record->syn_ack.scale != NO_SCALE;
    uint32_t shift = scaled && !(segment->flags & SYN) ? record->syn_ack.scale : 0;
    uint32_t edge = segment->ack - record->iss - 1 + ((uint32_t)segment->window << shift);
    record->edge = edge > record->edge ? edge : record->edge;
}

/* Whether the answer belongs to this connection, and the connection stands. */
static bool is_of_record(struct record *record, const struct segment *segment)
{
    bool ours = !(segment->flags & ACK) || segment->ack - record->iss - 1 < 1u << 30;
    if ((segment->flags & RST) || !ours)
        return false;
    if ((segment->flags & SYN) && !record->opened) {
        record->syn_ack = *segment;
        record->opened = true;
    }
    return record->opened;
}

void judge_on_answer(struct sim *sim, struct record *record, const struct segment *segment)
{
    if (!is_of_record(record, segment))
        return;
    turns_open(sim, record);
    uint32_t acked = segment->ack - record->iss - 1;
    if (acked > record->acked) {
        record->acked = acked;
        record->acked_at = sim->now;
    }
    note_window(record, segment);
    uint32_t offset = segment->seq - record->syn_ack.seq - 1;
    uint32_t end = offset + segment->size + ((segment->flags & FIN) ? 1 : 0);
    if ((segment->flags & SYN) || offset > 1u << 30 || !ranges_add(&record->answers, offset, end))
        return;
    uint32_t reach = ranges_reach(&record->answers, 0);
    if (reach != record->answered)
        record->answered_at = sim->now;
    record->answered = reach;
    if (offset <= record->kept && end > record->kept)
        record->kept = end;
    turns_open(sim, record);
}

void judge_on_mirrored(struct sim *sim, uint32_t connection)
{
    for (uint32_t i = 0; i < sim->record_count; i++)
        if (sim->records[i].connection == connection)
            turns_open(sim, &sim->records[i]);
}

static bool is_strict(const struct sim *sim, const struct record *record)
{
    const struct connection *connection = &sim->connections[record->connection];
    return scenario_is_strict(&sim->scenario) && record->base_known && !record->joined && !connection->origin;
}

/* Where the target never says more than production did and no pause is taken for an end, the order of turns
 * shows at the target itself: it has said its part of whatever the client had heard when it spoke. */
void judge_on_received(struct sim *sim, struct record *record, uint32_t received)
{
    const struct connection *connection = &sim->connections[record->connection];
    uint32_t before = record->received;
    record->received = received;
    if (!is_strict(sim, record))
        return;
    for (uint32_t i = 0; i < connection->turn_count; i++) {
        const struct turn *turn = &connection->turns[i];
        uint32_t due = dialogue_target_offset(&connection->dialogue, turn->ack);
        if (turn->offset >= before && turn->offset < received && record->written < due)
            sim_fail(sim, "session %u: turn %u reached the target, which has said %u of %u", record->index, i,
                     record->written, due);
    }
}

void judge_on_end(struct sim *sim, const struct record *record)
{
    const struct connection *connection = &sim->connections[record->connection];
    uint32_t due = dialogue_target_offset(&connection->dialogue, connection->fin_ack);
    if (is_strict(sim, record) && record->written < due)
        sim_fail(sim, "session %u: the FIN reached the target, which has said %u of %u", record->index,
                 record->written, due);
}
