/* clock.h: what is due: a connection's gap, silence or end of lingering, and every deadline of a session.
 */
#ifndef XDPCOPY_CLOCK_H
#define XDPCOPY_CLOCK_H

#include "replay.h"

void replay_on_time(struct replay *replay, uint64_t now);

#endif
