#include "endpoints.h"

#include "transfers.h"
#include "wire/bytes.h"

enum {
    FIRST_PORT = 1024,
    PORTS = 65536 - FIRST_PORT,
    MOST_TRIES = 4096, /* so that a nearly exhausted pool does not hold up the line */
};

void endpoints_open(struct endpoints *endpoints, const struct dp_config *config, const struct table *forged,
                    uint32_t worker)
{
    *endpoints = (struct endpoints){.config = config, .forged = forged, .worker = worker};
}

/* The address that far behind the first. */
static struct address address_after(const uint8_t first[16], uint32_t distance)
{
    uint8_t bytes[16];
    memcpy(bytes, first, sizeof(bytes));
    uint64_t sum = (uint64_t)load32(bytes + 12) + distance;
    store32(bytes + 12, (uint32_t)sum);
    for (int i = 11; i >= 0 && sum >> 32; i--) {
        bytes[i]++;
        sum = bytes[i] ? 0 : sum;
    }
    return address_from_bytes(bytes);
}

static uint64_t pool_addresses(const struct endpoints *endpoints, const struct dp_transfer *transfer)
{
    uint64_t total = 0;
    for (uint32_t i = 0; i < transfer->range_count; i++)
        total += endpoints->config->ranges[transfer->range_first + i].count;
    return total;
}

static struct address pool_address(const struct endpoints *endpoints, const struct dp_transfer *transfer,
                                   uint64_t number)
{
    const struct dp_range *range = &endpoints->config->ranges[transfer->range_first];
    for (; number >= range->count; range++)
        number -= range->count;
    return address_after(range->first, (uint32_t)number);
}

/* The ports of this instance, numbered. */
static uint16_t port_number(const struct dp_transfer *transfer, uint64_t number)
{
    return (uint16_t)(FIRST_PORT + number * transfer->instances + transfer->instance);
}

static bool is_free(const struct endpoints *endpoints, const struct dp_transfer *transfer,
                    const struct endpoint *client, struct flow *flow)
{
    struct endpoint target = {address_from_bytes(transfer->target_ip), transfer->target_port};
    if (flow_owner(client, endpoints->config->workers) != endpoints->worker)
        return false;
    *flow = flow_make(transfer->transport, client, &target);
    return !table_find(endpoints->forged, flow);
}

/* Whether the target's answers come to a queue of this worker. */
static bool comes_here(const struct endpoints *endpoints, const struct dp_transfer *transfer,
                       const struct endpoint *client)
{
    struct endpoint target = {address_from_bytes(transfer->target_ip), transfer->target_port};
    uint32_t queue = toeplitz_queue(endpoints->toeplitz, transfer->transport, &target, client);
    return queue % endpoints->config->workers == endpoints->worker;
}

/* Every address, then the next port of each. `here`: only those whose answers come to this worker. */
static bool forge_from_pool(struct endpoints *endpoints, uint32_t index, bool here, struct flow *flow)
{
    const struct dp_transfer *transfer = &endpoints->config->transfers[index];
    uint64_t addresses = pool_addresses(endpoints, transfer);
    uint64_t ports = PORTS / transfer->instances;
    uint64_t *cursor = &endpoints->cursors[index];
    for (uint32_t tries = 0; tries < MOST_TRIES; tries++) {
        uint64_t number = (*cursor)++ % (addresses * ports);
        struct endpoint client = {pool_address(endpoints, transfer, number % addresses),
                                  port_number(transfer, number / addresses)};
        if (is_free(endpoints, transfer, &client, flow) &&
            (!here || comes_here(endpoints, transfer, &client)))
            return true;
    }
    return false;
}

/* Other ports of the client's own address, starting where its port and the copy hash to. `here`: as above. */
static bool forge_beside(const struct endpoints *endpoints, const struct dp_transfer *transfer,
                         const struct endpoint *client, uint32_t copy, bool here, struct flow *flow)
{
    uint64_t ports = PORTS / transfer->instances;
    uint64_t start = hash_mix(client->port + 1u, 0x9e3779b97f4a7c15 * (copy + 1)) % ports;
    struct endpoint other = *client;
    for (uint32_t tries = 0; tries < MOST_TRIES && tries < ports; tries++) {
        other.port = port_number(transfer, (start + tries) % ports);
        if (is_free(endpoints, transfer, &other, flow) && (!here || comes_here(endpoints, transfer, &other)))
            return true;
    }
    return false;
}

static bool is_loopback(const struct address *address)
{
    static const uint8_t LOOPBACK6[16] = {[15] = 1};
    uint8_t bytes[16];
    memcpy(bytes, address->half, sizeof(bytes));
    return address_is_ipv4(address) ? bytes[12] == 127 : !memcmp(bytes, LOOPBACK6, sizeof(bytes));
}

/* Under the address that stands in for loopback clients: the client's own port, or any other where that one
 * is taken or another worker's. */
static bool forge_for_loopback(const struct endpoints *endpoints, const struct dp_transfer *transfer,
                               const struct endpoint *client, uint32_t copy, bool here, struct flow *flow)
{
    struct endpoint stand_in = {address_from_bytes(transfer->loopback_ip), client->port};
    if (copy == 0 && transfer->instances == 1 && is_free(endpoints, transfer, &stand_in, flow))
        return true;
    return forge_beside(endpoints, transfer, &stand_in, copy, here, flow);
}

static bool forge(struct endpoints *endpoints, uint32_t index, const struct endpoint *client, uint32_t copy,
                  bool here, struct flow *flow)
{
    const struct dp_transfer *transfer = &endpoints->config->transfers[index];
    if (transfer->range_count)
        return forge_from_pool(endpoints, index, here, flow);
    struct address stand_in = address_from_bytes(transfer->loopback_ip);
    if (!address_is_any(&stand_in) && is_loopback(&client->address))
        return forge_for_loopback(endpoints, transfer, client, copy, here, flow);
    if (copy == 0 && transfer->instances == 1 && is_free(endpoints, transfer, client, flow))
        return true;
    return transfer->multiplier > 1 || transfer->instances > 1
               ? forge_beside(endpoints, transfer, client, copy, here, flow)
               : false;
}

bool endpoints_forge(struct endpoints *endpoints, uint32_t index, const struct endpoint *client,
                     uint32_t copy, struct flow *flow)
{
    return (endpoints->toeplitz && forge(endpoints, index, client, copy, true, flow)) ||
           forge(endpoints, index, client, copy, false, flow);
}
