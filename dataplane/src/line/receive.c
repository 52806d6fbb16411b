#include "receive.h"

#include "filter.h"
#include "replay/ahead.h"
#include "replay/answer.h"
#include "replay/mirror.h"
#include "replay/offline.h"
#include "wire/parse.h"

enum { MOST_BURSTS = 4 }; /* from one ring in one loop, unless it is filling up */

/* A frame of a burst, and what a look at it has shown. */
struct seen {
    struct handed handed;
    const struct dp_filter *filter; /* for it to pass, or NULL */
    enum drop drop;
    struct packet packet;
    struct handoff *way; /* to its owner; NULL: this worker owns it */
    struct glance glance;
};

/* The packet's client, production's or forged, whose hash decides on the owner. */
static const struct endpoint *client_of(const struct worker *worker, uint32_t role,
                                        const struct packet *packet)
{
    if (role == DP_ROLE_TEST || !replay_is_from_client(&worker->replay, packet))
        return &packet->destination;
    return &packet->source;
}

static struct handoff *way_to_owner(const struct worker *worker, const struct handed *handed,
                                    const struct packet *packet)
{
    if (worker->config->workers == 1)
        return NULL;
    uint32_t owner = flow_owner(client_of(worker, handed->role, packet), worker->config->workers);
    return handed->patience ? worker->patient_to[owner] : worker->to[owner];
}

/* Learns all that can be known of the frames before the first of them does anything. */
static void look_at(const struct worker *worker, struct seen *seen, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        __builtin_prefetch(seen[i].handed.frame.data);
    for (uint32_t i = 0; i < count; i++) {
        const struct handed *handed = &seen[i].handed;
        seen[i].glance = (struct glance){.table = NULL};
        if (seen[i].filter && !filter_passes(seen[i].filter, &handed->frame))
            seen[i].drop = DROP_filtered;
        else
            seen[i].drop = parse_frame(&handed->frame, handed->verify_checksums, &seen[i].packet);
        if (seen[i].drop)
            continue;
        seen[i].way = way_to_owner(worker, handed, &seen[i].packet);
        if (!seen[i].way)
            seen[i].glance = ahead_slot(&worker->replay, handed->role, &seen[i].packet);
    }
    for (uint32_t i = 0; i < count; i++)
        ahead_object(&worker->replay, &seen[i].glance);
    for (uint32_t i = 0; i < count; i++)
        ahead_partner(&worker->replay, &seen[i].glance);
}

/* Whether the NIC delivered the target's frame to another queue than we had computed. */
static bool is_astray(const struct worker *worker, const struct seen *seen)
{
    const struct toeplitz *toeplitz = worker->replay.endpoints.toeplitz;
    const struct packet *packet = &seen->packet;
    return toeplitz && toeplitz_queue(toeplitz, packet->transport, &packet->source, &packet->destination) %
                               worker->config->workers !=
                           worker->index;
}

/* Passes a frame on to its owner. */
static enum drop hand_off(struct worker *worker, const struct seen *seen)
{
    struct handed handed = seen->handed;
    handed.verify_checksums = false; /* done */
    if (!handoff_put(seen->way, &handed))
        return DROP_handoff_full;
    struct stats *stats = worker->stats;
    bool mirror = seen->handed.role == DP_ROLE_MIRROR;
    stats_add(mirror ? &stats->mirror_handed_off : &stats->test_handed_off, 1);
    stats_add(&stats->test_astray, !mirror && is_astray(worker, seen));
    return DROP_NONE;
}

static enum drop replay_packet(struct worker *worker, const struct seen *seen, uint64_t now)
{
    struct stats *stats = worker->stats;
    bool mirror = seen->handed.role == DP_ROLE_MIRROR;
    enum drop drop = mirror ? replay_on_mirror(&worker->replay, &seen->packet, now)
                            : replay_on_answer(&worker->replay, &seen->packet, now);
    if (!drop)
        stats_add(mirror ? &stats->mirror_accepted : &stats->test_accepted, 1);
    return drop;
}

static bool should_wait(struct worker *worker, const struct seen *seen)
{
    if (!seen->handed.patience)
        return false;
    return seen->way ? handoff_is_full(seen->way)
                     : offline_should_wait(&worker->replay, &seen->packet, seen->handed.patience);
}

/* False: the frame should wait; nothing has been done with it. */
static bool on_frame(struct worker *worker, const struct seen *seen, uint64_t now)
{
    enum drop drop = seen->drop;
    if (!drop) {
        if (should_wait(worker, seen))
            return false;
        drop = seen->way ? hand_off(worker, seen) : replay_packet(worker, seen, now);
    }
    if (drop)
        stats_add(&worker->stats->drop[seen->handed.role][drop], 1);
    return true;
}

