#include "lifecycle.h"

#include "ready.h"

/* --- ends ----------------------------------------------------------------------------------------------- */

static bool stream_is_over(const struct stream *stream)
{
    return stream->has_fin || stream->reset;
}

uint64_t connection_deadline(const struct replay *replay, const struct stream *stream)
{
    const struct dp_timing *timing = &replay->config->timing;
    if (!stream->session_count && stream_is_over(stream))
        return stream->heard + timing->linger;
    bool udp = stream->flow.transport == DP_UDP;
    uint64_t idle = stream->heard + (udp ? timing->datagram_timeout : timing->idle_timeout);
    if (stream->session_count && stream_has_gap(stream)) {
        uint64_t since = stream->gap_at > replay->paused_until ? stream->gap_at : replay->paused_until;
        uint64_t gap = since + timing->gap_timeout;
        return gap < idle ? gap : idle;
    }
    return idle;
}

static void enter_phase(struct replay *replay, struct stream *stream, enum phase phase)
{
    replay->phases[stream->phase]--;
    replay->phases[phase]++;
    stream->phase = phase;
}

static enum phase phase_of(const struct stream *stream)
{
    if (!stream_is_over(stream))
        return PHASE_OPEN;
    return stream->session_count ? PHASE_CLOSING : PHASE_LINGERING;
}

void connection_watch(struct replay *replay, struct stream *stream)
{
    enter_phase(replay, stream, phase_of(stream));
    timer_arm(&replay->wheel, &stream->timer, connection_deadline(replay, stream));
}

static void unlink_from_stream(struct stream *stream, const struct session *session)
{
    struct session **link = &stream->sessions;
    while (*link != session)
        link = &(*link)->sibling;
    *link = session->sibling;
    stream->session_count--;
}

void session_retire(struct replay *replay, struct session *session)
{
    struct stream *stream = session->stream;
    unlink_from_stream(stream, session);
    table_remove(&replay->forged, session);
    timer_cancel(&replay->wheel, &session->timer);
    session->stream = NULL;
    replay->ending++;
    replay->resetting += ends_by_order(session);
    ready_push(replay, session);
    if (!stream->session_count) {
        reassembly_clear(&stream->client, &replay->context.chunks);
        connection_watch(replay, stream);
    }
}

void session_follow_up(struct replay *replay, struct session *session)
{
    if (session->end) {
        session_retire(replay, session);
        return;
    }
    ready_push(replay, session);
    timer_arm(&replay->wheel, &session->timer, session_deadline(session, &replay->context));
}

void connection_end_sessions(struct replay *replay, struct stream *stream, enum end end)
{
    while (stream->sessions) {
        struct session *session = stream->sessions;
        session_end(session, &replay->context, end);
        session_retire(replay, session);
    }
}

void connection_forget(struct replay *replay, struct stream *stream)
{
    reassembly_clear(&stream->client, &replay->context.chunks);
    sheds_forget(&replay->sheds, &(struct endpoint){stream->flow.client, stream->flow.client_port});
    replay->phases[stream->phase]--;
    timer_cancel(&replay->wheel, &stream->timer);
    table_remove(&replay->mirrored, stream);
    pool_give(&replay->streams, stream);
    stats_add(&replay->context.stats->connections_closed, 1);
    stats_sub(&replay->context.stats->connections_live, 1);
}

void connection_tell(struct replay *replay, struct stream *stream, struct chunk *first)
{
    struct session *next;
    for (struct session *session = stream->sessions; session; session = next) {
        next = session->sibling;
        session_on_stream(session, &replay->context, first);
        session_follow_up(replay, session);
    }
}

/* --- beginnings ---------------------------------------------------------------------------------------- */

bool connection_has_room(const struct replay *replay, const struct dp_transfer *transfer)
{
    return replay->streams.live < replay->streams.capacity &&
           replay->sessions.capacity - replay->sessions.live >= transfer->multiplier;
}

void connection_open_sessions(struct replay *replay, struct stream *stream)
{
    const struct dp_transfer *transfer = &replay->config->transfers[stream->transfer];
    struct endpoint client = {stream->flow.client, stream->flow.client_port};
    for (uint32_t copy = 0; copy < transfer->multiplier; copy++) {
        struct flow forged;
        if (!endpoints_forge(&replay->endpoints, stream->transfer, &client, copy, &forged)) {
            stats_add(&replay->context.stats->sessions_refused, 1);
            continue;
        }
        struct session *session = pool_take(&replay->sessions);
        session_open(session, &replay->context, &forged, stream, transfer);
        table_insert(&replay->forged, session);
        session_follow_up(replay, session);
    }
}

static void keep_stream(struct replay *replay, struct stream *stream, const struct dp_transfer *transfer)
{
    stream->transfer = (uint16_t)(transfer - replay->config->transfers);
    table_insert(&replay->mirrored, stream);
    sheds_know(&replay->sheds, &(struct endpoint){stream->flow.client, stream->flow.client_port});
    replay->phases[stream->phase]++;
    connection_watch(replay, stream);
    STATS_COUNT(replay->context.stats, &replay->context.transfers[stream->transfer], connections_opened, 1);
    stats_add(&replay->context.stats->connections_live, 1);
}

enum drop connection_refuse(struct replay *replay, const struct dp_transfer *transfer,
                            const struct endpoint *client, bool opens)
{
    if (replay->draining)
        return DROP_draining;
    if (transfer->state != DP_RUNNING)
        return DROP_paused;
    if (!connection_has_room(replay, transfer))
        return DROP_table_full;
    return admit(&replay->admission, transfer, client, opens, replay->context.now);
}

enum drop connection_open(struct replay *replay, const struct dp_transfer *transfer, const struct flow *flow,
                          const struct packet *packet)
{
    struct session_context *context = &replay->context;
    enum drop drop = connection_refuse(replay, transfer, &packet->source, true);
    if (drop)
        return drop;
    struct stream *stream = pool_take(&replay->streams);
    stream_open(stream, flow, packet, context->now);
    stats_add(&context->stats->mirror_syn, packet->transport == DP_TCP);
    keep_stream(replay, stream, transfer);
    connection_open_sessions(replay, stream);
    if (stream->sessions)
        return DROP_NONE;
    connection_forget(replay, stream);
    return DROP_endpoint_taken;
}

enum drop connection_open_joining(struct replay *replay, const struct dp_transfer *transfer,
                                  const struct flow *flow, const struct packet *packet)
{
    if (transfer->full_sessions_only || !packet->size || (packet->flags & (TCP_SYN | TCP_RST | TCP_FIN)))
        return DROP_no_connection;
    enum drop drop = connection_refuse(replay, transfer, &packet->source, false);
    if (drop)
        return drop;
    struct stream *stream = pool_take(&replay->streams);
    stream_open_joining(stream, flow, replay->context.now);
    stream_turn_begins(stream, packet);
    keep_stream(replay, stream, transfer);
    return DROP_joining;
}
