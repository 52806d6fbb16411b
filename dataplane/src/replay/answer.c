#include "answer.h"

#include "lifecycle.h"

/* RFC 9293 3.10.7.1: what nobody claims gets a RST, so that the target lets go of it. After an emergency stop
 * only what shows that the target holds the connection does, and late answers do not. */
static bool wants_reset(const struct dp_transfer *transfer, const struct packet *packet)
{
    return (packet->flags & (TCP_ACK | TCP_RST)) == TCP_ACK &&
           (transfer->state != DP_STOPPED || !packet->size);
}

static enum drop on_stray(struct replay *replay, const struct flow *flow, const struct packet *packet)
{
    const struct dp_transfer *transfer =
        transfers_match_target(&replay->transfers, packet->transport, &packet->source);
    if (!transfer)
        return DROP_no_transfer;
    uint16_t index = (uint16_t)(transfer - replay->config->transfers);
    if (packet->flags & TCP_RST)
        doubts_settle(&replay->doubts, flow);
    if (wants_reset(transfer, packet) && replay->stray_count < REPLAY_STRAYS) {
        replay->strays[replay->stray_count++] = (struct stray){*flow, packet->ack, index};
        if (transfer->state != DP_RUNNING)
            doubts_renew(&replay->doubts, flow, replay->context.now);
    }
    return DROP_no_session;
}

enum drop replay_on_answer(struct replay *replay, const struct packet *packet, uint64_t now)
{
    struct stats *stats = replay->context.stats;
    replay->context.now = now;
    struct flow flow = flow_make(packet->transport, &packet->destination, &packet->source);
    struct session *session = table_find(&replay->forged, &flow);
    if (!session)
        return on_stray(replay, &flow, packet);
    stats_add(&stats->test_payload, packet->size != 0);
    stats_add(&stats->test_fin, (packet->flags & TCP_FIN) != 0);
    stats_add(&stats->test_rst, (packet->flags & TCP_RST) != 0);
    enum drop drop = session_on_answer(session, &replay->context, packet);
    session_follow_up(replay, session);
    return drop;
}
