#include "replay.h"

#include <errno.h>

#define OWNER_OF(object, type, member) ((type *)(void *)((uint8_t *)(object)-offsetof(type, member)))

enum { CHUNK_SIZE = sizeof(struct chunk) };

static uint32_t share(uint64_t total, uint32_t workers)
{
    uint64_t part = (total + workers - 1) / workers;
    return part < 1 ? 1 : part > 1u << 30 ? 1u << 30 : (uint32_t)part;
}

int replay_open(struct replay *replay, const struct dp_config *config, struct stats *stats, uint32_t mtu)
{
    const struct dp_limits *limits = &config->limits;
    replay->config = config;
    replay->context = (struct session_context){
        .timing = &config->timing, .stats = stats, .clock_offset = config->clock_offset, .mtu = mtu};
    transfers_open(&replay->transfers, config);
    struct pool *chunks = &replay->context.chunks;
    int code = pool_open(chunks, CHUNK_SIZE, share(limits->buffer_bytes / CHUNK_SIZE, config->workers));
    code = code ? code
                : pool_open(&replay->streams, sizeof(struct stream),
                            share(limits->connections, config->workers));
    code =
        code ? code
             : pool_open(&replay->sessions, sizeof(struct session), share(limits->sessions, config->workers));
    code = code ? code : table_open(&replay->mirrored, &replay->streams);
    return code ? code : table_open(&replay->forged, &replay->sessions);
}

void replay_close(struct replay *replay)
{
    table_close(&replay->forged);
    table_close(&replay->mirrored);
    pool_close(&replay->sessions);
    pool_close(&replay->streams);
    pool_close(&replay->context.chunks);
}

/* --- the list of sessions with something to send ---------------------------------------------------- */

static void make_ready(struct replay *replay, struct session *session)
{
    if (session->ready)
        return;
    session->ready = true;
    session->ready_next = NULL;
    if (replay->ready_tail)
        replay->ready_tail->ready_next = session;
    else {
        replay->ready_head = session;
        replay->budget = REPLAY_BUDGET;
    }
    replay->ready_tail = session;
}

static struct session *pop_ready(struct replay *replay)
{
    struct session *session = replay->ready_head;
    replay->ready_head = session->ready_next;
    if (!replay->ready_head)
        replay->ready_tail = NULL;
    replay->budget = REPLAY_BUDGET;
    session->ready = false;
    return session;
}

/* --- ends ----------------------------------------------------------------------------------------------- */

static bool stream_is_over(const struct stream *stream)
{
    return stream->has_fin || stream->reset;
}

static uint64_t stream_deadline(const struct replay *replay, const struct stream *stream)
{
    const struct dp_timing *timing = &replay->config->timing;
    if (!stream->session_count && stream_is_over(stream))
        return stream->heard + timing->linger;
    uint64_t idle = stream->heard + timing->idle_timeout;
    if (stream->session_count && stream_has_gap(stream)) {
        uint64_t gap = stream->gap_at + timing->gap_timeout;
        return gap < idle ? gap : idle;
    }
    return idle;
}

static void watch_stream(struct replay *replay, struct stream *stream)
{
    timer_arm(&replay->wheel, &stream->timer, stream_deadline(replay, stream));
}

static void unlink_from_stream(struct stream *stream, const struct session *session)
{
    struct session **link = &stream->sessions;
    while (*link != session)
        link = &(*link)->sibling;
    *link = session->sibling;
    stream->session_count--;
}

/* A session that has ended leaves everything but the ready list, where its last RST may still wait. */
static void retire(struct replay *replay, struct session *session)
{
    struct stream *stream = session->stream;
    unlink_from_stream(stream, session);
    table_remove(&replay->forged, session);
    timer_cancel(&replay->wheel, &session->timer);
    session->stream = NULL;
    make_ready(replay, session);
    if (!stream->session_count) {
        stream_clear(stream, &replay->context.chunks);
        watch_stream(replay, stream);
    }
}

