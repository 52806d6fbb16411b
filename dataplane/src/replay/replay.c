#include "replay.h"

#include <errno.h>

#include "lifecycle.h"
#include "observe/histogram.h"
#include "protocol/detect.h"

#define OWNER_OF(object, type, member) ((type *)(void *)((uint8_t *)(object)-offsetof(type, member)))

enum { CHUNK_SIZE = sizeof(struct chunk) };

static uint32_t share(uint64_t total, uint32_t workers)
{
    uint64_t part = (total + workers - 1) / workers;
    return part < 1 ? 1 : part > 1u << 30 ? 1u << 30 : (uint32_t)part;
}

int replay_open(struct replay *replay, const struct dp_config *config, struct stats *stats, uint32_t mtu,
                uint32_t worker)
{
    const struct dp_limits *limits = &config->limits;
    replay->config = config;
    replay->context = (struct session_context){
        .timing = &config->timing, .stats = stats, .clock_offset = config->clock_offset, .mtu = mtu};
    transfers_open(&replay->transfers, config);
    admission_open(&replay->admission, config);
    endpoints_open(&replay->endpoints, config, &replay->forged, worker);
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

void replay_warm(struct replay *replay)
{
    pool_warm(&replay->context.chunks, REPLAY_WARM_BYTES);
    pool_warm(&replay->streams, REPLAY_WARM_BYTES);
    pool_warm(&replay->sessions, REPLAY_WARM_BYTES);
    table_warm(&replay->mirrored);
    table_warm(&replay->forged);
}

void replay_close(struct replay *replay)
{
    table_close(&replay->forged);
    table_close(&replay->mirrored);
    pool_close(&replay->sessions);
    pool_close(&replay->streams);
    pool_close(&replay->context.chunks);
}

/* --- the mirror ----------------------------------------------------------------------------------------- */

bool replay_is_from_client(const struct replay *replay, const struct packet *packet)
{
    return transfers_match_source(&replay->transfers, packet->transport, &packet->destination) != NULL;
}

static enum drop on_syn(struct replay *replay, struct stream *stream, const struct packet *packet)
{
    if (!stream->joining && packet->seq + 1 == stream->first)
        return DROP_duplicate;
    const struct dp_transfer *transfer = &replay->config->transfers[stream->transfer];
    struct flow flow = stream->flow;
    connection_end_sessions(replay, stream, END_superseded);
    connection_forget(replay, stream);
    return connection_open(replay, transfer, &flow, packet);
}

/* The chunks that appending has added. */
static struct chunk *first_after(const struct stream *stream, const struct chunk *before)
{
    return before ? before->next : stream->head;
}

/* What the connection speaks is told by its first chunk, and counted once. False: it is not to be replayed.
 */
static bool detect(struct replay *replay, struct stream *stream)
{
    if (stream->detected || !stream->head)
        return true;
    stream->detected = true;
    const struct chunk *chunk = stream->head;
    struct stats *stats = replay->context.stats;
    uint64_t *const counters[PROTOCOL_COUNT] = {
        [PROTOCOL_UNKNOWN] = &stats->protocol_unknown,       [PROTOCOL_TLS] = &stats->protocol_tls,
        [PROTOCOL_HTTP1] = &stats->protocol_http1,           [PROTOCOL_HTTP2] = &stats->protocol_http2,
        [PROTOCOL_MYSQL] = &stats->protocol_mysql,           [PROTOCOL_REDIS] = &stats->protocol_redis,
        [PROTOCOL_POSTGRESQL] = &stats->protocol_postgresql,
    };
    enum protocol protocol = protocol_detect(chunk->bytes, chunk->size, chunk->turn != 0);
    stats_add(counters[protocol], 1);
    return protocol != PROTOCOL_TLS || replay->config->transfers[stream->transfer].tls_replay;
}

static enum drop append(struct replay *replay, struct stream *stream, const struct packet *packet)
{
    struct session_context *context = &replay->context;
    const struct chunk *before = stream->tail;
    uint32_t next = stream->next;
    enum drop drop = stream_append(stream, &context->chunks, packet, context->now);
    uint64_t taken = (uint64_t)(stream->next - next) * stream->session_count;
    stream->asked_at = taken ? context->now : stream->asked_at;
    stats_add(&context->stats->request_bytes_taken, taken);
    stats_add(&context->stats->request_bytes_pending, taken);
    if (!detect(replay, stream)) {
        connection_end_sessions(replay, stream, END_tls_not_replayable);
        return drop;
    }
    bool closes = packet->flags & (TCP_FIN | TCP_RST);
    if (!drop || closes)
        connection_tell(replay, stream, first_after(stream, before));
    if (drop == DROP_buffers_full)
        connection_end_sessions(replay, stream, END_buffers_full);
    else if (stream->held > replay->config->limits.backlog_bytes)
        connection_end_sessions(replay, stream, END_backlog_exceeded);
    return drop;
}

/* A segment of a connection that is not replayed yet. */
static enum drop on_joining(struct replay *replay, struct stream *stream, const struct packet *packet)
{
    const struct dp_transfer *transfer = &replay->config->transfers[stream->transfer];
    stream->heard = replay->context.now;
    enum drop drop = DROP_joining;
    if (stream_turn_begins(stream, packet))
        drop = connection_refuse(replay, transfer, &packet->source, true);
    if (drop) {
        stream->reset |= (packet->flags & (TCP_FIN | TCP_RST)) != 0;
        connection_watch(replay, stream);
        return drop;
    }
    stream_begin(stream, packet);
    connection_open_sessions(replay, stream);
    if (!stream->sessions) {
        stream->joining = true;
        return DROP_endpoint_taken;
    }
    stream_note(stream, packet);
    stats_add(&replay->context.stats->connections_joined, 1);
    drop = append(replay, stream, packet);
    connection_watch(replay, stream);
    return drop;
}

/* UDP: each datagram is a chunk, and leaves as it came. */
static enum drop on_datagram(struct replay *replay, struct stream *stream, const struct packet *packet)
{
    struct session_context *context = &replay->context;
    stream->heard = context->now;
    if (!stream->sessions)
        return DROP_connection_ended;
    if (packet->size > session_most_datagram(stream->sessions, context))
        return DROP_too_large;
    if (stream->held + packet->size > replay->config->limits.backlog_bytes)
        return DROP_buffers_full;
    struct chunk *chunk = stream_append_datagram(stream, &context->chunks, packet);
    if (!chunk)
        return DROP_buffers_full;
    uint64_t taken = (uint64_t)packet->size * stream->session_count;
    stream->asked_at = context->now;
    stats_add(&context->stats->request_bytes_taken, taken);
    stats_add(&context->stats->request_bytes_pending, taken);
    for (struct session *session = stream->sessions; session; session = session->sibling) {
        session->chunk = session->chunk ? session->chunk : chunk;
        ready_push(replay, session);
    }
    return DROP_NONE;
}

static enum drop on_first_datagram(struct replay *replay, const struct dp_transfer *transfer,
                                   const struct flow *flow, const struct packet *packet)
{
    enum drop drop = connection_open(replay, transfer, flow, packet);
    return drop ? drop : on_datagram(replay, table_find(&replay->mirrored, flow), packet);
}

enum { FURTHEST = 1 << 30 };

static enum drop on_client(struct replay *replay, struct stream *stream, const struct packet *packet)
{
    struct stats *stats = replay->context.stats;
    stats_add(&stats->mirror_client_frames, 1);
    stats_add(&stats->mirror_client_payload, packet->size != 0);
    if (packet->transport == DP_UDP)
        return on_datagram(replay, stream, packet);
    if (packet->flags & TCP_SYN)
        return on_syn(replay, stream, packet);
    if (stream->joining)
        return on_joining(replay, stream, packet);
    uint32_t distance = packet->seq - stream->first - stream->next + FURTHEST;
    if (distance > 2u * FURTHEST)
        return DROP_outside_window;
    bool said_before = !packet->size && (((packet->flags & TCP_FIN) && stream->has_fin) ||
                                         ((packet->flags & TCP_RST) && stream->reset));
    stream->heard = replay->context.now;
    stream_note(stream, packet);
    enum drop drop = stream->sessions ? append(replay, stream, packet) : DROP_connection_ended;
    connection_watch(replay, stream);
    return said_before && !drop ? DROP_duplicate : drop;
}

static void time_production(struct replay *replay, struct stream *stream, const struct packet *packet)
{
    struct transfer_stats *stats = &replay->context.transfers[stream->transfer];
    if (!packet->size || !stream->asked_at)
        return;
    histogram_add(&stats->answer_time[DP_SIDE_PRODUCTION], replay->context.now - stream->asked_at);
    stream->asked_at = 0;
}

static enum drop on_server(struct replay *replay, struct stream *stream, const struct packet *packet)
{
    bool was_reset = stream->reset;
    stats_add(&replay->context.stats->mirror_server_frames, 1);
    time_production(replay, stream, packet);
    stream->heard = replay->context.now;
    stream_on_server(stream, packet);
    if (stream->reset && !was_reset)
        connection_tell(replay, stream, NULL);
    if (stream->reset || stream_has_gap(stream))
        connection_watch(replay, stream);
    return DROP_NONE;
}

static enum drop on_unknown(struct replay *replay, const struct flow *flow, const struct packet *packet)
{
    const struct dp_transfer *transfer =
        transfers_match_source(&replay->transfers, packet->transport, &packet->destination);
    if (!transfer)
        return transfers_match_source(&replay->transfers, packet->transport, &packet->source)
                   ? DROP_no_connection
                   : DROP_no_transfer;
    stats_add(&replay->context.stats->mirror_client_frames, 1);
    stats_add(&replay->context.stats->mirror_client_payload, packet->size != 0);
    if (packet->transport == DP_UDP)
        return on_first_datagram(replay, transfer, flow, packet);
    if ((packet->flags & (TCP_SYN | TCP_ACK)) == TCP_SYN)
        return connection_open(replay, transfer, flow, packet);
    return connection_open_joining(replay, transfer, flow, packet);
}

enum drop replay_on_mirror(struct replay *replay, const struct packet *packet, uint64_t now)
{
    replay->context.now = now;
    struct flow flow = flow_make(packet->transport, &packet->source, &packet->destination);
    struct stream *stream = NULL;
    if (transfers_have_port(&replay->transfers, packet->destination.port))
        stream = table_find(&replay->mirrored, &flow);
    if (stream)
        return on_client(replay, stream, packet);
    if (transfers_have_port(&replay->transfers, packet->source.port)) {
        struct flow reverse = flow_make(packet->transport, &packet->destination, &packet->source);
        stream = table_find(&replay->mirrored, &reverse);
    }
    return stream ? on_server(replay, stream, packet) : on_unknown(replay, &flow, packet);
}

/* --- the target ----------------------------------------------------------------------------------------- */

/* RFC 9293 3.10.7.1: what nobody claims is answered with a RST, so that the target lets go of it. */
static enum drop on_stray(struct replay *replay, const struct flow *flow, const struct packet *packet)
{
    const struct dp_transfer *transfer =
        transfers_match_target(&replay->transfers, packet->transport, &packet->source);
    if (!transfer)
        return DROP_no_transfer;
    uint16_t index = (uint16_t)(transfer - replay->config->transfers);
    bool wants_reset = (packet->flags & (TCP_ACK | TCP_RST)) == TCP_ACK && transfer->state != DP_STOPPED;
    if (wants_reset && replay->stray_count < REPLAY_STRAYS)
        replay->strays[replay->stray_count++] = (struct stray){*flow, packet->ack, index};
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

/* --- the clock ------------------------------------------------------------------------------------------ */

/* The hole is never sent. What follows it is taken up again where the next turn begins. */
static void end_at_gap(struct replay *replay, struct stream *stream)
{
    const struct dp_transfer *transfer = &replay->config->transfers[stream->transfer];
    if (stream_take_missed_fin(stream)) {
        connection_tell(replay, stream, NULL);
    } else {
        if (!transfer->full_sessions_only)
            stream_rejoin(stream);
        connection_end_sessions(replay, stream, END_mirror_gap);
    }
    connection_watch(replay, stream);
}

static void on_stream_time(struct replay *replay, struct stream *stream)
{
    const struct dp_timing *timing = &replay->config->timing;
    uint64_t now = replay->context.now;
    if (now < connection_deadline(replay, stream)) {
        connection_watch(replay, stream);
        return;
    }
    if (stream->session_count && stream_has_gap(stream) && now < stream->heard + timing->idle_timeout) {
        end_at_gap(replay, stream);
        return;
    }
    connection_end_sessions(replay, stream, END_idle);
    connection_forget(replay, stream);
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
        session_follow_up(replay, session);
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
        session_retire(replay, session); /* closes the slot: the next one may have moved here */
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
        .transport = DP_TCP,
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
        struct session *session = ready_pop(replay);
        if (session->end) {
            replay->ending--;
            pool_give(&replay->sessions, session);
        } else /* planning may have started a timer */
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
}

void replay_sent(struct replay *replay, const struct segment *segment)
{
    count_sent(replay->context.stats, segment);
    STATS_COUNT(replay->context.stats, &replay->context.transfers[segment->transfer], retransmits,
                segment->again);
    if (replay->stray_count) {
        replay->stray_count--;
        return;
    }
    struct session *session = replay->ready_head;
    bool was_over = session->end;
    session_sent(session, &replay->context, segment);
    if (session->end && !was_over)
        session_retire(replay, session);
    else if (--replay->budget == 0)
        ready_push(replay, ready_pop(replay));
}

void replay_housekeeping(struct replay *replay)
{
    struct pool *pools[] = {&replay->context.chunks, &replay->sessions, &replay->streams};
    uint32_t held = 0;
    for (uint32_t i = 0; i < sizeof(pools) / sizeof(pools[0]); i++) {
        replay->empty_beats[i] = pools[i]->live ? 0 : replay->empty_beats[i] + 1;
        if (replay->empty_beats[i] % REPLAY_RELEASE_BEATS == REPLAY_RELEASE_BEATS - 1)
            pool_release(pools[i]);
        held += pools[i]->live;
    }
    stats_set(&replay->context.stats->objects_held, held);
    stats_set(&replay->context.stats->buffers_used, replay->context.chunks.live);
}
