#include "numbers.h"

enum {
    LEAST_REACH = 65535, /* how far a segment may be ahead of what is known: a window */
    MOST_REACH = 1 << 20,
    BEHIND = 1 << 20, /* how far retransmissions may be behind */
    ENOUGH = 3,       /* strange segments, after a first one that they continue */
};

static uint32_t reach_of(const struct stream *stream)
{
    uint32_t window = min32(stream->window, MOST_REACH);
    return window > LEAST_REACH ? window : LEAST_REACH;
}

/* Whether the number is neither far behind nor far ahead. */
static bool is_near(uint32_t number, uint32_t known, uint32_t reach)
{
    return number - (known - BEHIND) <= BEHIND + reach;
}

static bool is_between(uint32_t number, uint32_t from, uint32_t to)
{
    return number - from <= to - from;
}

/* How far the client has got, by its own numbers. */
static uint32_t client_end(const struct stream *stream)
{
    return stream->has_fin ? seq_max(stream->client.known, stream->fin + 1) : stream->client.known;
}

static uint32_t client_reached(const struct stream *stream)
{
    return seq_max(client_end(stream), stream->server_acked);
}

static uint32_t server_reached(const struct stream *stream)
{
    return seq_max(stream->server_next, (uint32_t)stream->acked);
}

static void suspect(struct stream *stream, enum suspicion kind, uint32_t number)
{
    stream->suspicion = kind;
    stream->suspect = number;
    stream->strange = 0;
}

/* Both numbers of a connection only grow, and so does their sum, the same for both directions. */
static enum belief doubt(struct stream *stream, const struct packet *packet)
{
    uint32_t sum = packet->seq + packet->ack;
    bool continues = stream->suspicion == SUSPECT_STRANGE && sum - stream->suspect - 1 < MOST_REACH;
    uint32_t count = continues ? stream->strange + 1u : 0;
    if (count == ENOUGH && !stream->embryonic) {
        suspect(stream, SUSPECT_NONE, 0);
        return LOST;
    }
    suspect(stream, SUSPECT_STRANGE, sum);
    stream->strange = count & ENOUGH;
    return STRANGE;
}

static enum belief believe(struct stream *stream)
{
    if (stream->suspicion == SUSPECT_STRANGE)
        suspect(stream, SUSPECT_NONE, 0);
    return BELIEVED;
}

/* A RST with this number; its receiver expects one from `least` to `most`. */
static enum belief reset(struct stream *stream, enum suspicion kind, uint32_t number, uint32_t least,
                         uint32_t most)
{
    if (is_between(number, least, most))
        return believe(stream);
    if (number - most > reach_of(stream))
        return STRANGE;
    suspect(stream, kind, number);
    return UNCONFIRMED;
}

static enum belief client_reset(struct stream *stream, uint32_t offset)
{
    uint32_t end = client_end(stream);
    if (stream->has_server)
        return reset(stream, SUSPECT_CLIENT_RESET, offset, stream->server_acked,
                     seq_max(end, stream->server_acked));
    return is_between(offset, end - LEAST_REACH, end + reach_of(stream)) ? believe(stream) : STRANGE;
}

/* Without the server's frames, what it may have said in the meantime is bounded by nothing that we know: then
 * the client's own number decides. */
static bool fits_ack(const struct stream *stream, const struct packet *packet)
{
    if (!(packet->flags & TCP_ACK) || !stream->has_origin)
        return true;
    bool next = packet->size || packet->seq - stream->first == stream->client.next;
    uint32_t reach = packet->size ? MOST_REACH : reach_of(stream);
    if (next && !stream->has_server)
        reach = FURTHEST_AHEAD + MOST_REACH;
    return is_near(packet->ack - stream->origin, server_reached(stream), reach) ||
           is_near(packet->ack - stream->origin, (uint32_t)stream->acked, reach);
}

enum belief numbers_of_client(struct stream *stream, const struct packet *packet)
{
    uint32_t offset = packet->seq - stream->first;
    if (packet->flags & TCP_RST)
        return client_reset(stream, offset);
    bool fits = is_near(offset, client_reached(stream), reach_of(stream)) ||
                is_near(offset, stream->client.next, reach_of(stream));
    return fits && fits_ack(stream, packet) ? believe(stream) : doubt(stream, packet);
}

/* Nothing is known of the server's numbers yet: what it acknowledges must be the SYN. */
static enum belief server_first(struct stream *stream, const struct packet *packet)
{
    uint32_t acked = packet->ack - stream->first;
    bool fits = (packet->flags & TCP_ACK) && acked <= client_reached(stream) + LEAST_REACH;
    if (packet->flags & (TCP_RST | TCP_SYN))
        fits = fits && (acked == 0 || stream->holds_syn || acked <= client_end(stream));
    return fits ? BELIEVED : STRANGE;
}

enum belief numbers_of_server(struct stream *stream, const struct packet *packet)
{
    if (!stream->has_origin)
        return server_first(stream, packet);
    uint32_t offset = packet->seq + ((packet->flags & TCP_SYN) != 0) - stream->origin;
    uint32_t acked = packet->ack - stream->first;
    if (packet->flags & TCP_RST)
        return reset(stream, SUSPECT_SERVER_RESET, offset, (uint32_t)stream->acked, server_reached(stream));
    bool near = is_near(offset, server_reached(stream), reach_of(stream));
    bool fits = !(packet->flags & TCP_ACK) || is_near(acked, client_reached(stream), reach_of(stream));
    if (near && fits)
        return believe(stream);
    enum belief belief = doubt(stream, packet);
    if (belief != LOST || !fits)
        return belief;
    stream->server_next = offset; /* the mirror has missed nothing of the client's */
    return BELIEVED;
}

/* What is far away may be the truth as well: then joining begins anew. */
bool numbers_fit_joining(struct stream *stream, const struct packet *packet, bool from_client)
{
    if (!stream->has_join_ack)
        return !(packet->flags & TCP_RST);
    uint32_t distance = packet->seq - (from_client ? stream->join_next : stream->join_ack);
    if (packet->flags & TCP_RST)
        return distance <= (from_client ? LEAST_REACH : MOST_REACH);
    if (from_client && !is_near(distance, 0, MOST_REACH))
        stream->has_join_ack = false;
    return true;
}

bool numbers_confirm_reset(struct stream *stream)
{
    uint32_t number = stream->suspect;
    if (stream->joining || stream->reset)
        return false;
    if (stream->suspicion == SUSPECT_CLIENT_RESET)
        stream->reset = client_end(stream) == number || stream->server_acked == number;
    else if (stream->suspicion == SUSPECT_SERVER_RESET)
        stream->reset = server_reached(stream) == number;
    return stream->reset;
}