/* After every event: it has ended, or it may have something to send and something to wait for. */
static void follow_up(struct replay *replay, struct session *session)
{
    if (session->end) {
        retire(replay, session);
        return;
    }
    make_ready(replay, session);
    timer_arm(&replay->wheel, &session->timer, session_deadline(session, &replay->context));
}

static void end_sessions(struct replay *replay, struct stream *stream, enum end end)
{
    while (stream->sessions) {
        struct session *session = stream->sessions;
        session_end(session, &replay->context, end);
        retire(replay, session);
    }
}

static void forget_stream(struct replay *replay, struct stream *stream)
{
    stream_clear(stream, &replay->context.chunks);
    timer_cancel(&replay->wheel, &stream->timer);
    table_remove(&replay->mirrored, stream);
    pool_give(&replay->streams, stream);
    stats_add(&replay->context.stats->connections_closed, 1);
    stats_sub(&replay->context.stats->connections_live, 1);
}

/* --- the mirror ----------------------------------------------------------------------------------------- */

bool replay_is_from_client(const struct replay *replay, const struct packet *packet)
{
    return transfers_match_source(&replay->transfers, &packet->destination) != NULL;
}

/* What keeps a new connection out, asked once for each: the seam for filters, sampling and rates. */
static enum drop admit(const struct replay *replay, const struct flow *forged)
{
    if (replay->draining)
        return DROP_draining;
    if (replay->streams.live == replay->streams.capacity ||
        replay->sessions.live == replay->sessions.capacity)
        return DROP_table_full;
    return table_find(&replay->forged, forged) ? DROP_endpoint_taken : DROP_NONE;
}

static enum drop open_connection(struct replay *replay, const struct dp_transfer *transfer,
                                 const struct flow *flow, const struct packet *packet)
{
    struct session_context *context = &replay->context;
    struct flow forged = transfer_forge(transfer, &packet->source);
    enum drop drop = admit(replay, &forged);
    if (drop)
        return drop;
    struct stream *stream = pool_take(&replay->streams);
    stream_open(stream, flow, packet, context->now);
    stream->transfer = (uint16_t)(transfer - replay->config->transfers);
    table_insert(&replay->mirrored, stream);
    watch_stream(replay, stream);
    stats_add(&context->stats->mirror_syn, 1);
    stats_add(&context->stats->connections_opened, 1);
    stats_add(&context->stats->connections_live, 1);
    struct session *session = pool_take(&replay->sessions);
    session_open(session, context, &forged, stream);
    table_insert(&replay->forged, session);
    follow_up(replay, session);
    return DROP_NONE;
}

static enum drop on_syn(struct replay *replay, struct stream *stream, const struct packet *packet)
{
    if (packet->seq + 1 == stream->first)
        return DROP_duplicate;
    const struct dp_transfer *transfer = &replay->config->transfers[stream->transfer];
    struct flow flow = stream->flow;
    end_sessions(replay, stream, END_superseded);
    forget_stream(replay, stream);
    return open_connection(replay, transfer, &flow, packet);
}

/* The chunks that appending has added. */
static struct chunk *first_after(const struct stream *stream, const struct chunk *before)
{
    return before ? before->next : stream->head;
}

static void tell_sessions(struct replay *replay, struct stream *stream, struct chunk *first)
{
    struct session *next;
    for (struct session *session = stream->sessions; session; session = next) {
        next = session->sibling;
        session_on_stream(session, &replay->context, first);
        follow_up(replay, session);
    }
}

static enum drop append(struct replay *replay, struct stream *stream, const struct packet *packet)
{
    struct session_context *context = &replay->context;
    const struct chunk *before = stream->tail;
    uint32_t next = stream->next;
    enum drop drop = stream_append(stream, &context->chunks, packet, context->now);
    uint64_t taken = (uint64_t)(stream->next - next) * stream->session_count;
    stats_add(&context->stats->request_bytes_taken, taken);
    stats_add(&context->stats->request_bytes_pending, taken);
    bool closes = packet->flags & (TCP_FIN | TCP_RST);
    if (!drop || closes)
        tell_sessions(replay, stream, first_after(stream, before));
    if (drop == DROP_buffers_full)
        end_sessions(replay, stream, END_buffers_full);
    else if (stream->held > replay->config->limits.backlog_bytes)
        end_sessions(replay, stream, END_backlog_exceeded);
    return drop;
}

