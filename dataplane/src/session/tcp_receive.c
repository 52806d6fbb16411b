#include "tcp.h"

#include "store/timer.h"

enum {
    FIRST_CWND = 10,   /* segments; RFC 6928 */
    DEFAULT_MSS = 536, /* RFC 9293 3.7.1 */
    LEAST_MSS = 64,    /* a nonsensical MSS must not make a segment per byte */
    TIMESTAMP_OPTION = 12,
    MOST_CHALLENGES = 3, /* answered at once, for each time that the SYN is sent by the timer */
};

/* RFC 6298 2.2 and 2.3. */
static void take_sample(struct tcp *tcp, uint32_t ack, uint64_t now)
{
    if (!tcp->sampled_at || seq_before(ack, tcp->sampled))
        return;
    uint32_t sample = min32(tcp_micros(now) - tcp->sampled_at, MOST_RTO);
    tcp->sampled_at = 0;
    if (!tcp->srtt) {
        tcp->srtt = sample ? sample : 1;
        tcp->rttvar = sample / 2;
        return;
    }
    uint32_t error = tcp->srtt > sample ? tcp->srtt - sample : sample - tcp->srtt;
    tcp->rttvar += error / 4 - tcp->rttvar / 4;
    tcp->srtt += sample / 8 - tcp->srtt / 8;
    if (!tcp->srtt)
        tcp->srtt = 1;
}

static void restart_retransmission(struct tcp *tcp, uint64_t now)
{
    if (tcp->srtt) {
        uint32_t rto = tcp->srtt + 4 * tcp->rttvar;
        tcp->rto = rto < LEAST_RTO ? LEAST_RTO : min32(rto, MOST_RTO);
    }
    tcp->retries = 0;
    bool outstanding = tcp->snd_una != tcp->snd_max;
    tcp->retransmit_at = outstanding ? now + (uint64_t)tcp->rto * MICROSECOND : TIMER_NEVER;
}

static void use_options(struct tcp *tcp, const struct packet *packet, const struct tcp_options *ours,
                        uint32_t link_mss)
{
    const struct tcp_options *theirs = &packet->options;
    tcp->timestamps = ours->has_timestamp && theirs->has_timestamp;
    tcp->recent = theirs->timestamp;
    tcp->sack = ours->sack_permitted && theirs->sack_permitted;
    if (ours->window_scale != NO_WINDOW_SCALE && theirs->window_scale != NO_WINDOW_SCALE) {
        tcp->snd_scale = theirs->window_scale;
        tcp->rcv_scale = ours->window_scale;
    }
    uint32_t mss = min32(theirs->mss ? theirs->mss : DEFAULT_MSS, link_mss);
    mss = mss < LEAST_MSS ? LEAST_MSS : mss;
    tcp->mss = (uint16_t)(mss - (tcp->timestamps ? TIMESTAMP_OPTION : 0));
    tcp->cwnd = FIRST_CWND * tcp->mss;
}

/* RFC 9293 3.10.7.3. An acknowledgement of something else than our SYN is a challenge of an older connection
 * at the target (RFC 5961 4.2, or TIME-WAIT): it is reset, and the SYN is sent again. */
static enum tcp_event receive_in_syn_sent(struct tcp *tcp, const struct packet *packet,
                                          const struct tcp_options *ours, uint32_t link_mss, uint64_t now)
{
    bool acceptable = (packet->flags & TCP_ACK) && tcp->snd_max != tcp->iss && packet->ack == tcp->iss + 1;
    if (packet->flags & TCP_RST)
        return acceptable ? TCP_REFUSED : TCP_UNACCEPTABLE;
    if (!(packet->flags & TCP_ACK))
        return TCP_UNACCEPTABLE;
    if (!acceptable) {
        tcp->challenged = tcp->duplicate_acks < MOST_CHALLENGES;
        tcp->duplicate_acks += tcp->challenged;
        tcp->challenge = packet->ack;
        return TCP_UNACCEPTABLE;
    }
    if (!(packet->flags & TCP_SYN))
        return TCP_UNACCEPTABLE;
    tcp->irs = packet->seq;
    tcp->rcv_nxt = packet->seq + 1;
    use_options(tcp, packet, ours, link_mss);
    tcp->snd_una = tcp->snd_nxt = tcp->snd_max = packet->ack;
    tcp->snd_wnd = packet->window; /* that of a SYN is never scaled (RFC 7323 2.2) */
    tcp->snd_wl1 = packet->seq;
    tcp->snd_wl2 = packet->ack;
    tcp->recover = packet->ack;
    take_sample(tcp, packet->ack, now);
    restart_retransmission(tcp, now);
    tcp->state = ESTABLISHED;
    tcp->rcv_told = tcp->rcv_edge = packet->seq;
    tcp->ack_due = true;
    return TCP_OPENED;
}

