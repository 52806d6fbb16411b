/* doubts.h: sessions that were reset by order, and that the target may not have let go of.
 *
 * A RST is not acknowledged. Where the target had acknowledged all that had left, it takes a RST with the
 * next number. Where bytes were in flight, they may be lost, and then the target answers the RST with a
 * challenge (RFC 5961 3.2), which is answered with the number that it names. So such a session is in doubt
 * until nothing more has come of it for two round trips, DOUBT_WAIT at least. Owns the list of them.
 */
#ifndef XDPCOPY_DOUBTS_H
#define XDPCOPY_DOUBTS_H

#include "store/flow.h"

enum {
    MOST_DOUBTS = 4096, /* told apart; those beyond are counted together */
    DOUBT_WAIT = 50 * 1000 * 1000,
    DOUBT_LOOK = 1000 * 1000,
};

struct doubt {
    uint32_t flow; /* its hash */
    uint32_t wait; /* microseconds */
    uint64_t until;
};

struct doubts {
    uint32_t count;
    uint32_t beyond;
    uint64_t beyond_until;
    uint64_t look_at;
    struct doubt at[MOST_DOUBTS];
};

/* Its RST leaves now, and some of its bytes are in flight. */
void doubts_begin(struct doubts *doubts, const struct flow *flow, uint64_t round_trip, uint64_t now);

/* The target has challenged the RST. */
void doubts_renew(struct doubts *doubts, const struct flow *flow, uint64_t now);

/* The target does not know the connection any more. */
void doubts_settle(struct doubts *doubts, const struct flow *flow);

/* How many there are. */
uint32_t doubts_count(struct doubts *doubts, uint64_t now);

#endif
