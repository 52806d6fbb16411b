/* target.bpf.c: a target that answers without a TCP stack, and one that does not answer at all.
 *
 *   answer   a SYN gets a SYN-ACK; a request its acknowledgement and an answer in one segment; a FIN the
 *            acknowledgement and a FIN. It keeps no state: its own sequence number is what the segment
 *            acknowledges. Acknowledgements and resets end here.
 *   swallow  every TCP segment ends here.
 *
 * IPv4 without options. The port of a mirrored server is answered like the target's own, for frames that come
 * as they were mirrored. Other frames (the neighbour's questions) pass to the kernel. tests/bench/target.py
 * attaches them.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/tcp.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define TARGET_PORT 8080
#define SOURCE_PORT 80
#define ANSWER_BYTES 64
#define FIRST_SEQ 0x10203040
#define HEADERS (sizeof(struct ethhdr) + sizeof(struct iphdr) + sizeof(struct tcphdr))

struct target_counts {
    __u64 syns;
    __u64 requests; /* segments with payload */
    __u64 fins;
    __u64 acks; /* segments with nothing else */
    __u64 resets;
    __u64 swallowed;
    __u64 failed; /* to make an answer */
};

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct target_counts);
} counts SEC(".maps");

/* Requests by the nanoseconds since they were made, which they begin with: eight buckets for each power of
 * two. */
#define DELAY_BUCKETS 512

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, DELAY_BUCKETS);
    __type(key, __u32);
    __type(value, __u64);
} delays SEC(".maps");

/* The headers of a frame that is for the target. */
struct headers {
    struct ethhdr *link;
    struct iphdr *ip;
    struct tcphdr *tcp;
};

/* What is to be said. */
struct reply {
    __u32 seq;
    __u32 ack;
    __u32 payload;
    __u32 syn;
    __u32 fin;
};

static __always_inline int find(struct xdp_md *ctx, struct headers *headers)
{
    __u8 *data = (__u8 *)(long)ctx->data;
    if (data + HEADERS > (__u8 *)(long)ctx->data_end)
        return -1;
    headers->link = (struct ethhdr *)data;
    headers->ip = (struct iphdr *)(headers->link + 1);
    headers->tcp = (struct tcphdr *)(headers->ip + 1);
    return 0;
}

static __always_inline int is_tcp(const struct headers *headers)
{
    return headers->link->h_proto == bpf_htons(ETH_P_IP) && headers->ip->ihl == 5 &&
           headers->ip->protocol == IPPROTO_TCP;
}

static __always_inline int is_ours(const struct headers *headers)
{
    __u16 port = bpf_ntohs(headers->tcp->dest);
    return is_tcp(headers) && (port == TARGET_PORT || port == SOURCE_PORT);
}

static __always_inline __u16 fold(__s64 sum)
{
    __u64 rest = (__u64)sum;
    rest = (rest & 0xffff) + (rest >> 16);
    rest = (rest & 0xffff) + (rest >> 16);
    rest = (rest & 0xffff) + (rest >> 16);
    return (__u16)~rest;
}

static __always_inline void turn_around(struct headers *headers)
{
    __u8 mac[ETH_ALEN];
    __builtin_memcpy(mac, headers->link->h_dest, ETH_ALEN);
    __builtin_memcpy(headers->link->h_dest, headers->link->h_source, ETH_ALEN);
    __builtin_memcpy(headers->link->h_source, mac, ETH_ALEN);
    __be32 address = headers->ip->saddr;
    headers->ip->saddr = headers->ip->daddr;
    headers->ip->daddr = address;
    __be16 port = headers->tcp->source;
    headers->tcp->source = headers->tcp->dest;
    headers->tcp->dest = port;
}

static __always_inline void write_ip(struct iphdr *ip, __u32 size)
{
    ip->tot_len = bpf_htons(size);
    ip->check = 0;
    ip->check = fold(bpf_csum_diff(NULL, 0, (__be32 *)ip, sizeof(*ip), 0));
}

