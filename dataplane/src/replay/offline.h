/* offline.h: what a capture file allows and a live mirror does not: a frame can wait, and there is an end.
 *
 * A frame from a file waits where a live one would be dropped. It waits only for what ends by itself: a
 * connection that is over in the capture, bytes on their way to the target, keys that linger. It never waits
 * for a connection whose end is still to be read, because that would be for ever.
 */
#ifndef XDPCOPY_OFFLINE_H
#define XDPCOPY_OFFLINE_H

#include "frame.h"
#include "replay.h"

/* Whether the frame should wait: now it would be dropped for want of room, or (PATIENCE_FAST) run too far
 * ahead of what is still being replayed. */
bool offline_should_wait(struct replay *replay, const struct packet *packet, enum patience patience);

/* The capture has ended: connections that are still open in it go no further than it shows. */
void offline_cut(struct replay *replay);

/* No session is left, and nothing wants to leave. */
bool offline_is_over(const struct replay *replay);

/* Forgets every connection, so that the next repeat can open the same ones again. */
void offline_forget(struct replay *replay);

#endif
