/* generate.bpf.c: what a switch's mirror port would show of many clients that keep their connections open.
 *
 * generator.c runs this program on copies of one frame, which the kernel then really sends (live frames).
 * Frame number n follows from n alone: first a SYN of each connection, then the acknowledgement that ends its
 * handshake, then round after round a request of each and, a group later, the acknowledgement of its answer.
 * Production's answers are not mirrored, but acknowledged. Or, where connections make visits, each of them
 * says SYN, its requests and acknowledgements, and FIN, and is followed by a new one; at any time some are at
 * every stage.
 *
 * A request begins with the time at which it was made (target.bpf.c looks at it): eight bytes that are zero
 * in the frame that comes in.
 *
 * The frame that comes in is Ethernet, IPv4, TCP without options, and a request. Copies are used again and
 * again, so everything that differs from one frame to the next is written each time.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/tcp.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define GROUP 64
#define FIRST_PORT 10000
#define CLIENTS 16384 /* 198.18.64.0 to 198.18.127.255 */
#define FIRST_CLIENT 0xc6124000
#define MOST_LATE 200000 /* nanoseconds that are made up for; after a longer pause fewer frames are sent */
#define HEADERS (sizeof(struct ethhdr) + sizeof(struct iphdr) + sizeof(struct tcphdr))

#define FLAG_FIN 0x0001
#define FLAG_SYN 0x0002
#define FLAG_PSH 0x0008
#define FLAG_ACK 0x0010

struct plan {
    __u32 next;        /* the number of the next frame */
    __u32 end;         /* of the first that may not be sent yet; the sender moves it while it runs */
    __u32 connections; /* a multiple of GROUP */
    __u32 device;      /* where to: an interface */
    __u32 isn;         /* of the first connection */
    __u32 request;     /* bytes of payload in the frame that comes in */
    __u32 answer;      /* bytes of production's answers */
    __u32 payload_sum; /* one's complement sum over the payload, in the machine's order */
    __u32 visit;       /* requests that a connection makes before it goes; 0: it stays */
    __u32 gap;         /* nanoseconds from one frame to the next; 0: none */
    __u64 due;         /* when the next frame is, if there are gaps */
};

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct plan);
} plan_map SEC(".maps");

/* One frame's place in the plan. */
struct said {
    __u32 connection;
    __u32 round; /* requests of the connection before */
    __u32 flags;
    __u32 heard; /* answers that the client has received */
    __u32 left;  /* FINs, of either side, that come before */
};

/* Stages of a visit: SYN, its acknowledgement, each request and the acknowledgement of its answer, FIN, the
 * acknowledgement of the server's. */
static __always_inline void choose_visit(const struct plan *plan, __u32 number, struct said *said)
{
    __u32 stages = 4 + 2 * plan->visit;
    __u32 place = number % plan->connections;
    __u32 at = number / plan->connections + place % stages;
    __u32 stage = at % stages;
    *said = (struct said){.connection = at / stages * plan->connections + place, .flags = FLAG_ACK};
    if (stage == 0)
        said->flags = FLAG_SYN;
    if (stage < 2)
        return;
    said->round = (stage - 1) / 2;
    said->heard = said->round;
    if (stage == stages - 2)
        said->flags |= FLAG_FIN;
    else if (stage < stages - 2 && stage % 2 == 0)
        said->flags |= FLAG_PSH;
    said->left = stage == stages - 1;
    said->round -= said->left;
    said->heard -= said->left;
}

static __always_inline void choose(const struct plan *plan, __u32 number, struct said *said)
{
    __u32 connections = plan->connections;
    *said = (struct said){};
    if (number < 2 * connections) {
        said->flags = number < connections ? FLAG_SYN : FLAG_ACK;
        said->connection = number < connections ? number : number - connections;
        return;
    }
    number -= 2 * connections;
    __u32 place = number / (2 * GROUP) * GROUP + number % GROUP; /* of the exchange */
    int answered = number % (2 * GROUP) >= GROUP;
    said->connection = place % connections;
    said->heard = place / connections + answered;
    said->round = said->heard;
    said->flags = answered ? FLAG_ACK : FLAG_ACK | FLAG_PSH;
}

