/* session.h: one replay of a mirrored connection: the events of stream and target, and what they cause.
 *
 * Joins a stream (which sessions may share), a connection to the target (tcp.h) and the rule by which
 * requests leave (turns.h). Pure: no I/O, no clock, no allocation. Segments are pulled with session_next
 * while there is room for them.
 */
#ifndef XDPCOPY_SESSION_H
#define XDPCOPY_SESSION_H

#include "state.h"
#include "stream.h"

/* Begins a session on a stream that has just been opened. Its memory may hold anything before. */
void session_open(struct session *session, struct session_context *context, const struct flow *flow,
                  struct stream *stream, const struct dp_transfer *transfer);

/* The stream has got further: bytes (the first chunk of them, or NULL), a FIN, a RST, an acknowledgement. */
void session_on_stream(struct session *session, struct session_context *context, struct chunk *first);

/* The target's segment. */
enum drop session_on_answer(struct session *session, struct session_context *context,
                            const struct packet *packet);

void session_on_time(struct session *session, struct session_context *context);

/* The next segment to send, if any; call session_sent once it has really left. */
bool session_next(struct session *session, struct session_context *context, struct segment *segment);
void session_sent(struct session *session, struct session_context *context, const struct segment *segment);

/* UDP: the largest datagram that the test port carries in one frame. */
uint32_t session_most_datagram(const struct session *session, const struct session_context *context);

/* When session_on_time must be called at the latest. */
uint64_t session_deadline(const struct session *session, const struct session_context *context);

/* Ends a session that lives: lets go of its chunks, and leaves a RST to be pulled if the target still holds
 * the connection. The caller removes it from its stream. */
void session_end(struct session *session, struct session_context *context, enum end end);

#endif
