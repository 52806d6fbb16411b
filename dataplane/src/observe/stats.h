/* stats.h: the counters of one worker, in a segment that other processes can map.
 *
 * The segment is a header and then one struct stats for each worker. A worker is the only writer of its
 * struct (relaxed stores, no locked instructions); readers copy and then compute. Each value is
 * consistent, values are not consistent with each other. Made of stats.def.
 */
#ifndef XDPCOPY_STATS_H
#define XDPCOPY_STATS_H

#include <stddef.h>
#include <stdint.h>

#include "../reason.h"
#include "dataplane.h"

#define STATS_MAGIC 0x78647063 /* "xdpc" */

struct stats {
    uint64_t heartbeat; /* the worker's clock at its last housekeeping */
#define COUNTER(name, unit, help) uint64_t name;
#define GAUGE(name, unit, help) uint64_t name;
#define DROP(name, help)
#define END(name, help)
#include "stats.def"
#undef COUNTER
#undef GAUGE
#undef DROP
#undef END
    uint64_t drop[2][DROP_COUNT]; /* by enum dp_port_role */
    uint64_t end[END_COUNT];
} __attribute__((aligned(64)));

struct stats_segment {
    uint32_t magic;
    uint32_t workers;
    uint64_t schema; /* hash of all names: differs when the layout does */
    struct stats stats[];
};

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

/* Maps a segment for so many workers: the file at path (made anew), or private memory if path is empty.
 * Returns 0 or a negative errno. */
int stats_open(struct stats_segment **segment, const char *path, uint32_t workers);
void stats_close(struct stats_segment *segment, const char *path);

#endif
