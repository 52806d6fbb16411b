/* listing.h: what can be told of the sessions that a worker holds, collected some at each turn.
 *
 * Called by orders.c for a question of the control thread. A session that opens or ends meanwhile is told or
 * not; each is told once, as it was at one moment.
 */
#ifndef XDPCOPY_LISTING_H
#define XDPCOPY_LISTING_H

#include "replay.h"

struct listing {
    struct dp_session_query query;
    struct dp_session_row *rows; /* room for query.limit */
    uint32_t count;
    uint32_t next; /* of the pool: those before have been looked at */
    bool more;     /* than there was room for */
};

/* True: there is more to do. */
bool listing_turn(const struct replay *replay, struct listing *listing);

#endif