static uint32_t sequence_size(const struct packet *packet)
{
    return packet->size + ((packet->flags & TCP_FIN) ? 1 : 0);
}

/* RFC 9293 3.10.7.4, first. */
static bool sequence_is_acceptable(const struct tcp *tcp, const struct packet *packet)
{
    uint32_t edge = tcp->rcv_nxt + RECEIVE_WINDOW;
    uint32_t size = sequence_size(packet);
    if (!size)
        return !seq_before(packet->seq, tcp->rcv_nxt) && seq_before(packet->seq, edge);
    return seq_after(packet->seq + size, tcp->rcv_nxt) && seq_before(packet->seq, edge);
}

/* RFC 5681 3.2, RFC 6582 3.2. */
static void on_duplicate_ack(struct tcp *tcp)
{
    if (tcp->duplicate_acks < UINT8_MAX)
        tcp->duplicate_acks++;
    if (tcp->recovering) {
        tcp->cwnd += tcp->mss;
    } else if (tcp->duplicate_acks == 3 && !seq_before(tcp->snd_una, tcp->recover)) {
        uint32_t half = (tcp->snd_max - tcp->snd_una) / 2;
        tcp->ssthresh = half > 2u * tcp->mss ? half : 2u * tcp->mss;
        tcp->cwnd = tcp->ssthresh + 3u * tcp->mss;
        tcp->recover = tcp->snd_max;
        tcp->recovering = true;
        tcp->resend_head = true;
        tcp->sampled_at = 0;
    }
}

static void grow_cwnd(struct tcp *tcp, uint32_t acked)
{
    if (tcp->cwnd < tcp->ssthresh)
        tcp->cwnd += min32(acked, 2u * tcp->mss); /* RFC 3465, L = 2 */
    else if (tcp->cwnd < 1u << 30)
        tcp->cwnd += (uint32_t)tcp->mss * tcp->mss / tcp->cwnd + 1;
}

static void on_new_ack(struct tcp *tcp, uint32_t ack, uint64_t now)
{
    uint32_t acked = ack - tcp->snd_una;
    take_sample(tcp, ack, now);
    tcp->snd_una = ack;
    if (seq_before(tcp->snd_nxt, ack))
        tcp->snd_nxt = ack;
    tcp->duplicate_acks = 0;
    tcp->probe = false;
    if (!tcp->recovering) {
        grow_cwnd(tcp, acked);
    } else if (seq_before(ack, tcp->recover)) {
        tcp->resend_head = true; /* a partial acknowledgement: the next hole */
        tcp->cwnd = tcp->ssthresh;
    } else {
        tcp->recovering = false;
        tcp->resend_head = false;
        tcp->cwnd = tcp->ssthresh;
    }
    restart_retransmission(tcp, now);
    if (ack != tcp->snd_max)
        return;
    if (tcp->state == FIN_WAIT_1)
        tcp->state = FIN_WAIT_2;
    else if (tcp->state == CLOSING)
        tcp->state = TIME_WAIT;
    else if (tcp->state == LAST_ACK)
        tcp->state = CLOSED;
}

/* RFC 9293 3.10.7.4, fifth; and where it acknowledges something new, though its number may be old: it is
 * newer all the same. */
static void update_window(struct tcp *tcp, const struct packet *packet, bool acknowledges)
{
    bool newer = acknowledges || seq_before(tcp->snd_wl1, packet->seq) ||
                 (tcp->snd_wl1 == packet->seq && !seq_after(tcp->snd_wl2, packet->ack));
    if (!newer)
        return;
    tcp->snd_wnd = packet->window << tcp->snd_scale;
    tcp->snd_wl1 = seq_max(tcp->snd_wl1, packet->seq);
    tcp->snd_wl2 = packet->ack;
    if (!tcp->snd_wnd) {
        tcp->retries = 0; /* it lives, it just has no room (RFC 9293 3.8.6.1) */
        return;
    }
    tcp->probe = false;
    if (tcp->snd_una == tcp->snd_max)
        tcp->retransmit_at = TIMER_NEVER; /* it was the persist timer */
}

