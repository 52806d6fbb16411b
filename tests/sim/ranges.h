/* ranges.h: which bytes of a stream have been seen: disjoint ranges of offsets, sorted. Offsets do not wrap
 * here: no simulated stream is that long.
 */
#ifndef SIM_RANGES_H
#define SIM_RANGES_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum { MOST_RANGES = 2048 };

struct range {
    uint32_t start;
    uint32_t end;
};

struct ranges {
    uint32_t count;
    struct range at[MOST_RANGES];
};

/* False: there is no room for one more; nothing has been noted. */
static inline bool ranges_add(struct ranges *ranges, uint32_t start, uint32_t end)
{
    if (start >= end)
        return true;
    uint32_t first = 0;
    while (first < ranges->count && ranges->at[first].end < start)
        first++;
    uint32_t last = first;
    for (; last < ranges->count && ranges->at[last].start <= end; last++) {
        start = ranges->at[last].start < start ? ranges->at[last].start : start;
        end = ranges->at[last].end > end ? ranges->at[last].end : end;
    }
    if (first == last && ranges->count == MOST_RANGES)
        return false;
    memmove(&ranges->at[first + 1], &ranges->at[last], (ranges->count - last) * sizeof(struct range));
    ranges->count = ranges->count + 1 - (last - first);
    ranges->at[first] = (struct range){start, end};
    return true;
}

/* How far everything from the offset on is there without a hole. */
static inline uint32_t ranges_reach(const struct ranges *ranges, uint32_t offset)
{
    for (uint32_t i = 0; i < ranges->count; i++)
        if (ranges->at[i].start <= offset && offset <= ranges->at[i].end)
            return ranges->at[i].end;
    return offset;
}

static inline uint32_t ranges_end(const struct ranges *ranges)
{
    return ranges->count ? ranges->at[ranges->count - 1].end : 0;
}

#endif
