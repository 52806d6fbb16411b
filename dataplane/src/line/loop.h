/* loop.h: the loop of a worker: the line from the mirror to the target, once around.
 *
 * In the appliance each worker loops in a thread of its own (loop_run); dp_step makes every worker loop once,
 * with whatever time the caller says it is.
 */
#ifndef XDPCOPY_LOOP_H
#define XDPCOPY_LOOP_H

#include "worker.h"

/* What arrived, what is due, what may leave. True if there was anything to do. */
bool loop_once(struct worker *worker, uint64_t now);

/* The body of the worker's thread: loops until ORDER_STOP. */
void *loop_run(void *worker);

#endif
