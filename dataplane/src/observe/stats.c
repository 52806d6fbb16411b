#include "stats.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "histogram.h"

#define AT(field) offsetof(struct stats, field)
#define TRANSFER_AT(field) offsetof(struct transfer_stats, counts.field)

struct row {
    struct dp_counter counter;
    size_t at; /* offset into struct stats or transfer_stats */
};

static const struct row ROWS[] = {
#define COUNTER(name, unit, help) {{#name, unit, help, DP_COUNTER}, AT(name)},
#define GAUGE(name, unit, help) {{#name, unit, help, DP_GAUGE}, AT(name)},
#define TRANSFER_COUNTER(name, unit, help) {{#name, unit, help, DP_COUNTER}, AT(all.name)},
#define TRANSFER_GAUGE(name, unit, help) {{#name, unit, help, DP_GAUGE}, AT(all.name)},
#define DROP(name, help)                                                                                     \
    {{"drop_mirror_" #name, "frames", help, DP_DROP_MIRROR}, AT(drop[DP_ROLE_MIRROR][DROP_##name])},         \
        {{"drop_test_" #name, "frames", help, DP_DROP_TEST}, AT(drop[DP_ROLE_TEST][DROP_##name])},
#define END(name, help) {{"end_" #name, "sessions", help, DP_SESSION_END}, AT(all.end[END_##name])},
#define PROTOCOL(name, help)                                                                                 \
    {{"protocol_" #name, "connections", help, DP_COUNTER}, AT(protocol[PROTOCOL_##name])},
#include "stats.def"
};

#define ROW_COUNT (sizeof(ROWS) / sizeof(ROWS[0]))

static const struct row TRANSFER_ROWS[] = {
#define TRANSFER_COUNTER(name, unit, help) {{#name, unit, help, DP_COUNTER}, TRANSFER_AT(name)},
#define TRANSFER_GAUGE(name, unit, help) {{#name, unit, help, DP_GAUGE}, TRANSFER_AT(name)},
#define END(name, help) {{"end_" #name, "sessions", help, DP_SESSION_END}, TRANSFER_AT(end[END_##name])},
#include "stats.def"
};

#define TRANSFER_ROW_COUNT (sizeof(TRANSFER_ROWS) / sizeof(TRANSFER_ROWS[0]))

uint32_t dp_counter_count(void)
{
    return ROW_COUNT;
}

const struct dp_counter *dp_counter_info(uint32_t counter)
{
    return counter < ROW_COUNT ? &ROWS[counter].counter : NULL;
}

uint32_t dp_transfer_counter_count(void)
{
    return TRANSFER_ROW_COUNT;
}

const struct dp_counter *dp_transfer_counter_info(uint32_t counter)
{
    return counter < TRANSFER_ROW_COUNT ? &TRANSFER_ROWS[counter].counter : NULL;
}

static uint64_t hash_names(uint64_t hash, const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++)
        for (const char *c = rows[i].counter.name; *c; c++)
            hash = (hash ^ (uint8_t)*c) * 0x100000001b3;
    return hash;
}

/* FNV-1a over all names: a change of stats.def changes it. */
uint64_t dp_schema(void)
{
    uint64_t hash = hash_names(0xcbf29ce484222325, ROWS, ROW_COUNT);
    hash = hash_names(hash, TRANSFER_ROWS, TRANSFER_ROW_COUNT);
    return hash ^ sizeof(struct stats) ^ sizeof(struct transfer_stats) << 32;
}

static size_t transfers_at(uint32_t workers)
{
    return sizeof(struct stats_segment) + workers * sizeof(struct stats);
}

static size_t segment_size(uint32_t workers)
{
    return transfers_at(workers) + (size_t)workers * DP_MAX_TRANSFERS * sizeof(struct transfer_stats);
}

/* NULL: errno says why. */
static struct stats_segment *map_memory(int fd, size_t size)
{
    int flags = fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, fd, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

static void begin(struct stats_segment *segment, uint32_t workers)
{
    segment->workers = workers;
    segment->schema = dp_schema();
    segment->magic = STATS_MAGIC;
}

/* A new file under a temporary name, renamed into place: readers never see a half-made one, and an older
 * engine's readers keep theirs. */
static int make_file(struct stats_segment **segment, const char *path, uint32_t workers, size_t size)
{
    char temporary[DP_PATH_SIZE + 8];
    snprintf(temporary, sizeof(temporary), "%s.new", path);
    int fd = open(temporary, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0)
        return -errno;
    struct stats_segment *made = ftruncate(fd, (off_t)size) ? NULL : map_memory(fd, size);
    if (made)
        begin(made, workers);
    if (!made || rename(temporary, path)) {
        int code = -errno;
        if (made)
            munmap(made, size);
        unlink(temporary);
        close(fd);
        return code;
    }
    close(fd);
    *segment = made;
    return 0;
}

int stats_open(struct stats_segment **segment, const char *path, uint32_t workers)
{
    size_t size = segment_size(workers);
    if (path[0])
        return make_file(segment, path, workers, size);
    *segment = map_memory(-1, size);
    if (!*segment)
        return -errno;
    begin(*segment, workers);
    return 0;
}

void stats_close(struct stats_segment *segment, const char *path)
{
    if (!segment)
        return;
    if (path[0])
        unlink(path);
    munmap(segment, segment_size(segment->workers));
}

struct transfer_stats *stats_transfers(struct stats_segment *segment, uint32_t worker)
{
    uint8_t *base = (uint8_t *)segment + transfers_at(segment->workers);
    return (struct transfer_stats *)(void *)base + (size_t)worker * DP_MAX_TRANSFERS;
}

void stats_clear_transfer(struct stats_segment *segment, uint32_t transfer)
{
    for (uint32_t worker = 0; worker < segment->workers; worker++)
        memset(&stats_transfers(segment, worker)[transfer], 0, sizeof(struct transfer_stats));
}

int dp_segment_check(const void *memory, size_t size, uint32_t *workers)
{
    const struct stats_segment *segment = memory;
    if (size < sizeof(*segment) || segment->magic != STATS_MAGIC || segment->schema != dp_schema())
        return -EPROTO;
    if (segment->workers > DP_MAX_WORKERS || size < segment_size(segment->workers))
        return -EPROTO;
    *workers = segment->workers;
    return 0;
}

uint64_t dp_segment_value(const void *memory, uint32_t worker, uint32_t counter)
{
    const struct stats_segment *segment = memory;
    if (worker >= segment->workers || counter >= ROW_COUNT)
        return 0;
    const uint8_t *stats = (const uint8_t *)&segment->stats[worker];
    return stats_get((const uint64_t *)(const void *)(stats + ROWS[counter].at));
}

uint64_t dp_segment_heartbeat(const void *memory, uint32_t worker)
{
    const struct stats_segment *segment = memory;
    return worker < segment->workers ? stats_get(&segment->stats[worker].heartbeat) : 0;
}

static const struct transfer_stats *transfer_at(const void *memory, uint32_t worker, uint32_t transfer)
{
    const struct stats_segment *segment = memory;
    if (worker >= segment->workers || transfer >= DP_MAX_TRANSFERS)
        return NULL;
    return &stats_transfers((struct stats_segment *)(uintptr_t)memory, worker)[transfer];
}

uint64_t dp_segment_transfer_value(const void *memory, uint32_t worker, uint32_t transfer, uint32_t counter)
{
    const struct transfer_stats *stats = transfer_at(memory, worker, transfer);
    if (!stats || counter >= TRANSFER_ROW_COUNT)
        return 0;
    return stats_get((const uint64_t *)(const void *)((const uint8_t *)stats + TRANSFER_ROWS[counter].at));
}

int dp_segment_answer_time(const void *memory, uint32_t worker, uint32_t transfer, uint32_t side,
                           struct dp_histogram *histogram)
{
    const struct transfer_stats *stats = transfer_at(memory, worker, transfer);
    if (!stats || side > DP_SIDE_PRODUCTION)
        return -EINVAL;
    const struct dp_histogram *from = &stats->answer_time[side];
    histogram->sum = stats_get(&from->sum);
    histogram->most = stats_get(&from->most);
    for (uint32_t i = 0; i < DP_BUCKETS; i++)
        histogram->buckets[i] = stats_get(&from->buckets[i]);
    return 0;
}

uint64_t dp_bucket_bound(uint32_t bucket)
{
    return histogram_bound(bucket);
}

size_t stats_size(const struct stats_segment *segment)
{
    return segment_size(segment->workers);
}
