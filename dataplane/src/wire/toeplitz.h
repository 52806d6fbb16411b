/* toeplitz.h: the queue on which a NIC delivers a packet, computed as the NIC does it (receive-side scaling).
 *
 * Constant once opened, and shared by all workers. The hash is linear in its input: the xor of one table
 * entry for each byte.
 *
 * Source: Microsoft, "RSS Hashing Functions" and "Verifying the RSS Hash Calculation" (the vectors in
 * tests/c/test_toeplitz.c); the symmetric forms: linux/ethtool.h, RXH_XFRM_SYM_XOR and RXH_XFRM_SYM_OR_XOR.
 */
#ifndef XDPCOPY_TOEPLITZ_H
#define XDPCOPY_TOEPLITZ_H

#include "dataplane.h"
#include "packet.h"

#define TOEPLITZ_INPUT 36 /* two IPv6 addresses and two ports */

struct toeplitz {
    const struct dp_rss *rss;
    uint32_t hash[TOEPLITZ_INPUT][256]; /* of each byte at each index of the input */
};

void toeplitz_open(struct toeplitz *toeplitz, const struct dp_rss *rss);

/* The hash of a packet of that transport (enum dp_transport), source and destination. */
uint32_t toeplitz_hash(const struct toeplitz *toeplitz, uint32_t transport, const struct endpoint *source,
                       const struct endpoint *destination);

/* The queue on which that packet arrives. */
uint32_t toeplitz_queue(const struct toeplitz *toeplitz, uint32_t transport, const struct endpoint *source,
                        const struct endpoint *destination);

#endif
