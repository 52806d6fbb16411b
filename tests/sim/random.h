/* random.h: numbers that one seed decides (splitmix64). Each part of the simulation draws from a stream of
 * its own, so that a change of one part's settings leaves what the others draw as it was.
 */
#ifndef SIM_RANDOM_H
#define SIM_RANDOM_H

#include <stdbool.h>
#include <stdint.h>

struct random {
    uint64_t state;
};

static inline uint64_t mix64(uint64_t value)
{
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
    value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
    return value ^ (value >> 31);
}

static inline struct random random_stream(uint64_t seed, uint64_t stream)
{
    return (struct random){mix64(seed * 0x9e3779b97f4a7c15 + mix64(stream + 1))};
}

static inline uint64_t random64(struct random *random)
{
    random->state += 0x9e3779b97f4a7c15;
    return mix64(random->state);
}

/* 0 … limit - 1; 0 if limit is 0. */
static inline uint32_t below(struct random *random, uint32_t limit)
{
    return (uint32_t)(((random64(random) >> 32) * limit) >> 32);
}

static inline uint32_t between(struct random *random, uint32_t least, uint32_t most)
{
    return least + below(random, most - least + 1);
}

static inline bool chance(struct random *random, uint32_t permille)
{
    return below(random, 1000) < permille;
}

/* 1 … most, small numbers as likely as large ones: first the number of bits, then the number. */
static inline uint32_t any_size(struct random *random, uint32_t most)
{
    uint32_t bits = 0;
    while (bits < 31 && most >> (bits + 1))
        bits++;
    uint32_t limit = 2u << below(random, bits + 1);
    return 1 + below(random, limit - 1 < most ? limit - 1 : most);
}

#endif
