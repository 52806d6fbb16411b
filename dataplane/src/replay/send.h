/* send.h: what leaves: segments, pulled one by one while the test port has room.
 *
 * Resets of strays go first, then the sessions of the ready list in order.
 */
#ifndef XDPCOPY_SEND_H
#define XDPCOPY_SEND_H

#include "replay.h"

/* The next segment that wants to leave, the same one until replay_sent says that it has. False: none. */
bool replay_next(struct replay *replay, struct segment *segment);
void replay_sent(struct replay *replay, const struct segment *segment);

/* It may not leave: it is given up, and nothing of it counts as sent. */
void replay_refused(struct replay *replay);

/* Sessions ended by order that the target may still hold: their RST has not left, or see doubts.h. */
uint32_t replay_unconfirmed(struct replay *replay, uint64_t now);

#endif