enum { FURTHEST = 1 << 30 };

static enum drop on_client(struct replay *replay, struct stream *stream, const struct packet *packet)
{
    struct stats *stats = replay->context.stats;
    stats_add(&stats->mirror_client_frames, 1);
    stats_add(&stats->mirror_client_payload, packet->size != 0);
    if (packet->flags & TCP_SYN)
        return on_syn(replay, stream, packet);
    uint32_t distance = packet->seq - stream->first - stream->next + FURTHEST;
    if (distance > 2u * FURTHEST)
        return DROP_outside_window;
    bool said_before = !packet->size && (((packet->flags & TCP_FIN) && stream->has_fin) ||
                                         ((packet->flags & TCP_RST) && stream->reset));
    stream->heard = replay->context.now;
    stream_note(stream, packet);
    enum drop drop = stream->sessions ? append(replay, stream, packet) : DROP_connection_ended;
    watch_stream(replay, stream);
    return said_before && !drop ? DROP_duplicate : drop;
}

static enum drop on_server(struct replay *replay, struct stream *stream, const struct packet *packet)
{
    bool was_reset = stream->reset;
    stats_add(&replay->context.stats->mirror_server_frames, 1);
    stream->heard = replay->context.now;
    stream_on_server(stream, packet);
    if (stream->reset && !was_reset) {
        tell_sessions(replay, stream, NULL);
        watch_stream(replay, stream);
    }
    return DROP_NONE;
}

static enum drop on_unknown(struct replay *replay, const struct flow *flow, const struct packet *packet)
{
    const struct dp_transfer *transfer = transfers_match_source(&replay->transfers, &packet->destination);
    if (!transfer)
        return transfers_match_source(&replay->transfers, &packet->source) ? DROP_no_connection
                                                                           : DROP_no_transfer;
    stats_add(&replay->context.stats->mirror_client_frames, 1);
    stats_add(&replay->context.stats->mirror_client_payload, packet->size != 0);
    if ((packet->flags & (TCP_SYN | TCP_ACK)) != TCP_SYN)
        return DROP_no_connection; /* the seam for joining in mid-stream */
    return open_connection(replay, transfer, flow, packet);
}

enum drop replay_on_mirror(struct replay *replay, const struct packet *packet, uint64_t now)
{
    replay->context.now = now;
    struct flow flow = flow_make(&packet->source, &packet->destination);
    struct stream *stream = NULL;
    if (transfers_have_port(&replay->transfers, packet->destination.port))
        stream = table_find(&replay->mirrored, &flow);
    if (stream)
        return on_client(replay, stream, packet);
    if (transfers_have_port(&replay->transfers, packet->source.port)) {
        struct flow reverse = flow_make(&packet->destination, &packet->source);
        stream = table_find(&replay->mirrored, &reverse);
    }
    return stream ? on_server(replay, stream, packet) : on_unknown(replay, &flow, packet);
}

/* --- the target ----------------------------------------------------------------------------------------- */

/* RFC 9293 3.10.7.1: what nobody claims is answered with a RST, so that the target lets go of it. */
static enum drop on_stray(struct replay *replay, const struct flow *flow, const struct packet *packet)
{
    const struct dp_transfer *transfer = transfers_match_target(&replay->transfers, &packet->source);
    if (!transfer)
        return DROP_no_transfer;
    uint16_t index = (uint16_t)(transfer - replay->config->transfers);
    if ((packet->flags & (TCP_ACK | TCP_RST)) == TCP_ACK && replay->stray_count < REPLAY_STRAYS)
        replay->strays[replay->stray_count++] = (struct stray){*flow, packet->ack, index};
    return DROP_no_session;
}

