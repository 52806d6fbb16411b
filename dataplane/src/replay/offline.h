/* offline.h: what replaying a capture needs that a live mirror does not: waiting instead of dropping, and an
 * end of the capture.
 *
 * Called by worker.c and repeats.c; a part of replay.c. A frame from a file can wait. What it waits for ends
 * by itself, always: for a connection that is over in the capture, for bytes on their way to the target, for
 * keys that linger; never for a connection whose end is still to be read, because that would be for ever.
 */
#ifndef XDPCOPY_OFFLINE_H
#define XDPCOPY_OFFLINE_H

#include "frame.h"
#include "replay.h"

/* Whether the frame had better wait: now it would be dropped for want of room, or (PATIENCE_FAST) come before
 * the line has dealt with enough of what came earlier. */
bool offline_should_wait(struct replay *replay, const struct packet *packet, enum patience patience);

/* The capture is at its end: connections that are open in it go no further than it shows. */
void offline_cut(struct replay *replay);

/* No session is left, and nothing is to be sent. */
bool offline_is_over(const struct replay *replay);

/* Forgets every connection, so that the same ones can come again. */
void offline_forget(struct replay *replay);

#endif
