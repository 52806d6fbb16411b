/* answer.h: what the target says: segments for a session, or strays.
 *
 * A stray belongs to no session, as when the target still holds a connection of an engine that was killed. It
 * is answered with a RST.
 */
#ifndef XDPCOPY_ANSWER_H
#define XDPCOPY_ANSWER_H

#include "replay.h"

/* DROP_NONE, or why the packet was not used. */
enum drop replay_on_answer(struct replay *replay, const struct packet *packet, uint64_t now);

#endif
