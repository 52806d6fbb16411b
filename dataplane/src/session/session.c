#include "session.h"

enum {
    TCP_HEADER = 20,
    UDP_HEADER = 8,
    IPV4_HEADER = 20,
    IPV6_HEADER = 40,
    NANOSECONDS_PER_MILLI = 1000000,
    SLIGHTLY_SHORTER = 1460,
    MID_ANSWER = 300 * NANOSECONDS_PER_MILLI,
    CUT_QUIET = 1000 * NANOSECONDS_PER_MILLI,     /* ends an answer of unknown size, where the capture ends */
    MOST_ACK_DELAY = 190 * NANOSECONDS_PER_MILLI, /* just below the least RTO of Linux */
};

/* RFC 9293 3.4.1: a clock of about 4 microseconds, and a hash of the connection. The clock goes on over
 * restarts and the hash has no secret, so that an endpoint used again within the target's TIME-WAIT gets a
 * higher number than before. */
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
    struct tcp_options options = session->stream->options;
    options.mss = (uint16_t)min32(options.mss, link_mss(session, context));
    if (session->most_mss && options.mss > session->most_mss)
        options.mss = session->most_mss;
    options.echo = 0;
    return options;
}

void session_open(struct session *session, struct session_context *context, const struct flow *flow,
                  struct stream *stream, const struct dp_transfer *transfer)
{
    *session = (struct session){
        .flow = *flow,
        .stream = stream,
        .sibling = stream->sessions,
        .timer.kind = TIMER_SESSION,
        .turn_at = context->now,
        .answered_at = context->now,
        .transfer = stream->transfer,
        .most_mss = (uint16_t)transfer->mss,
        .no_wait = transfer->no_wait,
        .ack_mirrored = transfer->ack_mirrored,
    };
    tcp_open(&session->tcp, initial_sequence_number(flow, context->now + context->clock_offset));
    stream->sessions = session;
    stream->session_count++;
    stats_add(&context->stats->sessions_opened, 1);
    stats_add(&context->stats->sessions_live, 1);
}

static uint32_t answered(const struct session *session)
{
    return tcp_received(&session->tcp) - session->answer_mark;
}

/* Whether the answer that the client had seen before this turn has come from the target too: in bytes since
 * the present turn began, or with what the target had said too early (credit). */
static bool is_answered(const struct session *session, uint32_t turn)
{
    return answered(session) + session->credit >= turn - session->turn;
}

static uint64_t later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static uint64_t quiet_since(const struct session *session)
{
    return later(session->turn_at, session->answered_at);
}

/* How long the target must be quiet before the answer to a turn counts as complete, though production's was
 * longer. By a little: its pages differ. By more than a segment: more likely it is in the midst of its
 * answer, held up by a busy machine, or by a loss that costs it a retransmission timeout (200 ms and more on
 * Linux). */
static uint64_t settle_time(const struct session *session, const struct session_context *context,
                            uint32_t turn)
{
    uint64_t quiet = later(context->timing->settle, 2000ull * session->tcp.srtt);
    uint32_t missing = turn - session->turn - answered(session);
    return is_answered(session, turn) || missing <= SLIGHTLY_SHORTER ? quiet : later(quiet, MID_ANSWER);
}

/* When the target will have been quiet for long enough to have said all that it is going to say. */
static uint64_t settled_at(const struct session *session, const struct session_context *context,
                           uint32_t turn)
{
    return quiet_since(session) + settle_time(session, context, turn);
}

/* Whether a turn after so much of production's answer may begin; see session.h. */
static bool may_begin(const struct session *session, const struct session_context *context, uint32_t turn)
{
    if (!seq_after(turn, session->turn) || session->no_wait)
        return true;
    if (session->tcp.state == SYN_SENT || seq_before(tcp_acked(&session->tcp), session->gate))
        return false;
    if (answered(session) >= turn - session->turn)
        return true;
    if (!answered(session) && !is_answered(session, turn))
        return false;
    if (context->now < settled_at(session, context, turn))
        return false;
    stats_add(&context->stats->gate_by_settle, 1);
    return true;
}

