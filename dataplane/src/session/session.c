#include "session.h"

#include "observe/histogram.h"
#include "turns.h"

enum {
    TCP_HEADER = 20,
    UDP_HEADER = 8,
    IPV4_HEADER = 20,
    IPV6_HEADER = 40,
    NANOSECONDS_PER_MILLI = 1000000,
    MOST_ACK_DELAY = 190 * NANOSECONDS_PER_MILLI, /* just below the least RTO of Linux */
};

/* RFC 9293 3.4.1: a clock of about 4 microseconds, and a hash of the connection. The clock keeps
 * running across restarts and the hash has no secret, so an endpoint used again within the target's TIME-WAIT
 * gets a higher number than before. */
static uint32_t initial_sequence_number(const struct flow *flow, uint64_t clock)
{
    return (uint32_t)(clock >> 12) + flow_hash(flow);
}

static bool is_udp(const struct session *session)
{
    return session->flow.transport == DP_UDP;
}

/* What a packet on the test port carries behind its IP header. */
static uint32_t link_payload(const struct session *session, const struct session_context *context)
{
    return context->mtu - (address_is_ipv4(&session->flow.server) ? IPV4_HEADER : IPV6_HEADER);
}

static uint32_t link_mss(const struct session *session, const struct session_context *context)
{
    return link_payload(session, context) - TCP_HEADER;
}

uint32_t session_most_datagram(const struct session *session, const struct session_context *context)
{
    return min32(link_payload(session, context) - UDP_HEADER, CHUNK_BYTES);
}

/* The production client's own options; its MSS only as far as the test port carries it. */
static struct tcp_options options_of(const struct session *session, const struct session_context *context)
{
    const struct stream *stream = session->stream;
    uint32_t mss = min32(stream->mss, link_mss(session, context));
    return (struct tcp_options){
        .mss = (uint16_t)(session->most_mss ? min32(mss, session->most_mss) : mss),
        .window_scale = stream->window_scale,
        .has_timestamp = stream->timestamps,
        .sack_permitted = stream->sack,
    };
}

void session_open(struct session *session, struct session_context *context, const struct flow *flow,
                  struct stream *stream, const struct dp_transfer *transfer)
{
    *session = (struct session){
        .flow = *flow,
        .stream = stream,
        .sibling = stream->sessions,
        .timer.kind = TIMER_SESSION,
        .opened_at = context->now,
        .quiet_since = context->now,
        .transfer = stream->transfer,
        .most_mss = (uint16_t)transfer->mss,
        .no_wait = transfer->no_wait,
        .ack_mirrored = transfer->ack_mirrored,
    };
    tcp_open(&session->tcp, initial_sequence_number(flow, context->now + context->clock_offset));
    stream->sessions = session;
    stream->session_count++;
    STATS_COUNT(context->stats, session_stats(session, context), sessions_opened, 1);
    STATS_COUNT(context->stats, session_stats(session, context), sessions_live, 1);
}

static void open_gate(struct session *session, struct session_context *context)
{
    enum end end = turns_open(session, context);
    if (end)
        session_end(session, context, end);
}

void session_on_stream(struct session *session, struct session_context *context, struct chunk *first)
{
    if (!session->chunk)
        session->chunk = first;
    open_gate(session, context);
}

/* Lets go of what the target has acknowledged. */
static void account_delivered(struct session *session, struct session_context *context)
{
    uint32_t acked = tcp_acked(&session->tcp);
    if (seq_after(acked, session->gate))
        acked = session->gate; /* the FIN */
    uint32_t fresh = acked - session->delivered;
    session->delivered = acked;
    if (fresh)
        session->delivered_at = context->now;
    STATS_COUNT(context->stats, session_stats(session, context), request_bytes_acked, fresh);
    stats_sub(&context->stats->request_bytes_pending, fresh);
    while (session->chunk && !seq_after(session->chunk->offset + session->chunk->size, acked)) {
        if (session->gate_chunk == session->chunk)
            session->gate_chunk = NULL;
        if (session->send_chunk == session->chunk)
            session->send_chunk = NULL;
        session->chunk = reassembly_release(&session->stream->client, &context->chunks, session->chunk);
    }
}

