#include "mirror.h"

#include "lifecycle.h"
#include "observe/histogram.h"
#include "ready.h"
#include "reopen.h"
#include "session/numbers.h"
#include "tongue.h"

enum { FIRST_EPHEMERAL = 32768 };

bool replay_is_from_client(const struct replay *replay, const struct packet *packet)
{
    return transfers_match_source(&replay->transfers, packet->transport, &packet->destination) != NULL;
}

bool replay_is_two_faced(const struct replay *replay, const struct packet *packet)
{
    return transfers_have_port(&replay->transfers, packet->source.port) &&
           replay_is_from_client(replay, packet) &&
           transfers_match_source(&replay->transfers, packet->transport, &packet->source);
}

static enum drop on_syn(struct replay *replay, struct stream *stream, const struct packet *packet)
{
    if (!stream->joining && packet->seq + 1 == stream->first)
        return DROP_duplicate;
    if (!stream_is_over(stream)) {
        const struct newcomer *newcomer = newcomers_find(&replay->newcomers, stream);
        if (newcomer && newcomer->syn.seq == packet->seq)
            return DROP_duplicate;
        newcomers_note(&replay->newcomers, stream, packet, replay->context.now);
        connection_watch(replay, stream);
        return DROP_unconfirmed;
    }
    return connection_supersede(replay, stream, packet);
}

/* The new connection that the segment belongs to, though it has the key of one that lives; or NULL. */
static struct stream *newcomer_of(struct replay *replay, struct stream *stream, const struct packet *packet,
                                  bool from_client)
{
    const struct newcomer *newcomer = newcomers_find(&replay->newcomers, stream);
    if (!newcomer || !newcomer_is_confirmed(newcomer, packet, from_client))
        return NULL;
    struct flow flow = stream->flow;
    struct packet syn = newcomer->syn;
    connection_supersede(replay, stream, &syn);
    return table_find(&replay->mirrored, &flow);
}

/* The first of the chunks that were appended. */
static struct chunk *first_after(const struct stream *stream, const struct chunk *before)
{
    return before ? before->next : stream->client.head;
}

static void count_taken(struct replay *replay, struct stream *stream, uint32_t bytes)
{
    struct session_context *context = &replay->context;
    uint64_t taken = (uint64_t)bytes * stream->session_count;
    stats_add(&context->stats->request_bytes_skipped, (uint64_t)bytes * stream->missing);
    stream->asked_at = taken ? context->now : stream->asked_at;
    stats_add(&context->stats->request_bytes_taken, taken);
    stats_add(&context->stats->request_bytes_pending, taken);
}

/* The data of the SYN, once it is known to count. */
static void take_syn_data(struct replay *replay, struct stream *stream, const struct packet *packet,
                          bool from_client)
{
    if (!stream_settle_syn(stream, &replay->context.chunks, packet, from_client))
        return;
    count_taken(replay, stream, stream->client.next);
    if (tongue_detect(replay, stream))
        connection_tell(replay, stream, stream->detected ? stream->client.head : NULL);
    else
        connection_end_sessions(replay, stream, END_tls_not_replayable);
}

/* Those that hold the oldest bytes, until the rest is within bounds: their siblings go on. Bytes behind a
 * hole are held by nobody; if they are too many, all end. */
static void end_slowest(struct replay *replay, struct stream *stream)
{
    uint64_t most = replay->config->limits.backlog_bytes;
    bool ended = true;
    while (ended && stream->sessions && stream->client.head && stream->client.held > most) {
        const struct chunk *oldest = stream->client.head;
        ended = false;
        for (struct session *session = stream->sessions, *next; session; session = next) {
            next = session->sibling;
            if (session->chunk != oldest)
                continue;
            ended = true;
            session_end(session, &replay->context, END_backlog_exceeded);
            session_retire(replay, session);
        }
    }
    if (stream->client.held > most)
        connection_end_sessions(replay, stream, END_backlog_exceeded);
}

