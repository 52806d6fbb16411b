#include "tongue.h"

#include "protocol/detect.h"
#include "protocol/manner.h"
#include "session/stream.h"

static bool replays_tls(const struct replay *replay, const struct stream *stream)
{
    return replay->config->transfers[stream->transfer].tls_replay;
}

enum { START = 64 };

/* The first bytes, where they came in several turns. */
static uint32_t copy_start(const struct stream *stream, uint8_t start[START])
{
    uint32_t size = 0;
    for (const struct chunk *chunk = stream->client.head; chunk && size < START; chunk = chunk->next) {
        uint32_t part = min32(chunk->size, START - size);
        memcpy(start + size, chunk->bytes, part);
        size += part;
    }
    return size;
}

bool tongue_detect(struct replay *replay, struct stream *stream)
{
    const struct chunk *chunk = stream->client.head;
    if (stream->detected || !chunk)
        return true;
    uint8_t start[START];
    uint32_t size = chunk->size;
    const uint8_t *bytes = chunk->bytes;
    if (size < START && chunk->next) {
        size = copy_start(stream, start);
        bytes = start;
    }
    bool over = stream_is_finished(stream) || stream->reset;
    if (protocol_tls(bytes, size) == TLS_UNSURE && !over && !replays_tls(replay, stream))
        return true;
    enum protocol protocol = protocol_detect(bytes, size, chunk->turn != 0);
    stream->detected = true;
    stream->protocol = (uint8_t)protocol;
    stream->manner = manner_of(protocol, bytes, size, chunk->turn != 0) & 3;
    stats_add(&replay->context.stats->protocol[protocol], !stream->counted);
    stream->counted = true;
    stream->never_upgrades = protocol != PROTOCOL_unknown && protocol != PROTOCOL_postgresql;
    return protocol != PROTOCOL_tls || replays_tls(replay, stream);
}

bool tongue_is_tls(const struct replay *replay, struct stream *stream, const struct packet *packet)
{
    if (!packet->size || replays_tls(replay, stream))
        return false;
    if (stream->upgrade ? packet->payload[0] == 22 : protocol_is_hello(packet->payload, packet->size))
        return true;
    if (!stream->never_upgrades)
        stream->upgrade = stream->upgrade || protocol_asks_for_tls(packet->payload, packet->size);
    return false;
}

void tongue_hear_client(struct stream *stream, const struct packet *packet)
{
    if (stream->protocol == PROTOCOL_redis && manner_client_subscribes(packet->payload, packet->size))
        stream->manner = MANNER_PUSHES;
}

void tongue_hear_server(struct stream *stream, const struct packet *packet)
{
    if (stream->protocol == PROTOCOL_http1 && manner_server_switches(packet->payload, packet->size))
        stream->manner = MANNER_PUSHES;
}
