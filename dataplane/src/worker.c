#define _GNU_SOURCE
#include "worker.h"

#include <poll.h>
#include <time.h>

#include "filter.h"
#include "repeats.h"
#include "session/offline.h"
#include "wire/parse.h"

enum {
    SPIN_TURNS = 64,      /* idle turns before the thread sleeps */
    MOST_SLEEP_TICKS = 8, /* so that orders and housekeeping are not late */
    HOUSEKEEPING = 50 * 1000 * 1000,
    NANOSECONDS = 1000000000,
};

uint64_t mac_pack(const uint8_t mac[6])
{
    uint64_t packed = 0;
    memcpy(&packed, mac, 6);
    return packed;
}

/* --- in ------------------------------------------------------------------------------------------------- */

/* Passes a frame on to its owner. */
static enum drop hand_off(struct worker *worker, struct handoff *handoff, const struct handed *handed)
{
    if (!handoff_put(handoff, handed))
        return DROP_handoff_full;
    struct stats *stats = worker->stats;
    stats_add(handed->role == DP_ROLE_MIRROR ? &stats->mirror_handed_off : &stats->test_handed_off, 1);
    return DROP_NONE;
}

/* The production or forged client of the packet: whose hash decides on the owner. */
static const struct endpoint *client_of(const struct worker *worker, uint32_t role,
                                        const struct packet *packet)
{
    if (role == DP_ROLE_TEST || !replay_is_from_client(&worker->replay, packet))
        return &packet->destination;
    return &packet->source;
}

/* The ring to the packet's owner; NULL: it is this worker's own. */
static struct handoff *way_to_owner(const struct worker *worker, const struct handed *handed,
                                    const struct packet *packet)
{
    if (worker->config->workers == 1)
        return NULL;
    uint32_t owner = flow_owner(client_of(worker, handed->role, packet), worker->config->workers);
    return handed->patience ? worker->patient_to[owner] : worker->to[owner];
}

static enum drop replay_packet(struct worker *worker, const struct handed *handed,
                               const struct packet *packet, uint64_t now)
{
    struct stats *stats = worker->stats;
    bool mirror = handed->role == DP_ROLE_MIRROR;
    enum drop drop = mirror ? replay_on_mirror(&worker->replay, packet, now)
                            : replay_on_answer(&worker->replay, packet, now);
    if (!drop)
        stats_add(mirror ? &stats->mirror_accepted : &stats->test_accepted, 1);
    return drop;
}

/* False: the frame had better wait; nothing has been done with it. */
static bool on_frame(struct worker *worker, const struct handed *handed, uint64_t now)
{
    struct packet packet;
    enum drop drop = parse_frame(&handed->frame, handed->verify_checksums, &packet);
    if (!drop) {
        struct handoff *handoff = way_to_owner(worker, handed, &packet);
        if (handed->patience && (handoff ? handoff_is_full(handoff)
                                         : offline_should_wait(&worker->replay, &packet, handed->patience)))
            return false;
        drop = handoff ? hand_off(worker, handoff, handed) : replay_packet(worker, handed, &packet, now);
    }
    if (drop)
        stats_add(&worker->stats->drop[handed->role][drop], 1);
    return true;
}

/* As on_frame, for a frame that has just been received. */
static bool on_received(struct worker *worker, const struct inlet *inlet, const struct frame *frame,
                        uint64_t now)
{
    const struct port *port = inlet->port;
    if (port->role == DP_ROLE_MIRROR && !filter_passes(&worker->config->filter, frame)) {
        stats_add(&worker->stats->drop[DP_ROLE_MIRROR][DROP_filtered], 1);
        return true;
    }
    struct handed handed = {*frame, port->role, inlet->verify_checksums, port->patience};
    return on_frame(worker, &handed, now);
}

static void count_received(struct stats *stats, const struct port *port, uint32_t frames, uint64_t bytes)
{
    bool mirror = port->role == DP_ROLE_MIRROR;
    stats_add(mirror ? &stats->mirror_frames : &stats->test_frames, frames);
    stats_add(mirror ? &stats->mirror_bytes : &stats->test_bytes, bytes);
}

/* Whether a whole burst could be handed off. Else frames wait where they are: the RX ring has more room. */
static bool may_hand_off(const struct worker *worker)
{
    for (uint32_t other = 0; other < worker->config->workers; other++)
        if (worker->to[other] && !handoff_has_room(worker->to[other], PORT_BURST))
            return false;
    return true;
}

/* One burst of one queue. */
static bool receive(struct worker *worker, const struct inlet *inlet, uint64_t now)
{
    struct frame frames[PORT_BURST];
    struct port *port = inlet->port;
    if (port->patience && worker->draining)
        return false; /* what waits there stays there */
    if (!port->patience && !may_hand_off(worker))
        return true; /* look again at once */
    uint32_t count = port->ops->rx(port, now, frames, PORT_BURST);
    uint64_t bytes = 0;
    uint32_t taken = 0;
    for (; taken < count; taken++) {
        if (!on_received(worker, inlet, &frames[taken], now))
            break;
        bytes += frames[taken].size;
    }
    if (count)
        port->ops->rx_done(port, frames, taken);
    stats_add(&worker->stats->capture_waits, taken < count);
    count_received(worker->stats, port, taken, bytes);
    return taken;
}

static bool take_over_from(struct worker *worker, struct handoff *handoff, uint64_t now)
{
    struct stats *stats = worker->stats;
    struct handed handed;
    uint32_t taken = 0;
    for (; handoff && taken < PORT_BURST && handoff_take(handoff, &handed); taken++) {
        if (!on_frame(worker, &handed, now))
            break;
        stats_add(handed.role == DP_ROLE_MIRROR ? &stats->mirror_handed_in : &stats->test_handed_in, 1);
        handoff_done(handoff);
    }
    return taken;
}

