#include "stream.h"

/* For a handshake that nobody saw: the usual options. */
enum { JOIN_MSS = 1460, JOIN_WINDOW_SCALE = 7 };

void stream_open(struct stream *stream, const struct flow *flow, const struct packet *syn, uint64_t now)
{
    *stream = (struct stream){
        .flow = *flow,
        .timer.kind = TIMER_STREAM,
        .heard = now,
        .first = syn->seq + 1,
        .window = syn->window,
        .mss = syn->options.mss,
        .window_scale = syn->options.window_scale,
        .timestamps = syn->options.has_timestamp,
        .sack = syn->options.sack_permitted,
    };
}

void stream_open_joining(struct stream *stream, const struct flow *flow, uint64_t now)
{
    *stream = (struct stream){
        .flow = *flow,
        .timer.kind = TIMER_STREAM,
        .heard = now,
        .joining = true,
        .mss = JOIN_MSS,
        .window_scale = JOIN_WINDOW_SCALE,
        .sack = true,
    };
}

/* What a client writes at once is cut into full segments. PSH is set in the last one, but also at the end of
 * each burst (TSO); so only a segment without PSH shows how large a full one is. */
static void note_full(struct stream *stream, const struct packet *packet)
{
    if (!(packet->flags & TCP_PSH) && packet->size > stream->full)
        stream->full = (uint16_t)packet->size;
}

/* Whether what the client wrote may go on behind a segment of this size. */
static bool goes_on(const struct stream *stream, uint16_t last)
{
    return stream->full && last == stream->full;
}

/* A turn begins where the client's acknowledgement has grown; but only if its first bytes follow those seen
 * last: else the mirror may have missed the turn's beginning. */
bool stream_turn_begins(struct stream *stream, const struct packet *packet)
{
    if (!packet->size || !(packet->flags & TCP_ACK))
        return false;
    bool follows =
        stream->has_join_ack && packet->seq == stream->join_next && !goes_on(stream, stream->client.last);
    bool begins = follows && seq_after(packet->ack, stream->join_ack);
    uint32_t end = packet->seq + packet->size;
    note_full(stream, packet);
    if (!stream->has_join_ack || seq_after(end, stream->join_next)) {
        stream->join_next = end;
        stream->client.last = (uint16_t)packet->size;
    }
    if (!stream->has_join_ack || seq_after(packet->ack, stream->join_ack))
        stream->join_ack = packet->ack;
    stream->has_join_ack = true;
    return begins;
}

void stream_begin(struct stream *stream, const struct packet *packet)
{
    stream->joining = false;
    stream->first = packet->seq;
    stream->client.next = stream->client.known = 0;
    stream->origin = packet->ack;
    stream->acked = 0;
    stream->has_origin = true;
    stream->timestamps = packet->options.has_timestamp;
}

/* What waits may be the rest of a turn whose beginning is missing, so only a later turn will do. */
void stream_rejoin(struct stream *stream)
{
    if (stream->has_fin || stream->reset)
        return;
    stream->join_ack = stream->origin + stream->acked;
    stream->join_next = stream->first + stream->client.known;
    const struct chunk *end = stream->client.waiting ? stream->client.waiting_last : NULL;
    bool is_last = end && end->offset + end->size == stream->client.known;
    stream->client.last = is_last ? end->segment : 0;
    stream->has_join_ack = true;
    stream->joining = true;
}

static uint32_t window_shift(const struct stream *stream)
{
    return stream->window_scale == NO_WINDOW_SCALE ? 0 : stream->window_scale;
}

void stream_note(struct stream *stream, const struct packet *packet)
{
    bool had_gap = stream_has_gap(stream);
    if ((packet->flags & TCP_ACK) && !(packet->flags & TCP_SYN)) {
        if (!stream->has_origin) {
            stream->origin = packet->ack;
            stream->has_origin = true;
        }
        uint32_t acked = packet->ack - stream->origin;
        if (!seq_before(acked, stream->acked))
            stream->window = packet->window << window_shift(stream);
        stream->acked = seq_max(stream->acked, acked);
    }
    if ((packet->flags & TCP_FIN) && !stream->has_fin) {
        stream->fin = packet->seq + packet->size - stream->first;
        stream->fin_turn = packet->ack - stream->origin;
        stream->has_fin = true;
    }
    if (packet->flags & TCP_RST)
        stream->reset = true;
    reassembly_note_known(&stream->client, packet->seq - stream->first);
    if (!had_gap)
        stream->gap_at = stream->heard;
}

void stream_on_server(struct stream *stream, const struct packet *packet)
{
    if ((packet->flags & TCP_SYN) && !stream->has_origin) {
        stream->origin = packet->seq + 1;
        stream->has_origin = true;
    }
    if (packet->flags & TCP_RST)
        stream->reset = true;
    if (stream->joining || !(packet->flags & TCP_ACK))
        return;
    bool had_gap = stream_has_gap(stream);
    reassembly_note_known(&stream->client, packet->ack - stream->first);
    if (packet->flags & TCP_FIN) {
        stream->has_server_fin = true;
        stream->server_fin = packet->seq + packet->size - stream->origin;
    }
    if (!had_gap)
        stream->gap_at = stream->heard;
}

bool stream_take_missed_fin(struct stream *stream)
{
    const struct reassembly *client = &stream->client;
    if (client->waiting || stream->has_fin || !stream->has_server_fin || client->known != client->next + 1)
        return false;
    stream->has_fin = true;
    stream->fin = client->next;
    /* Before the server's own FIN: nobody knows who closed first, and the target may wait for us. */
    stream->fin_turn = seq_after(stream->acked, stream->server_fin) ? stream->server_fin : stream->acked;
    return true;
}

enum drop stream_append(struct stream *stream, struct pool *chunks, const struct packet *packet, uint64_t now)
{
    uint32_t offset = packet->seq + ((packet->flags & TCP_SYN) ? 1 : 0) - stream->first;
    uint32_t turn = (packet->flags & TCP_ACK) ? packet->ack - stream->origin : stream->acked;
    struct span span = span_of(packet->payload, offset, packet->size, turn);
    uint32_t before = stream->client.next;
    struct chunk *tail = stream->client.tail;
    const struct chunk *waited = stream->client.waiting;
    note_full(stream, packet);
    enum drop drop = reassembly_store(&stream->client, chunks, &span, stream->session_count);
    for (struct chunk *chunk = tail ? tail->next : stream->client.head; chunk; chunk = chunk->next)
        chunk->goes_on = goes_on(stream, chunk->behind);
    bool moved = stream->client.next != before;
    if (stream->client.waiting != waited && (moved || !waited))
        stream->gap_at = now; /* a hole has opened, or one is filled: the next one's time starts now */
    return drop;
}

struct chunk *stream_append_datagram(struct stream *stream, struct pool *chunks, const struct packet *packet)
{
    struct span span = span_of(packet->payload, stream->client.next, packet->size, 0);
    return reassembly_store_apart(&stream->client, chunks, &span, stream->session_count);
}
