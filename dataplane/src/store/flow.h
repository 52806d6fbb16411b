/* flow.h: the key of a conversation, its hash, and the worker that owns it.
 *
 * A mirrored connection is keyed by the production client and server, a session by the forged endpoint and
 * the target. The owner depends on the client side alone, so one worker owns both.
 */
#ifndef XDPCOPY_FLOW_H
#define XDPCOPY_FLOW_H

#include "hash.h"
#include "wire/packet.h"

struct flow {
    struct address client;
    struct address server;
    uint16_t client_port;
    uint16_t server_port;
    uint32_t encapsulation : 24; /* tells equal addresses of two tunnels apart (a VNI); 0: none */
    uint32_t transport : 8;      /* enum dp_transport */
};

_Static_assert(sizeof(struct flow) == 40, "the key has no hole: it is compared as bytes");

static inline struct flow flow_make(uint32_t transport, const struct endpoint *client,
                                    const struct endpoint *server)
{
    return (struct flow){.client = client->address,
                         .server = server->address,
                         .client_port = client->port,
                         .server_port = server->port,
                         .transport = (uint8_t)transport};
}

static inline bool flow_equal(const struct flow *a, const struct flow *b)
{
    return memcmp(a, b, sizeof(*a)) == 0;
}

static inline uint64_t hash_address(const struct address *address, uint64_t with)
{
    return hash_halves(address->half[0], address->half[1], with);
}

static inline uint32_t flow_hash(const struct flow *flow)
{
    uint64_t ports = (uint64_t)flow->client_port << 48 | (uint64_t)flow->server_port << 32 |
                     (flow->encapsulation | (uint32_t)flow->transport << 24);
    uint64_t hash = hash_address(&flow->client, ports) ^ hash_address(&flow->server, ~ports);
    return (uint32_t)(hash_mix(hash, 0xa0761d6478bd642f) >> 32);
}

static inline uint32_t flow_owner(const struct endpoint *client, uint32_t workers)
{
    return hash_owner(client->address.half[0], client->address.half[1], client->port, workers);
}

#endif
