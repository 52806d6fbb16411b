/* admit.h: which connections are replayed, asked once for each new one.
 *
 * Called by replay.c. Sampling (-r) is a keyed hash of the client endpoint below a threshold: uniform, the
 * same for every transfer, worker and run, and independent of the owner's hash. The gradual start (-g) lets
 * the threshold grow. Caps on new sessions, of a transfer and of all, are buckets that hold at most one
 * second's worth.
 *
 * Overload. A worker that has more to do than it can in intervals in a row lets the threshold sink, and rise
 * again when it has not: who is refused is decided by the same hash, so it is whole connections, and the same
 * ones for as long as it lasts. Sessions that are under way are not touched. Down by an eighth of itself each
 * 5 ms; up by a 160th of the whole, less by the part of turns that found more than a burst waiting: close to
 * the limit slowly, so that what was let in shows its effect, and back from nothing within 0.8 s of little
 * to do.
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
    double share;         /* of what would be let in that is; 1 but for overload */
    uint64_t adapted_at;  /* when the share was last looked at */
    uint32_t pressing;    /* intervals in a row in which there was too much to do */
    uint64_t pressed_since;
    uint32_t turns;   /* of the worker, in this interval */
    uint32_t crowded; /* of them: found more than a burst waiting */
    bool pressed;     /* in this interval there was too much to do */
};

void admission_open(struct admission *admission, const struct dp_config *config);

/* A live change: ramps that are new, and those of transfers that run again, begin anew. */
void admission_adopt(struct admission *admission, const struct dp_config *config);

/* Once a turn of the worker: whether it has more to do than it can, or nearly so. */
void admission_adapt(struct admission *admission, bool pressed, bool crowded, uint64_t now);

/* How many hashes, from the highest down, no transfer lets in at present, nor would soon: connections whose
 * SYN still waits in a ring might be let in meanwhile. 0 without overload. */
uint32_t admission_closed(const struct admission *admission);

/* DROP_NONE, or why the connection is not replayed. `opens`: it would start now, so the cap counts. */
enum drop admit(struct admission *admission, const struct dp_transfer *transfer,
                const struct endpoint *client, bool opens, uint64_t now);

#endif
