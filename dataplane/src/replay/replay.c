#include "replay.h"

#include <errno.h>

enum {
    CHUNK_SIZE = sizeof(struct chunk),
    WARM_BYTES = 64 << 20, /* of each pool */
    RELEASE_BEATS = 20,
};

static uint32_t share(uint64_t total, uint32_t workers)
{
    uint64_t part = (total + workers - 1) / workers;
    return part < 1 ? 1 : part > 1u << 30 ? 1u << 30 : (uint32_t)part;
}

int replay_open(struct replay *replay, const struct dp_config *config, struct stats *stats, uint32_t mtu,
                uint32_t worker)
{
    const struct dp_limits *limits = &config->limits;
    replay->config = config;
    replay->context = (struct session_context){
        .timing = &config->timing, .stats = stats, .clock_offset = config->clock_offset, .mtu = mtu};
    transfers_open(&replay->transfers, config);
    admission_open(&replay->admission, config);
    endpoints_open(&replay->endpoints, config, &replay->forged, worker);
    struct pool *chunks = &replay->context.chunks;
    int code = pool_open(chunks, CHUNK_SIZE, share(limits->buffer_bytes / CHUNK_SIZE, config->workers));
    code = code ? code
                : pool_open(&replay->streams, sizeof(struct stream),
                            share(limits->connections, config->workers));
    code =
        code ? code
             : pool_open(&replay->sessions, sizeof(struct session), share(limits->sessions, config->workers));
    code = code ? code : table_open(&replay->mirrored, &replay->streams);
    return code ? code : table_open(&replay->forged, &replay->sessions);
}

void replay_warm(struct replay *replay)
{
    pool_warm(&replay->context.chunks, WARM_BYTES);
    pool_warm(&replay->streams, WARM_BYTES);
    pool_warm(&replay->sessions, WARM_BYTES);
    table_warm(&replay->mirrored);
    table_warm(&replay->forged);
}

void replay_close(struct replay *replay)
{
    table_close(&replay->forged);
    table_close(&replay->mirrored);
    pool_close(&replay->sessions);
    pool_close(&replay->streams);
    pool_close(&replay->context.chunks);
}

void replay_housekeeping(struct replay *replay)
{
    struct pool *pools[] = {&replay->context.chunks, &replay->sessions, &replay->streams};
    uint32_t held = 0;
    for (uint32_t i = 0; i < sizeof(pools) / sizeof(pools[0]); i++) {
        replay->empty_beats[i] = pools[i]->live ? 0 : replay->empty_beats[i] + 1;
        if (replay->empty_beats[i] % RELEASE_BEATS == RELEASE_BEATS - 1)
            pool_release(pools[i]);
        held += pools[i]->live;
    }
    stats_set(&replay->context.stats->objects_held, held);
    stats_set(&replay->context.stats->buffers_used, replay->context.chunks.live);
}
