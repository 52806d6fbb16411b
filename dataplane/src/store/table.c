#include "table.h"

#include <errno.h>
#include <stdlib.h>

#include "memory.h"

static size_t table_size(const struct table *table)
{
    return ((size_t)table->mask + 1) * sizeof(struct table_slot);
}

int table_open(struct table *table, const struct pool *pool)
{
    uint32_t slots = 16;
    while (slots < pool->capacity * 2ull && slots < 1u << 31)
        slots *= 2;
    *table = (struct table){.pool = pool, .mask = slots - 1};
    table->slots = memory_reserve(table_size(table));
    return table->slots ? 0 : -ENOMEM;
}

void table_close(struct table *table)
{
    memory_free(table->slots, table_size(table));
    table->slots = NULL;
}

void table_warm(const struct table *table)
{
    memory_warm(table->slots, table_size(table));
}

void *table_find(const struct table *table, const struct flow *flow)
{
    uint32_t hash = flow_hash(flow);
    for (uint32_t at = hash & table->mask; table->slots[at].object; at = (at + 1) & table->mask) {
        if (table->slots[at].hash != hash)
            continue;
        void *object = table_at(table, at);
        if (flow_equal(object, flow))
            return object;
    }
    return NULL;
}

const struct table_slot *table_slot(const struct table *table, uint32_t hash)
{
    return &table->slots[hash & table->mask];
}

const void *table_glance(const struct table *table, uint32_t hash)
{
    for (uint32_t at = hash & table->mask; table->slots[at].object; at = (at + 1) & table->mask)
        if (table->slots[at].hash == hash)
            return table_at(table, at);
    return NULL;
}

void table_insert(struct table *table, const void *object)
{
    uint32_t hash = flow_hash(object);
    uint32_t at = hash & table->mask;
    while (table->slots[at].object)
        at = (at + 1) & table->mask;
    table->slots[at] = (struct table_slot){hash, pool_slot(table->pool, object) + 1};
}

/* Knuth, volume 3, 6.4, algorithm R: pull back every following slot that may not stay behind the hole. */
static void close_hole(struct table *table, uint32_t hole)
{
    for (uint32_t at = (hole + 1) & table->mask; table->slots[at].object; at = (at + 1) & table->mask) {
        uint32_t home = table->slots[at].hash & table->mask;
        if (((at - home) & table->mask) < ((at - hole) & table->mask))
            continue;
        table->slots[hole] = table->slots[at];
        hole = at;
    }
    table->slots[hole] = (struct table_slot){0, 0};
}

void table_remove(struct table *table, const void *object)
{
    uint32_t wanted = pool_slot(table->pool, object) + 1;
    for (uint32_t at = flow_hash(object) & table->mask; table->slots[at].object;
         at = (at + 1) & table->mask) {
        if (table->slots[at].object == wanted) {
            close_hole(table, at);
            return;
        }
    }
}
