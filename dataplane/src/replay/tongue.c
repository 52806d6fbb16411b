#include "tongue.h"

#include "protocol/detect.h"
#include "session/stream.h"

static bool replays_tls(const struct replay *replay, const struct stream *stream)
{
    return replay->config->transfers[stream->transfer].tls_replay;
}

static void count_protocol(struct stats *stats, enum protocol protocol)
{
    uint64_t *const counters[PROTOCOL_COUNT] = {
        [PROTOCOL_UNKNOWN] = &stats->protocol_unknown,       [PROTOCOL_TLS] = &stats->protocol_tls,
        [PROTOCOL_HTTP1] = &stats->protocol_http1,           [PROTOCOL_HTTP2] = &stats->protocol_http2,
        [PROTOCOL_MYSQL] = &stats->protocol_mysql,           [PROTOCOL_REDIS] = &stats->protocol_redis,
        [PROTOCOL_POSTGRESQL] = &stats->protocol_postgresql,
    };
    stats_add(counters[protocol], 1);
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
    if (!stream->counted)
        count_protocol(replay->context.stats, protocol);
    stream->counted = true;
    stream->never_upgrades = protocol != PROTOCOL_UNKNOWN && protocol != PROTOCOL_POSTGRESQL;
    return protocol != PROTOCOL_TLS || replays_tls(replay, stream);
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
