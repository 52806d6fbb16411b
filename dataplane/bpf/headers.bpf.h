/* headers.bpf.h: a frame's endpoints, read by an XDP program.
 *
 * Ethernet, up to two VLAN tags, IPv4, IPv6 with up to four extension headers, and the ports of TCP or UDP.
 */
#ifndef XDPCOPY_HEADERS_BPF_H
#define XDPCOPY_HEADERS_BPF_H

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/in6.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define MAX_VLAN_TAGS 2
#define MAX_EXTENSIONS 4

#define IPV6_HOP_BY_HOP 0
#define IPV6_ROUTING 43
#define IPV6_FRAGMENT 44
#define IPV6_AUTHENTICATION 51
#define IPV6_DESTINATION 60

/* Network order; IPv4 as ::ffff:a.b.c.d (RFC 4291 2.5.5.2). */
struct address {
    __u32 word[4];
};

/* The address :: stands for any address. */
struct endpoint {
    struct address address;
    __be16 port;
    __u8 transport; /* IPPROTO_TCP or IPPROTO_UDP */
    __u8 zero;
};

/* What is left to read. Every step checks it against the end of the frame. */
struct cursor {
    const __u8 *at;
    const __u8 *end;
};

enum kind {
    KIND_OTHER,      /* not IP, or neither TCP, UDP nor an ICMP error */
    KIND_PORTS,      /* TCP or UDP */
    KIND_PIECE,      /* a fragment of TCP or UDP that does not show the ports */
    KIND_ICMP_ERROR, /* the cursor is at the packet that it quotes */
    KIND_MALFORMED,
};

struct packet {
    struct endpoint source;
    struct endpoint destination;
    __u32 later_fragment; /* not the first one: the transport header is in another */
    __u32 fragment;
    __u32 transport;
};

/* The next bytes, or NULL if the frame ends before; the cursor moves behind them. */
static __always_inline const __u8 *take(struct cursor *cursor, __u32 bytes)
{
    const __u8 *taken = cursor->at;
    if (taken + bytes > cursor->end)
        return NULL;
    cursor->at = taken + bytes;
    return taken;
}

static __always_inline __u32 read16(const __u8 *at)
{
    return (__u32)at[0] << 8 | at[1];
}

/* The EtherType behind the VLAN tags, or 0 if the frame ends before. */
static __always_inline __u32 read_link(struct cursor *cursor)
{
    const __u8 *header = take(cursor, ETH_HLEN);
    if (!header)
        return 0;
    __u32 type = read16(header + 12);
    for (int tags = 0; tags < MAX_VLAN_TAGS; tags++) {
        if (type != ETH_P_8021Q && type != ETH_P_8021AD)
            break;
        header = take(cursor, 4);
        if (!header)
            return 0;
        type = read16(header + 2);
    }
    return type;
}

static __always_inline void set_ipv4(struct address *address, const __u8 *at)
{
    address->word[2] = bpf_htonl(0xffff);
    __builtin_memcpy(&address->word[3], at, 4);
}

static __always_inline int read_ipv4(struct cursor *cursor, struct packet *packet)
{
    const __u8 *header = take(cursor, 20);
    if (!header || header[0] >> 4 != 4)
        return -1;
    __u32 words = header[0] & 15;
    if (words < 5 || !take(cursor, (words - 5) * 4))
        return -1;
    __u32 fragment = read16(header + 6) & 0x3fff; /* more fragments, offset */
    packet->fragment = fragment != 0;
    packet->later_fragment = (fragment & 0x1fff) != 0;
    packet->transport = header[9];
    set_ipv4(&packet->source.address, header + 12);
    set_ipv4(&packet->destination.address, header + 16);
    return 0;
}

static __always_inline int is_extension(__u32 transport)
{
    return transport == IPV6_HOP_BY_HOP || transport == IPV6_ROUTING || transport == IPV6_FRAGMENT ||
           transport == IPV6_AUTHENTICATION || transport == IPV6_DESTINATION;
}

/* One extension header: the two bytes that all begin with, then the rest (RFC 8200 4, RFC 4302 2.2). */
static __always_inline int read_extension(struct cursor *cursor, struct packet *packet)
{
    const __u8 *header = take(cursor, 8);
    if (!header)
        return -1;
    __u32 transport = packet->transport;
    packet->transport = header[0];
    if (transport == IPV6_FRAGMENT) {
        __u32 fragment = read16(header + 2) & 0xfff9;
        packet->fragment = fragment != 0;
        packet->later_fragment = (fragment & 0xfff8) != 0;
        return 0;
    }
    __u32 rest = transport == IPV6_AUTHENTICATION ? (__u32)header[1] * 4 : (__u32)header[1] * 8;
    return take(cursor, rest) ? 0 : -1;
}

static __always_inline int read_ipv6(struct cursor *cursor, struct packet *packet)
{
    const __u8 *header = take(cursor, 40);
    if (!header || header[0] >> 4 != 6)
        return -1;
    packet->transport = header[6];
    __builtin_memcpy(&packet->source.address, header + 8, 16);
    __builtin_memcpy(&packet->destination.address, header + 24, 16);
    for (int n = 0; n < MAX_EXTENSIONS; n++) {
        if (packet->later_fragment || !is_extension(packet->transport))
            break;
        if (read_extension(cursor, packet))
            return -1;
    }
    if (!is_extension(packet->transport))
        return 0;
    if (!packet->later_fragment)
        return -1;
    packet->transport = IPPROTO_TCP; /* may be: what hides behind the first fragment cannot be seen */
    return 0;
}

static __always_inline enum kind read_ports(struct cursor *cursor, struct packet *packet)
{
    const __u8 *ports = packet->later_fragment ? NULL : take(cursor, 4);
    if (!ports)
        return packet->fragment ? KIND_PIECE : KIND_MALFORMED;
    __builtin_memcpy(&packet->source.port, ports, 2);
    __builtin_memcpy(&packet->destination.port, ports + 2, 2);
    packet->source.transport = packet->destination.transport = (__u8)packet->transport;
    return KIND_PORTS;
}

/* RFC 792: unreachable, source quench, redirect, time exceeded, parameter problem. RFC 4443: all below 128.
 */
static __always_inline int is_icmp_error(__u32 transport, __u32 type)
{
    if (transport == IPPROTO_ICMPV6)
        return type < 128;
    return type == 3 || type == 4 || type == 5 || type == 11 || type == 12;
}

static __always_inline enum kind read_icmp(struct cursor *cursor, const struct packet *packet)
{
    const __u8 *icmp = packet->later_fragment ? NULL : take(cursor, 8);
    return icmp && is_icmp_error(packet->transport, icmp[0]) ? KIND_ICMP_ERROR : KIND_OTHER;
}

static __always_inline enum kind read_packet(struct cursor *cursor, __u32 type, struct packet *packet)
{
    if (type != ETH_P_IP && type != ETH_P_IPV6)
        return type ? KIND_OTHER : KIND_MALFORMED;
    if (type == ETH_P_IP ? read_ipv4(cursor, packet) : read_ipv6(cursor, packet))
        return KIND_MALFORMED;
    if (packet->transport == IPPROTO_TCP || packet->transport == IPPROTO_UDP)
        return read_ports(cursor, packet);
    __u32 icmp = type == ETH_P_IP ? IPPROTO_ICMP : IPPROTO_ICMPV6;
    return packet->transport == icmp ? read_icmp(cursor, packet) : KIND_OTHER;
}

#endif
