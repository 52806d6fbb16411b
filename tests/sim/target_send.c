#include "sim.h"

/* --- segments
 * -------------------------------------------------------------------------------------------------- */

static void put_on_path(struct sim *sim, uint32_t record, const struct segment *segment)
{
    uint8_t frame[MOST_FRAME];
    struct framing framing = {0, segment->size ? 0 : 6};
    uint32_t size = frame_write(segment, &framing, frame);
    path_send(&sim->path, WAY_DOWN, record, sim->now, 0, frame, size);
}

uint32_t peer_window(const struct sim *sim, const struct peer *peer)
{
    uint32_t kept = peer->rcv_nxt - peer->read;
    uint32_t room = sim->scenario.target_buffer > kept ? sim->scenario.target_buffer - kept : 0;
    uint32_t offered = peer->rcv_adv - peer->rcv_nxt;
    uint32_t step = sim->scenario.target_buffer / 2 < peer->mss ? sim->scenario.target_buffer / 2 : peer->mss;
    return room >= offered + step ? room : offered; /* RFC 9293 3.8.6.2.2 */
}

/* The field of the header, and the right edge that it means. What was offered is not taken back. */
static uint16_t offer_window(const struct sim *sim, struct peer *peer)
{
    uint32_t window = peer_window(sim, peer);
    uint32_t unit = 1u << peer->rcv_scale;
    bool grows = window > peer->rcv_adv - peer->rcv_nxt;
    uint32_t field = grows ? window / unit : (window + unit - 1) / unit;
    if (field > 65535)
        field = 65535;
    uint32_t edge = peer->rcv_nxt + field * unit;
    if (edge < peer->rcv_adv) {
        field = (peer->rcv_adv - peer->rcv_nxt + unit - 1) / unit;
        edge = peer->rcv_nxt + field * unit;
    }
    peer->rcv_adv = edge > peer->rcv_adv ? edge : peer->rcv_adv;
    return (uint16_t)field;
}

static void emit(struct sim *sim, struct peer *peer, uint8_t flags, uint32_t offset, uint32_t size)
{
    static const uint8_t BYTES[MOST_FRAME];
    struct segment segment = {
        .from = sim->target,
        .to = peer->record->client,
        .seq = peer->iss + 1 + offset,
        .ack = peer->irs + 1 + peer->rcv_nxt + peer->fin_taken,
        .flags = flags,
        .window = offer_window(sim, peer),
        .scale = NO_SCALE,
        .timestamps = peer->timestamps,
        .tsval = (uint32_t)(sim->now / 1000000 + peer->iss),
        .tsecr = peer->ts_recent,
        .payload = BYTES,
        .size = size,
    };
    sim_note(sim, "session %u: the target sends %s%s %u to %u", peer->record->index, flags & FIN ? "F" : "",
             flags & RST ? "R" : "", offset, offset + size);
    peer->last_ack_sent = segment.ack;
    peer->ack_at = NEVER;
    peer->unacked_segments = 0;
    put_on_path(sim, peer->record->index, &segment);
}

void peer_send_syn_ack(struct sim *sim, struct peer *peer)
{
    const struct scenario *scenario = &sim->scenario;
    bool scales = scenario->target_scale != NO_SCALE && peer->record->syn.scale != NO_SCALE;
    struct segment segment = {
        .from = sim->target,
        .to = peer->record->client,
        .seq = peer->iss,
        .ack = peer->irs + 1,
        .flags = SYN | ACK,
        .window = (uint16_t)peer->rcv_adv,
        .mss = (uint16_t)scenario->target_mss,
        .scale = scales ? peer->rcv_scale : NO_SCALE,
        .sack_permitted = peer->sack,
        .timestamps = peer->timestamps,
        .tsval = (uint32_t)(sim->now / 1000000 + peer->iss),
        .tsecr = peer->ts_recent,
    };
    peer->last_ack_sent = segment.ack;
    put_on_path(sim, peer->record->index, &segment);
    if (peer->resend_at == NEVER)
        peer->resend_at = sim->now + peer->rto;
}

void peer_acknowledge(struct sim *sim, struct peer *peer)
{
    emit(sim, peer, ACK, peer->snd_max, 0);
}

void peer_reset(struct sim *sim, struct peer *peer)
{
    emit(sim, peer, RST | ACK, peer->snd_max, 0);
    peer->state = PEER_CLOSED;
    sim_note(sim, "session %u: the target resets", peer->record->index);
}

void target_refuse(struct sim *sim, const struct segment *segment)
{
    bool has_ack = segment->flags & ACK;
    const struct record *record = judge_find(sim, &segment->from);
    struct segment reset = {
        .from = sim->target,
        .to = segment->from,
        .seq = has_ack ? segment->ack : 0,
        .ack = has_ack ? 0 : segment->seq + segment->size + ((segment->flags & (SYN | FIN)) != 0),
        .flags = (uint8_t)(has_ack ? RST : RST | ACK),
        .scale = NO_SCALE,
    };
    put_on_path(sim, record->index, &reset);
}

