#include "offline.h"

#include "lifecycle.h"

/* How far a fast replay reads ahead of the target, for each worker. Chunks: enough for a bulk upload at 8
 * Gbit/s over a path of a millisecond. Connections that are over in the capture but not here: the target may
 * get that many more at once than production had. More of either would not make the target faster, and would
 * show it a load that production never had. */
enum { FAST_CHUNKS = 512, FAST_CLOSING = 64 };

enum { CUT_SILENCE = 1000000000 }; /* nanoseconds */

/* Whether some connections will give back their memory by themselves, in a bounded time. */
static bool some_will_go(const struct replay *replay)
{
    return replay->phases[PHASE_CLOSING] || replay->phases[PHASE_LINGERING];
}

/* A new connection needs an endpoint. Looking for one changes only where the next look begins. */
static bool has_endpoint(struct replay *replay, const struct dp_transfer *transfer, const struct packet *syn)
{
    uint32_t index = (uint32_t)(transfer - replay->config->transfers);
    struct flow forged;
    return endpoints_forge(&replay->endpoints, index, &syn->source, 0, &forged);
}

/* The connection before it on the same key may finish first. One that the capture does not end is superseded
 * when all its bytes have been delivered. */
static bool predecessor_is_busy(const struct stream *stream)
{
    return stream && (stream->phase == PHASE_CLOSING || (stream->session_count && stream->client.head));
}

static bool is_too_early(const struct replay *replay)
{
    return replay->phases[PHASE_CLOSING] >= FAST_CLOSING || replay->context.chunks.live >= FAST_CHUNKS;
}

static bool syn_should_wait(struct replay *replay, const struct stream *stream, const struct packet *syn,
                            enum patience patience)
{
    const struct dp_transfer *transfer =
        transfers_match_source(&replay->transfers, syn->transport, &syn->destination);
    bool duplicate = stream && !stream->joining && syn->seq + 1 == stream->first;
    if (!transfer || duplicate)
        return false;
    if (predecessor_is_busy(stream) || (patience == PATIENCE_FAST && is_too_early(replay)))
        return true;
    if (!some_will_go(replay))
        return false;
    return !connection_has_room(replay, transfer) || (!stream && !has_endpoint(replay, transfer, syn));
}

static bool bytes_should_wait(const struct replay *replay, const struct stream *stream,
                              const struct packet *packet, enum patience patience)
{
    const struct pool *chunks = &replay->context.chunks;
    uint32_t needed = packet->size / CHUNK_BYTES + 2;
    if (chunks->live && chunks->capacity - chunks->live < needed)
        return true;
    if (stream->client.head && stream->client.held + packet->size > replay->config->limits.backlog_bytes)
        return true;
    /* What may fill a hole goes ahead: the hole has a deadline. */
    return patience == PATIENCE_FAST && chunks->live >= FAST_CHUNKS && !stream_has_gap(stream);
}

bool offline_should_wait(struct replay *replay, const struct packet *packet, enum patience patience)
{
    if (replay->draining || !transfers_have_port(&replay->transfers, packet->destination.port))
        return false;
    struct flow flow = flow_make(packet->transport, &packet->source, &packet->destination);
    const struct stream *stream = table_find(&replay->mirrored, &flow);
    if (packet->transport == DP_TCP && (packet->flags & (TCP_SYN | TCP_ACK)) == TCP_SYN)
        return syn_should_wait(replay, stream, packet, patience);
    return stream && stream->session_count && packet->size &&
           bytes_should_wait(replay, stream, packet, patience);
}

static void cut(struct replay *replay, struct stream *stream)
{
    if (stream->flow.transport == DP_UDP) { /* only silence ends it, and a second must do */
        uint64_t silence = replay->config->timing.datagram_timeout;
        if (silence > CUT_SILENCE)
            stream->heard = replay->context.now - (silence - CUT_SILENCE);
    } else {
        stream->reset = stream->cut = true;
        connection_tell(replay, stream, NULL);
    }
    connection_watch(replay, stream);
}

void offline_cut(struct replay *replay)
{
    for (uint32_t slot = 0; slot <= replay->mirrored.mask; slot++) {
        struct stream *stream = table_at(&replay->mirrored, slot);
        if (!stream || stream->phase != PHASE_OPEN)
            continue;
        cut(replay, stream);
    }
}

bool offline_is_over(const struct replay *replay)
{
    return !replay->sessions.live && replay_is_quiet(replay);
}

void offline_forget(struct replay *replay)
{
    for (uint32_t slot = 0; slot <= replay->mirrored.mask;) {
        struct stream *stream = table_at(&replay->mirrored, slot);
        if (stream)
            connection_forget(replay, stream); /* closes the slot: the next one may have moved here */
        else
            slot++;
    }
}