void session_end(struct session *session, struct session_context *context, enum end end)
{
    if (session->end)
        return;
    session->end = (uint8_t)end;
    session->reset_due = !is_udp(session) && end != END_complete && end != END_target_reset &&
                         end != END_target_closed && end != END_target_refused;
    uint32_t lost = session->stream->client.next - session->delivered;
    stats_add(&context->stats->request_bytes_abandoned, lost);
    stats_sub(&context->stats->request_bytes_pending, lost);
    while (session->chunk)
        session->chunk = reassembly_release(&session->stream->client, &context->chunks, session->chunk);
    session->gate_chunk = session->send_chunk = NULL;
    STATS_COUNT(context->stats, session_stats(session, context), end[end], 1);
    STATS_COUNT(context->stats, session_stats(session, context), sessions_live, -1);
}

static void end_if_done(struct session *session, struct session_context *context)
{
    const struct tcp *tcp = &session->tcp;
    if ((tcp->state == TIME_WAIT || tcp->state == CLOSED) && !tcp->ack_due)
        session_end(session, context, END_complete);
}

static enum drop take_event(struct session *session, struct session_context *context, enum tcp_event event)
{
    switch (event) {
    case TCP_OPENED:
        STATS_COUNT(context->stats, session_stats(session, context), sessions_established, 1);
        session->quiet_since = context->now;
        return DROP_NONE;
    case TCP_REFUSED:
        session_end(session, context, END_target_refused);
        return DROP_NONE;
    case TCP_WAS_RESET:
        session_end(session, context, session->tcp.has_peer_fin ? END_target_closed : END_target_reset);
        return DROP_NONE;
    case TCP_UNRESPONSIVE:
        session_end(session, context, END_target_unresponsive);
        return DROP_NONE;
    case TCP_UNACCEPTABLE:
        return DROP_unacceptable;
    case TCP_NOTHING:
        break;
    }
    return DROP_NONE;
}

static void count_answer(struct session *session, struct session_context *context, uint32_t bytes)
{
    struct transfer_stats *stats = session_stats(session, context);
    STATS_COUNT(context->stats, stats, answer_bytes, bytes);
    if (session->asked_at)
        histogram_add(&stats->answer_time[DP_SIDE_TARGET], context->now - session->asked_at);
    session->asked_at = 0;
}

enum drop session_on_answer(struct session *session, struct session_context *context,
                            const struct packet *packet)
{
    if (is_udp(session)) {
        count_answer(session, context, packet->size);
        return DROP_NONE;
    }
    uint32_t before = tcp_received(&session->tcp);
    bool was_ended = tcp_is_ended(&session->tcp);
    struct tcp_options ours = options_of(session, context);
    enum tcp_event event =
        tcp_receive(&session->tcp, packet, &ours, link_mss(session, context), context->now);
    enum drop drop = take_event(session, context, event);
    if (session->end)
        return drop;
    uint32_t fresh = tcp_received(&session->tcp) - before;
    if (fresh) {
        session->quiet_since = context->now;
        count_answer(session, context, fresh - (!was_ended && tcp_is_ended(&session->tcp)));
    }
    account_delivered(session, context);
    open_gate(session, context);
    if (!session->end)
        end_if_done(session, context);
    return drop;
}

uint64_t session_deadline(const struct session *session, const struct session_context *context)
{
    if (is_udp(session))
        return TIMER_NEVER;
    uint64_t deadline = turns_deadline(session, context);
    if (session->tcp.retransmit_at < deadline)
        deadline = session->tcp.retransmit_at;
    uint64_t ack_at = session->quiet_since + MOST_ACK_DELAY;
    return session->ack_mirrored && session->tcp.ack_due && ack_at < deadline ? ack_at : deadline;
}

void session_on_time(struct session *session, struct session_context *context)
{
    take_event(session, context, tcp_expire(&session->tcp, context->timing, context->now));
    if (session->end)
        return;
    open_gate(session, context);
    if (!session->end && turns_target_is_silent(session, context))
        session_end(session, context, END_target_silent);
}

