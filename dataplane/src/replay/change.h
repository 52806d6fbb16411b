/* change.h: a live change of the transfers, as one worker takes it up.
 *
 * Called by orders.c. Adopting a configuration is a few pointers; then the sessions of transfers that do not
 * run are reset, some at each turn, so that the others' frames do not wait. Owns the place where that has got
 * to (struct change, in struct replay).
 */
#ifndef XDPCOPY_CHANGE_H
#define XDPCOPY_CHANGE_H

#include "replay.h"

/* From now on this is the configuration. Only what dp_change may change differs from the one before. */
void change_adopt(struct replay *replay, const struct dp_config *config);

/* A session is about to send: it is reset now if that is only a matter of time. */
void change_reach(struct replay *replay, const struct session *session);

/* Goes on resetting. True: there is more to do. */
bool change_turn(struct replay *replay);

#endif
