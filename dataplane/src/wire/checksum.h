/* checksum.h: the Internet checksum (RFC 1071) over the pieces of a packet.
 *
 * A sum is built up piece by piece in 64 bits and folded once. Every piece but the last must have an even
 * size.
 */
#ifndef XDPCOPY_CHECKSUM_H
#define XDPCOPY_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

#include "packet.h"

/* The sum with the bytes added to it. Sums are in the machine's byte order until folded. */
uint64_t checksum_add(uint64_t sum, const uint8_t *bytes, size_t size);

/* The same; also copies the bytes to target. */
uint64_t checksum_copy(uint64_t sum, uint8_t *target, const uint8_t *bytes, size_t size);

/* The same with the pseudo-header (RFC 9293 3.1, RFC 8200 8.1); size: of all behind the IP header. The
 * 16-byte form of an IPv4 address adds 0xffff twice, which is zero in one's complement. */
uint64_t checksum_pseudo(uint64_t sum, const struct address *source, const struct address *destination,
                         uint8_t transport, uint32_t size);

/* For a piece that starts at an odd offset: swap the sum, add, swap again. */
uint64_t checksum_swap(uint64_t sum);

/* The checksum, to be stored as it is (its bytes are already in network order). */
uint16_t checksum_fold(uint64_t sum);

#endif