static enum drop append(struct replay *replay, struct stream *stream, const struct packet *packet)
{
    struct session_context *context = &replay->context;
    const struct chunk *before = stream->client.tail;
    uint32_t next = stream->client.next;
    bool waited = !stream->detected;
    enum drop drop = stream_append(stream, &context->chunks, packet, context->now);
    count_taken(replay, stream, stream->client.next - next);
    tongue_hear_client(stream, packet);
    if (!tongue_detect(replay, stream) || tongue_is_tls(replay, stream, packet)) {
        connection_reopened(replay, stream, 0);
        connection_end_sessions(replay, stream, END_tls_not_replayable);
        return drop;
    }
    if (!stream->detected && stream->client.head)
        return drop; /* the beginning of TLS, or not: more bytes will tell */
    bool closes = packet->flags & (TCP_FIN | TCP_RST);
    if (!drop || closes)
        connection_tell(replay, stream, waited ? stream->client.head : first_after(stream, before));
    if (drop == DROP_buffers_full)
        connection_end_sessions(replay, stream, END_buffers_full);
    else if (stream->client.held > replay->config->limits.backlog_bytes)
        end_slowest(replay, stream);
    return drop;
}

/* Bytes that the client said while the target was gone. */
static void count_skipped(struct replay *replay, const struct stream *stream, uint32_t size)
{
    stats_add(&replay->context.stats->request_bytes_skipped, (uint64_t)size * stream->missing);
}

