#include "checksum.h"

#include <string.h>

static inline uint64_t add(uint64_t sum, uint64_t value)
{
    uint64_t total = sum + value;
    return total + (total < value);
}

uint64_t checksum_add(uint64_t sum, const uint8_t *bytes, size_t size)
{
    uint64_t other = 0; /* a second chain of additions, so that they overlap in the pipeline */
    for (; size >= 16; bytes += 16, size -= 16) {
        uint64_t words[2];
        memcpy(words, bytes, sizeof(words));
        sum = add(sum, words[0]);
        other = add(other, words[1]);
    }
    sum = add(sum, other);
    uint64_t rest[2] = {0, 0};
    memcpy(rest, bytes, size);
    return add(add(sum, rest[0]), rest[1]);
}

uint64_t checksum_copy(uint64_t sum, uint8_t *target, const uint8_t *bytes, size_t size)
{
    memcpy(target, bytes, size);
    return checksum_add(sum, target, size);
}

static uint32_t fold16(uint64_t sum)
{
    sum = (sum >> 32) + (sum & 0xffffffff);
    sum = (sum >> 32) + (sum & 0xffffffff);
    uint32_t low = (uint32_t)((sum >> 16) + (sum & 0xffff));
    return (low >> 16) + (low & 0xffff);
}

uint64_t checksum_swap(uint64_t sum)
{
    uint32_t folded = fold16(sum);
    folded = (folded >> 16) + (folded & 0xffff);
    return ((folded & 0xff) << 8) | (folded >> 8);
}

uint16_t checksum_fold(uint64_t sum)
{
    uint32_t folded = fold16(sum);
    return (uint16_t) ~((folded >> 16) + (folded & 0xffff));
}