/* Returns how many were dealt with; the others should wait. A frame that may have to wait is looked at alone,
 * so that those behind it are not looked at again and again. */
static uint32_t on_burst(struct worker *worker, struct seen *seen, uint32_t count, uint64_t now)
{
    uint32_t looked = 0;
    for (uint32_t taken = 0; taken < count; taken++) {
        if (taken == looked) {
            looked = seen[taken].handed.patience ? taken + 1 : count;
            look_at(worker, &seen[taken], looked - taken);
        }
        if (!on_frame(worker, &seen[taken], now))
            return taken;
    }
    return count;
}

static void count_received(struct stats *stats, const struct port *port, uint32_t frames, uint64_t bytes)
{
    bool mirror = port->role == DP_ROLE_MIRROR;
    stats_add(mirror ? &stats->mirror_frames : &stats->test_frames, frames);
    stats_add(mirror ? &stats->mirror_bytes : &stats->test_bytes, bytes);
}

/* Whether a whole burst could be handed off. If not, frames stay where they are: the RX ring has more room.
 */
static bool may_hand_off(const struct worker *worker)
{
    for (uint32_t other = 0; other < worker->config->workers; other++)
        if (worker->to[other] && !handoff_has_room(worker->to[other], PORT_BURST))
            return false;
    return true;
}

/* One burst of one queue. */
static bool receive_burst(struct worker *worker, const struct inlet *inlet, uint64_t now)
{
    struct frame frames[PORT_BURST];
    struct seen seen[PORT_BURST];
    struct port *port = inlet->port;
    if (port->patience && worker->draining)
        return false; /* what waits there stays there */
    if (!port->patience && !may_hand_off(worker))
        return true; /* look again at once */
    uint32_t count = port->ops->rx(port, now, frames, PORT_BURST);
    for (uint32_t i = 0; i < count; i++) {
        seen[i].handed = (struct handed){frames[i], port->role, inlet->verify_checksums, port->patience};
        seen[i].filter = port->role == DP_ROLE_MIRROR ? &worker->config->filter : NULL;
    }
    uint32_t taken = on_burst(worker, seen, count, now);
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < taken; i++)
        bytes += frames[i].size;
    if (count)
        port->ops->rx_done(port, frames, taken);
    stats_add(&worker->stats->capture_waits, taken < count);
    count_received(worker->stats, port, taken, bytes);
    return taken;
}

static bool receive_handed(struct worker *worker, struct handoff *handoff, uint64_t now)
{
    struct stats *stats = worker->stats;
    struct handed handed[PORT_BURST];
    struct seen seen[PORT_BURST];
    uint32_t count = handoff ? handoff_take(handoff, handed, PORT_BURST) : 0;
    for (uint32_t i = 0; i < count; i++) {
        seen[i].handed = handed[i];
        seen[i].filter = NULL;
    }
    uint32_t taken = on_burst(worker, seen, count, now);
    for (uint32_t i = 0; i < taken; i++)
        stats_add(handed[i].role == DP_ROLE_MIRROR ? &stats->mirror_handed_in : &stats->test_handed_in, 1);
    if (taken)
        handoff_done(handoff, taken);
    return taken;
}

/* Bursts to take from a ring in this loop. All that waits where the ring is filling up: what is taken is only
 * late, but frames that find no room are lost at random from any connection. */
static uint32_t bursts_of(struct worker *worker, uint32_t waiting, uint32_t room)
{
    uint32_t bursts = waiting / PORT_BURST + 1;
    if (waiting <= room / 2) {
        worker->crowded |= bursts > MOST_BURSTS;
        return bursts < MOST_BURSTS ? bursts : MOST_BURSTS;
    }
    worker->pressed = true;
    return bursts;
}

bool receive_from_ports(struct worker *worker, uint64_t now)
{
    bool any = false;
    for (uint32_t i = 0; i < worker->inlet_count; i++) {
        const struct port *port = worker->inlets[i].port;
        uint32_t bursts = port->room ? bursts_of(worker, port->ops->waiting(port), port->room) : 1;
        while (bursts-- && receive_burst(worker, &worker->inlets[i], now))
            any = true;
    }
    return any;
}

/* What other workers have handed over. */
bool receive_from_workers(struct worker *worker, uint64_t now)
{
    bool any = false;
    for (uint32_t other = 0; other < worker->config->workers; other++) {
        struct handoff *from = worker->from[other];
        uint32_t bursts = from ? bursts_of(worker, handoff_waiting(from), handoff_slots(from)) : 0;
        while (bursts-- && receive_handed(worker, from, now))
            any = true;
        any |= receive_handed(worker, worker->patient_from[other], now);
    }
    return any;
}
