/* tcp.h: our connection to the target: a client of RFC 9293, and no more.
 *
 * The session decides what may be sent and when; this decides how: sequence space, windows, retransmission
 * (RFC 6298), fast retransmit and congestion window (RFC 5681, 6582), timestamps (RFC 7323), SACK blocks for
 * what arrived out of order (RFC 2018). The target's bytes are counted, not kept. No I/O and no clock:
 * segments and times are arguments.
 *
 * tcp_receive.c is what the target's segments do; tcp_send.c what leaves, and the retransmission timer.
 * Sending takes two steps: tcp_plan chooses a segment, the caller finds its bytes (and may shorten it), and
 * tcp_sent notes what really left.
 */
#ifndef XDPCOPY_TCP_H
#define XDPCOPY_TCP_H

#include "dataplane.h"
#include "wire/bytes.h"
#include "wire/packet.h"
#include "wire/rewrite.h"

/* RFC 9293 3.3.2, the states that a client can be in. */
enum tcp_state {
    SYN_SENT,
    ESTABLISHED,
    FIN_WAIT_1,
    FIN_WAIT_2,
    CLOSING,
    CLOSE_WAIT,
    LAST_ACK,
    TIME_WAIT,
    CLOSED,
};

enum tcp_event { TCP_NOTHING, TCP_OPENED, TCP_UNACCEPTABLE, TCP_REFUSED, TCP_WAS_RESET, TCP_UNRESPONSIVE };

enum {
    TCP_RANGES = 3, /* as many as a segment tells of */
    MICROSECOND = 1000,
    FIRST_RTO = 1000000, /* microseconds; RFC 6298 2.1 */
    LEAST_RTO = 200000,  /* as Linux has it; RFC 6298 2.4 would have 1 s */
    MOST_RTO = 60000000,
    RECEIVE_WINDOW = 512 << 10, /* all is swallowed at once, so it never closes */
};

/* In the order of use: an exchange without loss needs nothing from `sampled_at`'s end on but the ranges'
 * count (session.h counts cache lines). */
struct tcp {
    uint8_t state;
    uint8_t snd_scale;
    uint8_t rcv_scale;
    uint8_t duplicate_acks;
    uint8_t retries;
    uint8_t range_count;
    uint16_t mss; /* of what we send, options taken off */
    bool timestamps : 1;
    bool sack : 1;
    bool ack_due : 1; /* something in order came that was not acknowledged */
    bool ack_now : 1; /* something came that wants an answer at once */
    bool resend_head : 1;
    bool recovering : 1;
    bool probe : 1; /* one byte may go into a closed window */
    bool challenged : 1;
    bool has_peer_fin : 1;
    uint32_t iss;
    uint32_t snd_una;
    uint32_t snd_nxt;
    uint32_t snd_max; /* the furthest that was ever sent */
    uint32_t snd_wnd;
    uint32_t snd_wl1;
    uint32_t snd_wl2;
    uint32_t cwnd;
    uint32_t ssthresh;
    uint32_t irs;
    uint32_t rcv_nxt;
    uint32_t rcv_told; /* the last acknowledgement sent */
    uint32_t rcv_edge; /* the right edge of the last window sent */
    uint32_t recent;   /* the target's timestamp to echo */
    uint32_t srtt;     /* microseconds; 0: nothing measured yet */
    uint32_t rttvar;   /* microseconds */
    uint32_t rto;      /* microseconds */
    uint32_t sampled;
    uint32_t sampled_at;    /* microseconds: when the byte before `sampled` was sent; 0: no sample is taken */
    uint64_t retransmit_at; /* TIMER_NEVER: not running */
    union {
        uint32_t recover;   /* loss recovery ends when this is acknowledged */
        uint32_t challenge; /* SYN_SENT: what the SYN was answered with instead of a SYN-ACK */
    };
    uint32_t peer_fin;                    /* sequence number of the target's FIN */
    struct sack_block ranges[TCP_RANGES]; /* received out of order, the latest first */
};

/* What the session allows. Offsets count from the first byte of either side. */
struct tcp_allowance {
    uint32_t end;  /* bytes up to this offset may be sent */
    bool fin;      /* and a FIN behind them */
    uint32_t ack;  /* the target's bytes up to this offset may be acknowledged */
    uint32_t edge; /* and it may send up to this one */
};

/* Ready to send a SYN. */
void tcp_open(struct tcp *tcp, uint32_t iss);

/* Takes the target's segment. link_mss: what a segment on the test port carries behind IP and TCP headers. */
enum tcp_event tcp_receive(struct tcp *tcp, const struct packet *packet, const struct tcp_options *ours,
                           uint32_t link_mss, uint64_t now);

/* TCP_UNRESPONSIVE when all tries are used up, else TCP_NOTHING; a segment may be due again. */
enum tcp_event tcp_expire(struct tcp *tcp, const struct dp_timing *timing, uint64_t now);

/* Chooses the next segment: seq, ack, window, flags, size and options are set. False: nothing to send. */
bool tcp_plan(struct tcp *tcp, const struct tcp_allowance *allowed, const struct tcp_options *ours,
              uint64_t now, struct segment *segment);
void tcp_sent(struct tcp *tcp, const struct segment *segment, uint64_t now);

/* A RST that the target accepts wherever the connection stands. False: the target knows nothing of us. */
bool tcp_plan_reset(const struct tcp *tcp, struct segment *segment);

/* The clock of round-trip samples. It wraps, but no sample lasts for an hour: the timer ends it before. */
static inline uint32_t tcp_micros(uint64_t now)
{
    return (uint32_t)(now / MICROSECOND) | 1;
}

/* How many of the client's bytes (and its FIN) the target has acknowledged. */
static inline uint32_t tcp_acked(const struct tcp *tcp)
{
    return tcp->state == SYN_SENT ? 0 : tcp->snd_una - tcp->iss - 1;
}

/* How many bytes (and its FIN) the target has sent us in order. */
static inline uint32_t tcp_received(const struct tcp *tcp)
{
    return tcp->state == SYN_SENT ? 0 : tcp->rcv_nxt - tcp->irs - 1;
}

/* The target has closed, and all that it said before has come. */
static inline bool tcp_is_ended(const struct tcp *tcp)
{
    return tcp->has_peer_fin && tcp->rcv_nxt == tcp->peer_fin + 1;
}

#endif
