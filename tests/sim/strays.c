#include "strays.h"

#include "sim.h"

enum { MOST_STRAY = 500 };

static uint32_t far_from(struct random *random, uint32_t number)
{
    return number + between(random, STRAY_DISTANCE, 0u - STRAY_DISTANCE);
}

static void put(struct sim *sim, const struct connection *connection, uint64_t at,
                const struct segment *segment)
{
    uint8_t frame[MOST_FRAME];
    const struct framing framing = {sim->scenario.mirror_tags, 0};
    uint32_t size = frame_write(segment, &framing, frame);
    path_send(&sim->path, WAY_MIRROR, connection->index, at, connection->syn_at + 1, frame, size);
}

/* Where only the client's direction is mirrored nothing shows that a SYN was not believed. */
static uint8_t draw_flags(const struct sim *sim, bool client, struct random *random)
{
    static const uint8_t FLAGS[] = {RST, RST | ACK, ACK, ACK | PSH, FIN | ACK, SYN};
    uint32_t count = sizeof(FLAGS) - (client && !sim->scenario.both);
    uint8_t flags = FLAGS[below(random, count)];
    return flags == SYN && !client ? SYN | ACK : flags;
}

/* RFC 5961 4.2: the server asks the client whether it has really begun anew. */
static void challenge(struct sim *sim, const struct connection *connection, const struct moment *moment)
{
    const struct segment segment = {
        .from = connection->server,
        .to = connection->client,
        .seq = connection->server_isn + 1 + moment->answered,
        .ack = connection->client_isn + 1 + moment->said + moment->fin_heard,
        .flags = ACK,
        .window = 60000,
        .scale = NO_SCALE,
    };
    put(sim, connection, moment->now, &segment);
}

void strays_show(struct sim *sim, const struct connection *connection, const struct moment *moment,
                 struct random *random)
{
    bool client = !sim->scenario.both || chance(random, 500);
    uint8_t bytes[MOST_STRAY];
    uint8_t flags = draw_flags(sim, client, random);
    uint32_t seq =
        (client ? connection->client_isn + moment->said : connection->server_isn + moment->answered);
    uint32_t ack =
        (client ? connection->server_isn + moment->answered : connection->client_isn + moment->said);
    struct segment segment = {
        .from = client ? connection->client : connection->server,
        .to = client ? connection->server : connection->client,
        .seq = far_from(random, seq),
        .ack = flags & ACK ? far_from(random, ack) : 0,
        .flags = flags,
        .window = (uint16_t)below(random, 65536),
        .mss = flags & SYN ? 1460 : 0,
        .scale = NO_SCALE,
        .payload = bytes,
        .size = flags == (ACK | PSH) ? between(random, 1, MOST_STRAY) : 0,
    };
    for (uint32_t i = 0; i < segment.size; i++)
        bytes[i] = (uint8_t)random64(random);
    put(sim, connection, moment->now, &segment);
    if (flags == SYN)
        challenge(sim, connection, moment);
}
