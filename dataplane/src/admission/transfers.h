/* transfers.h: which transfer a frame belongs to.
 *
 * Asked by replay.c for frames of conversations that it does not know yet. The transfers themselves are the
 * configuration's; this adds what makes looking fast.
 */
#ifndef XDPCOPY_TRANSFERS_H
#define XDPCOPY_TRANSFERS_H

#include "dataplane.h"
#include "store/flow.h"

struct transfers {
    const struct dp_config *config;
    uint64_t source_ports[65536 / 64]; /* bitmap: ports that some transfer names as its source */
};

void transfers_open(struct transfers *transfers, const struct dp_config *config);

/* The transfer of this transport whose source is this endpoint, rather one that names its address than one
 * that names the port alone; the first whose target it is; or NULL. */
const struct dp_transfer *transfers_match_source(const struct transfers *transfers, uint32_t transport,
                                                 const struct endpoint *endpoint);
const struct dp_transfer *transfers_match_target(const struct transfers *transfers, uint32_t transport,
                                                 const struct endpoint *endpoint);

static inline bool transfers_have_port(const struct transfers *transfers, uint16_t port)
{
    return transfers->source_ports[port / 64] >> (port % 64) & 1;
}

#endif
