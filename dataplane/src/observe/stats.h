/* stats.h: every worker's counters, in a segment that other processes can map.
 *
 * The segment is a header, one struct stats for each worker, and then, for each worker, a struct
 * transfer_stats for each transfer. A worker is the only writer of its struct (relaxed stores, no locked
 * instructions); readers copy and then compute. Each value is consistent, values are not consistent with each
 * other. Made of stats.def.
 */
#ifndef XDPCOPY_STATS_H
#define XDPCOPY_STATS_H

#include <stddef.h>
#include <stdint.h>

#include "dataplane.h"
#include "reason.h"
#include "stats_value.h"

#define STATS_MAGIC 0x78647063 /* "xdpc" */

/* What is kept for the whole and for each transfer. */
struct transfer_counts {
#define TRANSFER_COUNTER(name, unit, help) uint64_t name;
#define TRANSFER_GAUGE(name, unit, help) uint64_t name;
#include "stats.def"
    uint64_t end[END_COUNT];
};

struct stats {
    uint64_t heartbeat; /* the worker's clock at its last housekeeping */
#define COUNTER(name, unit, help) uint64_t name;
#define GAUGE(name, unit, help) uint64_t name;
#include "stats.def"
    uint64_t drop[2][DROP_COUNT]; /* by enum dp_port_role */
    uint64_t protocol[PROTOCOL_COUNT];
    struct transfer_counts all; /* transfers together; STATS_COUNT writes it */
} __attribute__((aligned(64)));

/* One transfer of one worker. */
struct transfer_stats {
    struct transfer_counts counts;
    struct dp_histogram answer_time[2]; /* by enum dp_side */
} __attribute__((aligned(64)));

/* Counts n, which may be negative, for the whole and for one transfer: counter is a field of struct
 * transfer_counts, stats a worker's, of the transfer's struct transfer_stats. */
#define STATS_COUNT(stats, of, counter, n)                                                                   \
    do {                                                                                                     \
        const uint64_t stats_count_n = (uint64_t)(n);                                                        \
        stats_add(&(stats)->all.counter, stats_count_n);                                                     \
        stats_add(&(of)->counts.counter, stats_count_n);                                                     \
    } while (0)

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
