/* worker.h: the line: one turn of one worker.
 *
 * A worker owns the queues that are dealt to it, and all conversations whose client hashes to it. It runs in
 * its own thread (worker_run), or is turned by dp_step. Called by engine.c.
 */
#ifndef XDPCOPY_WORKER_H
#define XDPCOPY_WORKER_H

#include "handoff.h"
#include "orders.h"
#include "pace.h"
#include "port/port.h"
#include "replay/listing.h"
#include "replay/replay.h"

#define WORKER_QUEUES 64

/* One queue of a port, and what its frames need. */
struct inlet {
    struct port *port;
    bool verify_checksums;
};

struct worker {
    const struct dp_config *config;
    const uint64_t *next_hops; /* for each transfer: link-layer address of its next hop, packed */
    struct stats *stats;
    struct replay replay;
    struct inlet inlets[WORKER_QUEUES];
    uint32_t inlet_count;
    struct port *outlet; /* its queue of the test port */
    uint32_t index;
    struct handoff *to[DP_MAX_WORKERS]; /* NULL for itself */
    struct handoff *from[DP_MAX_WORKERS];
    /* The same for frames that can wait: they must not stand in the way of those that cannot. */
    struct handoff *patient_to[DP_MAX_WORKERS];
    struct handoff *patient_from[DP_MAX_WORKERS];
    uint64_t housekeeping_at;
    uint64_t had_room; /* when all that was ready could be sent */
    const struct orders *orders;
    uint32_t epoch; /* of the configuration in use */
    struct followed followed;
    struct listing listing;
    struct pace pace;
    struct worker *all;     /* of the engine */
    struct port *capture;   /* the capture port, if this worker reads it */
    uint32_t *repeats_read; /* of the capture: written by the worker that reads it */
    uint32_t repeats_cut;
    uint32_t repeats_over; /* written by this worker, read by the one that reads */
    uint8_t mac[6];        /* of the test port */
    bool repeat_read;
    bool capture_finished;
    bool pressed; /* in this turn: a ring was about to overflow, or has been full for long */
    bool crowded; /* in this turn: more was waiting in a ring than was taken */
    bool draining;
    uint32_t warm;    /* set by the worker: its memory has been touched, and it takes frames */
    uint32_t drained; /* set by the worker: draining, and the last reset has left */
} __attribute__((aligned(64)));

/* What arrived, what is due, what may leave. True if there was anything to do. */
bool worker_turn(struct worker *worker, uint64_t now);

/* The body of the worker's thread: turns until ORDER_STOP. */
void *worker_run(void *worker);

/* Packs a link-layer address, so that it can be read and written at once. */
uint64_t mac_pack(const uint8_t mac[6]);

#endif
