/* histogram.h: how often which time was measured: log-linear, eight buckets for each doubling.
 *
 * A bucket is at most an eighth of its time wide. The unit is a microsecond; times beyond the last bucket
 * (over two minutes) count there. One writer, any readers, as all of stats.h.
 */
#ifndef XDPCOPY_HISTOGRAM_H
#define XDPCOPY_HISTOGRAM_H

#include "dataplane.h"
#include "stats_value.h"

enum { HISTOGRAM_STEPS = 8, HISTOGRAM_SHIFT = 3, HISTOGRAM_UNIT = 1000 };

static inline uint32_t histogram_bucket(uint64_t nanoseconds)
{
    uint64_t time = nanoseconds / HISTOGRAM_UNIT;
    if (time < HISTOGRAM_STEPS)
        return (uint32_t)time;
    uint32_t shift = 63u - (uint32_t)__builtin_clzll(time) - HISTOGRAM_SHIFT;
    uint64_t bucket = (shift + 1ull) * HISTOGRAM_STEPS + ((time >> shift) & (HISTOGRAM_STEPS - 1));
    return bucket < DP_BUCKETS ? (uint32_t)bucket : DP_BUCKETS - 1;
}

/* The least time, in nanoseconds, that is too long for the bucket. */
static inline uint64_t histogram_bound(uint32_t bucket)
{
    uint32_t shift = bucket < HISTOGRAM_STEPS ? 0 : bucket / HISTOGRAM_STEPS - 1;
    uint64_t step = bucket < HISTOGRAM_STEPS ? bucket : HISTOGRAM_STEPS + bucket % HISTOGRAM_STEPS;
    return ((step + 1) << shift) * HISTOGRAM_UNIT;
}

static inline void histogram_add(struct dp_histogram *histogram, uint64_t nanoseconds)
{
    stats_add(&histogram->buckets[histogram_bucket(nanoseconds)], 1);
    stats_add(&histogram->sum, nanoseconds);
    if (nanoseconds > stats_get(&histogram->most))
        stats_set(&histogram->most, nanoseconds);
}

#endif
