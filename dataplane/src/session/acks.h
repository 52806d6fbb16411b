/* acks.h: when the target's bytes are acknowledged (enum dp_ack).
 *
 * Delayed, as real clients do (RFC 1122 4.2.3.2, RFC 5681 4.2): with the next request, or at once where the
 * target would wait for it, or after DELAY. Prompt: each burst at once. Mirrored: when production's client
 * acknowledged the same offset of its answer, and with its window.
 */
#ifndef XDPCOPY_ACKS_H
#define XDPCOPY_ACKS_H

#include "state.h"

/* The target's segment has been received; `waiting`: something in order was not acknowledged before it. Comes
 * before the gate moves. */
void acks_note(struct session *session, const struct session_context *context, const struct packet *packet,
               bool waiting);

/* How far its bytes may be acknowledged, and whether without data. */
void acks_allow(const struct session *session, const struct session_context *context,
                struct tcp_allowance *allowed);

/* When an acknowledgement has waited for long enough; acks_on_time lets it leave. */
uint64_t acks_deadline(const struct session *session, const struct session_context *context);
void acks_on_time(struct session *session, const struct session_context *context);

#endif
