/* stats_value.h: one value of the stats segment: a single writer, relaxed stores, no locked instructions. */
#ifndef XDPCOPY_STATS_VALUE_H
#define XDPCOPY_STATS_VALUE_H

#include <stdint.h>

static inline void stats_add(uint64_t *counter, uint64_t n)
{
    __atomic_store_n(counter, __atomic_load_n(counter, __ATOMIC_RELAXED) + n, __ATOMIC_RELAXED);
}

static inline void stats_sub(uint64_t *counter, uint64_t n)
{
    stats_add(counter, 0 - n);
}

static inline void stats_set(uint64_t *counter, uint64_t value)
{
    __atomic_store_n(counter, value, __ATOMIC_RELAXED);
}

static inline uint64_t stats_get(const uint64_t *counter)
{
    return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

#endif
