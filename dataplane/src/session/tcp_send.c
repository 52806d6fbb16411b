#include "tcp.h"

#include "store/timer.h"

void tcp_open(struct tcp *tcp, uint32_t iss)
{
    *tcp = (struct tcp){
        .retransmit_at = TIMER_NEVER,
        .iss = iss,
        .snd_una = iss,
        .snd_nxt = iss,
        .snd_max = iss,
        .ssthresh = UINT32_MAX,
        .rto = FIRST_RTO,
        .state = SYN_SENT,
    };
}

enum tcp_event tcp_expire(struct tcp *tcp, const struct dp_timing *timing, uint64_t now)
{
    if (tcp->retransmit_at > now)
        return TCP_NOTHING;
    uint32_t tries = tcp->state == SYN_SENT ? timing->syn_tries : timing->tries;
    if (++tcp->retries >= tries)
        return TCP_UNRESPONSIVE;
    tcp->rto = min32(tcp->rto * 2, MOST_RTO);
    tcp->retransmit_at = TIMER_NEVER; /* runs again when the segment has left */
    tcp->sampled_at = 0;              /* Karn's algorithm (RFC 6298 3) */
    if (tcp->snd_wnd == 0 && tcp->state != SYN_SENT) {
        tcp->probe = true;
    } else if (tcp->state != SYN_SENT) { /* RFC 5681 3.1, 6582 4 */
        uint32_t half = (tcp->snd_max - tcp->snd_una) / 2;
        if (tcp->retries == 1)
            tcp->ssthresh = half > 2u * tcp->mss ? half : 2u * tcp->mss;
        tcp->cwnd = tcp->mss;
        tcp->recover = tcp->snd_max;
    }
    tcp->recovering = false;
    tcp->resend_head = false;
    tcp->duplicate_acks = 0;
    tcp->snd_nxt = tcp->snd_una;
    return TCP_NOTHING;
}

/* The number of a segment without bytes: the next, but not behind the target's window, where it stands after
 * a probe of a closed one: the target would not look at it. */
static uint32_t acceptable_number(const struct tcp *tcp)
{
    uint32_t edge = tcp->snd_una + tcp->snd_wnd;
    return seq_before(edge, tcp->snd_max) ? edge : tcp->snd_max;
}

/* The acknowledgement and the window; a right edge that was offered is never taken back. */
static void plan_receive(const struct tcp *tcp, const struct tcp_allowance *allowed, struct segment *segment)
{
    uint32_t edge = seq_max(tcp->irs + 1 + allowed->edge, tcp->rcv_edge);
    segment->ack = seq_max(tcp->irs + 1 + allowed->ack, tcp->rcv_told);
    /* Rounded up: else the edge would go back by a part of the scale's unit each time (RFC 7323 2.4). */
    uint32_t unit = 1u << tcp->rcv_scale;
    uint32_t window = seq_after(edge, segment->ack) ? (edge - segment->ack + unit - 1) >> tcp->rcv_scale : 0;
    segment->window = (uint16_t)min32(window, UINT16_MAX);
}

/* Whether a segment without bytes is worth sending: it acknowledges, or opens the window by a segment. */
static bool must_tell(const struct tcp *tcp, const struct segment *segment)
{
    uint32_t edge = segment->ack + ((uint32_t)segment->window << tcp->rcv_scale);
    return tcp->ack_now || seq_after(segment->ack, tcp->rcv_told) ||
           (seq_after(edge, tcp->rcv_edge) && edge - tcp->rcv_edge >= tcp->mss);
}

/* Before the connection stands only two segments can leave: the answer to a challenge, and the SYN. */
static bool plan_in_syn_sent(const struct tcp *tcp, const struct tcp_allowance *allowed,
                             const struct tcp_options *ours, struct segment *segment)
{
    if (tcp->challenged) {
        segment->flags = TCP_RST;
        segment->seq = tcp->challenge;
        return true;
    }
    if (tcp->snd_nxt != tcp->iss)
        return false;
    segment->flags = TCP_SYN;
    segment->seq = tcp->iss;
    segment->window = (uint16_t)min32(allowed->edge, UINT16_MAX);
    segment->options = *ours;
    segment->again = tcp->snd_max != tcp->iss;
    return true;
}

/* How many new bytes may leave now; RFC 9293 3.8.6.2.1 keeps from sending silly little ones. */
static uint32_t sendable(struct tcp *tcp, uint32_t available, uint64_t now)
{
    uint32_t in_flight = tcp->snd_nxt - tcp->snd_una;
    uint32_t window = min32(tcp->snd_wnd, tcp->cwnd);
    uint32_t usable = window > in_flight ? window - in_flight : 0;
    uint32_t size = min32(min32(available, usable), tcp->mss);
    if (size < available && size < tcp->mss && in_flight)
        return 0;
    if (size || !available || in_flight)
        return size;
    if (tcp->probe)
        return 1;
    if (tcp->retransmit_at == TIMER_NEVER)
        tcp->retransmit_at = now + (uint64_t)tcp->rto * MICROSECOND; /* the persist timer */
    return 0;
}

