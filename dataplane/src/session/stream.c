#include "stream.h"

/* A segment that starts further ahead than this is not of this connection. */
#define FURTHEST_AHEAD (1u << 30)

/* A handshake that nobody saw has the usual options. */
enum { JOIN_MSS = 1460, JOIN_WINDOW_SCALE = 7 };

/* What is left of a segment's bytes. */
struct span {
    const uint8_t *bytes;
    uint32_t offset;
    uint32_t size;
    uint32_t turn;
    uint32_t end;     /* of the segment */
    uint16_t segment; /* its size */
};

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

/* What a client writes at once is cut into full segments, and PSH stands in the last; but also in the last of
 * each burst (TSO). So a segment without PSH shows how large a full one is. */
static void note_full(struct stream *stream, const struct packet *packet)
{
    if (!(packet->flags & TCP_PSH) && packet->size > stream->full)
        stream->full = (uint16_t)packet->size;
}

/* Whether there may be more of what the client wrote behind the segment that came last. */
static bool goes_on(const struct stream *stream)
{
    return stream->full && stream->last == stream->full;
}

/* A turn begins where the client's acknowledgement has grown; but only if its first bytes follow those seen
 * last: else the turn's own beginning may be what the mirror has missed. */
bool stream_turn_begins(struct stream *stream, const struct packet *packet)
{
    if (!packet->size || !(packet->flags & TCP_ACK))
        return false;
    bool follows = stream->has_join_ack && packet->seq == stream->join_next && !goes_on(stream);
    bool begins = follows && seq_after(packet->ack, stream->join_ack);
    uint32_t end = packet->seq + packet->size;
    note_full(stream, packet);
    if (!stream->has_join_ack || seq_after(end, stream->join_next)) {
        stream->join_next = end;
        stream->last = (uint16_t)packet->size;
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
    stream->next = 0;
    stream->origin = packet->ack;
    stream->acked = 0;
    stream->known = 0;
    stream->has_origin = true;
    stream->timestamps = packet->options.has_timestamp;
}

/* What waits may be the rest of a turn whose beginning is missing: only a later turn will do. */
void stream_rejoin(struct stream *stream)
{
    if (stream->has_fin || stream->reset)
        return;
    stream->join_ack = stream->origin + stream->acked;
    stream->join_next = seq_max(stream->known, stream->next);
    stream->last = 0;
    const struct chunk *end = stream->waiting ? stream->waiting_last : NULL;
    if (end && !seq_before(end->offset + end->size, stream->join_next)) {
        stream->join_next = end->offset + end->size;
        stream->last = end->segment;
    }
    stream->join_next += stream->first;
    stream->has_join_ack = true;
    stream->joining = true;
}

static uint32_t window_shift(const struct stream *stream)
{
    return stream->window_scale == NO_WINDOW_SCALE ? 0 : stream->window_scale;
}

/* Its number tells that all before it was said; bytes and a FIN of its own are noted with them. */
static void note_known(struct stream *stream, uint32_t number)
{
    uint32_t offset = number - stream->first;
    if (offset - stream->next < FURTHEST_AHEAD)
        stream->known = seq_max(stream->known, offset);
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
    note_known(stream, packet->seq);
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
    note_known(stream, packet->ack);
    if (packet->flags & TCP_FIN) {
        stream->has_server_fin = true;
        stream->server_fin = packet->seq + packet->size - stream->origin;
    }
    if (!had_gap)
        stream->gap_at = stream->heard;
}

bool stream_take_missed_fin(struct stream *stream)
{
    if (stream->waiting || stream->has_fin || !stream->has_server_fin || stream->known != stream->next + 1)
        return false;
    stream->has_fin = true;
    stream->fin = stream->next;
    /* Before the server's own FIN: nobody knows who closed first, and the target may wait for us. */
    stream->fin_turn = seq_after(stream->acked, stream->server_fin) ? stream->server_fin : stream->acked;
    return true;
}

static struct chunk *chunk_new(struct pool *chunks, const struct span *span)
{
    struct chunk *chunk = pool_take(chunks);
    if (!chunk)
        return NULL;
    chunk->next = NULL;
    chunk->offset = span->offset;
    chunk->turn = span->turn;
    chunk->size = 0;
    chunk->holders = 0;
    chunk->segment = 0;
    chunk->goes_on = false;
    return chunk;
}

/* Moves as many bytes as fit from the span to the end of the chunk. */
static void chunk_fill(struct chunk *chunk, struct span *span)
{
    uint32_t size = min32(span->size, CHUNK_BYTES - (uint32_t)chunk->size);
    memcpy(chunk->bytes + chunk->size, span->bytes, size);
    chunk->size = (uint16_t)(chunk->size + size);
    span->bytes += size;
    span->offset += size;
    span->size -= size;
    chunk->segment = span->offset == span->end ? span->segment : 0;
}

static void link_tail(struct stream *stream, struct chunk *chunk)
{
    chunk->next = NULL;
    chunk->goes_on = goes_on(stream);
    stream->last = chunk->segment;
    chunk->holders = stream->session_count;
    if (stream->tail)
        stream->tail->next = chunk;
    else
        stream->head = chunk;
    stream->tail = chunk;
    stream->next += chunk->size;
}

/* The tail may grow as long as no session is past it. */
static bool tail_can_grow(const struct stream *stream, const struct span *span)
{
    const struct chunk *tail = stream->tail;
    return tail && tail->turn == span->turn && tail->size < CHUNK_BYTES &&
           tail->holders == stream->session_count;
}

static enum drop append_in_order(struct stream *stream, struct pool *chunks, struct span *span)
{
    /* An acknowledgement never goes back: a segment that was sent earlier belongs to the later turn. */
    if (stream->tail)
        span->turn = seq_max(span->turn, stream->tail->turn);
    stream->held += span->size;
    if (tail_can_grow(stream, span)) {
        uint32_t before = span->size;
        chunk_fill(stream->tail, span);
        stream->last = stream->tail->segment;
        stream->next += before - span->size;
    }
    while (span->size) {
        struct chunk *chunk = chunk_new(chunks, span);
        if (!chunk) {
            stream->held -= span->size;
            return DROP_buffers_full;
        }
        chunk_fill(chunk, span);
        link_tail(stream, chunk);
    }
    return DROP_NONE;
}

/* Takes away the bytes at the start that are already in order. */
static void trim(struct chunk *chunk, uint32_t known)
{
    memmove(chunk->bytes, chunk->bytes + known, chunk->size - known);
    chunk->size = (uint16_t)(chunk->size - known);
    chunk->offset += known;
}

/* Moves what has become in order from waiting to the tail. */
static void absorb(struct stream *stream, struct pool *chunks)
{
    while (stream->waiting && !seq_after(stream->waiting->offset, stream->next)) {
        struct chunk *chunk = stream->waiting;
        stream->waiting = chunk->next;
        uint32_t known = stream->next - chunk->offset;
        stream->held -= min32(known, chunk->size);
        if (known >= chunk->size) {
            pool_give(chunks, chunk);
            continue;
        }
        if (known)
            trim(chunk, known);
        if (stream->tail)
            chunk->turn = seq_max(chunk->turn, stream->tail->turn);
        link_tail(stream, chunk);
    }
}

/* Keeps bytes that came too early, each byte once: what neighbours have is left out. */
static enum drop keep_waiting(struct stream *stream, struct pool *chunks, struct span *span)
{
    struct chunk **link = &stream->waiting;
    struct chunk *last = stream->waiting_last;
    bool kept = false;
    if (stream->waiting && !seq_after(last->offset + last->size, span->offset))
        link = &last->next; /* behind all of them, as nearly always: a long list is not walked */
    while (span->size) {
        while (*link && !seq_after((*link)->offset + (*link)->size, span->offset))
            link = &(*link)->next;
        struct chunk *after = *link;
        if (after && !seq_after(after->offset, span->offset)) {
            uint32_t known = min32(after->offset + after->size - span->offset, span->size);
            span->bytes += known;
            span->offset += known;
            span->size -= known;
            continue;
        }
        struct span part = *span;
        if (after)
            part.size = min32(part.size, after->offset - span->offset);
        struct chunk *chunk = chunk_new(chunks, &part);
        if (!chunk)
            return DROP_buffers_full;
        chunk_fill(chunk, &part);
        chunk->next = after;
        *link = chunk;
        if (!after)
            stream->waiting_last = chunk;
        stream->held += chunk->size;
        span->bytes += chunk->size;
        span->offset += chunk->size;
        span->size -= chunk->size;
        kept = true;
    }
    return kept ? DROP_NONE : DROP_duplicate;
}

enum drop stream_append(struct stream *stream, struct pool *chunks, const struct packet *packet, uint64_t now)
{
    struct span span = {
        .bytes = packet->payload,
        .offset = packet->seq + ((packet->flags & TCP_SYN) ? 1 : 0) - stream->first,
        .size = packet->size,
        .turn = (packet->flags & TCP_ACK) ? packet->ack - stream->origin : stream->acked,
        .segment = (uint16_t)packet->size,
    };
    span.end = span.offset + span.size;
    if (!span.size)
        return DROP_NONE;
    note_full(stream, packet);
    if (seq_before(span.offset, stream->next)) {
        uint32_t known = stream->next - span.offset;
        if (known >= span.size)
            return DROP_duplicate;
        span.bytes += known;
        span.offset += known;
        span.size -= known;
    }
    if (span.offset - stream->next > FURTHEST_AHEAD)
        return DROP_outside_window;
    if (span.offset != stream->next) {
        if (!stream->waiting)
            stream->gap_at = now;
        return keep_waiting(stream, chunks, &span);
    }
    enum drop drop = append_in_order(stream, chunks, &span);
    uint32_t before = stream->next;
    if (!drop)
        absorb(stream, chunks);
    if (stream->next != before)
        stream->gap_at = now; /* another hole, if there is one: its time starts now */
    return drop;
}

struct chunk *stream_append_datagram(struct stream *stream, struct pool *chunks, const struct packet *packet)
{
    struct span span = {.bytes = packet->payload, .offset = stream->next, .size = packet->size};
    struct chunk *chunk = chunk_new(chunks, &span);
    if (!chunk)
        return NULL;
    chunk_fill(chunk, &span);
    stream->held += chunk->size;
    link_tail(stream, chunk);
    return chunk;
}

struct chunk *stream_release(struct stream *stream, struct pool *chunks, struct chunk *chunk)
{
    struct chunk *next = chunk->next;
    chunk->holders--;
    while (stream->head && !stream->head->holders) {
        struct chunk *done = stream->head;
        stream->head = done->next;
        stream->held -= done->size;
        if (!stream->head)
            stream->tail = NULL;
        pool_give(chunks, done);
    }
    return next;
}

static void give_all(struct pool *chunks, struct chunk *chunk)
{
    while (chunk) {
        struct chunk *next = chunk->next;
        pool_give(chunks, chunk);
        chunk = next;
    }
}

void stream_clear(struct stream *stream, struct pool *chunks)
{
    give_all(chunks, stream->head);
    give_all(chunks, stream->waiting);
    stream->head = stream->tail = stream->waiting = NULL;
    stream->held = 0;
}
