/* pace.h: the cap on packets to targets: each worker's token bucket, which holds 10 ms' worth.
 */
#ifndef XDPCOPY_PACE_H
#define XDPCOPY_PACE_H

#include <stdbool.h>

#include "wire/rewrite.h"

struct pace {
    double rate; /* packets a second; 0: no cap */
    uint64_t filled;
    double tokens;
};

/* Whether the segment may leave now. RSTs always may: they end something. */
static inline bool pace_allows(struct pace *pace, const struct segment *segment, uint64_t now)
{
    if (pace->rate <= 0 || (segment->flags & TCP_RST))
        return true;
    double most = pace->rate < 100 ? 1 : pace->rate / 100;
    pace->tokens += pace->rate * (double)(now - pace->filled) / 1e9;
    pace->tokens = pace->tokens > most ? most : pace->tokens;
    pace->filled = now;
    return pace->tokens >= 1;
}

static inline void pace_sent(struct pace *pace)
{
    pace->tokens -= pace->tokens < 1 ? pace->tokens : 1;
}

#endif
