#include "sim.h"

/* RFC 9293 3.10.7, step by step. Sequence numbers become offsets at once; `distance` is from what is
 * expected. */

static uint32_t expected(const struct peer *peer)
{
    return peer->irs + 1 + peer->rcv_nxt + peer->fin_taken;
}

static struct peer *find_peer(struct sim *sim, const struct host *client)
{
    for (uint32_t i = sim->record_count; i-- > 0;)
        if (sim->peers[i].state != PEER_CLOSED && host_equal(&sim->records[i].client, client))
            return &sim->peers[i];
    return NULL;
}

static struct record *record_of_syn(struct sim *sim, const struct segment *syn)
{
    for (uint32_t i = sim->record_count; i-- > 0;)
        if (sim->records[i].iss == syn->seq && host_equal(&sim->records[i].client, &syn->from))
            return &sim->records[i];
    sim_fail(sim, "a SYN reached the target that the line never sent");
}

/* --- opening
 * ------------------------------------------------------------------------------------------------ */

/* No larger than leaves a small buffer some units of window. */
static uint8_t window_scale(const struct scenario *scenario)
{
    uint32_t scale = scenario->target_scale;
    while (scale && scenario->target_buffer >> scale < 4)
        scale--;
    return (uint8_t)scale;
}

static void take_options(struct peer *peer, const struct scenario *scenario, const struct segment *syn)
{
    peer->timestamps = scenario->target_timestamps && syn->timestamps;
    peer->sack = scenario->target_sack && syn->sack_permitted;
    peer->ts_recent = syn->tsval;
    if (scenario->target_scale != NO_SCALE && syn->scale != NO_SCALE) {
        peer->rcv_scale = window_scale(scenario);
        peer->snd_scale = syn->scale > 14 ? 14 : syn->scale;
    }
    peer->mss = (syn->mss ? syn->mss : 536) - (peer->timestamps ? 12 : 0);
}

static void accept(struct sim *sim, const struct segment *syn)
{
    const struct scenario *scenario = &sim->scenario;
    struct record *record = record_of_syn(sim, syn);
    struct peer *peer = &sim->peers[record->index];
    *peer = (struct peer){
        .state = PEER_SYN_RECEIVED,
        .record = record,
        .irs = syn->seq,
        .rcv_fin = NOT_YET,
        .iss = (uint32_t)mix64(scenario->seed ^ sim->now ^ (uint64_t)record->index << 48),
        .snd_edge = syn->window,
        .ack_at = NEVER,
        .resend_at = NEVER,
        .gone_at = NEVER,
        .write_at = NEVER,
        .read_at = NEVER,
        .rto = 200000000ull + 4000ull * scenario->path_delay_us + 2000ull * scenario->path_late_us,
    };
    take_options(peer, scenario, syn);
    peer->cwnd = scenario->target_window * peer->mss;
    peer->rcv_adv = scenario->target_buffer < 65535 ? scenario->target_buffer : 65535;
    peer_send_syn_ack(sim, peer);
}

/* Without a connection: a SYN opens one, everything else is reset. */
static void receive_in_listen(struct sim *sim, const struct segment *segment)
{
    if (segment->flags & RST)
        return;
    if ((segment->flags & (SYN | ACK)) == SYN && sim->scenario.misbehaviour != REFUSES)
        accept(sim, segment);
    else
        target_refuse(sim, segment);
}

/* --- first: the sequence number
 * ------------------------------------------------------------------------------ */

static bool is_acceptable(const struct peer *peer, const struct segment *segment)
{
    int32_t window = (int32_t)(peer->rcv_adv - peer->rcv_nxt);
    int32_t size = (int32_t)(segment->size + ((segment->flags & FIN) != 0) + ((segment->flags & SYN) != 0));
    int32_t distance = (int32_t)(segment->seq - expected(peer));
    if (!size)
        return window ? distance >= 0 && distance < window : distance == 0;
    if (!window)
        return false;
    return (distance >= 0 && distance < window) || (distance + size > 0 && distance + size <= window) ||
           (distance < 0 && distance + size > window);
}

/* RFC 7323 5.3: an old duplicate. */
static bool is_from_the_past(const struct peer *peer, const struct segment *segment)
{
    return peer->timestamps && segment->timestamps && !(segment->flags & RST) &&
           (int32_t)(segment->tsval - peer->ts_recent) < 0;
}