static bool may_send_fin(const struct tcp *tcp)
{
    return tcp->state != FIN_WAIT_2 && tcp->state != TIME_WAIT && tcp->state != CLOSED;
}

static void plan_sacks(const struct tcp *tcp, struct segment *segment)
{
    if (!tcp->sack)
        return;
    segment->sack_count = (uint8_t)min32(tcp->range_count, SEGMENT_SACK_BLOCKS);
    memcpy(segment->sacks, tcp->ranges, segment->sack_count * sizeof(segment->sacks[0]));
}

/* What of the client's bytes and FIN is to be sent now. False: nothing. */
static bool plan_data(struct tcp *tcp, const struct tcp_allowance *allowed, uint64_t now,
                      struct segment *segment)
{
    uint32_t end = tcp->iss + 1 + allowed->end;
    uint32_t seq = tcp->resend_head ? tcp->snd_una : tcp->snd_nxt;
    if (seq_after(seq, end)) /* the FIN has left, too */
        return false;
    uint32_t available = end - seq;
    uint32_t again = min32(min32(available, tcp->mss), tcp->snd_max - seq);
    uint32_t size = tcp->resend_head ? again : sendable(tcp, available, now);
    bool last = size == available;
    bool fin = last && allowed->fin && may_send_fin(tcp);
    segment->seq = seq;
    segment->size = size;
    segment->flags |= (uint8_t)((fin ? TCP_FIN : 0) | (size && last ? TCP_PSH : 0));
    segment->again = seq_before(seq, tcp->snd_max);
    return size || fin;
}

bool tcp_plan(struct tcp *tcp, const struct tcp_allowance *allowed, const struct tcp_options *ours,
              uint64_t now, struct segment *segment)
{
    if (tcp->state == SYN_SENT)
        return plan_in_syn_sent(tcp, allowed, ours, segment);
    segment->flags = TCP_ACK;
    plan_receive(tcp, allowed, segment);
    if (!plan_data(tcp, allowed, now, segment)) {
        if (!must_tell(tcp, segment))
            return false;
        segment->seq = acceptable_number(tcp);
        segment->again = false;
        plan_sacks(tcp, segment);
    }
    segment->options = (struct tcp_options){
        .window_scale = NO_WINDOW_SCALE, .has_timestamp = tcp->timestamps, .echo = tcp->recent};
    return true;
}

/* What left is counted; the retransmission timer runs for whatever must be acknowledged. */
void tcp_sent(struct tcp *tcp, const struct segment *segment, uint64_t now)
{
    if (segment->flags & TCP_RST) {
        tcp->challenged = false;
        tcp->snd_nxt = tcp->iss;
        return;
    }
    if (segment->flags & TCP_ACK) {
        tcp->rcv_told = segment->ack;
        tcp->rcv_edge = segment->ack + ((uint32_t)segment->window << tcp->rcv_scale);
        tcp->ack_due = tcp->rcv_told != tcp->rcv_nxt;
        tcp->ack_now = false;
    }
    bool syn_or_fin = segment->flags & (TCP_SYN | TCP_FIN);
    uint32_t end = segment->seq + segment->size + (syn_or_fin ? 1 : 0);
    if (end == segment->seq)
        return;
    tcp->resend_head = false;
    if (seq_after(end, tcp->snd_nxt))
        tcp->snd_nxt = end;
    if (!segment->again && !tcp->sampled_at) {
        tcp->sampled_at = tcp_micros(now);
        tcp->sampled = end;
    }
    tcp->snd_max = seq_max(tcp->snd_max, end);
    if (tcp->retransmit_at == TIMER_NEVER)
        tcp->retransmit_at = now + (uint64_t)tcp->rto * MICROSECOND;
    if (!(segment->flags & TCP_FIN))
        return;
    if (tcp->state == ESTABLISHED)
        tcp->state = FIN_WAIT_1;
    else if (tcp->state == CLOSE_WAIT)
        tcp->state = LAST_ACK;
}

bool tcp_plan_reset(const struct tcp *tcp, struct segment *segment)
{
    if (tcp->snd_max == tcp->iss)
        return false;
    segment->flags = (uint8_t)(TCP_RST | (tcp->state == SYN_SENT ? 0 : TCP_ACK));
    segment->seq = tcp->state == SYN_SENT ? tcp->snd_max : acceptable_number(tcp);
    segment->ack = tcp->rcv_nxt;
    segment->options = (struct tcp_options){.window_scale = NO_WINDOW_SCALE};
    return true;
}
