/* change.h: what the control thread changes while sessions run: the transfers, or that all of them end.
 *
 * Adopting a configuration takes a few pointers. The sessions of transfers that no longer run are then reset
 * in steps, so that frames of the others do not wait. How far that has got is struct change, in struct
 * replay.
 */
#ifndef XDPCOPY_CHANGE_H
#define XDPCOPY_CHANGE_H

#include "replay.h"

/* This is the configuration from now on. It differs from the one before only in what dp_change may change. */
void change_adopt(struct replay *replay, const struct dp_config *config);

/* A session is about to send: reset it now if a change is going to. */
void change_reach(struct replay *replay, const struct session *session);
/* Resets some more sessions. True: there are more to look at. */
bool change_step(struct replay *replay);

/* Resets all sessions and admits no new ones. */
void replay_drain(struct replay *replay);

#endif