/* What the target has said beyond production's answer is kept as a credit: it may be the next answer, given
 * before production gave it (to requests that were sent together). Where each turn is answered in full, it is
 * only a longer answer, and the credit is that of one turn. */
static void begin(struct session *session, const struct session_context *context, uint32_t turn)
{
    uint32_t growth = seq_after(turn, session->turn) ? turn - session->turn : 0;
    uint32_t own = answered(session);
    if (own >= growth)
        session->credit = own - growth;
    else
        session->credit = own + session->credit >= growth ? own + session->credit - growth : 0;
    session->turn = seq_max(session->turn, turn);
    session->answer_mark = tcp_received(&session->tcp);
    session->turn_at = context->now;
}

/* The chunk that holds the byte at the gate, or NULL. */
static struct chunk *chunk_at_gate(const struct session *session)
{
    struct chunk *chunk = session->gate_chunk;
    if (!chunk)
        return session->chunk;
    return seq_before(session->gate, chunk->offset + chunk->size) ? chunk : chunk->next;
}

static bool reset_waits(const struct session *session)
{
    const struct stream *stream = session->stream;
    return stream->reset && !stream_has_gap(stream) && session->gate == stream->next;
}

static bool fin_waits(const struct session *session)
{
    return stream_is_finished(session->stream) && session->gate == session->stream->fin && !session->fin_open;
}

/* The capture ends here. Everything must have been delivered; then it counts as answered as for the next
 * turn, or, where the capture does not show how much of an answer there was, when the target has been quiet.
 */
static bool cut_is_due(const struct session *session, const struct session_context *context)
{
    if (session->tcp.state == SYN_SENT || seq_before(tcp_acked(&session->tcp), session->gate))
        return false;
    if (seq_after(session->stream->acked, session->turn))
        return may_begin(session, context, session->stream->acked);
    return context->now - quiet_since(session) >= CUT_QUIET;
}

static void end_with_stream(struct session *session, struct session_context *context)
{
    if (!session->stream->cut && may_begin(session, context, session->stream->acked))
        session_end(session, context, END_client_reset);
    else if (session->stream->cut && cut_is_due(session, context))
        session_end(session, context, END_capture_ended);
}

/* Opens the gate as far as the dialogue has got. */
static void open_gate(struct session *session, struct session_context *context)
{
    for (struct chunk *chunk; (chunk = chunk_at_gate(session));) {
        bool next_turn = !session->begun || seq_after(chunk->turn, session->turn);
        if (!may_begin(session, context, chunk->turn))
            return;
        if (next_turn) {
            begin(session, context, chunk->turn);
            session->begun = true;
            stats_add(&context->stats->turns_sent, 1);
        }
        session->gate = chunk->offset + chunk->size;
        session->gate_chunk = chunk;
    }
    if (fin_waits(session) && may_begin(session, context, session->stream->fin_turn)) {
        begin(session, context, session->stream->fin_turn);
        session->fin_open = true;
    }
    if (reset_waits(session))
        end_with_stream(session, context);
}

void session_on_stream(struct session *session, struct session_context *context, struct chunk *first)
{
    if (!session->chunk)
        session->chunk = first;
    open_gate(session, context);
}

/* Hands back what the target has acknowledged. */
static void account_delivered(struct session *session, struct session_context *context)
{
    uint32_t acked = tcp_acked(&session->tcp);
    if (seq_after(acked, session->gate))
        acked = session->gate; /* the FIN */
    uint32_t fresh = acked - session->delivered;
    session->delivered = acked;
    stats_add(&context->stats->request_bytes_acked, fresh);
    stats_sub(&context->stats->request_bytes_pending, fresh);
    while (session->chunk && !seq_after(session->chunk->offset + session->chunk->size, acked)) {
        if (session->gate_chunk == session->chunk)
            session->gate_chunk = NULL;
        if (session->send_chunk == session->chunk)
            session->send_chunk = NULL;
        session->chunk = stream_release(session->stream, &context->chunks, session->chunk);
    }
}

