/* turns.h: when a request may leave, and what a session waits for.
 *
 * A chunk of the stream knows how far the production client had acknowledged the server when it sent these
 * bytes. Where that has grown, a new turn begins, and the growth is the size of production's answer to the
 * turn before. A turn may leave when the target has acknowledged all earlier bytes and has answered
 *
 *   - as many bytes since the turn before as production did, or
 *   - something, and then been quiet for `settle`; what it had said too early counts here, too.
 *
 * The client's FIN and RST wait for their turn in the same way. So a server that speaks first needs no
 * special case, nor do pipelined requests (same turn). A turn behind a full segment may be the rest of a
 * request, without which the target has nothing to say: when the target stays silent, it leaves as part of
 * the turn before.
 */
#ifndef XDPCOPY_TURNS_H
#define XDPCOPY_TURNS_H

#include "state.h"

/* Opens the gate as far as the dialogue with the target has got. Returns how the session ends, once
 * everything before production's reset or the capture's end has been said; END_NONE to go on. */
enum end turns_open(struct session *session, struct session_context *context);

/* When to call turns_open again if nothing happens before, or when the target will have been silent for too
 * long; TIMER_NEVER if nothing waits for it. */
uint64_t turns_deadline(const struct session *session, const struct session_context *context);

/* Something waits for the target, and response_timeout has passed. */
bool turns_target_is_silent(const struct session *session, const struct session_context *context);

/* Bytes, FIN or RST of the client wait for the target to speak, or to close. */
bool turns_wait_for_target(const struct session *session);

#endif
