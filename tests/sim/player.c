#include "player.h"

#include <stdlib.h>
#include <string.h>

#include "sim.h"

enum { SERVER_MSS = 1460, PROBE_AFTER_MS = 2000 };

/* One connection on its time line. */
struct player {
    struct sim *sim;
    const struct scenario *scenario;
    struct connection *connection;
    struct random random;
    uint64_t now;
    uint32_t said;     /* by the client */
    uint32_t answered; /* by the server */
    uint32_t acked;    /* of it, by the client */
    uint32_t most;     /* bytes of a segment of the client */
    bool full;         /* the client's last segment was so large */
    bool fin_heard;    /* by the server */
    bool window_closed;
};

static void note_turn(struct player *player)
{
    struct connection *connection = player->connection;
    uint32_t count = connection->turn_count;
    if (count && connection->turns[count - 1].ack >= player->acked)
        return;
    if (count == connection->turn_room) {
        connection->turn_room = count ? 2 * count : 16;
        connection->turns = realloc(connection->turns, connection->turn_room * sizeof(struct turn));
        if (!connection->turns)
            abort();
    }
    connection->turns[connection->turn_count++] = (struct turn){player->said, player->acked, player->full};
}

/* --- segments ---------------------------------------------------------------------------------------------
 */

static uint64_t show(struct player *player, struct segment *segment)
{
    uint8_t frame[MOST_FRAME];
    struct framing framing = {player->scenario->mirror_tags, below(&player->random, 3) ? 0 : 6};
    uint32_t size = frame_write(segment, &framing, frame);
    return path_send(&player->sim->path, WAY_MIRROR, player->connection->index, player->now,
                     player->connection->syn_at + 1, frame, size);
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

static uint64_t client_says(struct player *player, uint8_t flags, uint32_t offset, const uint8_t *bytes,
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
    return show(player, &segment);
}

static void client_sends(struct player *player, uint8_t flags, uint32_t offset, uint32_t size)
{
    uint8_t bytes[MOST_FRAME];
    content_fill(player->connection->index, offset, bytes, size);
    client_says(player, flags, offset, bytes, size);
    player->now += player->scenario->pace_us * 1000ull;
}

static void client_acks(struct player *player)
{
    client_sends(player, ACK, player->said, 0);
}

static void server_sends(struct player *player, uint8_t flags, uint32_t offset, uint32_t size)
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
    if (player->scenario->both)
        show(player, &segment);
}

/* --- exchanges --------------------------------------------------------------------------------------------
 */

static void wait_round_trip(struct player *player)
{
    player->now += player->scenario->rtt_us * 1000ull;
}

/* For a moment the client has no room: its window closes, and opens again. */
static void close_window(struct player *player)
{
    player->window_closed = true;
    client_acks(player);
    player->window_closed = false;
    player->now += 1000000ull * below(&player->random, 500);
    client_acks(player);
}

/* The client reads on and acknowledges every second segment; sometimes the last acknowledgement comes with
 * what it says next. */
static void client_reads(struct player *player, uint32_t end)
{
    while (player->acked != end) {
        uint32_t rest = end - player->acked;
        player->acked += rest < 2 * SERVER_MSS ? rest : 2 * SERVER_MSS;
        if (player->acked != end || chance(&player->random, 500))
            client_acks(player);
        if (player->scenario->ack_mirrored && chance(&player->random, 50))
            close_window(player);
    }
}

/* Retransmissions: the same bytes, but cut differently. */
static void send_copies(struct player *player, uint32_t start)
{
    uint32_t most = player->most;
    for (uint32_t offset = start; offset < player->said; offset += most) {
        if (!chance(&player->random, player->scenario->copies))
            continue;
        player->now += 1000000ull * below(&player->random, 50);
        uint32_t first = offset;
        if (chance(&player->random, 500))
            first += below(&player->random, player->said - offset);
        uint32_t rest = player->said - first;
        uint32_t size = 1 + below(&player->random, rest < most ? rest : most);
        client_sends(player, (uint8_t)(ACK | (size == rest ? PSH : 0)), first, size);
    }
}

static bool closes_with(const struct player *player, uint32_t exchange)
{
    const struct dialogue *dialogue = &player->connection->dialogue;
    return exchange + 1 == dialogue->count && dialogue->ending == CLIENT_SENDS_AND_CLOSES;
}

static void note_fin(struct player *player)
{
    player->connection->has_fin = true;
    player->connection->fin_ack = player->acked;
}

static void client_requests(struct player *player, uint32_t index)
{
    const struct exchange *exchange = &player->connection->dialogue.exchanges[index];
    uint32_t start = player->said;
    uint32_t end = start + exchange->request;
    while (player->said != end) {
        uint32_t rest = end - player->said;
        uint32_t size = rest < player->most ? rest : player->most;
        bool fin = size == rest && closes_with(player, index);
        bool ends_burst = size == rest || (player->said != start && chance(&player->random, 200));
        note_turn(player);
        if (fin)
            note_fin(player);
        client_sends(player, (uint8_t)(ACK | (ends_burst ? PSH : 0) | (fin ? FIN : 0)), player->said, size);
        player->said += size;
        player->full = size == player->most;
        if (exchange->overlap && player->acked != player->answered && chance(&player->random, 100))
            player->acked += between(&player->random, 1, player->answered - player->acked);
    }
    send_copies(player, start);
}

