#include "production.h"

#include <stdlib.h>

#include "player.h"
#include "sim.h"

/* Often so that numbers wrap within the connection. */
static uint32_t draw_isn(struct random *random)
{
    return chance(random, 300) ? 0u - between(random, 1, 100000) : (uint32_t)random64(random);
}

static void draw_connection(struct sim *sim, uint32_t index, struct random *random)
{
    struct connection *connection = &sim->connections[index];
    *connection = (struct connection){.index = index, .successor = NO_CONNECTION};
    dialogue_draw(&connection->dialogue, &sim->scenario, random);
    connection->total = dialogue_requests(&connection->dialogue, connection->dialogue.count);
    connection->client_isn = draw_isn(random);
    connection->server_isn = draw_isn(random);
    connection->client = sim_host(sim, 18, (uint8_t)(10 + index), (uint16_t)between(random, 1024, 65535));
    connection->server = sim_host(sim, 18, 2, 80);
}

void production_open(struct sim *sim)
{
    uint64_t start = sim->now;
    for (uint32_t i = 0; i < sim->scenario.connections && i < MOST_CONNECTIONS; i++) {
        struct random random = random_stream(sim->scenario.seed, 100 + i);
        struct connection *connection = &sim->connections[i];
        draw_connection(sim, i, &random);
        sim->connection_count = i + 1;
        uint64_t at = start + 1000000ull * below(&random, 300);
        if (i && chance(&random, sim->scenario.reuse)) {
            connection->client = connection[-1].client;
            connection->client_isn += connection->client_isn == connection[-1].client_isn;
            connection[-1].successor = i;
            at = connection[-1].over_at + 1000000ull * between(&random, 1500, 20000);
        }
        player_play(sim, connection, at);
    }
}

void production_close(struct sim *sim)
{
    for (uint32_t i = 0; i < sim->connection_count; i++)
        free(sim->connections[i].turns);
}

static void note_known(struct connection *connection, uint32_t number)
{
    uint32_t offset = number - connection->client_isn - 1;
    if (connection->syn_shown && offset <= connection->total + 1 && offset > connection->known)
        connection->known = offset;
}

void production_on_shown(struct sim *sim, struct connection *connection, const struct segment *segment)
{
    if (!host_equal(&segment->from, &connection->client)) {
        connection->reset_shown |= (segment->flags & RST) != 0;
        connection->origin_shown |= connection->syn_shown && (segment->flags & SYN);
        connection->server_fin_shown |= (segment->flags & FIN) != 0;
        note_known(connection, segment->ack);
        return;
    }
    if ((segment->flags & ACK) && connection->syn_shown && !connection->origin_shown) {
        connection->origin = segment->ack - connection->server_isn - 1;
        connection->origin_shown = true;
    }
    connection->syn_shown |= (segment->flags & SYN) != 0;
    connection->reset_shown |= (segment->flags & RST) != 0;
    connection->fin_shown |= (segment->flags & FIN) != 0;
    note_known(connection, segment->seq);
    uint32_t offset = segment->seq - connection->client_isn - 1;
    if (segment->size && offset < connection->total &&
        !ranges_add(&connection->shown, offset, offset + segment->size))
        sim_fail(sim, "the simulator has no room for the holes of connection %u", connection->index);
}
