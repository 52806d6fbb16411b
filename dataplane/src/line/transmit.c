#include "transmit.h"

#include "replay/send.h"

enum {
    MOST_DELAY = 5 * 1000 * 1000, /* without room to send: more is overload, not a burst */
    MOST_SENT = 256,              /* frames in one loop */
};

/* The last check before a frame leaves: it goes to its transfer's target, or nowhere. */
static bool is_allowed(const struct worker *worker, const struct segment *segment)
{
    if (segment->transfer >= worker->config->transfer_count)
        return false;
    const struct dp_transfer *transfer = &worker->config->transfers[segment->transfer];
    struct address target = address_from_bytes(transfer->target_ip);
    if (transfer->state == DP_STOPPED && !(segment->flags & TCP_RST))
        return false;
    return segment->destination.port == transfer->target_port &&
           address_equal(&segment->destination.address, &target);
}

static void send_segment(struct worker *worker, const struct segment *segment, struct frame *frame)
{
    struct link_addresses link;
    uint64_t next_hop = __atomic_load_n(&worker->next_hops[segment->transfer], __ATOMIC_RELAXED);
    memcpy(link.destination, &next_hop, 6);
    memcpy(link.source, worker->mac, 6);
    rewrite_segment(segment, &link, frame);
    worker->outlet->ops->tx_push(worker->outlet, frame);
    STATS_COUNT(worker->stats, &worker->replay.context.transfers[segment->transfer], sent_frames, 1);
    stats_add(&worker->stats->sent_bytes, frame->size);
}

/* As much as there is room for, but only so much at a time that what arrives meanwhile fits into its rings.
 */
bool transmit_ready(struct worker *worker, uint64_t now)
{
    struct port *outlet = worker->outlet;
    struct segment segment;
    struct frame frame;
    uint32_t sent = 0;
    bool room = true;
    while (sent < MOST_SENT && replay_next(&worker->replay, &segment)) {
        if (!is_allowed(worker, &segment)) {
            stats_add(&worker->stats->refused_destination, 1);
            replay_refused(&worker->replay);
            continue;
        }
        if (!pace_allows(&worker->pace, &segment, now) || !outlet->ops->tx_alloc(outlet, &frame)) {
            room = false;
            break;
        }
        send_segment(worker, &segment, &frame);
        pace_sent(&worker->pace);
        replay_sent(&worker->replay, &segment);
        sent++;
    }
    outlet->ops->flush(outlet);
    if (room)
        worker->had_room = now;
    worker->pressed |= now - worker->had_room > MOST_DELAY;
    return sent;
}