static void note_timestamp(struct peer *peer, const struct segment *segment)
{
    bool newer = (int32_t)(segment->tsval - peer->ts_recent) >= 0;
    if (peer->timestamps && segment->timestamps && newer &&
        (int32_t)(segment->seq - peer->last_ack_sent) <= 0)
        peer->ts_recent = segment->tsval;
}

/* RFC 6191: a new connection may begin in TIME-WAIT if it cannot be mistaken for the old one. */
static bool reopens(const struct peer *peer, const struct segment *segment)
{
    if (peer->state != PEER_TIME_WAIT || (segment->flags & (SYN | ACK | RST)) != SYN)
        return false;
    bool later = peer->timestamps && segment->timestamps && (int32_t)(segment->tsval - peer->ts_recent) > 0;
    return later || (int32_t)(segment->seq - expected(peer)) > 0;
}

/* --- fifth: the acknowledgement
 * ------------------------------------------------------------------------------ */

static void take_window(struct peer *peer, const struct segment *segment, uint32_t acked)
{
    bool newer = (int32_t)(peer->snd_wl1 - segment->seq) < 0 ||
                 (peer->snd_wl1 == segment->seq && peer->snd_wl2 <= acked);
    if (!newer)
        return;
    peer->snd_edge = acked + ((uint32_t)segment->window << peer->snd_scale);
    peer->snd_wl1 = segment->seq;
    peer->snd_wl2 = acked;
}

static void on_own_fin_acked(struct sim *sim, struct peer *peer)
{
    if (peer->state == PEER_FIN_WAIT_1)
        peer->state = PEER_FIN_WAIT_2;
    else if (peer->state == PEER_LAST_ACK)
        peer->state = PEER_CLOSED;
    else if (peer->state == PEER_CLOSING) {
        peer->state = PEER_TIME_WAIT;
        peer->gone_at = sim->now + TIME_WAIT_MS * 1000000ull;
    }
}

static void on_new_ack(struct sim *sim, struct peer *peer, uint32_t acked)
{
    peer->snd_una = acked;
    if (peer->snd_nxt < acked)
        peer->snd_nxt = acked;
    peer->duplicate_acks = 0;
    peer->cwnd += peer->mss;
    peer_on_acked(sim, peer);
    if (acked == peer->written + 1)
        on_own_fin_acked(sim, peer);
}

/* False: the segment is not to be looked at any further. */
static bool take_ack(struct sim *sim, struct peer *peer, const struct segment *segment)
{
    uint32_t acked = segment->ack - peer->iss - 1;
    if (peer->state == PEER_SYN_RECEIVED) {
        if (acked != 0) {
            target_refuse(sim, segment);
            return false;
        }
        peer->state = PEER_ESTABLISHED;
        peer->snd_wl1 = segment->seq - 1;
        peer->resend_at = NEVER;
        peer->retries = 0;
        application_open(sim, peer);
    }
    if ((int32_t)(acked - peer->snd_max) > 0) {
        peer_acknowledge(sim, peer);
        return false;
    }
    if (peer->snd_edge <= peer->snd_una)
        peer->retries = 0; /* its window is closed, but it lives (RFC 9293 3.8.6.1) */
    if ((int32_t)(acked - peer->snd_una) > 0)
        on_new_ack(sim, peer, acked);
    else if (acked == peer->snd_una && !segment->size && !(segment->flags & FIN) &&
             peer->snd_una != peer->snd_max && ++peer->duplicate_acks == 3)
        peer_resend(sim, peer);
    if ((int32_t)(acked - peer->snd_una) >= 0)
        take_window(peer, segment, acked);
    return peer->state != PEER_CLOSED;
}

/* --- seventh and eighth: the bytes and the FIN
 * ---------------------------------------------------------------- */

static void acknowledge_later(struct sim *sim, struct peer *peer)
{
    peer->unacked_segments++;
    uint64_t due = sim->now + sim->scenario.target_ack_ms * 1000000ull;
    if (peer->unacked_segments >= 2)
        due = sim->now;
    peer->ack_at = due < peer->ack_at ? due : peer->ack_at;
}

static void note_fin(struct peer *peer, const struct segment *segment, uint32_t end)
{
    if ((segment->flags & FIN) && (int32_t)(end - peer->rcv_adv) < 0)
        peer->rcv_fin = end;
}