/* Names the bytes of the segment; shortens it if they lie in more pieces than it can name. */
static void find_pieces(struct session *session, struct segment *segment)
{
    uint32_t offset = segment->seq - session->tcp.iss - 1;
    uint32_t wanted = segment->size;
    struct chunk *chunk = session->send_chunk;
    if (!chunk || seq_after(chunk->offset, offset))
        chunk = session->chunk;
    segment->size = 0;
    while (chunk && wanted && segment->piece_count < SEGMENT_PIECES) {
        uint32_t skipped = offset - chunk->offset;
        if (skipped < chunk->size) {
            uint32_t size = min32(chunk->size - skipped, wanted);
            segment->pieces[segment->piece_count++] = (struct piece){chunk->bytes + skipped, size};
            segment->size += size;
            offset += size;
            wanted -= size;
            session->send_chunk = chunk;
        }
        chunk = chunk->next;
    }
    if (wanted)
        segment->flags &= (uint8_t) ~(TCP_PSH | TCP_FIN);
}

static void address_segment(const struct session *session, struct segment *segment)
{
    segment->source = (struct endpoint){session->flow.client, session->flow.client_port};
    segment->destination = (struct endpoint){session->flow.server, session->flow.server_port};
    segment->transfer = session->transfer;
    segment->transport = (uint8_t)session->flow.transport;
    segment->flags = 0;
    segment->size = 0;
    segment->piece_count = 0;
    segment->sack_count = 0;
    segment->window = 0;
    segment->again = false;
}

/* How far the answer may be acknowledged. Mirrored: as far as the production client has acknowledged its own
 * answer, counted from the start of the present turn, and with its window, so that the target feels the
 * client's network and the pace at which it reads. Where the target's answer is longer than production's,
 * nobody could have acknowledged the rest: it is, after a while. */
static void allow_receiving(const struct session *session, const struct session_context *context,
                            struct tcp_allowance *allowed)
{
    uint32_t received = tcp_received(&session->tcp);
    if (!session->ack_mirrored) {
        allowed->ack = received;
        allowed->edge = received + RECEIVE_WINDOW;
        return;
    }
    uint32_t reference = session->answer_mark + (session->stream->acked - session->turn);
    if (seq_after(received, reference) && context->now >= session->quiet_since + MOST_ACK_DELAY)
        reference = received;
    allowed->ack = seq_before(received, reference) ? received : reference;
    allowed->edge = reference + session->stream->window;
}

/* A datagram leaves as it came, as soon as there is room. */
static bool next_datagram(const struct session *session, struct segment *segment)
{
    const struct chunk *chunk = session->chunk;
    if (!chunk)
        return false;
    segment->size = chunk->size;
    segment->pieces[segment->piece_count++] = (struct piece){chunk->bytes, chunk->size};
    return true;
}

static void datagram_sent(struct session *session, struct session_context *context)
{
    uint32_t size = session->chunk->size;
    session->delivered += size;
    stats_add(&context->stats->datagrams_sent, 1);
    STATS_COUNT(context->stats, session_stats(session, context), request_bytes_acked, size);
    session->asked_at = context->now;
    stats_sub(&context->stats->request_bytes_pending, size);
    session->chunk = reassembly_release(&session->stream->client, &context->chunks, session->chunk);
}

bool session_next(struct session *session, struct session_context *context, struct segment *segment)
{
    address_segment(session, segment);
    if (session->end)
        return session->reset_due && tcp_plan_reset(&session->tcp, segment);
    if (is_udp(session))
        return next_datagram(session, segment);
    struct tcp_allowance allowed = {.end = session->gate, .fin = session->fin_open};
    allow_receiving(session, context, &allowed);
    struct tcp_options ours = options_of(session, context);
    segment->options = (struct tcp_options){.window_scale = NO_WINDOW_SCALE};
    if (!tcp_plan(&session->tcp, &allowed, &ours, context->now, segment))
        return false;
    segment->options.timestamp = (uint32_t)((context->now + context->clock_offset) / NANOSECONDS_PER_MILLI);
    if (segment->size)
        find_pieces(session, segment);
    return true;
}

void session_sent(struct session *session, struct session_context *context, const struct segment *segment)
{
    if (session->end) {
        session->reset_due = false;
        return;
    }
    if (is_udp(session)) {
        datagram_sent(session, context);
        return;
    }
    tcp_sent(&session->tcp, segment, context->now);
    session->retransmits += segment->again;
    if (segment->size && !segment->again)
        session->asked_at = context->now;
    end_if_done(session, context);
}
