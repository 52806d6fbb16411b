/* hash.h: hashes of addresses and ports on which the line and the XDP program must agree.
 *
 * bpf/steer.bpf.c includes it, so it is written with the kernel's types and without those that BPF does not
 * have. An address is two halves of 16 bytes in network order, each as it lies in memory; a port is in host
 * order.
 */
#ifndef XDPCOPY_HASH_H
#define XDPCOPY_HASH_H

#include <linux/types.h>

/* Folded multiplication: each half of the product depends on every bit of both factors. */
static inline __attribute__((always_inline)) __u64 hash_mix(__u64 a, __u64 b)
{
#ifdef __bpf__ /* has no 128 bits: the same product, by halves */
    __u64 low = (a & 0xffffffff) * (b & 0xffffffff);
    __u64 one = (a >> 32) * (b & 0xffffffff);
    __u64 other = (a & 0xffffffff) * (b >> 32);
    __u64 middle = (low >> 32) + (one & 0xffffffff) + other;
    return (a * b) ^ ((a >> 32) * (b >> 32) + (one >> 32) + (middle >> 32));
#else
    unsigned __int128 product = (unsigned __int128)a * b;
    return (__u64)product ^ (__u64)(product >> 64);
#endif
}

static inline __attribute__((always_inline)) __u64 hash_halves(__u64 first, __u64 second, __u64 with)
{
    return hash_mix(first ^ 0x9e3779b97f4a7c15, hash_mix(second ^ with, 0xd6e8feb86659fd93));
}

/* The worker that owns what the client says. */
static inline __attribute__((always_inline)) __u32 hash_owner(__u64 first, __u64 second, __u16 port,
                                                              __u32 workers)
{
    __u64 hash = hash_mix(hash_halves(first, second, port), 0xe7037ed1a0b428db);
    return (__u32)(((hash >> 32) * workers) >> 32);
}

/* Decides what is in the sample. Ports advance it in steps of the golden ratio: whatever run of ports a
 * client uses, all or every second one, falls evenly over the range (Weyl), so that its share of the sample
 * is exact and not a matter of luck. */
static inline __attribute__((always_inline)) __u32 hash_sample(__u64 first, __u64 second, __u16 port)
{
    return (__u32)(hash_halves(first, second, 0x8ebc6af09c88c6e3) >> 32) + port * 0x9e3779b9U;
}

#endif
