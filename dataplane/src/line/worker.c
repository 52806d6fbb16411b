#define _GNU_SOURCE
#include "worker.h"

#include <poll.h>
#include <time.h>

#include "filter.h"
#include "repeats.h"
#include "replay/ahead.h"
#include "replay/offline.h"
#include "wire/parse.h"

enum {
    MOST_DELAY = 5 * 1000 * 1000, /* without room to send: more is overload, not a burst */
    MOST_BURSTS = 4,              /* from one ring in one turn, unless it is filling up */
    MOST_SENT = 256,              /* frames in one turn */
    SPIN_TURNS = 16,              /* idle turns before the thread sleeps */
    MOST_SLEEP_TICKS = 8,         /* so that orders and housekeeping are not late */
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

/* A frame of a burst, and what looking at it has told. */
struct seen {
    struct handed handed;
    const struct dp_filter *filter; /* that it has to pass, or NULL */
    enum drop drop;
    struct packet packet;
    struct handoff *way; /* to its owner; NULL: it is this worker's own */
    struct glance glance;
};

/* The production or forged client of the packet: whose hash decides on the owner. */
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

/* Everything that can be known of the frames before the first of them does anything. */
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

/* The NIC did not deliver the target's frame where it was computed to. */
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
    handed.verify_checksums = false; /* they are right */
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

/* False: the frame had better wait; nothing has been done with it. */
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

/* Returns how many were dealt with; the others had better wait. What may have to wait is looked at alone, so
 * that it is not looked at again and again with all that is behind it. */
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

static bool take_over_from(struct worker *worker, struct handoff *handoff, uint64_t now)
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

/* Bursts to take from a ring in this turn. Where it is filling up, all that waits there: what is taken
 * belongs to connections and is only late, but what finds no room is lost at random. */
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

static bool receive_all(struct worker *worker, uint64_t now)
{
    bool any = false;
    for (uint32_t i = 0; i < worker->inlet_count; i++) {
        const struct port *port = worker->inlets[i].port;
        uint32_t bursts = port->room ? bursts_of(worker, port->ops->waiting(port), port->room) : 1;
        while (bursts-- && receive(worker, &worker->inlets[i], now))
            any = true;
    }
    return any;
}

/* What other workers have handed over. */
static bool take_over(struct worker *worker, uint64_t now)
{
    bool any = false;
    for (uint32_t other = 0; other < worker->config->workers; other++) {
        struct handoff *from = worker->from[other];
        uint32_t bursts = from ? bursts_of(worker, handoff_waiting(from), handoff_slots(from)) : 0;
        while (bursts-- && take_over_from(worker, from, now))
            any = true;
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
    if (transfer->state == DP_STOPPED && !(segment->flags & TCP_RST))
        return false;
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
    STATS_COUNT(worker->stats, &worker->replay.context.transfers[segment->transfer], sent_frames, 1);
    stats_add(&worker->stats->sent_bytes, frame->size);
}

/* As much as there is room for. A full ring delays; it loses nothing and blocks nothing. No more at a time
 * than leaves room in the other rings for what arrives meanwhile. */
static bool send_ready(struct worker *worker, uint64_t now)
{
    struct port *outlet = worker->outlet;
    struct segment segment;
    struct frame frame;
    uint32_t sent = 0;
    bool room = true;
    while (sent < MOST_SENT && replay_next(&worker->replay, &segment)) {
        if (!is_allowed(worker, &segment)) {
            stats_add(&worker->stats->refused_destination, 1);
            replay_sent(&worker->replay, &segment);
            continue;
        }
        if (!pace_allows(&worker->pace, &segment, now) || !outlet->ops->tx_alloc(outlet, &frame)) {
            room = false;
            break;
        }
        send_segment(worker, &segment, &frame);
        pace_sent(&worker->pace);
        replay_sent(&worker->replay, &segment);
        sent++;
    }
    outlet->ops->flush(outlet);
    if (room)
        worker->had_room = now;
    worker->pressed |= now - worker->had_room > MOST_DELAY;
    return sent;
}

/* --- the turn ------------------------------------------------------------------------------------------- */

static void housekeeping(struct worker *worker, uint64_t now)
{
    worker->housekeeping_at = now + HOUSEKEEPING;
    stats_set(&worker->stats->heartbeat, now);
    replay_housekeeping(&worker->replay);
    if (worker->capture) {
        struct dp_capture_progress progress;
        worker->capture->ops->progress(worker->capture, &progress);
        stats_set(&worker->stats->capture_broken, progress.broken);
    }
}

/* Frames that wait to be taken in, and sessions that wait to send. */
static uint32_t backlog_of(const struct worker *worker)
{
    uint32_t backlog = worker->replay.ready_count;
    for (uint32_t i = 0; i < worker->inlet_count; i++)
        backlog += worker->inlets[i].port->ops->waiting(worker->inlets[i].port);
    for (uint32_t other = 0; other < worker->config->workers; other++)
        backlog += worker->from[other] ? handoff_waiting(worker->from[other]) : 0;
    return backlog;
}

/* Overload: what has been let in is served, and less is let in. Nothing is refused that can wait. */
static void adapt(struct worker *worker, bool busy, uint64_t now)
{
    struct replay *replay = &worker->replay;
    const struct stats *stats = worker->stats;
    struct turn turn = {
        .pressed = worker->pressed || pool_is_short(&replay->context.chunks),
        .caught_up = !worker->crowded && replay_is_quiet(replay),
        .idle = !busy && replay_is_quiet(replay),
    };
    worker->pressed = worker->crowded = false;
    if (worker->repeats_read)
        return;
    stats_add(&worker->stats->loops_pressed, turn.pressed);
    if (!admission_note(&replay->admission, turn, now))
        return;
    uint64_t done =
        stats->mirror_frames + stats->test_frames + stats->mirror_handed_in + stats->test_handed_in;
    admission_adapt(&replay->admission, backlog_of(worker), done, now);
    sheds_close_above(&replay->sheds, admission_closed(&replay->admission));
}

bool worker_turn(struct worker *worker, uint64_t now)
{
    bool busy = orders_follow(worker, now);
    replay_on_time(&worker->replay, now);
    busy |= receive_all(worker, now);
    busy |= take_over(worker, now);
    busy |= send_ready(worker, now);
    adapt(worker, busy, now);
    if (worker->repeats_read)
        repeats_turn(worker, now);
    if (worker->draining && replay_is_quiet(&worker->replay))
        __atomic_store_n(&worker->drained, 1, __ATOMIC_RELEASE);
    stats_add(&worker->stats->loops, 1);
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
    replay_warm(&worker->replay);
    __atomic_store_n(&worker->warm, 1, __ATOMIC_RELEASE);
    while (!(__atomic_load_n(&worker->orders->bits, __ATOMIC_ACQUIRE) & ORDER_STOP)) {
        uint64_t now = clock_now();
        if (worker_turn(worker, now))
            idle = 0;
        else if (++idle > SPIN_TURNS)
            sleep_until_needed(worker, now);
    }
    housekeeping(worker, clock_now());
    return NULL;
}
