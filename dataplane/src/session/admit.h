/* admit.h: which connections are replayed, asked once for each new one.
 *
 * Called by replay.c. Sampling (-r) is a keyed hash of the client endpoint below a threshold: uniform, the
 * same for every transfer, worker and run, and independent of the owner's hash. The gradual start (-g) lets
 * the threshold grow. Caps on new sessions, of a transfer and of all, are buckets that hold at most one
 * second's worth.
 */
#ifndef XDPCOPY_ADMIT_H
#define XDPCOPY_ADMIT_H

#include "../reason.h"
#include "dataplane.h"
#include "flow.h"

struct bucket {
    uint64_t filled; /* when it was last filled */
    double tokens;   /* sessions that may start now */
    bool open;       /* it has been filled once */
};

struct admission {
    const struct dp_config *config;
    struct {
        uint64_t started; /* when the first connection asked; the ramp begins */
        bool running;
        struct bucket bucket;
    } transfers[DP_MAX_TRANSFERS];
    struct bucket bucket; /* of all transfers */
};

void admission_open(struct admission *admission, const struct dp_config *config);

/* A live change: ramps that are new, and those of transfers that run again, begin anew. */
void admission_adopt(struct admission *admission, const struct dp_config *config);

/* DROP_NONE, or why the connection is not replayed. `opens`: it would start now, so the cap counts. */
enum drop admit(struct admission *admission, const struct dp_transfer *transfer,
                const struct endpoint *client, bool opens, uint64_t now);

#endif