enum drop replay_on_answer(struct replay *replay, const struct packet *packet, uint64_t now)
{
    struct stats *stats = replay->context.stats;
    replay->context.now = now;
    struct flow flow = flow_make(&packet->destination, &packet->source);
    struct session *session = table_find(&replay->forged, &flow);
    if (!session)
        return on_stray(replay, &flow, packet);
    stats_add(&stats->test_payload, packet->size != 0);
    stats_add(&stats->test_fin, (packet->flags & TCP_FIN) != 0);
    stats_add(&stats->test_rst, (packet->flags & TCP_RST) != 0);
    enum drop drop = session_on_answer(session, &replay->context, packet);
    follow_up(replay, session);
    return drop;
}

/* --- the clock ------------------------------------------------------------------------------------------ */

static void on_stream_time(struct replay *replay, struct stream *stream)
{
    const struct dp_timing *timing = &replay->config->timing;
    uint64_t now = replay->context.now;
    if (now < stream_deadline(replay, stream)) {
        watch_stream(replay, stream);
        return;
    }
    if (stream->session_count && now < stream->heard + timing->idle_timeout) {
        end_sessions(replay, stream, END_mirror_gap);
        watch_stream(replay, stream);
        return;
    }
    end_sessions(replay, stream, END_idle);
    forget_stream(replay, stream);
}

void replay_on_time(struct replay *replay, uint64_t now)
{
    replay->context.now = now;
    for (struct timer *timer; (timer = wheel_expire(&replay->wheel, now));) {
        if (timer->kind == TIMER_STREAM) {
            on_stream_time(replay, OWNER_OF(timer, struct stream, timer));
            continue;
        }
        struct session *session = OWNER_OF(timer, struct session, timer);
        session_on_time(session, &replay->context);
        follow_up(replay, session);
    }
}

void replay_drain(struct replay *replay)
{
    replay->draining = true;
    for (uint32_t at = 0; at <= replay->forged.mask;) {
        uint32_t object = replay->forged.slots[at].object;
        if (!object) {
            at++;
            continue;
        }
        struct session *session =
            (struct session *)(void *)(replay->sessions.base + replay->sessions.object_size * (object - 1));
        session_end(session, &replay->context, END_stopped);
        retire(replay, session); /* closes the slot: the next one may have moved here */
    }
}

/* --- out ------------------------------------------------------------------------------------------------ */

static bool next_stray(const struct replay *replay, struct segment *segment)
{
    const struct stray *stray = &replay->strays[replay->stray_count - 1];
    *segment = (struct segment){
        .source = {stray->flow.client, stray->flow.client_port},
        .destination = {stray->flow.server, stray->flow.server_port},
        .transfer = stray->transfer,
        .seq = stray->seq,
        .flags = TCP_RST,
        .options.window_scale = NO_WINDOW_SCALE,
    };
    return true;
}

bool replay_next(struct replay *replay, struct segment *segment)
{
    if (replay->stray_count)
        return next_stray(replay, segment);
    while (replay->ready_head) {
        if (session_next(replay->ready_head, &replay->context, segment))
            return true;
        struct session *session = pop_ready(replay);
        if (session->end)
            pool_give(&replay->sessions, session);
        else /* planning may have started a timer */
            timer_arm(&replay->wheel, &session->timer, session_deadline(session, &replay->context));
    }
    return false;
}

static void count_sent(struct stats *stats, const struct segment *segment)
{
    stats_add(&stats->sent_payload, segment->size != 0);
    stats_add(&stats->sent_syn, (segment->flags & TCP_SYN) != 0);
    stats_add(&stats->sent_fin, (segment->flags & TCP_FIN) != 0);
    stats_add(&stats->sent_rst, (segment->flags & TCP_RST) != 0);
    stats_add(&stats->retransmits, segment->again);
}

void replay_sent(struct replay *replay, const struct segment *segment)
{
    count_sent(replay->context.stats, segment);
    if (replay->stray_count) {
        replay->stray_count--;
        return;
    }
    struct session *session = replay->ready_head;
    bool was_over = session->end;
    session_sent(session, &replay->context, segment);
    if (session->end && !was_over)
        retire(replay, session);
    else if (--replay->budget == 0)
        make_ready(replay, pop_ready(replay));
}

void replay_report(const struct replay *replay)
{
    stats_set(&replay->context.stats->buffers_used, replay->context.chunks.live);
}