static void server_answers(struct player *player, uint32_t size)
{
    wait_round_trip(player);
    player->fin_heard = player->connection->has_fin;
    for (uint32_t sent = 0; sent < size;) {
        uint32_t part = size - sent < SERVER_MSS ? size - sent : SERVER_MSS;
        server_sends(player, ACK | PSH, player->answered + sent, part);
        sent += part;
    }
    player->answered += size;
}

/* Each side may ask whether the other is still there: with a byte of the past, or with none. */
static void probe(struct player *player)
{
    static const uint8_t GARBAGE = 0;
    player->now += PROBE_AFTER_MS * 1000000ull;
    if (chance(&player->random, 500)) {
        server_sends(player, ACK, player->answered - 1, 0);
        client_acks(player);
        return;
    }
    uint32_t size = scenario_mirror_is_whole(player->scenario) ? below(&player->random, 2) : 0;
    client_says(player, ACK, player->said - 1, &GARBAGE, size);
    server_sends(player, ACK, player->answered, 0);
}

static void play_exchange(struct player *player, uint32_t index)
{
    const struct dialogue *dialogue = &player->connection->dialogue;
    const struct exchange *exchange = &dialogue->exchanges[index];
    if (exchange->overlap && player->acked != player->answered)
        client_reads(player, player->acked + below(&player->random, player->answered - player->acked + 1));
    else if (!exchange->pipelined)
        client_reads(player, player->answered);
    client_requests(player, index);
    bool last = index + 1 == dialogue->count;
    if (last && dialogue->ending == CLIENT_CLOSES_AT_ONCE) {
        note_fin(player);
        client_sends(player, FIN | ACK, player->said, 0);
    }
    if (last && dialogue->ending == CLIENT_RESETS_AT_ONCE)
        return;
    server_answers(player, exchange->answer);
    if (chance(&player->random, player->scenario->probes) && !(last && player->connection->has_fin)) {
        client_reads(player, player->answered);
        probe(player);
    }
}

/* --- the whole
 * ---------------------------------------------------------------------------------------------- */

static void play_handshake(struct player *player)
{
    struct connection *connection = player->connection;
    connection->syn_at = client_says(player, SYN, (uint32_t)-1, NULL, 0);
    wait_round_trip(player);
    server_sends(player, SYN | ACK, (uint32_t)-1, 0);
    client_acks(player);
    if (connection->dialogue.greeting)
        server_answers(player, connection->dialogue.greeting);
}

static void client_closes(struct player *player)
{
    note_fin(player);
    client_sends(player, FIN | ACK, player->said, 0);
    if (chance(&player->random, player->scenario->copies))
        client_sends(player, FIN | ACK, player->said, 0);
}

static void server_hears_fin(struct player *player)
{
    player->fin_heard = true;
    server_sends(player, ACK, player->answered, 0);
}

static void server_closes(struct player *player)
{
    server_sends(player, FIN | ACK, player->answered, 0);
    player->answered++;
}

static void acknowledge_fin(struct player *player)
{
    player->acked = player->answered;
    client_sends(player, ACK, player->said + 1, 0);
}

static void play_ending(struct player *player)
{
    enum ending ending = player->connection->dialogue.ending;
    if (ending == CLIENT_RESETS_AT_ONCE) {
        client_sends(player, RST | ACK, player->said, 0);
        return;
    }
    client_reads(player, player->answered);
    switch (ending) {
    case CLIENT_CLOSES:
        client_closes(player);
        server_hears_fin(player);
        server_closes(player);
        acknowledge_fin(player);
        break;
    case SERVER_CLOSES:
        server_closes(player);
        player->acked = player->answered;
        client_closes(player);
        server_hears_fin(player);
        break;
    case BOTH_CLOSE:
        client_closes(player);
        server_closes(player);
        acknowledge_fin(player);
        server_hears_fin(player);
        break;
    case CLIENT_RESETS:
        client_sends(player, RST | ACK, player->said, 0);
        break;
    case SERVER_RESETS:
        server_sends(player, RST | ACK, player->answered, 0);
        break;
    case CLIENT_CLOSES_AT_ONCE:
    case CLIENT_SENDS_AND_CLOSES:
        server_closes(player);
        acknowledge_fin(player);
        break;
    default:
        break;
    }
}

void player_play(struct sim *sim, struct connection *connection, uint64_t start)
{
    struct player player = {
        .sim = sim,
        .scenario = &sim->scenario,
        .connection = connection,
        .random = random_stream(sim->scenario.seed, 200 + connection->index),
        .now = start,
    };
    player.most = chance(&player.random, 800) ? player.scenario->client_mss
                                              : between(&player.random, 40, player.scenario->client_mss);
    play_handshake(&player);
    for (uint32_t i = 0; i < connection->dialogue.count; i++)
        play_exchange(&player, i);
    play_ending(&player);
    connection->over_at = player.now;
}
