/* receive.h: the way in: frames from ports and from other workers, each to its owner.
 *
 * A burst is looked at as a whole (filter, parse, owner, prefetch) before the first of its frames does
 * anything; then each frame is replayed, handed to its owner, or dropped under a counted reason. A frame of a
 * capture file may also stay where it is.
 */
#ifndef XDPCOPY_RECEIVE_H
#define XDPCOPY_RECEIVE_H

#include "worker.h"

/* True if any frame was taken, or must be looked at again at once. */
bool receive_from_ports(struct worker *worker, uint64_t now);
bool receive_from_workers(struct worker *worker, uint64_t now);

#endif
