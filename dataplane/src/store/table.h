/* table.h: from a flow to the object of a pool that has it as its first member.
 *
 * Open addressing with linear probing over slots of 8 bytes (hash and object), at most half full. Removal
 * shifts the slots behind back, so there are no tombstones and a look-up never gets slower with age. Owns its
 * slots, not the objects.
 */
#ifndef XDPCOPY_TABLE_H
#define XDPCOPY_TABLE_H

#include "flow.h"
#include "pool.h"

struct table_slot {
    uint32_t hash;
    uint32_t object; /* its slot in the pool + 1; 0: empty */
};

struct table {
    struct table_slot *slots;
    const struct pool *pool;
    uint32_t mask;
};

/* Room for all objects of the pool. Returns 0 or -ENOMEM. */
int table_open(struct table *table, const struct pool *pool);
void table_close(struct table *table);

/* Touches all of it. */
void table_warm(const struct table *table);

void *table_find(const struct table *table, const struct flow *flow);

/* Whether the table holds this very object of its pool, which may be a free one. */
static inline bool table_holds(const struct table *table, const void *object)
{
    return table_find(table, object) == object;
}

/* The slot where the look-up of a hash begins, and the object that it probably leads to (flows are not
 * compared). */
const struct table_slot *table_slot(const struct table *table, uint32_t hash);
const void *table_glance(const struct table *table, uint32_t hash);

/* The object in this slot of the table, or NULL. */
static inline void *table_at(const struct table *table, uint32_t slot)
{
    uint32_t object = table->slots[slot].object;
    return object ? pool_at(table->pool, object - 1) : NULL;
}

/* Neither the object nor another one with its flow may be in the table yet. */
void table_insert(struct table *table, const void *object);
void table_remove(struct table *table, const void *object);

#endif
