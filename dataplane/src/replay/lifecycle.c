#include "lifecycle.h"

#include "ready.h"

/* Nanoseconds. MOST_HALF_CLOSED: the target has closed, and the FIN of production's client may be one that a
 * mirror of its direction alone has missed. */
static const uint64_t RETRANSMISSIONS = 7000000000;
static const uint64_t MOST_HANDSHAKE = 75000000000;
static const uint64_t MOST_JOINING = 30000000000;
static const uint64_t MOST_HALF_CLOSED = 60000000000;

enum { FEW_EMBRYOS = 16, SMALL_TABLE = 1024, MANY_EMBRYOS = 8192 };

/* --- ends ----------------------------------------------------------------------------------------------- */

static bool has_ended(const struct stream *stream)
{
    return stream->has_fin || stream->reset;
}

bool stream_is_over(const struct stream *stream)
{
    return stream->reset || (stream->has_fin && (!stream->has_server || stream->has_server_fin));
}

/* A hole that the server does not have either may be production's own loss, and the client will say it again:
 * after 1, 2 and 4 seconds (RFC 6298), or sooner. */
static uint64_t gap_deadline(const struct replay *replay, const struct stream *stream)
{
    uint64_t began = stream_gap_since(stream, replay->context.now);
    uint64_t since = began > replay->paused_until ? began : replay->paused_until;
    uint64_t patience = replay->config->timing.gap_timeout;
    if (!stream_gap_is_ours(stream) && patience < RETRANSMISSIONS)
        patience = RETRANSMISSIONS;
    return since + patience;
}

/* Every target has said all, and has all. */
static bool only_the_target_closed(const struct stream *stream)
{
    for (const struct session *session = stream->sessions; session; session = session->sibling)
        if (!tcp_is_ended(&session->tcp) || session->delivered != stream->client.next)
            return false;
    return stream->sessions && !stream->has_fin;
}

/* How long a connection may be silent. */
static uint64_t patience_of(const struct replay *replay, const struct stream *stream)
{
    const struct dp_timing *timing = &replay->config->timing;
    uint64_t idle = timing->idle_timeout;
    if (stream->flow.transport == DP_UDP)
        return timing->datagram_timeout;
    uint64_t most = idle;
    if (stream->embryonic)
        most = MOST_HANDSHAKE;
    else if (stream->joining && !stream->has_origin)
        most = MOST_JOINING;
    else if (!stream->has_server && only_the_target_closed(stream))
        most = MOST_HALF_CLOSED;
    else if (stream->session_count && stream_awaits_reset(stream))
        most = MOST_HALF_CLOSED;
    return most < idle ? most : idle;
}

static uint64_t deadline_of_old(const struct replay *replay, const struct stream *stream)
{
    const struct dp_timing *timing = &replay->config->timing;
    if (!stream->session_count && has_ended(stream))
        return stream->heard + timing->linger;
    uint64_t since = stream->heard;
    if (only_the_target_closed(stream) && stream->sessions->quiet_since > since)
        since = stream->sessions->quiet_since;
    uint64_t idle = since + patience_of(replay, stream);
    if (stream->session_count && stream_has_gap(stream)) {
        uint64_t gap = gap_deadline(replay, stream);
        return gap < idle ? gap : idle;
    }
    return idle;
}

uint64_t connection_deadline(const struct replay *replay, const struct stream *stream)
{
    uint64_t deadline = deadline_of_old(replay, stream);
    const struct newcomer *newcomer = newcomers_find(&replay->newcomers, stream);
    uint64_t patience = newcomer && !stream->has_server ? newcomer->at + NEWCOMER_WAIT : TIMER_NEVER;
    return patience < deadline ? patience : deadline;
}

static void enter_phase(struct replay *replay, struct stream *stream, enum phase phase)
{
    replay->phases[stream->phase]--;
    replay->phases[phase]++;
    stream->phase = phase;
}

