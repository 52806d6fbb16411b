#include "checksum.h"

#include <string.h>

enum { BLOCK = 64 };

static inline uint64_t add(uint64_t sum, uint64_t value)
{
    uint64_t total = sum + value;
    return total + (total < value);
}

/* 32-bit words in a 64-bit sum never carry, so no word depends on another and the compiler can vectorise. */
static inline __attribute__((always_inline)) uint64_t add_words(const uint8_t *bytes, size_t size)
{
    uint64_t sum = 0;
    for (size_t at = 0; at < size; at += sizeof(uint32_t)) {
        uint32_t word;
        memcpy(&word, bytes + at, sizeof(word));
        sum += word;
    }
    return sum;
}

#if defined(__x86_64__)
__attribute__((target("avx512f"))) static uint64_t add_words_avx512(const uint8_t *bytes, size_t size)
{
    return add_words(bytes, size);
}

__attribute__((target("avx2"))) static uint64_t add_words_avx2(const uint8_t *bytes, size_t size)
{
    return add_words(bytes, size);
}

static uint64_t add_blocks(const uint8_t *bytes, size_t size)
{
    if (__builtin_cpu_supports("avx512f"))
        return add_words_avx512(bytes, size);
    return __builtin_cpu_supports("avx2") ? add_words_avx2(bytes, size) : add_words(bytes, size);
}
#else
static uint64_t add_blocks(const uint8_t *bytes, size_t size)
{
    return add_words(bytes, size);
}
#endif

/* Less than 16 bytes. */
static uint64_t add_rest(uint64_t sum, const uint8_t *bytes, size_t size)
{
    uint64_t eight = 0;
    uint32_t four = 0;
    uint16_t two = 0;
    uint16_t one = 0; /* its other byte counts as zero */
    if (size & 8) {
        memcpy(&eight, bytes, 8);
        bytes += 8;
    }
    if (size & 4) {
        memcpy(&four, bytes, 4);
        bytes += 4;
    }
    if (size & 2) {
        memcpy(&two, bytes, 2);
        bytes += 2;
    }
    if (size & 1)
        memcpy(&one, bytes, 1);
    return add(add(sum, eight), (uint64_t)four + two + one);
}

uint64_t checksum_add(uint64_t sum, const uint8_t *bytes, size_t size)
{
    if (size >= BLOCK) {
        size_t blocks = size & ~(size_t)(BLOCK - 1);
        sum = add(sum, add_blocks(bytes, blocks));
        bytes += blocks;
        size -= blocks;
    }
    for (; size >= 16; bytes += 16, size -= 16) {
        uint64_t words[2];
        memcpy(words, bytes, sizeof(words));
        sum = add(add(sum, words[0]), words[1]);
    }
    return add_rest(sum, bytes, size);
}

uint64_t checksum_copy(uint64_t sum, uint8_t *target, const uint8_t *bytes, size_t size)
{
    memcpy(target, bytes, size);
    return checksum_add(sum, target, size);
}

uint64_t checksum_pseudo(uint64_t sum, const struct address *source, const struct address *destination,
                         uint8_t transport, uint32_t size)
{
    uint8_t last[4] = {0, transport, (uint8_t)(size >> 8), (uint8_t)size};
    uint32_t word;
    memcpy(&word, last, sizeof(word));
    sum = add(add(sum, source->half[0]), source->half[1]);
    sum = add(add(sum, destination->half[0]), destination->half[1]);
    return add(sum, word);
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
