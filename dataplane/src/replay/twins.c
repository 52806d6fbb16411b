#include "twins.h"

enum { NUMBERED = 20 * 1000 * 1000, UNNUMBERED = 1000 * 1000 };

static uint64_t mix(uint64_t hash, uint64_t word)
{
    hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
    return hash ^ hash >> 29;
}

static uint64_t hash_of(const struct flow *flow, const struct packet *packet)
{
    uint64_t hash = mix(flow_hash(flow), (uint64_t)packet->id << 32 | packet->size);
    for (uint32_t at = 0; at < packet->size; at += 8) {
        uint64_t word = 0;
        memcpy(&word, packet->payload + at, packet->size - at < 8 ? packet->size - at : 8);
        hash = mix(hash, word);
    }
    return hash;
}

bool twins_find(struct twins *twins, const struct flow *flow, const struct packet *packet, bool timed,
                uint64_t now)
{
    uint64_t hash = hash_of(flow, packet);
    struct twin *twin = &twins->last[hash % TWINS];
    bool found =
        twin->hash == hash && now - twin->at <= (packet->id ? NUMBERED : UNNUMBERED) && (packet->id || timed);
    if (!found)
        *twin = (struct twin){hash, now};
    else if (!packet->id)
        twin->hash = 0; /* the next one is the first of a pair again */
    return found;
}
