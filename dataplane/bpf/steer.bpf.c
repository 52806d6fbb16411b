/* steer.bpf.c: which frames of a device go to our sockets, and what happens to the others.
 *
 * Two XDP programs; each device gets one of them, with maps of its own.
 *
 * steer_mirror: frames from or to an endpoint (a mirrored server) go to the socket of their queue, but for
 * those of connections that would be refused because a worker is overloaded (admission/shed.h); all other
 * frames are dropped or passed to the kernel, as settings say.
 *
 * steer_test: frames from an endpoint (a target) go to the socket of their queue and are dropped if there is
 * none; so are ICMP errors about what we sent there. Answers to forged clients end here: they reach
 * neither the kernel nor anybody else. ARP, neighbour discovery and all else pass.
 *
 * What follows the ports is for the dataplane to judge. Each frame is
 * counted under exactly one name of struct steer_counts; Python learns the names from the type information of
 * this object.
 */
#include <linux/bpf.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "admission/shed.h"
#include "headers.bpf.h"
#include "store/hash.h"

#define MAX_SOCKETS 64
#define MAX_ENDPOINTS 1024

/* Set before the program is attached; endpoints may be replaced while it runs. */
struct steer_settings {
    __u32 pass_unwanted; /* mirror: 1: unwanted frames go to the kernel, 0: they are dropped */
    __u32 any_address;   /* 1: there is an endpoint with the address :: */
    __u32 any_udp;       /* 1: there is an endpoint of UDP, so its fragments are wanted */
};

/* Every frame ends under one of these. */
struct steer_counts {
    __u64 redirected;       /* wanted, given to the socket of its queue */
    __u64 overloaded;       /* mirror: of a connection that is kept out: dropped */
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

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct shed);
} shed_map SEC(".maps");

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
    return kind == KIND_PIECE && (packet->transport == IPPROTO_TCP || how->any_udp);
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

/* Whether the client's worker refuses new connections with this hash, and no worker knows one. */
static __always_inline int is_refused(const struct shed *shed, const struct endpoint *client)
{
    __u64 half[2];
    __builtin_memcpy(half, client->address.word, sizeof(half));
    __u16 port = bpf_ntohs(client->port);
    __u32 owner = shed->workers > 1 ? hash_owner(half[0], half[1], port, shed->workers) : 0;
    __u32 hash = hash_sample(half[0], half[1], port);
    return owner < SHED_WORKERS && shed_is_closed(shed->closed[owner], hash) && !shed->known[shed_slot(hash)];
}

/* Passes what has mirrored servers at both ends: either may be the client. */
static __always_inline int is_shed(enum kind kind, const struct packet *packet,
                                   const struct steer_settings *how)
{
    __u32 zero = 0;
    const struct shed *shed = bpf_map_lookup_elem(&shed_map, &zero);
    if (kind != KIND_PORTS || !shed || !shed->closing)
        return 0;
    int to_server = is_endpoint(&packet->destination, how);
    const struct endpoint *client = to_server ? &packet->source : &packet->destination;
    return is_refused(shed, client) && !(to_server && is_endpoint(client, how));
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
    if (wanted_on_mirror(kind, &packet, how)) {
        if (!is_shed(kind, &packet, how))
            return redirect(ctx, count);
        count->overloaded++;
        return XDP_DROP;
    }
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