static __always_inline int write_tcp(struct xdp_md *ctx, const struct headers *headers,
                                     const struct reply *reply)
{
    struct tcphdr *tcp = headers->tcp;
    tcp->seq = bpf_htonl(reply->seq);
    tcp->ack_seq = bpf_htonl(reply->ack);
    ((__be16 *)tcp)[6] = bpf_htons(0x5010 | reply->syn << 1 | reply->fin | (reply->payload ? 8 : 0));
    tcp->check = 0;
    __be32 pseudo[] = {headers->ip->saddr, headers->ip->daddr,
                       bpf_htonl(IPPROTO_TCP << 16 | (sizeof(*tcp) + reply->payload))};
    __s64 sum = bpf_csum_diff(NULL, 0, pseudo, sizeof(pseudo), 0);
    sum = bpf_csum_diff(NULL, 0, (__be32 *)tcp, sizeof(*tcp), (__wsum)sum);
    if (reply->payload) {
        __u8 *payload = (__u8 *)(tcp + 1);
        if (payload + ANSWER_BYTES > (__u8 *)(long)ctx->data_end)
            return -1;
        sum = bpf_csum_diff(NULL, 0, (__be32 *)payload, ANSWER_BYTES, (__wsum)sum);
    }
    tcp->check = fold(sum);
    return 0;
}

static __always_inline void count_delay(struct xdp_md *ctx)
{
    __u64 made;
    if (bpf_xdp_load_bytes(ctx, HEADERS, &made, sizeof(made)))
        return;
    __u64 delay = bpf_ktime_get_ns() - made;
    __u32 power = 3;
    for (__u64 rest = delay >> 4; rest && power < 63; rest >>= 1)
        power++;
    __u32 bucket = (power * 8 + (delay >> (power - 3) & 7)) % DELAY_BUCKETS;
    __u64 *count = bpf_map_lookup_elem(&delays, &bucket);
    if (count)
        ++*count;
}

/* What the segment deserves. */
static __always_inline int choose(const struct headers *headers, struct target_counts *count,
                                  struct reply *reply)
{
    const struct tcphdr *tcp = headers->tcp;
    __u32 before = sizeof(*headers->ip) + tcp->doff * 4u;
    __u32 total = bpf_ntohs(headers->ip->tot_len);
    __u32 payload = total > before ? total - before : 0;
    if (tcp->rst) {
        count->resets++;
        return -1;
    }
    if (!payload && !tcp->syn && !tcp->fin) {
        count->acks++;
        return -1;
    }
    count->syns += tcp->syn;
    count->fins += tcp->fin;
    count->requests += payload != 0;
    *reply = (struct reply){
        .seq = tcp->syn ? FIRST_SEQ : bpf_ntohl(tcp->ack_seq),
        .ack = bpf_ntohl(tcp->seq) + payload + tcp->syn + tcp->fin,
        .payload = payload ? ANSWER_BYTES : 0,
        .syn = tcp->syn,
        .fin = tcp->fin,
    };
    return 0;
}

static __always_inline int send(struct xdp_md *ctx, const struct reply *reply)
{
    struct headers headers;
    int size = (int)bpf_xdp_get_buff_len(ctx);
    if (bpf_xdp_adjust_tail(ctx, (int)(HEADERS + reply->payload) - size) || find(ctx, &headers))
        return -1;
    turn_around(&headers);
    write_ip(headers.ip, HEADERS - sizeof(struct ethhdr) + reply->payload);
    return write_tcp(ctx, &headers, reply);
}

SEC("xdp")
int answer(struct xdp_md *ctx)
{
    __u32 zero = 0;
    struct target_counts *count = bpf_map_lookup_elem(&counts, &zero);
    struct headers headers;
    struct reply reply;
    if (!count || find(ctx, &headers) || !is_ours(&headers))
        return XDP_PASS;
    if (choose(&headers, count, &reply))
        return XDP_DROP;
    if (reply.payload)
        count_delay(ctx);
    if (send(ctx, &reply)) {
        count->failed++;
        return XDP_DROP;
    }
    return XDP_TX;
}

SEC("xdp")
int swallow(struct xdp_md *ctx)
{
    __u32 zero = 0;
    struct target_counts *count = bpf_map_lookup_elem(&counts, &zero);
    struct headers headers;
    if (!count || find(ctx, &headers) || !is_tcp(&headers))
        return XDP_PASS;
    count->swallowed++;
    return XDP_DROP;
}

char _license[] SEC("license") = "Dual MIT/GPL";
