#include "mirror.h"

#include "lifecycle.h"
#include "observe/histogram.h"
#include "protocol/detect.h"
#include "ready.h"

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

/* The first of the chunks that were appended. */
static struct chunk *first_after(const struct stream *stream, const struct chunk *before)
{
    return before ? before->next : stream->client.head;
}

/* The first chunk shows what the connection speaks; that is counted once. False: it must not be replayed. */
static bool detect(struct replay *replay, struct stream *stream)
{
    if (stream->detected || !stream->client.head)
        return true;
    stream->detected = true;
    const struct chunk *chunk = stream->client.head;
    enum protocol protocol = protocol_detect(chunk->bytes, chunk->size, chunk->turn != 0);
    stats_add(&replay->context.stats->protocol[protocol], 1);
    return protocol != PROTOCOL_tls || replay->config->transfers[stream->transfer].tls_replay;
}

static enum drop append(struct replay *replay, struct stream *stream, const struct packet *packet)
{
    struct session_context *context = &replay->context;
    const struct chunk *before = stream->client.tail;
    uint32_t next = stream->client.next;
    enum drop drop = stream_append(stream, &context->chunks, packet, context->now);
    uint64_t taken = (uint64_t)(stream->client.next - next) * stream->session_count;
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
    else if (stream->client.held > replay->config->limits.backlog_bytes)
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
    if (stream->client.held + packet->size > replay->config->limits.backlog_bytes)
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
    uint32_t distance = packet->seq - stream->first - stream->client.next + FURTHEST_AHEAD;
    if (distance > 2 * FURTHEST_AHEAD)
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
