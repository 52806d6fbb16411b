/* orders.h: what the control thread wants of a worker, done at the beginning of a turn.
 *
 * Called by worker.c. The control thread (engine.c) is the only writer of struct orders. It changes what an
 * epoch stands for only when every worker has taken up the one before, so that nothing is locked.
 */
#ifndef XDPCOPY_ORDERS_H
#define XDPCOPY_ORDERS_H

#include <stdbool.h>

#include "dataplane.h"

enum order { ORDER_DRAIN = 1, ORDER_STOP = 2, ORDER_PAUSE = 4 };

struct orders {
    uint32_t bits;  /* enum order */
    uint32_t epoch; /* grows with each change of the configuration */
    const struct dp_config *config;
    uint32_t asked; /* grows with each question about sessions; the worker's listing holds it */
};

/* How far a worker has followed; written by it, read by the control thread. */
struct followed {
    uint32_t epoch;       /* taken up, and the sessions of what does not run have ended */
    uint32_t clean;       /* and all their resets have left */
    uint32_t told;        /* questions answered */
    uint32_t unconfirmed; /* sessions ended by order that the target may hold yet */
};

struct worker;

/* True if there was anything to do. */
bool orders_follow(struct worker *worker, uint64_t now);

#endif
