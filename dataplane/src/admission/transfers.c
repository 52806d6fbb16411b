#include "transfers.h"

void transfers_open(struct transfers *transfers, const struct dp_config *config)
{
    *transfers = (struct transfers){.config = config};
    for (uint32_t i = 0; i < config->transfer_count; i++) {
        uint16_t port = config->transfers[i].source_port;
        if (config->transfers[i].state != DP_REMOVED)
            transfers->source_ports[port / 64] |= 1ull << (port % 64);
    }
}

static struct endpoint target_of(const struct dp_transfer *transfer)
{
    return (struct endpoint){address_from_bytes(transfer->target_ip), transfer->target_port};
}

enum fit { FITS_NOT, FITS_ANY, FITS_EXACTLY };

/* A source without an address means any address of the target's family. */
static enum fit fit_of(const struct dp_transfer *transfer, uint32_t transport,
                       const struct endpoint *endpoint)
{
    struct address source = address_from_bytes(transfer->source_ip);
    struct address target = address_from_bytes(transfer->target_ip);
    if (transfer->source_port != endpoint->port || transfer->transport != transport ||
        transfer->state == DP_REMOVED)
        return FITS_NOT;
    if (address_is_any(&source))
        return address_is_ipv4(&target) == address_is_ipv4(&endpoint->address) ? FITS_ANY : FITS_NOT;
    return address_equal(&source, &endpoint->address) ? FITS_EXACTLY : FITS_NOT;
}

const struct dp_transfer *transfers_match_source(const struct transfers *transfers, uint32_t transport,
                                                 const struct endpoint *endpoint)
{
    if (!transfers_have_port(transfers, endpoint->port))
        return NULL;
    const struct dp_transfer *found = NULL;
    for (uint32_t i = 0; i < transfers->config->transfer_count; i++) {
        const struct dp_transfer *transfer = &transfers->config->transfers[i];
        enum fit fit = fit_of(transfer, transport, endpoint);
        if (fit == FITS_EXACTLY)
            return transfer;
        if (fit == FITS_ANY && !found)
            found = transfer;
    }
    return found;
}

const struct dp_transfer *transfers_match_target(const struct transfers *transfers, uint32_t transport,
                                                 const struct endpoint *endpoint)
{
    for (uint32_t i = 0; i < transfers->config->transfer_count; i++) {
        const struct dp_transfer *transfer = &transfers->config->transfers[i];
        struct endpoint target = target_of(transfer);
        if (endpoint_equal(&target, endpoint) && transfer->transport == transport)
            return transfer;
    }
    return NULL;
}
