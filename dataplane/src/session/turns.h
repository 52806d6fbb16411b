/* turns.h: when a request may leave: the rule that session.h describes, and nothing else.
 *
 * Called by session.c after every event. Moves the session's gate as far as the dialogue with the target has
 * got, and knows what the session waits for.
 */
#ifndef XDPCOPY_TURNS_H
#define XDPCOPY_TURNS_H

#include "session.h"

/* Opens the gate as far as it may be; where the production connection was reset, or a capture ends, and all
 * before has been said, ends the session. */
void turns_open(struct session *session, struct session_context *context);

/* When turns_open may do more without any event, or the target will have been silent for too long;
 * TIMER_NEVER if nothing waits for it. */
uint64_t turns_deadline(const struct session *session, const struct session_context *context);

/* Something waits for the target, and response_timeout has passed. */
bool turns_target_is_silent(const struct session *session, const struct session_context *context);

/* Something of the client's waits for the target to speak, or to close. */
bool turns_wait_for_target(const struct session *session);

#endif
