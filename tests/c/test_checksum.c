/* The Internet checksum in every form that this machine has, against RFC 1071 taken literally. Includes the
 * source: the forms are private, and which of them is used depends on the machine. */
#include "wire/checksum.c" /* NOLINT(bugprone-suspicious-include) */

#include "check.h"

enum { MOST = 2048 };

/* RFC 1071, section 1: 16-bit words in network order, an odd byte at the end padded with zero. */
static uint16_t plain(const uint8_t *bytes, size_t size)
{
    uint64_t sum = 0;
    for (size_t at = 0; at < size; at++)
        sum += at & 1 ? bytes[at] : (uint32_t)bytes[at] << 8;
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)~sum;
}

/* As checksum_fold leaves it: the bytes are in network order, so read as such it is a number. */
static uint16_t number(uint16_t folded)
{
    uint8_t bytes[2];
    memcpy(bytes, &folded, 2);
    return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

/* In a heap block of exactly this size, so that the sanitizer sees a byte too many. */
static uint8_t *fill(size_t size, uint64_t *state, bool ones)
{
    uint8_t *bytes = malloc(size ? size : 1);
    for (size_t i = 0; i < size; i++)
        bytes[i] = ones ? 0xff : (uint8_t)random32(state);
    return bytes;
}

static void check_at(const uint8_t *bytes, size_t offset, size_t size)
{
    CHECK(number(checksum_fold(checksum_add(0, bytes + offset, size))) == plain(bytes + offset, size));
}

static void test_every_size_at_every_offset_is_that_of_rfc_1071(void)
{
    uint64_t state = 7;
    for (size_t size = 0; size <= 400; size++) {
        for (size_t offset = 0; offset < 64; offset++) {
            uint8_t *bytes = fill(offset + size, &state, (size + offset) % 5 == 0);
            check_at(bytes, offset, size);
            free(bytes);
        }
    }
}

static void test_large_sizes_are_those_of_rfc_1071(void)
{
    uint64_t state = 8;
    for (size_t size = 401; size < 65536; size += 997) {
        uint8_t *bytes = fill(size + 3, &state, size % 2);
        check_at(bytes, size % 4, size);
        free(bytes);
    }
}

static void test_every_form_gives_the_same_sum(void)
{
    uint64_t state = 9;
    uint8_t *bytes = fill(MOST + 64, &state, false);
    for (size_t size = BLOCK; size <= MOST; size += BLOCK) {
        for (size_t offset = 0; offset < 64; offset++) {
            uint64_t sum = add_words(bytes + offset, size);
            CHECK(number(checksum_fold(sum)) == plain(bytes + offset, size));
            CHECK(add_blocks(bytes + offset, size) == sum);
#if defined(__x86_64__)
            CHECK(!__builtin_cpu_supports("avx2") || add_words_avx2(bytes + offset, size) == sum);
            CHECK(!__builtin_cpu_supports("avx512f") || add_words_avx512(bytes + offset, size) == sum);
#endif
        }
    }
    free(bytes);
}

static void test_the_sum_so_far_carries_over(void)
{
    uint64_t state = 10;
    uint8_t *bytes = fill(MOST, &state, true);
    for (size_t split = 0; split <= MOST; split += 2) {
        uint64_t sum = checksum_add(UINT64_MAX, bytes, split); /* the largest sum: zero in one's complement */
        CHECK(checksum_fold(checksum_add(sum, bytes + split, MOST - split)) ==
              checksum_fold(checksum_add(0, bytes, MOST)));
    }
    free(bytes);
}

static void test_copying_sums_up_what_was_copied(void)
{
    uint64_t state = 11;
    uint8_t target[300];
    uint8_t *bytes = fill(sizeof(target), &state, false);
    CHECK(checksum_copy(5, target, bytes, sizeof(target)) == checksum_add(5, bytes, sizeof(target)));
    CHECK(memcmp(target, bytes, sizeof(target)) == 0);
    free(bytes);
}

static void test_pseudo_header_is_that_of_rfc_9293(void)
{
    static const uint8_t IPV4[] = {198, 18, 0, 1, 198, 19, 0, 2, 0, DP_TCP, 0xab, 0xcd};
    uint8_t mapped[2][16] = {{[10] = 0xff, 0xff, 198, 18, 0, 1}, {[10] = 0xff, 0xff, 198, 19, 0, 2}};
    struct address source;
    struct address destination;
    memcpy(&source, mapped[0], sizeof(source));
    memcpy(&destination, mapped[1], sizeof(destination));
    CHECK(checksum_fold(checksum_pseudo(0, &source, &destination, DP_TCP, 0xabcd)) ==
          checksum_fold(checksum_add(0, IPV4, sizeof(IPV4))));
}

int main(void)
{
    RUN(test_every_size_at_every_offset_is_that_of_rfc_1071);
    RUN(test_large_sizes_are_those_of_rfc_1071);
    RUN(test_every_form_gives_the_same_sum);
    RUN(test_the_sum_so_far_carries_over);
    RUN(test_copying_sums_up_what_was_copied);
    RUN(test_pseudo_header_is_that_of_rfc_9293);
    return 0;
}