void session_end(struct session *session, struct session_context *context, enum end end)
{
    if (session->end)
        return;
    session->end = (uint8_t)end;
    session->reset_due = !is_udp(session) && end != END_complete && end != END_target_reset &&
                         end != END_target_closed && end != END_target_refused;
    uint32_t lost = session->stream->next - session->delivered;
    stats_add(&context->stats->request_bytes_abandoned, lost);
    stats_sub(&context->stats->request_bytes_pending, lost);
    while (session->chunk)
        session->chunk = stream_release(session->stream, &context->chunks, session->chunk);
    session->gate_chunk = session->send_chunk = NULL;
    stats_add(&context->stats->end[end], 1);
    stats_sub(&context->stats->sessions_live, 1);
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
        stats_add(&context->stats->sessions_established, 1);
        session->turn_at = session->answered_at = context->now;
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

enum drop session_on_answer(struct session *session, struct session_context *context,
                            const struct packet *packet)
{
    if (is_udp(session)) {
        stats_add(&context->stats->answer_bytes, packet->size);
        return DROP_NONE;
    }
    uint32_t before = tcp_received(&session->tcp);
    struct tcp_options ours = options_of(session, context);
    enum tcp_event event =
        tcp_receive(&session->tcp, packet, &ours, link_mss(session, context), context->now);
    enum drop drop = take_event(session, context, event);
    if (session->end)
        return drop;
    uint32_t fresh = tcp_received(&session->tcp) - before;
    if (fresh) {
        session->answered_at = context->now;
        stats_add(&context->stats->answer_bytes, fresh);
    }
    account_delivered(session, context);
    open_gate(session, context);
    if (!session->end)
        end_if_done(session, context);
    return drop;
}

/* The turn that waits for the target: of bytes, of the FIN or of a RST. False: none does. */
static bool next_turn(const struct session *session, uint32_t *turn)
{
    const struct chunk *chunk = chunk_at_gate(session);
    if (!chunk && !fin_waits(session) && !reset_waits(session))
        return false;
    *turn = chunk ? chunk->turn : fin_waits(session) ? session->stream->fin_turn : session->stream->acked;
    return true;
}

/* Something of the client's waits for the target to speak, or to close. */
static bool waits_for_target(const struct session *session)
{
    uint32_t turn;
    return session->fin_open || next_turn(session, &turn);
}

static uint64_t sooner(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t silent_at(const struct session *session, const struct session_context *context)
{
    return quiet_since(session) + context->timing->response_timeout;
}

uint64_t session_deadline(const struct session *session, const struct session_context *context)
{
    uint64_t deadline = session->tcp.retransmit_at;
    if (is_udp(session))
        return TIMER_NEVER;
    if (session->ack_mirrored && session->tcp.ack_due)
        deadline = sooner(deadline, session->answered_at + MOST_ACK_DELAY);
    if (session->tcp.state == SYN_SENT || !waits_for_target(session))
        return deadline;
    deadline = sooner(deadline, silent_at(session, context));
    uint64_t cut = quiet_since(session) + CUT_QUIET;
    if (session->stream->cut && cut > context->now)
        deadline = sooner(deadline, cut);
    uint32_t turn;
    if (!next_turn(session, &turn) || (!answered(session) && !is_answered(session, turn)))
        return deadline;
    uint64_t settled = settled_at(session, context, turn);
    return settled > context->now ? sooner(deadline, settled) : deadline;
}

void session_on_time(struct session *session, struct session_context *context)
{
    take_event(session, context, tcp_expire(&session->tcp, context->timing, context->now));
    if (session->end)
        return;
    open_gate(session, context);
    if (!session->end && session->tcp.state != SYN_SENT && waits_for_target(session) &&
        context->now >= silent_at(session, context))
        session_end(session, context, END_target_silent);
}

/* Names the bytes of the segment. Where they lie in more pieces than a segment can name, it is shortened. */
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
    if (seq_after(received, reference) && context->now >= session->answered_at + MOST_ACK_DELAY)
        reference = received;
    allowed->ack = seq_before(received, reference) ? received : reference;
    allowed->edge = reference + session->stream->window;
}

/* A datagram leaves as it came, whenever it can. */
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
    stats_add(&context->stats->request_bytes_acked, size);
    stats_sub(&context->stats->request_bytes_pending, size);
    session->chunk = stream_release(session->stream, &context->chunks, session->chunk);
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
    end_if_done(session, context);
}
