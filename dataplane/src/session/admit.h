/* admit.h: which connections are replayed, asked once for each new one.
 *
 * Called by replay.c. Sampling (-r) is a keyed hash of the client endpoint below a threshold: uniform, the
 * same for every transfer, worker and run, and independent of the owner's hash. The gradual start (-g) lets
 * the threshold grow. The cap on new sessions is a bucket that holds at most one second's worth.
 */
#ifndef XDPCOPY_ADMIT_H
#define XDPCOPY_ADMIT_H

#include "../reason.h"
#include "dataplane.h"
#include "flow.h"

struct admission {
    const struct dp_config *config;
    uint64_t started; /* when the first connection asked; the ramp begins */
    uint64_t filled;  /* when the bucket was last filled */
    double tokens;    /* sessions that may start now */
    bool running;
};

void admission_open(struct admission *admission, const struct dp_config *config);

/* DROP_NONE, or why the connection is not replayed. `opens`: it would start now, so the cap counts. */
enum drop admit(struct admission *admission, const struct dp_transfer *transfer,
                const struct endpoint *client, bool opens, uint64_t now);

#endif
