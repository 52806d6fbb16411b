/* steer.bpf.c: which frames of a device go to our sockets, and what becomes of the others.
 *
 * Two XDP programs; Steering (dataplane/steering.py) loads one for each device, with maps of its own.
 *
 * steer_mirror: frames from or to an endpoint (a mirrored server) go to the socket of their queue; all other
 * frames are dropped or passed to the kernel, as settings say.
 *
 * steer_test: frames from an endpoint (a target) go to the socket of their queue and are dropped if there is
 * none; so are ICMP errors about what we sent there. The answers to forged clients end here: they reach
 * neither the kernel nor anybody else. ARP, neighbour discovery and all else pass.
 *
 * It reads Ethernet, up to two VLAN tags, IPv4, IPv6 with up to four extension headers, and the ports of TCP
 * or UDP; what lies behind is for the dataplane to judge. Each frame is counted under exactly one name of
 * struct steer_counts; Python learns the names from the type information of this object.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/in6.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define MAX_SOCKETS 64
#define MAX_ENDPOINTS 1024
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

/* Set before the program is attached; endpoints may be replaced while it runs. */
struct steer_settings {
    __u32 pass_unwanted; /* mirror: 1: unwanted frames go to the kernel, 0: they are dropped */
    __u32 any_address;   /* 1: there is an endpoint with the address :: */
    __u32 any_udp;       /* 1: there is an endpoint of UDP, so its fragments are wanted */
};

/* Every frame ends under one of these. */
struct steer_counts {
    __u64 redirected;       /* wanted, given to the socket of its queue */
    __u64 no_socket;        /* wanted, but its queue has no socket: dropped */
    __u64 malformed;        /* headers cut short, contradictory or too many: dropped */
    __u64 unwanted_dropped; /* mirror: not of an endpoint */
    __u64 unwanted_passed;  /* not of an endpoint, given to the kernel */
    __u64 icmp_dropped;     /* test: an error message about a segment of ours */
};

struct {
    __uint(type, BPF_MAP_TYPE_XSKMAP);
    __uint(max_entries, MAX_SOCKETS);
    __type(key, __u32);
    __type(value, __u32);
} sockets SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, MAX_ENDPOINTS);
    __type(key, struct endpoint);
    __type(value, __u32);
} endpoints SEC(".maps");

/* The addresses of endpoints, for frames that show no ports. */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, MAX_ENDPOINTS);
    __type(key, struct address);
    __type(value, __u32);
} addresses SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct steer_settings);
} settings SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct steer_counts);
} counts SEC(".maps");

/* --- reading headers --- */

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
    __u32 later_fragment; /* not the first: the transport header is elsewhere */
    __u32 fragment;
    __u32 protocol;
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
    packet->protocol = header[9];
    set_ipv4(&packet->source.address, header + 12);
    set_ipv4(&packet->destination.address, header + 16);
    return 0;
}

static __always_inline int is_extension(__u32 protocol)
{
    return protocol == IPV6_HOP_BY_HOP || protocol == IPV6_ROUTING || protocol == IPV6_FRAGMENT ||
           protocol == IPV6_AUTHENTICATION || protocol == IPV6_DESTINATION;
}

/* One extension header: the two bytes that all begin with, then the rest (RFC 8200 4, RFC 4302 2.2). */
static __always_inline int read_extension(struct cursor *cursor, struct packet *packet)
{
    const __u8 *header = take(cursor, 8);
    if (!header)
        return -1;
    __u32 protocol = packet->protocol;
    packet->protocol = header[0];
    if (protocol == IPV6_FRAGMENT) {
        __u32 fragment = read16(header + 2) & 0xfff9;
        packet->fragment = fragment != 0;
        packet->later_fragment = (fragment & 0xfff8) != 0;
        return 0;
    }
    __u32 rest = protocol == IPV6_AUTHENTICATION ? (__u32)header[1] * 4 : (__u32)header[1] * 8;
    return take(cursor, rest) ? 0 : -1;
}

static __always_inline int read_ipv6(struct cursor *cursor, struct packet *packet)
{
    const __u8 *header = take(cursor, 40);
    if (!header || header[0] >> 4 != 6)
        return -1;
    packet->protocol = header[6];
    __builtin_memcpy(&packet->source.address, header + 8, 16);
    __builtin_memcpy(&packet->destination.address, header + 24, 16);
    for (int n = 0; n < MAX_EXTENSIONS; n++) {
        if (packet->later_fragment || !is_extension(packet->protocol))
            break;
        if (read_extension(cursor, packet))
            return -1;
    }
    if (!is_extension(packet->protocol))
        return 0;
    if (!packet->later_fragment)
        return -1;
    packet->protocol = IPPROTO_TCP; /* may be: what hides behind the first fragment cannot be seen */
    return 0;
}

static __always_inline enum kind read_ports(struct cursor *cursor, struct packet *packet)
{
    const __u8 *ports = packet->later_fragment ? NULL : take(cursor, 4);
    if (!ports)
        return packet->fragment ? KIND_PIECE : KIND_MALFORMED;
    __builtin_memcpy(&packet->source.port, ports, 2);
    __builtin_memcpy(&packet->destination.port, ports + 2, 2);
    packet->source.transport = packet->destination.transport = (__u8)packet->protocol;
    return KIND_PORTS;
}

/* RFC 792: unreachable, source quench, redirect, time exceeded, parameter problem. RFC 4443: all below 128.
 */
static __always_inline int is_icmp_error(__u32 protocol, __u32 type)
{
    if (protocol == IPPROTO_ICMPV6)
        return type < 128;
    return type == 3 || type == 4 || type == 5 || type == 11 || type == 12;
}

