#include "acks.h"

#include "stream.h"

enum {
    TICK_SHIFT = 20, /* of `ack_since` and of the wheel: about a millisecond */
    DELAY = 37,      /* ticks; with the wheel's own it is less than 40 ms, the least delay of Linux */
    LEAST_FULL = 536,
    STALL = 5 * 1000 * 1000,                /* the target went on so soon after an acknowledgement */
    MOST_MIRRORED_DELAY = 190 * 1000 * 1000 /* just below the least RTO of Linux */
};

static uint64_t delayed_until(const struct session *session, const struct session_context *context)
{
    uint64_t tick = context->now >> TICK_SHIFT;
    uint64_t waited = (uint16_t)(tick - session->ack_since);
    return (tick - waited + DELAY) << TICK_SHIFT;
}

/* Production's client has acknowledged a longer answer to this turn. A target that goes on with a short
 * segment may hold it back until the one before is acknowledged (Nagle). */
static bool lacks_rest(const struct session *session)
{
    uint64_t said = session->received - session->answer_mark;
    uint64_t whole = session->stream->acked - session->turn;
    return whole > said + session->credit;
}

static bool is_first_of_answer(const struct session *session)
{
    const struct tcp *tcp = &session->tcp;
    return session->received - (tcp->rcv_nxt - tcp->rcv_told) == session->answer_mark;
}

/* More than a full segment, as RFC 1122 has it; or the target may be waiting for it. */
static bool is_wanted_now(struct session *session, const struct packet *packet)
{
    struct tcp *tcp = &session->tcp;
    uint32_t full = tcp->rcv_full > LEAST_FULL ? tcp->rcv_full : LEAST_FULL;
    if (tcp->rcv_nxt - tcp->rcv_told > full || (packet->flags & TCP_FIN))
        return true;
    if (packet->flags & TCP_PSH || packet->size < full)
        return lacks_rest(session) || (tcp->stalls && is_first_of_answer(session));
    if (!tcp->quick)
        return false;
    tcp->quick--;
    return true;
}

/* The target went on as soon as it had a late acknowledgement: it had waited for that. */
static void note_stall(struct session *session, const struct session_context *context)
{
    struct tcp *tcp = &session->tcp;
    uint64_t soon = 2ull * tcp->srtt * MICROSECOND > STALL ? 2ull * tcp->srtt * MICROSECOND : STALL;
    tcp->stalls |= context->now < delayed_until(session, context) + soon;
    tcp->acked_late = false;
}

void acks_note(struct session *session, const struct session_context *context, const struct packet *packet,
               bool waiting)
{
    struct tcp *tcp = &session->tcp;
    if (session->ack != DP_ACK_DELAYED)
        return;
    if (tcp->range_count)
        tcp->quick = TCP_QUICK;
    if (!tcp->ack_due || (!packet->size && !(packet->flags & TCP_FIN)))
        return;
    if (tcp->acked_late)
        note_stall(session, context);
    if (packet->size > tcp->rcv_full)
        tcp->rcv_full = (uint16_t)packet->size;
    if (!waiting)
        session->ack_since = (uint16_t)(context->now >> TICK_SHIFT);
    tcp->ack_now |= is_wanted_now(session, packet);
}

/* Mirrored: as far as the production client has acknowledged its own answer, counted from the start of the
 * present turn. Where the target's answer is longer than production's, nobody could have acknowledged the
 * rest: it is, after a while. */
void acks_allow(const struct session *session, const struct session_context *context,
                struct tcp_allowance *allowed)
{
    uint32_t received = tcp_received(&session->tcp);
    allowed->bare = session->ack != DP_ACK_DELAYED;
    if (session->ack != DP_ACK_MIRRORED) {
        allowed->ack = received;
        allowed->edge = received + RECEIVE_WINDOW;
        return;
    }
    uint64_t reference = session->answer_mark + (session->stream->acked - session->turn);
    if (session->received > reference && context->now >= session->quiet_since + MOST_MIRRORED_DELAY)
        reference = session->received;
    if (reference > session->received + FURTHEST_AHEAD)
        reference = session->received + FURTHEST_AHEAD;
    uint32_t offset = received + (uint32_t)(reference - session->received);
    allowed->ack = reference < session->received ? offset : received;
    allowed->edge = offset + session->stream->window;
}

uint64_t acks_deadline(const struct session *session, const struct session_context *context)
{
    if (!session->tcp.ack_due || session->tcp.ack_now)
        return TIMER_NEVER;
    if (session->ack == DP_ACK_DELAYED)
        return delayed_until(session, context);
    return session->ack == DP_ACK_MIRRORED ? session->quiet_since + MOST_MIRRORED_DELAY : TIMER_NEVER;
}

void acks_on_time(struct session *session, const struct session_context *context)
{
    if (session->ack != DP_ACK_DELAYED || acks_deadline(session, context) > context->now)
        return;
    session->tcp.ack_now = session->tcp.acked_late = true;
}