/* One burst of what each other worker has handed over. */
static bool take_over(struct worker *worker, uint64_t now)
{
    bool any = false;
    for (uint32_t other = 0; other < worker->config->workers; other++) {
        any |= take_over_from(worker, worker->from[other], now);
        any |= take_over_from(worker, worker->patient_from[other], now);
    }
    return any;
}

/* --- out ------------------------------------------------------------------------------------------------ */

/* The last look before a frame leaves: it goes to its transfer's target, or nowhere. */
static bool is_allowed(const struct worker *worker, const struct segment *segment)
{
    if (segment->transfer >= worker->config->transfer_count)
        return false;
    const struct dp_transfer *transfer = &worker->config->transfers[segment->transfer];
    struct address target = address_from_bytes(transfer->target_ip);
    return segment->destination.port == transfer->target_port &&
           address_equal(&segment->destination.address, &target);
}

static void send_segment(struct worker *worker, const struct segment *segment, struct frame *frame)
{
    struct link_addresses link;
    uint64_t next_hop = __atomic_load_n(&worker->next_hops[segment->transfer], __ATOMIC_RELAXED);
    memcpy(link.destination, &next_hop, 6);
    memcpy(link.source, worker->mac, 6);
    rewrite_segment(segment, &link, frame);
    worker->outlet->ops->tx_push(worker->outlet, frame);
    stats_add(&worker->stats->sent_frames, 1);
    stats_add(&worker->stats->sent_bytes, frame->size);
}

/* As much as there is room for. A full ring delays; it loses nothing and blocks nothing. */
static bool send_ready(struct worker *worker)
{
    struct port *outlet = worker->outlet;
    struct segment segment;
    struct frame frame;
    bool any = false;
    while (replay_next(&worker->replay, &segment)) {
        if (!is_allowed(worker, &segment)) {
            stats_add(&worker->stats->refused_destination, 1);
            replay_sent(&worker->replay, &segment);
            continue;
        }
        if (!outlet->ops->tx_alloc(outlet, &frame))
            break;
        send_segment(worker, &segment, &frame);
        replay_sent(&worker->replay, &segment);
        any = true;
    }
    outlet->ops->flush(outlet);
    return any;
}

/* --- the turn ------------------------------------------------------------------------------------------- */

static void housekeeping(struct worker *worker, uint64_t now)
{
    worker->housekeeping_at = now + HOUSEKEEPING;
    stats_set(&worker->stats->heartbeat, now);
    replay_housekeeping(&worker->replay);
    if (worker->capture) {
        struct dp_capture_progress progress;
        port_capture_progress(worker->capture, &progress);
        stats_set(&worker->stats->capture_broken, progress.broken);
    }
}

static void follow_orders(struct worker *worker, uint64_t now)
{
    uint32_t orders = __atomic_load_n(worker->orders, __ATOMIC_ACQUIRE);
    if (orders & ORDER_PAUSE)
        worker->replay.paused_until = now;
    if (worker->draining || !(orders & ORDER_DRAIN))
        return;
    worker->draining = true;
    replay_drain(&worker->replay);
}

bool worker_turn(struct worker *worker, uint64_t now)
{
    bool busy = false;
    follow_orders(worker, now);
    replay_on_time(&worker->replay, now);
    for (uint32_t i = 0; i < worker->inlet_count; i++)
        busy |= receive(worker, &worker->inlets[i], now);
    busy |= take_over(worker, now);
    busy |= send_ready(worker);
    if (worker->repeats_read)
        repeats_turn(worker, now);
    if (worker->draining && replay_is_quiet(&worker->replay))
        __atomic_store_n(&worker->drained, 1, __ATOMIC_RELEASE);
    stats_add(&worker->stats->turns_of_worker, 1);
    if (now >= worker->housekeeping_at)
        housekeeping(worker, now);
    return busy;
}

static uint64_t clock_now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * NANOSECONDS + (uint64_t)time.tv_nsec;
}

/* Sleeps until a frame comes, a timer is due, or an order may have been given. */
static void sleep_until_needed(const struct worker *worker, uint64_t now)
{
    struct pollfd fds[WORKER_QUEUES];
    for (uint32_t i = 0; i < worker->inlet_count; i++) {
        const struct port *port = worker->inlets[i].port;
        fds[i] = (struct pollfd){.fd = port->ops->wait_fd(port), .events = POLLIN};
    }
    uint64_t until = wheel_idle_until(&worker->replay.wheel, MOST_SLEEP_TICKS);
    bool full = !replay_is_quiet(&worker->replay); /* the TX ring had no room: look again soon */
    int64_t rest = full ? 20000 : (int64_t)(until - now);
    if (worker->config->workers > 1 && rest > 200000)
        rest = 200000; /* hand-offs do not wake anybody */
    uint64_t due = worker->capture ? worker->capture->ops->due(worker->capture) : PORT_NEVER;
    if (due > now && due - now < (uint64_t)rest)
        rest = (int64_t)(due - now);
    if (rest <= 0)
        return;
    struct timespec time = {rest / NANOSECONDS, rest % NANOSECONDS};
    ppoll(fds, worker->inlet_count, &time, NULL);
}

void *worker_run(void *argument)
{
    struct worker *worker = argument;
    uint32_t idle = 0;
    while (!(__atomic_load_n(worker->orders, __ATOMIC_ACQUIRE) & ORDER_STOP)) {
        uint64_t now = clock_now();
        if (worker_turn(worker, now))
            idle = 0;
        else if (++idle > SPIN_TURNS)
            sleep_until_needed(worker, now);
    }
    housekeeping(worker, clock_now());
    return NULL;
}