static __always_inline __u16 fold(__u32 sum)
{
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    return (__u16)~sum;
}

/* Sums are of 16-bit words in the machine's order, as the kernel has them. */
static __always_inline __u32 sum32(__be32 value)
{
    return (value & 0xffff) + (value >> 16);
}

static __always_inline void write_ip(struct iphdr *ip, __u32 connection, __u32 size)
{
    ip->tot_len = bpf_htons(size);
    ip->saddr = bpf_htonl(FIRST_CLIENT + connection % CLIENTS);
    ip->check = 0;
    __u32 sum = 0;
    const __u16 *words = (const __u16 *)ip;
    for (int i = 0; i < 10; i++)
        sum += words[i];
    ip->check = fold(sum);
}

/* Returns the sum over it. */
static __always_inline __u32 write_stamp(__u16 *words)
{
    __u64 now = bpf_ktime_get_ns();
    __builtin_memcpy(words, &now, sizeof(now));
    return (now & 0xffff) + (now >> 16 & 0xffff) + (now >> 32 & 0xffff) + (now >> 48);
}

/* payload_sum: over all of the payload. */
static __always_inline void write_tcp(struct tcphdr *tcp, const struct iphdr *ip, const struct plan *plan,
                                      const struct said *said, __u32 payload, __u32 payload_sum)
{
    __u32 syn = said->flags == FLAG_SYN;
    __u32 start = plan->isn + said->connection * 0x10001;
    __be16 *words = (__be16 *)tcp;
    tcp->source = bpf_htons(FIRST_PORT + said->connection / CLIENTS);
    tcp->seq = bpf_htonl(start + !syn + said->round * plan->request + said->left);
    tcp->ack_seq = syn ? 0 : bpf_htonl(~start + 1 + said->heard * plan->answer + said->left);
    words[6] = bpf_htons(0x5000 | said->flags);
    tcp->check = 0;
    __u32 sum = sum32(ip->saddr) + sum32(ip->daddr) + bpf_htons(IPPROTO_TCP) +
                bpf_htons(sizeof(*tcp) + payload) + payload_sum;
    for (int i = 0; i < 10; i++)
        sum += words[i];
    tcp->check = fold(sum);
}

/* Evenly, as a link under steady load: neither the watching thread's ticks nor its pauses show. */
static __always_inline int is_early(struct plan *plan)
{
    if (!plan->gap)
        return 0;
    __u64 now = bpf_ktime_get_ns();
    if (now < plan->due)
        return 1;
    if (now - plan->due > MOST_LATE)
        plan->due = now - MOST_LATE;
    plan->due += plan->gap;
    return 0;
}

SEC("xdp")
int generate(struct xdp_md *ctx)
{
    __u32 zero = 0;
    struct plan *plan = bpf_map_lookup_elem(&plan_map, &zero);
    if (!plan)
        return XDP_ABORTED;
    if (plan->next >= *(volatile __u32 *)&plan->end || is_early(plan))
        return XDP_DROP; /* not yet: the kernel asks again at once */
    struct said said;
    if (plan->visit)
        choose_visit(plan, plan->next, &said);
    else
        choose(plan, plan->next, &said);
    __u32 payload = said.flags & FLAG_PSH ? plan->request : 0;
    if (!payload && bpf_xdp_adjust_tail(ctx, -(int)plan->request))
        return XDP_ABORTED;
    __u8 *data = (__u8 *)(long)ctx->data;
    if (data + HEADERS + (payload ? sizeof(__u64) : 0) > (__u8 *)(long)ctx->data_end)
        return XDP_ABORTED;
    struct iphdr *ip = (struct iphdr *)(data + sizeof(struct ethhdr));
    struct tcphdr *tcp = (struct tcphdr *)(ip + 1);
    write_ip(ip, said.connection, sizeof(*ip) + sizeof(*tcp) + payload);
    __u32 payload_sum = payload ? plan->payload_sum + write_stamp((__u16 *)(tcp + 1)) : 0;
    write_tcp(tcp, ip, plan, &said, payload, payload_sum);
    plan->next++;
    return (int)bpf_redirect(plan->device, 0);
}

char _license[] SEC("license") = "Dual MIT/GPL";