/* A segment of a connection that is not replayed yet. */
static enum drop on_joining(struct replay *replay, struct stream *stream, const struct packet *packet)
{
    const struct dp_transfer *transfer = &replay->config->transfers[stream->transfer];
    if (!numbers_fit_joining(stream, packet, true))
        return DROP_outside_window;
    enum drop drop = connection_hatch(replay, stream);
    if (drop)
        return drop;
    uint32_t before = stream->join_next;
    stream->heard = replay->context.now;
    drop = stream->missing ? DROP_connection_ended : DROP_joining;
    if (stream_turn_begins(stream, packet) && (!stream->missing || connection_may_reopen(replay, stream)))
        drop = connection_refuse(replay, transfer, &packet->source, true);
    if (drop) {
        count_skipped(replay, stream, stream->join_next - before);
        stream->reset |= (packet->flags & (TCP_FIN | TCP_RST)) != 0;
        if (stream->reset)
            connection_reopened(replay, stream, 0);
        connection_watch(replay, stream);
        return drop;
    }
    stream_begin(stream, packet);
    uint32_t opened = connection_open_sessions(replay, stream, transfer->multiplier, 0);
    if (!opened) {
        stream->joining = true;
        return DROP_endpoint_taken;
    }
    stream_note(stream, packet);
    stats_add(&replay->context.stats->connections_joined, !stream->missing);
    connection_reopened(replay, stream, opened);
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
    if (twins_find(&replay->twins, &stream->flow, packet, replay->timed, context->now))
        return DROP_duplicate;
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

/* The mirror has missed so much that nothing fits any more. */
static void lose(struct replay *replay, struct stream *stream)
{
    connection_end_sessions(replay, stream, END_mirror_gap);
    stream->joining = !replay->config->transfers[stream->transfer].full_sessions_only;
    stream->has_join_ack = stream->has_fin = false;
    connection_watch(replay, stream);
}

/* A RST that waits; see connection_deadline. */
static enum drop put_off(struct replay *replay, struct stream *stream)
{
    connection_watch(replay, stream);
    return DROP_unconfirmed;
}

static enum drop judge_client(struct replay *replay, struct stream *stream, const struct packet *packet)
{
    enum belief belief = numbers_of_client(stream, packet);
    if (belief == LOST) {
        lose(replay, stream);
        return stream->joining ? DROP_NONE : DROP_outside_window;
    }
    if (belief)
        return belief == UNCONFIRMED ? put_off(replay, stream) : DROP_outside_window;
    if (stream->has_newcomer && !stream->has_server && !(packet->flags & TCP_RST))
        newcomers_forget(&replay->newcomers, stream); /* the old connection lives */
    return DROP_NONE;
}

/* A bare FIN or RST that has come before. */
static bool was_said(const struct stream *stream, const struct packet *packet)
{
    bool fin = (packet->flags & TCP_FIN) && stream->has_fin;
    return !packet->size && (fin || ((packet->flags & TCP_RST) && stream->reset));
}

/* A segment of a connection that is replayed. */
static enum drop on_segment(struct replay *replay, struct stream *stream, const struct packet *packet)
{
    enum drop refused = judge_client(replay, stream, packet);
    if (refused)
        return refused;
    if (!stream->joining && stream_turn_follows(stream, packet))
        reopen_on_turn(replay, stream, packet);
    if (stream->joining)
        return on_joining(replay, stream, packet);
    bool said_before = was_said(stream, packet);
    if (!stream->opened && (packet->flags & TCP_RST)) {
        connection_forget(replay, stream);
        return DROP_NONE;
    }
    enum drop unopened = connection_hatch(replay, stream);
    if (unopened)
        return unopened;
    stream->heard = replay->context.now;
    take_syn_data(replay, stream, packet, true);
    stream_note(stream, packet);
    enum drop drop = stream->sessions ? append(replay, stream, packet) : DROP_connection_ended;
    if (numbers_confirm_reset(stream))
        connection_tell(replay, stream, NULL);
    connection_watch(replay, stream);
    return said_before && !drop ? DROP_duplicate : drop;
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
    struct stream *newcomer = stream->has_newcomer ? newcomer_of(replay, stream, packet, true) : NULL;
    stream = newcomer ? newcomer : stream;
    return stream->joining ? on_joining(replay, stream, packet) : on_segment(replay, stream, packet);
}

static void time_production(struct replay *replay, struct stream *stream, const struct packet *packet)
{
    struct transfer_stats *stats = &replay->context.transfers[stream->transfer];
    if (!packet->size || !stream->asked_at)
        return;
    histogram_add(&stats->answer_time[DP_SIDE_PRODUCTION], replay->context.now - stream->asked_at);
    stream->asked_at = 0;
}

static enum drop judge_server(struct replay *replay, struct stream *stream, const struct packet *packet)
{
    if (packet->transport == DP_UDP)
        return DROP_NONE;
    if (stream->joining)
        return numbers_fit_joining(stream, packet, false) ? DROP_NONE : DROP_outside_window;
    enum belief belief = numbers_of_server(stream, packet);
    if (belief == UNCONFIRMED)
        return put_off(replay, stream);
    if (belief == LOST)
        lose(replay, stream);
    return belief ? DROP_outside_window : DROP_NONE;
}

static enum drop on_server(struct replay *replay, struct stream *stream, const struct packet *packet)
{
    stats_add(&replay->context.stats->mirror_server_frames, 1);
    struct stream *newcomer = stream->has_newcomer ? newcomer_of(replay, stream, packet, false) : NULL;
    stream = newcomer ? newcomer : stream;
    bool was_over = stream->reset || stream->has_server_fin;
    enum drop drop = judge_server(replay, stream, packet);
    if (drop)
        return drop;
    time_production(replay, stream, packet);
    if (!stream->embryonic)
        stream->heard = replay->context.now;
    if (stream->opened)
        take_syn_data(replay, stream, packet, false);
    stream_on_server(stream, packet);
    tongue_hear_server(stream, packet);
    numbers_confirm_reset(stream);
    if ((stream->reset || stream->has_server_fin) && !was_over)
        connection_tell(replay, stream, NULL);
    if (stream->reset || stream_has_gap(stream))
        connection_watch(replay, stream);
    return DROP_NONE;
}

/* Of two mirrored servers: a SYN tells the client, else the range of ports that systems give to clients.
 * Where both are in it or neither is, TCP waits for the next SYN; the first datagram of a conversation is a
 * client's. */
static bool is_likely_client(const struct packet *packet)
{
    bool source = packet->source.port >= FIRST_EPHEMERAL;
    bool destination = packet->destination.port >= FIRST_EPHEMERAL;
    if (packet->transport == DP_UDP)
        return source || !destination;
    if (packet->flags & TCP_SYN)
        return !(packet->flags & TCP_ACK);
    return source && !destination;
}

static enum drop on_unknown(struct replay *replay, const struct flow *flow, const struct packet *packet)
{
    const struct dp_transfer *transfer =
        transfers_match_source(&replay->transfers, packet->transport, &packet->destination);
    if (transfer && replay_is_two_faced(replay, packet) && !is_likely_client(packet))
        return DROP_no_connection;
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
    if (packet->path_mtu)
        return DROP_other_transport;
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
