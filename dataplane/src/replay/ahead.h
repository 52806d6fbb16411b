/* ahead.h: prefetches what a burst of packets will touch before any of it is needed.
 *
 * With many sessions a packet misses the caches several times, one miss after the other, because each names
 * the address of the next: a slot of the table, the object in it, the object's other half. Three passes over
 * the burst, one for each miss, let those of all its packets overlap. A prefetch is a hint: what it is based
 * on may have changed by the time the packet is handled.
 */
#ifndef XDPCOPY_AHEAD_H
#define XDPCOPY_AHEAD_H

#include "replay.h"

struct glance {
    const struct table *table; /* NULL: nothing to look up */
    const void *object;        /* stream or session, as far as the hash tells; NULL: none */
    uint32_t hash;
};

struct glance ahead_slot(const struct replay *replay, uint32_t role, const struct packet *packet);
void ahead_object(const struct replay *replay, struct glance *glance);
void ahead_partner(const struct replay *replay, const struct glance *glance);

#endif
