/* ahead.h: what a burst of packets will touch is asked for before any of it is needed.
 *
 * With many sessions a packet misses the caches several times, one miss after the other, because each names
 * the place of the next: a slot of the table, the object that it names, the object's other half. Called by
 * worker.c in three passes over a burst, so that the misses of all its packets overlap. Prefetching is a
 * hint: what is looked at may change before the packet's turn comes.
 */
#ifndef XDPCOPY_AHEAD_H
#define XDPCOPY_AHEAD_H

#include "replay.h"

struct glance {
    const struct table *table; /* NULL: no need to look */
    const void *object;        /* stream or session, as far as the hash tells; NULL: none */
    uint32_t hash;
};

struct glance ahead_slot(const struct replay *replay, uint32_t role, const struct packet *packet);
void ahead_object(const struct replay *replay, struct glance *glance);
void ahead_partner(const struct replay *replay, const struct glance *glance);

#endif
