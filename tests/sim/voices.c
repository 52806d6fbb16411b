#include "voices.h"

#include "sim.h"
#include "strays.h"

static uint64_t show(struct player *player, struct segment *segment)
{
    uint8_t frame[MOST_FRAME];
    struct framing framing = {player->scenario->mirror_tags, below(&player->random, 3) ? 0 : 6};
    uint32_t size = frame_write(segment, &framing, frame);
    const struct scenario *scenario = player->scenario;
    bool client = host_equal(&segment->from, &player->connection->client);
    uint32_t late_us = client ? scenario->client_late_us : scenario->server_late_us;
    bool overtakes = !client && scenario->client_late_us;
    return path_send(&player->sim->path, WAY_MIRROR, player->connection->index,
                     player->now + late_us * 1000ull, overtakes ? 0 : player->connection->syn_at + 1, frame,
                     size);
}

/* A segment of an older connection, now and then, behind one of this connection. */
static void let_stray(struct player *player)
{
    const struct moment moment = {player->now, player->said, player->answered, player->fin_heard};
    if (player->scenario->strays && player->settled && chance(&player->strays, player->scenario->strays))
        strays_show(player->sim, player->connection, &moment, &player->strays);
}

static uint16_t client_window(const struct player *player, uint8_t flags)
{
    const struct scenario *scenario = player->scenario;
    uint32_t window = scenario->client_window;
    if (player->window_closed)
        return 0;
    if (scenario->client_scale != NO_SCALE && !(flags & SYN))
        window = window >> scenario->client_scale ? window >> scenario->client_scale : 1;
    return (uint16_t)(window < 65535 ? window : 65535);
}

uint64_t client_says(struct player *player, uint8_t flags, uint32_t offset, const uint8_t *bytes,
                     uint32_t size)
{
    const struct connection *connection = player->connection;
    const struct scenario *scenario = player->scenario;
    bool syn = flags & SYN;
    struct segment segment = {
        .from = connection->client,
        .to = connection->server,
        .seq = connection->client_isn + 1 + offset,
        .ack = flags & ACK ? connection->server_isn + 1 + player->acked : 0,
        .flags = flags,
        .window = client_window(player, flags),
        .mss = (uint16_t)(syn ? scenario->client_mss : 0),
        .scale = (uint8_t)(syn ? scenario->client_scale : NO_SCALE),
        .sack_permitted = syn && scenario->client_sack,
        .timestamps = scenario->client_timestamps,
        .tsval = (uint32_t)(player->now / 1000000),
        .payload = bytes,
        .size = size,
    };
    uint64_t at = show(player, &segment);
    let_stray(player);
    return at;
}

void client_sends(struct player *player, uint8_t flags, uint32_t offset, uint32_t size)
{
    uint8_t bytes[MOST_FRAME];
    content_fill(player->connection->index, offset, bytes, size);
    client_says(player, flags, offset, bytes, size);
    player->now += player->scenario->pace_us * 1000ull;
}

void client_acks(struct player *player)
{
    client_sends(player, ACK, player->said, 0);
}

void server_sends(struct player *player, uint8_t flags, uint32_t offset, uint32_t size)
{
    static const uint8_t BYTES[SERVER_MSS];
    const struct connection *connection = player->connection;
    bool syn = flags & SYN;
    struct segment segment = {
        .from = connection->server,
        .to = connection->client,
        .seq = connection->server_isn + 1 + offset,
        .ack = connection->client_isn + 1 + player->said + player->fin_heard,
        .flags = flags,
        .window = 60000,
        .mss = syn ? SERVER_MSS : 0,
        .scale = syn ? 7 : NO_SCALE,
        .sack_permitted = syn,
        .payload = BYTES,
        .size = size,
    };
    player->now += player->scenario->pace_us * 1000ull;
    if (!player->scenario->both)
        return;
    show(player, &segment);
    let_stray(player);
}

void server_acks(struct player *player)
{
    uint64_t now = player->now;
    player->now -= player->scenario->pace_us * 2000ull; /* right behind what the client has just said */
    server_sends(player, ACK, player->answered, 0);
    player->now = now;
}
