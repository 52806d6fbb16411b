/* listing.h: rows about the sessions that a worker holds, collected in steps.
 *
 * A session that opens or ends meanwhile may be listed or not. Each is listed at most once, as it was at one
 * moment. The rows belong to the engine.
 */
#ifndef XDPCOPY_LISTING_H
#define XDPCOPY_LISTING_H

#include "replay.h"

struct listing {
    struct dp_session_query query;
    struct dp_session_row *rows; /* room for query.limit */
    uint32_t count;
    uint32_t next; /* slot of the pool: those before it have been looked at */
    bool more;     /* matched than there was room for */
};

/* Looks at some more sessions. True: there are more to look at. */
bool listing_step(const struct replay *replay, struct listing *listing);

#endif
