/* transfers.h: which transfer a frame belongs to, for conversations that are not known yet.
 *
 * The transfers themselves are in the configuration; this adds what makes the look-up fast.
 */
#ifndef XDPCOPY_TRANSFERS_H
#define XDPCOPY_TRANSFERS_H

#include "dataplane.h"
#include "store/flow.h"

struct transfers {
    const struct dp_config *config;
    uint64_t source_ports[65536 / 64]; /* bitmap: the source ports of all transfers */
};

void transfers_open(struct transfers *transfers, const struct dp_config *config);

/* The transfer of this transport with this endpoint as its source, or NULL. One that names the address comes
 * before one that names only the port. */
const struct dp_transfer *transfers_match_source(const struct transfers *transfers, uint32_t transport,
                                                 const struct endpoint *endpoint);

/* The first one with this endpoint as its target, or NULL. */
const struct dp_transfer *transfers_match_target(const struct transfers *transfers, uint32_t transport,
                                                 const struct endpoint *endpoint);

static inline bool transfers_have_port(const struct transfers *transfers, uint16_t port)
{
    return transfers->source_ports[port / 64] >> (port % 64) & 1;
}

#endif
