#include "toeplitz.h"

#include "bytes.h"

/* The 32 bits of the key that begin at a bit. */
static uint32_t key_window(const struct dp_rss *rss, uint32_t bit)
{
    uint64_t window = 0;
    for (uint32_t byte = bit / 8; byte < bit / 8 + 5; byte++)
        window = window << 8 | (byte < rss->key_size ? rss->key[byte] : 0);
    return (uint32_t)(window >> (8 - bit % 8));
}

void toeplitz_open(struct toeplitz *toeplitz, const struct dp_rss *rss)
{
    toeplitz->rss = rss;
    for (uint32_t index = 0; index < TOEPLITZ_INPUT; index++) {
        for (uint32_t byte = 0; byte < 256; byte++) {
            uint32_t hash = 0;
            for (uint32_t bit = 0; bit < 8; bit++)
                hash ^= byte & (0x80u >> bit) ? key_window(rss, index * 8 + bit) : 0;
            toeplitz->hash[index][byte] = hash;
        }
    }
}

static uint32_t hash_of(const struct toeplitz *toeplitz, const uint8_t *input, uint32_t size)
{
    uint32_t hash = 0;
    for (uint32_t index = 0; index < size; index++)
        hash ^= toeplitz->hash[index][input[index]];
    return hash;
}

/* Makes the input, and so the hash, the same in both directions. */
static void make_symmetric(uint8_t *source, uint8_t *destination, uint32_t size, uint32_t symmetry)
{
    for (uint32_t i = 0; i < size; i++) {
        uint8_t both = source[i] ^ destination[i];
        uint8_t either = source[i] | destination[i];
        source[i] = symmetry == DP_RSS_OR_XOR ? either : both;
        destination[i] = both;
    }
}

static uint32_t fields_of(const struct dp_rss *rss, uint32_t transport, bool ipv4)
{
    return rss->fields[transport == DP_UDP][ipv4 ? 0 : 1];
}

uint32_t toeplitz_hash(const struct toeplitz *toeplitz, uint32_t transport, const struct endpoint *source,
                       const struct endpoint *destination)
{
    const struct dp_rss *rss = toeplitz->rss;
    bool ipv4 = address_is_ipv4(&source->address);
    uint32_t size = ipv4 ? 4 : 16;
    uint32_t fields = fields_of(rss, transport, ipv4);
    uint8_t from[16], to[16], ports[4], input[TOEPLITZ_INPUT];
    memcpy(from, source->address.half, sizeof(from));
    memcpy(to, destination->address.half, sizeof(to));
    store16(ports, source->port);
    store16(ports + 2, destination->port);
    if (rss->symmetry != DP_RSS_PLAIN) {
        make_symmetric(from + 16 - size, to + 16 - size, size, rss->symmetry);
        make_symmetric(ports, ports + 2, 2, rss->symmetry);
    }
    uint32_t used = 0;
    if (fields & DP_RSS_ADDRESSES) {
        memcpy(input, from + 16 - size, size);
        memcpy(input + size, to + 16 - size, size);
        used = 2 * size;
    }
    if (fields & DP_RSS_PORTS) {
        memcpy(input + used, ports, sizeof(ports));
        used += (uint32_t)sizeof(ports);
    }
    return hash_of(toeplitz, input, used);
}

uint32_t toeplitz_queue(const struct toeplitz *toeplitz, uint32_t transport, const struct endpoint *source,
                        const struct endpoint *destination)
{
    const struct dp_rss *rss = toeplitz->rss;
    return rss->table[toeplitz_hash(toeplitz, transport, source, destination) % rss->table_size];
}
