/* send.h: what leaves: segments, pulled one by one while the test port has room.
 *
 * Resets of strays go first, then the sessions of the ready list in order.
 */
#ifndef XDPCOPY_SEND_H
#define XDPCOPY_SEND_H

#include "state.h"

/* The next segment that wants to leave, the same one until replay_sent says that it has. False: none. */
bool replay_next(struct replay *replay, struct segment *segment);
void replay_sent(struct replay *replay, const struct segment *segment);

#endif
