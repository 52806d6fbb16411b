/* orders.h: the control thread's orders (struct orders in worker.h), followed at the start of each loop.
 *
 * Drain, pause, a new configuration, questions about sessions. What takes long is done in steps, one a loop.
 */
#ifndef XDPCOPY_ORDERS_H
#define XDPCOPY_ORDERS_H

#include "worker.h"

/* True if there was anything to do. */
bool orders_follow(struct worker *worker, uint64_t now);

#endif
