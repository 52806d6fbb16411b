#include "sim.h"

static bool is_before(uint32_t a, uint32_t b)
{
    return (int32_t)(a - b) < 0;
}

static void check_size(struct sim *sim, const struct record *record, const struct segment *segment,
                       uint32_t frame_size)
{
    uint32_t mss = record->syn_ack.mss ? record->syn_ack.mss : 536;
    if (frame_size > sim->scenario.test_mtu + 14)
        sim_fail(sim, "session %u: a frame of %u bytes, the MTU is %u", record->index, frame_size,
                 sim->scenario.test_mtu);
    if (segment->size && segment->size + segment->options_size > mss) /* RFC 9293 3.7.1 */
        sim_fail(sim, "session %u: %u bytes and %u of options, the target's MSS is %u", record->index,
                 segment->size, segment->options_size, mss);
}

/* Nothing beyond the window, but a byte or a FIN that asks whether it is still closed. An empty segment, too,
 * has to lie in the window to be looked at. */
static void check_window(struct sim *sim, const struct record *record, const struct segment *segment)
{
    uint32_t offset = segment->seq - record->iss - 1;
    bool probe = segment->size == 1 && offset == record->edge;
    bool fin_left = !segment->size && offset > sim->connections[record->connection].total - record->base;
    if (probe || fin_left)
        return;
    if (offset + segment->size > record->edge)
        sim_fail(sim, "session %u: a segment to %u, the window ends at %u", record->index,
                 offset + segment->size, record->edge);
}

/* RFC 7323 3.2: in every segment once both have agreed, never going back, echoing what was heard. */
static void check_timestamps(struct sim *sim, struct record *record, const struct segment *segment)
{
    bool agreed = record->syn.timestamps && record->syn_ack.timestamps;
    if (segment->timestamps != agreed)
        sim_fail(sim, "session %u: timestamps %s agreed", record->index, agreed ? "are" : "are not");
    if (agreed && is_before(segment->tsval, record->last_tsval))
        sim_fail(sim, "session %u: its timestamp goes back", record->index);
    record->last_tsval = segment->tsval;
}

/* Acknowledges what has come, never less than before, and takes back no window that it has offered (but for
 * what scaling cuts off). */
static void check_acknowledgement(struct sim *sim, struct record *record, const struct segment *segment)
{
    bool scaled = record->syn.scale != NO_SCALE && record->syn_ack.scale != NO_SCALE;
    uint32_t shift = scaled ? record->syn.scale : 0;
    uint32_t ack = segment->ack - record->syn_ack.seq - 1;
    uint32_t edge = ack + ((uint32_t)segment->window << shift);
    if (!(segment->flags & ACK))
        sim_fail(sim, "session %u: a segment without an acknowledgement", record->index);
    if (ack > record->answered)
        sim_fail(sim, "session %u: acknowledges %u, the target has sent %u", record->index, ack,
                 record->answered);
    if (ack < record->last_ack)
        sim_fail(sim, "session %u: its acknowledgement goes back to %u", record->index, ack);
    if (edge + (1u << shift) <= record->told_edge)
        sim_fail(sim, "session %u: its window goes back from %u to %u", record->index, record->told_edge,
                 edge);
    record->last_ack = ack;
    record->kept = ack > record->kept ? ack : record->kept;
    record->told_edge = edge > record->told_edge ? edge : record->told_edge;
}

static void check_sacks(struct sim *sim, const struct record *record, const struct segment *segment)
{
    if (segment->sack_count && !(record->syn.sack_permitted && record->syn_ack.sack_permitted))
        sim_fail(sim, "session %u: SACK blocks that nobody permitted", record->index);
    for (uint32_t i = 0; i < segment->sack_count; i++) {
        uint32_t start = segment->sacks[i].start - record->syn_ack.seq - 1;
        uint32_t end = segment->sacks[i].end - record->syn_ack.seq - 1;
        if (start >= end || start <= record->last_ack || ranges_reach(&record->answers, start) < end)
            sim_fail(sim, "session %u: a SACK block %u to %u that did not come", record->index, start, end);
    }
}

void conformance_check(struct sim *sim, struct record *record, const struct segment *segment,
                       uint32_t frame_size)
{
    if (!record->opened)
        sim_fail(sim, "session %u: a segment before the target has accepted", record->index);
    check_size(sim, record, segment, frame_size);
    check_window(sim, record, segment);
    check_timestamps(sim, record, segment);
    check_acknowledgement(sim, record, segment);
    check_sacks(sim, record, segment);
}
