/* reopen.h: sessions that the target has ended come back while others of their connection go on, or at once.
 *
 * A connection all of whose sessions have ended is joined again at a later turn, as one that is under way
 * (mirror.h).
 */
#ifndef XDPCOPY_REOPEN_H
#define XDPCOPY_REOPEN_H

#include "replay.h"

/* A segment with which a turn begins, before its bytes are taken. */
void reopen_on_turn(struct replay *replay, struct stream *stream, const struct packet *packet);

#endif