static void take_bytes(struct sim *sim, struct peer *peer, const struct segment *segment)
{
    uint32_t offset = segment->seq - peer->irs - 1;
    uint32_t end = offset + segment->size;
    uint32_t start = (int32_t)(offset - peer->rcv_nxt) < 0 ? peer->rcv_nxt : offset;
    uint32_t before = peer->rcv_nxt;
    note_fin(peer, segment, end);
    if ((int32_t)(end - peer->rcv_adv) > 0)
        end = peer->rcv_adv;
    if (!segment->size)
        return;
    if ((int32_t)(end - start) > 0 && ranges_add(&peer->received, start, end)) {
        peer->rcv_nxt = ranges_reach(&peer->received, 0);
        if (peer->rcv_nxt != before)
            judge_on_received(sim, peer->record, peer->rcv_nxt);
    }
    bool in_order = start == before && peer->rcv_nxt == end && end == offset + segment->size;
    if (in_order)
        acknowledge_later(sim, peer);
    else
        peer->ack_at = sim->now;
}

static void take_fin(struct sim *sim, struct peer *peer, const struct segment *segment)
{
    if (segment->flags & FIN)
        peer->ack_at = sim->now;
    if (peer->fin_taken || peer->rcv_fin != peer->rcv_nxt)
        return;
    peer->fin_taken = true;
    peer->record->ended = true;
    peer->ack_at = sim->now;
    judge_on_end(sim, peer->record);
    if (peer->state == PEER_ESTABLISHED)
        peer->state = PEER_CLOSE_WAIT;
    else if (peer->state == PEER_FIN_WAIT_1)
        peer->state = PEER_CLOSING;
    else if (peer->state == PEER_FIN_WAIT_2) {
        peer->state = PEER_TIME_WAIT;
        peer->gone_at = sim->now + TIME_WAIT_MS * 1000000ull;
    }
}

/* --- all steps
 * ------------------------------------------------------------------------------------------------- */

static void on_unacceptable(struct sim *sim, struct peer *peer, const struct segment *segment)
{
    if (segment->flags & RST)
        return;
    bool syn_again = peer->state == PEER_SYN_RECEIVED && (segment->flags & SYN) && segment->seq == peer->irs;
    bool probe = segment->seq == expected(peer) && peer->rcv_adv == peer->rcv_nxt;
    if (syn_again && peer->record->index % 2) {
        peer_send_syn_ack(sim, peer);
        return;
    }
    if (probe && (segment->flags & ACK) && !take_ack(sim, peer, segment))
        return; /* a closed window keeps no acknowledgement out */
    peer_acknowledge(sim, peer);
}

static void on_reset(struct sim *sim, struct peer *peer, const struct segment *segment)
{
    if (segment->seq != expected(peer)) { /* RFC 5961 3.2 */
        peer_acknowledge(sim, peer);
        return;
    }
    sim_note(sim, "session %u: the target is reset", peer->record->index);
    peer->state = PEER_CLOSED;
}

static void receive(struct sim *sim, struct peer *peer, const struct segment *segment)
{
    if (is_from_the_past(peer, segment)) {
        peer_acknowledge(sim, peer);
        return;
    }
    if (!is_acceptable(peer, segment)) {
        on_unacceptable(sim, peer, segment);
        return;
    }
    note_timestamp(peer, segment);
    if (segment->flags & RST) {
        on_reset(sim, peer, segment);
        return;
    }
    if (segment->flags & SYN) { /* RFC 5961 4.2 */
        peer_acknowledge(sim, peer);
        return;
    }
    if (!(segment->flags & ACK) || !take_ack(sim, peer, segment))
        return;
    if (peer->deaf && segment->size) { /* nobody will read it: RFC 1122 4.2.2.13 */
        peer_reset(sim, peer);
        return;
    }
    take_bytes(sim, peer, segment);
    take_fin(sim, peer, segment);
}

void target_on_frame(struct sim *sim, const uint8_t *frame, uint32_t size)
{
    struct segment segment;
    if (sim->scenario.misbehaviour == ABSENT || !frame_read(frame, size, &segment))
        return;
    struct peer *peer = find_peer(sim, &segment.from);
    if (!peer || reopens(peer, &segment)) {
        if (peer)
            peer->state = PEER_CLOSED;
        receive_in_listen(sim, &segment);
        return;
    }
    if (peer->silent)
        return;
    receive(sim, peer, &segment);
    application_run(sim, peer);
    target_on_time(sim, peer);
}
