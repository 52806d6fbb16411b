/* packet.h: what a TCP segment or a UDP datagram says.
 *
 * Addresses are 16 bytes in network order, IPv4 as ::ffff:a.b.c.d; numbers are in host order. The payload
 * points into the borrowed frame.
 */
#ifndef XDPCOPY_PACKET_H
#define XDPCOPY_PACKET_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "dataplane.h"

enum tcp_flag { TCP_FIN = 1, TCP_SYN = 2, TCP_RST = 4, TCP_PSH = 8, TCP_ACK = 16 };

#define NO_WINDOW_SCALE 0xff

struct address {
    uint64_t half[2];
};

struct endpoint {
    struct address address;
    uint16_t port;
};

/* The options that matter (RFC 9293 3.2, RFC 7323, RFC 2018). */
struct tcp_options {
    uint32_t timestamp; /* TSval */
    uint32_t echo;      /* TSecr */
    uint16_t mss;       /* 0: absent */
    uint8_t window_scale;
    bool has_timestamp;
    bool sack_permitted;
};

struct packet {
    struct endpoint source;
    struct endpoint destination;
    uint8_t transport; /* enum dp_transport; of what follows UDP has only size and payload */
    uint32_t seq;
    uint32_t ack;
    uint32_t window; /* as in the header, not scaled */
    uint8_t flags;
    struct tcp_options options;
    uint32_t size; /* of the payload */
    const uint8_t *payload;
};

static inline struct address address_from_bytes(const uint8_t bytes[16])
{
    struct address address;
    memcpy(address.half, bytes, sizeof(address.half));
    return address;
}

static inline struct address address_from_ipv4(const uint8_t bytes[4])
{
    uint8_t mapped[16] = {[10] = 0xff, [11] = 0xff};
    memcpy(mapped + 12, bytes, 4);
    return address_from_bytes(mapped);
}

static inline bool address_equal(const struct address *a, const struct address *b)
{
    return a->half[0] == b->half[0] && a->half[1] == b->half[1];
}

static inline bool address_is_ipv4(const struct address *address)
{
    static const uint8_t PREFIX[12] = {[10] = 0xff, [11] = 0xff};
    return memcmp(address, PREFIX, sizeof(PREFIX)) == 0;
}

static inline bool address_is_any(const struct address *address)
{
    return (address->half[0] | address->half[1]) == 0;
}

static inline bool endpoint_equal(const struct endpoint *a, const struct endpoint *b)
{
    return a->port == b->port && address_equal(&a->address, &b->address);
}

#endif