static enum phase phase_of(const struct stream *stream)
{
    if (!has_ended(stream))
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

enum { REOPEN_PAUSE = 1000000000 }; /* nanoseconds between two tries of a connection */

static bool ended_by_target(const struct session *session)
{
    return session->end == END_target_refused || session->end == END_target_reset ||
           session->end == END_target_closed || session->end == END_target_unresponsive ||
           session->end == END_target_silent;
}

/* The target may come back, and the production connection goes on: the session opens again at a later turn.
 */
static void note_missing(struct replay *replay, struct stream *stream, const struct session *session)
{
    const struct dp_transfer *transfer = &replay->config->transfers[stream->transfer];
    if (!ended_by_target(session) || !transfer->reopen || stream_is_over(stream))
        return;
    stats_add(&replay->context.stats->connections_waiting, !stream->missing);
    stream->missing++;
    stream->reopen_at = session->opened_at + REOPEN_PAUSE;
}

bool connection_may_reopen(struct replay *replay, const struct stream *stream)
{
    return replay->context.now >= stream->reopen_at &&
           admit_again(&replay->admission, stream->missing, replay->context.now);
}

void connection_reopened(struct replay *replay, struct stream *stream, uint32_t opened)
{
    struct stats *stats = replay->context.stats;
    STATS_COUNT(stats, &replay->context.transfers[stream->transfer], sessions_reopened,
                min32(opened, stream->missing));
    stats_sub(&stats->connections_waiting, stream->missing != 0);
    stream->missing = 0;
}

void session_retire(struct replay *replay, struct session *session)
{
    struct stream *stream = session->stream;
    note_missing(replay, stream, session);
    unlink_from_stream(stream, session);
    table_remove(&replay->forged, session);
    timer_cancel(&replay->wheel, &session->timer);
    session->stream = NULL;
    replay->ending++;
    replay->resetting += ends_by_order(session);
    ready_push(replay, session);
    if (!stream->session_count) {
        if (stream->missing && !stream->joining)
            stream_rejoin(stream);
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

static struct stream *stream_at(const struct replay *replay, uint32_t number)
{
    return number ? pool_at(&replay->streams, number - 1) : NULL;
}

static void embryo_add(struct replay *replay, struct stream *stream)
{
    uint32_t number = pool_slot(&replay->streams, stream) + 1;
    struct stream *before = stream_at(replay, replay->embryos.newest);
    stream->embryonic = true;
    stream->older = replay->embryos.newest;
    stream->newer = 0;
    if (before)
        before->newer = number;
    else
        replay->embryos.oldest = number;
    replay->embryos.newest = number;
    replay->embryos.count++;
}

static void embryo_remove(struct replay *replay, struct stream *stream)
{
    if (!stream->embryonic)
        return;
    struct stream *older = stream_at(replay, stream->older);
    struct stream *newer = stream_at(replay, stream->newer);
    *(older ? &older->newer : &replay->embryos.oldest) = stream->newer;
    *(newer ? &newer->older : &replay->embryos.newest) = stream->older;
    replay->embryos.count--;
    stream->embryonic = false;
}

static uint32_t most_embryos(const struct replay *replay)
{
    uint32_t capacity = replay->streams.capacity;
    uint32_t least = capacity < SMALL_TABLE ? FEW_EMBRYOS : min32(capacity, MANY_EMBRYOS);
    return capacity / 4 > least ? capacity / 4 : least;
}

/* The oldest gives way. */
static void embryos_bound(struct replay *replay)
{
    bool full = replay->streams.live >= replay->streams.capacity;
    if (!replay->embryos.count || (replay->embryos.count < most_embryos(replay) && !full))
        return;
    if (full && replay->embryos.count < 2)
        return;
    struct stream *oldest = stream_at(replay, replay->embryos.oldest);
    connection_end_sessions(replay, oldest, END_unfinished);
    connection_forget(replay, oldest);
}

void connection_forget(struct replay *replay, struct stream *stream)
{
    embryo_remove(replay, stream);
    newcomers_forget(&replay->newcomers, stream);
    reassembly_clear(&stream->client, &replay->context.chunks);
    sheds_forget(&replay->sheds, &(struct endpoint){stream->flow.client, stream->flow.client_port});
    stats_sub(&replay->context.stats->connections_waiting, stream->missing != 0);
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

uint32_t connection_open_sessions(struct replay *replay, struct stream *stream, uint32_t count, uint64_t turn)
{
    uint32_t opened = 0;
    const struct dp_transfer *transfer = &replay->config->transfers[stream->transfer];
    struct endpoint client = {stream->flow.client, stream->flow.client_port};
    stream->opened = true;
    for (uint32_t copy = 0; copy < count; copy++) {
        struct flow forged;
        if (!endpoints_forge(&replay->endpoints, stream->transfer, &client, copy, &forged)) {
            stats_add(&replay->context.stats->sessions_refused, 1);
            continue;
        }
        bool own = forged.client_port == client.port || transfer->multiplier > 1 || transfer->instances > 1;
        stats_add(&replay->context.stats->ports_changed, !own && !transfer->range_count);
        struct session *session = pool_take(&replay->sessions);
        session_open(session, &replay->context, &forged, stream, transfer, turn);
        table_insert(&replay->forged, session);
        session_follow_up(replay, session);
        opened++;
    }
    return opened;
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
    if (packet->transport == DP_TCP)
        embryos_bound(replay);
    enum drop drop = connection_refuse(replay, transfer, &packet->source, true);
    if (drop)
        return drop;
    struct stream *stream = pool_take(&replay->streams);
    stream_open(stream, flow, packet, context->now);
    stats_add(&context->stats->mirror_syn, packet->transport == DP_TCP);
    if (packet->transport == DP_TCP)
        embryo_add(replay, stream);
    keep_stream(replay, stream, transfer);
    if (packet->transport == DP_TCP &&
        replay->embryos.count >= most_embryos(replay) - most_embryos(replay) / 64) {
        stream_hold_syn(stream, &context->chunks, packet);
        return DROP_NONE; /* too many: the target hears of it when the client has completed its handshake */
    }
    connection_open_sessions(replay, stream, transfer->multiplier, 0);
    if (stream->sessions) {
        if (packet->transport == DP_TCP)
            stream_hold_syn(stream, &context->chunks, packet);
        return DROP_NONE;
    }
    connection_forget(replay, stream);
    return DROP_endpoint_taken;
}

enum drop connection_hatch(struct replay *replay, struct stream *stream)
{
    const struct dp_transfer *transfer = &replay->config->transfers[stream->transfer];
    if (!stream->embryonic)
        return DROP_NONE;
    bool opened = stream->opened;
    embryo_remove(replay, stream);
    if (opened)
        return DROP_NONE;
    stream->opened = true;
    bool room = replay->sessions.capacity - replay->sessions.live >= transfer->multiplier;
    if (room)
        connection_open_sessions(replay, stream, replay->config->transfers[stream->transfer].multiplier, 0);
    if (stream->sessions)
        return DROP_NONE;
    connection_forget(replay, stream);
    return room ? DROP_endpoint_taken : DROP_table_full;
}

enum drop connection_supersede(struct replay *replay, struct stream *stream, const struct packet *syn)
{
    const struct dp_transfer *transfer = &replay->config->transfers[stream->transfer];
    struct flow flow = stream->flow;
    connection_end_sessions(replay, stream, END_superseded);
    connection_forget(replay, stream);
    return connection_open(replay, transfer, &flow, syn);
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
