/* worker.h: what a worker owns, and its connections to the others.
 *
 * A worker owns the queues that are dealt to it and all conversations whose client hashes to it. loop.h makes
 * it run.
 */
#ifndef XDPCOPY_WORKER_H
#define XDPCOPY_WORKER_H

#include <string.h>

#include "handoff.h"
#include "pace.h"
#include "port/port.h"
#include "replay/listing.h"
#include "replay/replay.h"

#define WORKER_QUEUES 64

enum order { ORDER_DRAIN = 1, ORDER_STOP = 2, ORDER_PAUSE = 4 };

/* What the control thread, their only writer, wants of the workers. It changes what an epoch stands for only
 * when every worker has taken up the one before, so that nothing is locked. */
struct orders {
    uint32_t bits;  /* enum order */
    uint32_t epoch; /* grows with each change of the configuration */
    const struct dp_config *config;
    uint32_t asked; /* grows with each question about sessions, which is in each worker's listing */
};

/* How far a worker has followed its orders; written by it, read by the control thread. */
struct followed {
    uint32_t epoch;       /* taken up, and the sessions of what does not run have ended */
    uint32_t clean;       /* and all their resets have left */
    uint32_t told;        /* questions answered */
    uint32_t unconfirmed; /* sessions ended by order that the target may still hold */
};

/* One queue of a port, and what its frames need. */
struct inlet {
    struct port *port;
    bool verify_checksums;
};

struct worker {
    const struct dp_config *config;
    const uint64_t *next_hops; /* for each transfer: link-layer address of its next hop (mac_pack) */
    struct stats *stats;
    struct replay replay;
    struct inlet inlets[WORKER_QUEUES];
    uint32_t inlet_count;
    struct port *outlet; /* its queue of the test port */
    uint32_t index;
    struct handoff *to[DP_MAX_WORKERS]; /* NULL for itself */
    struct handoff *from[DP_MAX_WORKERS];
    /* The same for frames that can wait, so that they do not stand in the way of those that cannot. */
    struct handoff *patient_to[DP_MAX_WORKERS];
    struct handoff *patient_from[DP_MAX_WORKERS];
    uint64_t housekeeping_at;
    uint64_t had_room; /* when all that was ready could last be sent */
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
    bool pressed; /* in this loop: a ring was about to overflow, or sending has long been held up */
    bool crowded; /* in this loop: more was waiting in a ring than was taken */
    bool draining;
    uint32_t warm;    /* set by the worker: its memory has been touched, and it takes frames */
    uint32_t drained; /* set by the worker: draining, and the last reset has left */
} __attribute__((aligned(64)));

/* A link-layer address as one number, so that it can be read and written at once. */
static inline uint64_t mac_pack(const uint8_t mac[6])
{
    uint64_t packed = 0;
    memcpy(&packed, mac, 6);
    return packed;
}

#endif
