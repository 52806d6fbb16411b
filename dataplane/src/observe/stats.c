#include "stats.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#define AT(field) offsetof(struct stats, field)

struct row {
    struct dp_counter counter;
    size_t at; /* offset into struct stats */
};

static const struct row ROWS[] = {
#define COUNTER(name, unit, help) {{#name, unit, help, DP_COUNTER}, AT(name)},
#define GAUGE(name, unit, help) {{#name, unit, help, DP_GAUGE}, AT(name)},
#define DROP(name, help)                                                                                     \
    {{"drop_mirror_" #name, "frames", help, DP_DROP_MIRROR}, AT(drop[DP_ROLE_MIRROR][DROP_##name])},         \
        {{"drop_test_" #name, "frames", help, DP_DROP_TEST}, AT(drop[DP_ROLE_TEST][DROP_##name])},
#define END(name, help) {{"end_" #name, "sessions", help, DP_SESSION_END}, AT(end[END_##name])},
#include "stats.def"
#undef COUNTER
#undef GAUGE
#undef DROP
#undef END
};

#define ROW_COUNT (sizeof(ROWS) / sizeof(ROWS[0]))

uint32_t dp_counter_count(void)
{
    return ROW_COUNT;
}

const struct dp_counter *dp_counter_info(uint32_t counter)
{
    return counter < ROW_COUNT ? &ROWS[counter].counter : NULL;
}

/* FNV-1a over all names: a change of stats.def changes it. */
static uint64_t schema_hash(void)
{
    uint64_t hash = 0xcbf29ce484222325;
    for (size_t i = 0; i < ROW_COUNT; i++)
        for (const char *c = ROWS[i].counter.name; *c; c++)
            hash = (hash ^ (uint8_t)*c) * 0x100000001b3;
    return hash ^ sizeof(struct stats);
}

static size_t segment_size(uint32_t workers)
{
    return sizeof(struct stats_segment) + workers * sizeof(struct stats);
}

/* A new file under a temporary name, renamed into place: readers never see a half-made one, and an older
 * engine's readers keep theirs. */
static int create_file(const char *path, size_t size)
{
    char temporary[DP_PATH_SIZE + 8];
    snprintf(temporary, sizeof(temporary), "%s.new", path);
    int fd = open(temporary, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0)
        return -errno;
    if (ftruncate(fd, (off_t)size) || rename(temporary, path)) {
        int code = -errno;
        unlink(temporary);
        close(fd);
        return code;
    }
    return fd;
}

int stats_open(struct stats_segment **segment, const char *path, uint32_t workers)
{
    size_t size = segment_size(workers);
    int fd = -1;
    if (path[0]) {
        fd = create_file(path, size);
        if (fd < 0)
            return fd;
    }
    int flags = fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, fd, 0);
    int code = memory == MAP_FAILED ? -errno : 0;
    if (fd >= 0)
        close(fd);
    if (code)
        return code;
    *segment = memory;
    (*segment)->workers = workers;
    (*segment)->schema = schema_hash();
    __atomic_store_n(&(*segment)->magic, STATS_MAGIC, __ATOMIC_RELEASE);
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

int dp_segment_check(const void *memory, size_t size, uint32_t *workers)
{
    const struct stats_segment *segment = memory;
    if (size < sizeof(*segment) || segment->magic != STATS_MAGIC || segment->schema != schema_hash())
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