/* --- what is due
 * ------------------------------------------------------------------------------------------------ */

static bool may_send(const struct peer *peer)
{
    return peer->state != PEER_CLOSED && peer->state != PEER_SYN_RECEIVED && peer->state != PEER_TIME_WAIT &&
           peer->state != PEER_FIN_WAIT_2;
}

static void send_bytes(struct sim *sim, struct peer *peer, uint32_t size)
{
    emit(sim, peer, ACK | PSH, peer->snd_nxt, size);
    peer->snd_nxt += size;
    peer->snd_max = peer->snd_nxt > peer->snd_max ? peer->snd_nxt : peer->snd_max;
}

static void send_fin(struct sim *sim, struct peer *peer)
{
    emit(sim, peer, FIN | ACK, peer->snd_nxt, 0);
    peer->snd_nxt++;
    peer->snd_max = peer->snd_nxt > peer->snd_max ? peer->snd_nxt : peer->snd_max;
    if (peer->state == PEER_ESTABLISHED)
        peer->state = PEER_FIN_WAIT_1;
    else if (peer->state == PEER_CLOSE_WAIT)
        peer->state = PEER_LAST_ACK;
}

static uint32_t least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

void peer_send(struct sim *sim, struct peer *peer)
{
    if (!may_send(peer))
        return;
    uint32_t limit = least(peer->snd_una + peer->cwnd, peer->snd_edge);
    while (peer->snd_nxt < peer->written && peer->snd_nxt < limit)
        send_bytes(sim, peer, least(peer->mss, least(peer->written, limit) - peer->snd_nxt));
    if (peer->closed && peer->snd_nxt == peer->written)
        send_fin(sim, peer);
    bool waits = peer->snd_una != peer->snd_max || peer->snd_nxt < peer->written;
    if (waits && peer->resend_at == NEVER)
        peer->resend_at = sim->now + peer->rto;
}

void peer_on_acked(struct sim *sim, struct peer *peer)
{
    peer->retries = 0;
    peer->rto = 200000000ull + 4000ull * sim->scenario.path_delay_us + 2000ull * sim->scenario.path_late_us;
    peer->resend_at = peer->snd_una != peer->snd_max ? sim->now + peer->rto : NEVER;
}

/* The first segment that has not been acknowledged, once more. */
void peer_resend(struct sim *sim, struct peer *peer)
{
    uint32_t next = peer->snd_nxt;
    if (!may_send(peer))
        return;
    peer->snd_nxt = peer->snd_una;
    if (peer->snd_nxt < peer->written)
        send_bytes(sim, peer, least(peer->mss, peer->written - peer->snd_nxt));
    else if (peer->closed)
        send_fin(sim, peer);
    peer->snd_nxt = next > peer->snd_nxt ? next : peer->snd_nxt;
}

/* The retransmission timer; it probes a closed window, too. */
static void on_timeout(struct sim *sim, struct peer *peer)
{
    sim_note(sim, "session %u: the target's timer, una %u nxt %u max %u edge %u", peer->record->index,
             peer->snd_una, peer->snd_nxt, peer->snd_max, peer->snd_edge);
    peer->resend_at = NEVER;
    peer->rto = peer->rto < 5000000000ull ? 2 * peer->rto : peer->rto;
    if (++peer->retries > MOST_RETRIES) {
        peer->record->gave_up = true;
        peer->state = PEER_CLOSED;
        return;
    }
    if (peer->state == PEER_SYN_RECEIVED) {
        peer_send_syn_ack(sim, peer);
        return;
    }
    peer->cwnd = peer->mss;
    peer->duplicate_acks = 0;
    peer->snd_nxt = peer->snd_una;
    if (peer->snd_edge <= peer->snd_una && peer->snd_nxt < peer->written)
        send_bytes(sim, peer, 1);
    peer_send(sim, peer);
}

uint64_t target_deadline(const struct peer *peer)
{
    if (peer->state == PEER_CLOSED || peer->silent)
        return NEVER;
    uint64_t at = peer->ack_at < peer->resend_at ? peer->ack_at : peer->resend_at;
    at = peer->gone_at < at ? peer->gone_at : at;
    at = peer->write_at < at ? peer->write_at : at;
    return peer->read_at < at ? peer->read_at : at;
}

void target_on_time(struct sim *sim, struct peer *peer)
{
    if (peer->state == PEER_CLOSED || peer->silent)
        return;
    if (peer->gone_at <= sim->now) {
        peer->state = PEER_CLOSED;
        return;
    }
    if (peer->read_at <= sim->now || peer->write_at <= sim->now)
        application_run(sim, peer);
    if (peer->resend_at <= sim->now)
        on_timeout(sim, peer);
    peer_send(sim, peer);
    if (peer->state != PEER_CLOSED && peer->ack_at <= sim->now)
        peer_acknowledge(sim, peer);
}
