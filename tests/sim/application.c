#include "sim.h"

enum { READ_EVERY_MS = 5, MOST_PAUSE_MS = 20 };

static const struct dialogue *dialogue_of(const struct sim *sim, const struct peer *peer)
{
    return &sim->connections[peer->record->connection].dialogue;
}

static bool misbehaves(const struct sim *sim, const struct peer *peer)
{
    return sim->scenario.misbehaviour && peer->exchange >= sim->scenario.misbehave_at;
}

void application_open(struct sim *sim, struct peer *peer)
{
    peer->exchange = peer->record->joined ? NOT_YET : 0;
    peer->greeted = peer->record->joined || !dialogue_of(sim, peer)->target_greeting;
    if (!peer->greeted)
        peer->write_at = sim->now + 1000ull * dialogue_of(sim, peer)->exchanges[0].think_us;
}

/* --- reading
 * ---------------------------------------------------------------------------------------------------- */

/* It reads at its pace; when that has made room in a window that was nearly closed, the client is told. */
static void read_on(struct sim *sim, struct peer *peer)
{
    uint32_t rest = peer->rcv_nxt - peer->read;
    uint32_t most = sim->scenario.target_read * READ_EVERY_MS;
    if (peer->deaf || peer->silent || !rest || (peer->read_at != NEVER && peer->read_at > sim->now))
        return;
    peer->read += most && most < rest ? most : rest;
    peer->read_at = most ? sim->now + READ_EVERY_MS * 1000000ull : NEVER;
    uint32_t offered = peer->rcv_adv - peer->rcv_nxt;
    if (offered < 2 * peer->mss && peer_window(sim, peer) > offered)
        peer->ack_at = sim->now;
}

static void stop_reading(struct peer *peer)
{
    if (peer->read == peer->rcv_nxt)
        peer->read_at = NEVER;
    struct record *record = peer->record;
    record->read = peer->read > record->read ? peer->read : record->read;
}

/* --- speaking
 * ----------------------------------------------------------------------------------------------------- */

static void misbehave(struct sim *sim, struct peer *peer)
{
    sim_note(sim, "session %u: the target misbehaves", peer->record->index);
    switch (sim->scenario.misbehaviour) {
    case CLOSES:
        peer->closed = peer->deaf = true;
        peer->read_at = NEVER;
        break;
    case SHUTS:
        peer->closed = true;
        break;
    case RESETS:
        peer_reset(sim, peer);
        break;
    case VANISHES:
        peer->silent = true;
        break;
    default:
        break;
    }
    peer->exchange = MOST_EXCHANGES + 1; /* there is no such: it answers nothing any more */
    peer->write_at = NEVER;
}

static void answer(struct sim *sim, struct peer *peer)
{
    const struct exchange *exchange = &dialogue_of(sim, peer)->exchanges[peer->exchange];
    uint32_t half = exchange->in_pieces ? exchange->target_answer / 2 : 0;
    if (!peer->pieces && half) {
        peer->written += half;
        peer->pieces = 1;
        peer->write_at = sim->now + 1000000ull * (1 + exchange->think_us % MOST_PAUSE_MS);
        return;
    }
    peer->written += exchange->target_answer - (peer->pieces ? half : 0);
    peer->pieces = 0;
    peer->thinking = false;
    peer->write_at = NEVER;
    peer->exchange++;
}

/* Whether all of the request that is to be answered next has been read. */
static bool has_request(const struct sim *sim, const struct peer *peer)
{
    const struct dialogue *dialogue = dialogue_of(sim, peer);
    return peer->exchange < dialogue->count &&
           peer->record->base + peer->read >= dialogue_requests(dialogue, peer->exchange + 1);
}

static void speak(struct sim *sim, struct peer *peer)
{
    const struct dialogue *dialogue = dialogue_of(sim, peer);
    if (!peer->greeted) {
        if (peer->write_at > sim->now)
            return;
        peer->greeted = true;
        peer->write_at = NEVER;
        peer->written += dialogue->target_greeting;
    }
    while (has_request(sim, peer)) {
        if (misbehaves(sim, peer)) {
            misbehave(sim, peer);
            return;
        }
        if (!peer->thinking) {
            peer->thinking = true;
            peer->write_at = sim->now + 1000ull * dialogue->exchanges[peer->exchange].think_us;
        }
        if (peer->write_at > sim->now)
            return;
        answer(sim, peer);
    }
}

/* A joined session begins at some exchange; the bytes tell which. */
static void find_exchange(const struct sim *sim, struct peer *peer)
{
    const struct dialogue *dialogue = dialogue_of(sim, peer);
    if (peer->exchange != NOT_YET || !peer->record->base_known)
        return;
    peer->exchange = 0;
    while (dialogue_requests(dialogue, peer->exchange) < peer->record->base)
        peer->exchange++;
}

static void close_if_done(const struct sim *sim, struct peer *peer)
{
    const struct dialogue *dialogue = dialogue_of(sim, peer);
    bool ended = peer->fin_taken && peer->read == peer->rcv_nxt;
    if (peer->exchange == dialogue->count && (ended || dialogue_server_closes(dialogue)))
        peer->closed = true;
}

void application_run(struct sim *sim, struct peer *peer)
{
    if (peer->state == PEER_CLOSED || peer->state == PEER_SYN_RECEIVED || peer->silent)
        return;
    if (sim->now >= sim->frozen_from && sim->now < sim->frozen_until) {
        peer->read_at = sim->frozen_until;
        peer->write_at = peer->write_at < sim->frozen_until ? sim->frozen_until : peer->write_at;
        return;
    }
    read_on(sim, peer);
    stop_reading(peer);
    find_exchange(sim, peer);
    speak(sim, peer);
    close_if_done(sim, peer);
    peer->record->written = peer->written + peer->closed;
}