/* RFC 9293 3.10.7.4, fifth. False: the segment is to be dropped. */
static bool check_ack(struct tcp *tcp, const struct packet *packet, uint64_t now)
{
    if (!(packet->flags & TCP_ACK))
        return false;
    if (seq_after(packet->ack, tcp->snd_max)) {
        tcp->ack_now = true;
        return false;
    }
    bool same_window = packet->window << tcp->snd_scale == tcp->snd_wnd;
    bool acknowledges = seq_after(packet->ack, tcp->snd_una);
    if (acknowledges)
        on_new_ack(tcp, packet->ack, now);
    else if (packet->ack == tcp->snd_una && !sequence_size(packet) && same_window && tcp->snd_wnd &&
             tcp->snd_una != tcp->snd_max)
        on_duplicate_ack(tcp);
    if (!seq_before(packet->ack, tcp->snd_una))
        update_window(tcp, packet, acknowledges);
    return true;
}

static void remove_range(struct tcp *tcp, uint32_t at)
{
    tcp->range_count--;
    for (uint32_t i = at; i < tcp->range_count; i++)
        tcp->ranges[i] = tcp->ranges[i + 1];
}

/* Joins the new range with all that it touches; the result stands first, as RFC 2018 4 wants it. If there
 * is no room the range is forgotten, and the target sends it again. */
static void add_range(struct tcp *tcp, struct sack_block range)
{
    for (uint32_t i = 0; i < tcp->range_count;) {
        struct sack_block *other = &tcp->ranges[i];
        if (seq_after(other->start, range.end) || seq_before(other->end, range.start)) {
            i++;
            continue;
        }
        if (seq_before(other->start, range.start))
            range.start = other->start;
        range.end = seq_max(range.end, other->end);
        remove_range(tcp, i);
    }
    if (tcp->range_count == TCP_RANGES)
        tcp->range_count--;
    for (uint32_t i = tcp->range_count; i > 0; i--)
        tcp->ranges[i] = tcp->ranges[i - 1];
    tcp->ranges[0] = range;
    tcp->range_count++;
}

static void take_payload(struct tcp *tcp, const struct packet *packet)
{
    struct sack_block range = {packet->seq, packet->seq + packet->size};
    if (!packet->size)
        return;
    if (seq_after(range.start, tcp->rcv_nxt)) {
        tcp->ack_now = true; /* RFC 5681 4.2 */
        add_range(tcp, range);
        return;
    }
    tcp->ack_due = true;
    tcp->ack_now |= tcp->range_count != 0; /* it fills a gap: RFC 5681 4.2 */
    tcp->rcv_nxt = seq_max(tcp->rcv_nxt, range.end);
    for (uint32_t i = 0; i < tcp->range_count;) {
        if (seq_after(tcp->ranges[i].start, tcp->rcv_nxt)) {
            i++;
            continue;
        }
        tcp->rcv_nxt = seq_max(tcp->rcv_nxt, tcp->ranges[i].end);
        remove_range(tcp, i);
        i = 0;
    }
}

/* RFC 9293 3.10.7.4, eighth; the FIN counts when all before it has arrived. */
static void check_fin(struct tcp *tcp, const struct packet *packet)
{
    if (packet->flags & TCP_FIN) {
        tcp->has_peer_fin = true;
        tcp->peer_fin = packet->seq + packet->size;
        tcp->ack_due = true;
    }
    if (!tcp->has_peer_fin || tcp->rcv_nxt != tcp->peer_fin)
        return;
    tcp->rcv_nxt++;
    if (tcp->state == ESTABLISHED)
        tcp->state = CLOSE_WAIT;
    else if (tcp->state == FIN_WAIT_1)
        tcp->state = CLOSING;
    else if (tcp->state == FIN_WAIT_2)
        tcp->state = TIME_WAIT;
}

enum tcp_event tcp_receive(struct tcp *tcp, const struct packet *packet, const struct tcp_options *ours,
                           uint32_t link_mss, uint64_t now)
{
    if (tcp->state == SYN_SENT)
        return receive_in_syn_sent(tcp, packet, ours, link_mss, now);
    if (!sequence_is_acceptable(tcp, packet)) {
        tcp->ack_now |= !(packet->flags & TCP_RST);
        return TCP_UNACCEPTABLE;
    }
    if (packet->flags & TCP_RST) { /* RFC 5961 3.2: exactly the next, or it is challenged */
        if (packet->seq == tcp->rcv_nxt)
            return TCP_WAS_RESET;
        tcp->ack_now = true;
        return TCP_UNACCEPTABLE;
    }
    if (packet->flags & TCP_SYN) { /* RFC 5961 4.2 */
        tcp->ack_now = true;
        return TCP_UNACCEPTABLE;
    }
    if (packet->options.has_timestamp && !seq_after(packet->seq, tcp->rcv_nxt))
        tcp->recent = packet->options.timestamp;
    if (!check_ack(tcp, packet, now))
        return TCP_UNACCEPTABLE;
    take_payload(tcp, packet);
    check_fin(tcp, packet);
    return TCP_NOTHING;
}
