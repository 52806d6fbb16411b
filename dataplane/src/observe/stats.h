/* stats.h: the counters of one worker, in a segment that other processes can map.
 *
 * The segment is a header, one struct stats for each worker, and then, for each worker, a struct
 * transfer_stats for each transfer. A worker is the only writer of its struct (relaxed stores, no locked
 * instructions); readers copy and then compute. Each value is consistent, values are not consistent with each
 * other. Made of stats.def and transfer.def.
 */
#ifndef XDPCOPY_STATS_H
#define XDPCOPY_STATS_H

#include <stddef.h>
#include <stdint.h>

#include "dataplane.h"
#include "reason.h"
#include "stats_value.h"

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

/* The same for one transfer of one worker. */
struct transfer_stats {
#define TRANSFER(name, unit, kind, help) uint64_t name;
#include "transfer.def"
#undef TRANSFER
    uint64_t end[END_COUNT];
    struct dp_histogram answer_time[2]; /* by enum dp_side */
} __attribute__((aligned(64)));

struct stats_segment {
    uint32_t magic;
    uint32_t workers;
    uint64_t schema;      /* hash of all names: differs when the layout does */
    struct stats stats[]; /* of each worker; then DP_MAX_TRANSFERS struct transfer_stats of each worker */
};

/* Maps a segment for so many workers: the file at path (made anew), or private memory if path is empty.
 * Returns 0 or a negative errno. */
int stats_open(struct stats_segment **segment, const char *path, uint32_t workers);
/* Those of one worker, by the transfer's index. */
struct transfer_stats *stats_transfers(struct stats_segment *segment, uint32_t worker);

/* A new transfer takes the place of another: nobody else writes now. */
void stats_clear_transfer(struct stats_segment *segment, uint32_t transfer);

size_t stats_size(const struct stats_segment *segment);
void stats_close(struct stats_segment *segment, const char *path);

#endif