static __always_inline enum kind read_icmp(struct cursor *cursor, const struct packet *packet)
{
    const __u8 *icmp = packet->later_fragment ? NULL : take(cursor, 8);
    return icmp && is_icmp_error(packet->protocol, icmp[0]) ? KIND_ICMP_ERROR : KIND_OTHER;
}

static __always_inline enum kind read_packet(struct cursor *cursor, __u32 type, struct packet *packet)
{
    if (type != ETH_P_IP && type != ETH_P_IPV6)
        return type ? KIND_OTHER : KIND_MALFORMED;
    if (type == ETH_P_IP ? read_ipv4(cursor, packet) : read_ipv6(cursor, packet))
        return KIND_MALFORMED;
    if (packet->protocol == IPPROTO_TCP || packet->protocol == IPPROTO_UDP)
        return read_ports(cursor, packet);
    __u32 icmp = type == ETH_P_IP ? IPPROTO_ICMP : IPPROTO_ICMPV6;
    return packet->protocol == icmp ? read_icmp(cursor, packet) : KIND_OTHER;
}

/* --- deciding --- */

static __always_inline int is_endpoint(const struct endpoint *endpoint, const struct steer_settings *how)
{
    if (bpf_map_lookup_elem(&endpoints, endpoint))
        return 1;
    if (!how->any_address)
        return 0;
    struct endpoint any = {.port = endpoint->port, .transport = endpoint->transport};
    return bpf_map_lookup_elem(&endpoints, &any) != NULL;
}

/* Fragments show no ports: those of a transport that has endpoints may be ours. */
static __always_inline int is_our_piece(enum kind kind, const struct packet *packet,
                                        const struct steer_settings *how)
{
    return kind == KIND_PIECE && (packet->protocol == IPPROTO_TCP || how->any_udp);
}

static __always_inline int is_address(const struct address *address, const struct steer_settings *how)
{
    return how->any_address || bpf_map_lookup_elem(&addresses, address) != NULL;
}

static __always_inline int redirect(struct xdp_md *ctx, struct steer_counts *count)
{
    /* The last argument is what to return if the queue has no socket. */
    long action = bpf_redirect_map(&sockets, ctx->rx_queue_index, XDP_DROP);
    if (action == XDP_REDIRECT)
        count->redirected++;
    else
        count->no_socket++;
    return (int)action;
}

static __always_inline int wanted_on_mirror(enum kind kind, const struct packet *packet,
                                            const struct steer_settings *how)
{
    if (kind == KIND_PORTS)
        return is_endpoint(&packet->destination, how) || is_endpoint(&packet->source, how);
    if (is_our_piece(kind, packet, how))
        return is_address(&packet->destination.address, how) || is_address(&packet->source.address, how);
    return 0;
}

static __always_inline int wanted_on_test(enum kind kind, const struct packet *packet,
                                          const struct steer_settings *how)
{
    if (kind == KIND_PORTS)
        return is_endpoint(&packet->source, how);
    return is_our_piece(kind, packet, how) && is_address(&packet->source.address, how);
}

/* An ICMP error from a target, or from a router about a segment that we sent to a target. */
static __always_inline int is_error_about_us(struct cursor *cursor, __u32 type, const struct packet *packet,
                                             const struct steer_settings *how)
{
    struct packet quoted = {};
    if (is_address(&packet->source.address, how))
        return 1;
    enum kind kind = read_packet(cursor, type, &quoted);
    return kind == KIND_PORTS && is_endpoint(&quoted.destination, how);
}

SEC("xdp")
int steer_mirror(struct xdp_md *ctx)
{
    __u32 zero = 0;
    struct steer_counts *count = bpf_map_lookup_elem(&counts, &zero);
    const struct steer_settings *how = bpf_map_lookup_elem(&settings, &zero);
    if (!count || !how)
        return XDP_DROP;

    struct cursor cursor = {(const __u8 *)(long)ctx->data, (const __u8 *)(long)ctx->data_end};
    struct packet packet = {};
    __u32 type = read_link(&cursor);
    enum kind kind = read_packet(&cursor, type, &packet);
    if (wanted_on_mirror(kind, &packet, how))
        return redirect(ctx, count);
    if (kind == KIND_MALFORMED) {
        count->malformed++;
        return XDP_DROP;
    }
    if (how->pass_unwanted) {
        count->unwanted_passed++;
        return XDP_PASS;
    }
    count->unwanted_dropped++;
    return XDP_DROP;
}

SEC("xdp")
int steer_test(struct xdp_md *ctx)
{
    __u32 zero = 0;
    struct steer_counts *count = bpf_map_lookup_elem(&counts, &zero);
    const struct steer_settings *how = bpf_map_lookup_elem(&settings, &zero);
    if (!count || !how)
        return XDP_DROP;

    struct cursor cursor = {(const __u8 *)(long)ctx->data, (const __u8 *)(long)ctx->data_end};
    struct packet packet = {};
    __u32 type = read_link(&cursor);
    enum kind kind = read_packet(&cursor, type, &packet);
    if (wanted_on_test(kind, &packet, how))
        return redirect(ctx, count);
    if (kind == KIND_MALFORMED) {
        count->malformed++;
        return XDP_DROP;
    }
    if (kind == KIND_ICMP_ERROR && is_error_about_us(&cursor, type, &packet, how)) {
        count->icmp_dropped++;
        return XDP_DROP;
    }
    count->unwanted_passed++;
    return XDP_PASS;
}

/* The helpers are the kernel's under either licence; the kernel wants it said here. */
char _license[] SEC("license") = "Dual MIT/GPL";
