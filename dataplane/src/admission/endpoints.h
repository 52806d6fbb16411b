/* endpoints.h: the forged endpoints of sessions, collision-free by construction.
 *
 * An endpoint is free if no session towards the same target has it. The table of sessions is the only record
 * of that, so nothing has to be given back. A client pool is used in a cycle over addresses × ports, so that
 * the endpoint longest unused comes next. Without a pool a connection's first session keeps the mirrored
 * client's own address and port (as tcpcopy does), and copies get other ports of that address.
 *
 * Every endpoint chosen hashes to this worker. Where it is known how the test port spreads answers over
 * queues, endpoints whose answers come to a queue of this worker are preferred: nothing is handed off then.
 */
#ifndef XDPCOPY_ENDPOINTS_H
#define XDPCOPY_ENDPOINTS_H

#include "dataplane.h"
#include "store/table.h"
#include "wire/toeplitz.h"

struct endpoints {
    const struct dp_config *config;
    const struct table *forged;
    const struct toeplitz *toeplitz; /* of the test port; NULL: not known */
    uint32_t worker;
    uint64_t cursors[DP_MAX_TRANSFERS]; /* where each transfer looks next in its pool */
};

void endpoints_open(struct endpoints *endpoints, const struct dp_config *config, const struct table *forged,
                    uint32_t worker);

/* Makes the key of session number `copy` of a connection: a free endpoint, and the transfer's target. False:
 * no free one was found. */
bool endpoints_forge(struct endpoints *endpoints, uint32_t transfer, const struct endpoint *client,
                     uint32_t copy, struct flow *flow);

#endif
