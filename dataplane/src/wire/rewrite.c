#include "rewrite.h"

#include "bytes.h"
#include "checksum.h"

enum {
    ETHERNET_HEADER = 14,
    IPV4_HEADER = 20,
    IPV6_HEADER = 40,
    TCP_HEADER = 20,
    UDP_HEADER = 8,
    HOP_LIMIT = 64,
};

static uint8_t *write_link(uint8_t *at, const struct link_addresses *link, bool ipv4)
{
    memcpy(at, link->destination, 6);
    memcpy(at + 6, link->source, 6);
    store16(at + 12, ipv4 ? 0x0800 : 0x86dd);
    return at + ETHERNET_HEADER;
}

static uint8_t *write_ipv4(uint8_t *at, const struct segment *segment, uint32_t size)
{
    memset(at, 0, IPV4_HEADER);
    at[0] = 0x45;
    store16(at + 2, IPV4_HEADER + size);
    store16(at + 6, 0x4000); /* don't fragment; so the identification may be 0 (RFC 6864) */
    at[8] = HOP_LIMIT;
    at[9] = segment->transport;
    memcpy(at + 12, (const uint8_t *)&segment->source.address + 12, 4);
    memcpy(at + 16, (const uint8_t *)&segment->destination.address + 12, 4);
    uint16_t sum = checksum_fold(checksum_add(0, at, IPV4_HEADER));
    memcpy(at + 10, &sum, 2);
    return at + IPV4_HEADER;
}

static uint8_t *write_ipv6(uint8_t *at, const struct segment *segment, uint32_t size)
{
    store32(at, 0x60000000);
    store16(at + 4, size);
    at[6] = segment->transport;
    at[7] = HOP_LIMIT;
    memcpy(at + 8, &segment->source.address, 16);
    memcpy(at + 24, &segment->destination.address, 16);
    return at + IPV6_HEADER;
}

static uint8_t *write_timestamps(uint8_t *at, const struct tcp_options *options)
{
    at[0] = 8;
    at[1] = 10;
    store32(at + 2, options->timestamp);
    store32(at + 6, options->echo);
    return at + 10;
}

static uint8_t *write_sacks(uint8_t *at, const struct segment *segment)
{
    at[0] = 1;
    at[1] = 1;
    at[2] = 5;
    at[3] = (uint8_t)(2 + 8 * segment->sack_count);
    at += 4;
    for (uint32_t i = 0; i < segment->sack_count; i++, at += 8) {
        store32(at, segment->sacks[i].start);
        store32(at + 4, segment->sacks[i].end);
    }
    return at;
}

/* Padded with no-operations to a multiple of four. */
static uint8_t *write_options(uint8_t *at, const struct segment *segment)
{
    const struct tcp_options *options = &segment->options;
    const uint8_t *start = at;
    if (options->mss) {
        store16(at, 0x0204);
        store16(at + 2, options->mss);
        at += 4;
    }
    if (options->sack_permitted) {
        store16(at, 0x0402);
        at += 2;
    }
    if (options->window_scale != NO_WINDOW_SCALE) {
        store16(at, 0x0303);
        at[2] = options->window_scale;
        at += 3;
    }
    while ((at - start + (options->has_timestamp ? 2 : 0)) & 3)
        *at++ = 1;
    if (options->has_timestamp)
        at = write_timestamps(at, options);
    if (segment->sack_count)
        at = write_sacks(at, segment);
    return at;
}

/* Copies the payload and returns the sum over it. */
static uint64_t write_payload(uint8_t *at, const struct segment *segment)
{
    uint64_t sum = 0;
    bool odd = false;
    for (uint32_t i = 0; i < segment->piece_count; i++) {
        const struct piece *piece = &segment->pieces[i];
        if (odd)
            sum = checksum_swap(sum);
        sum = checksum_copy(sum, at, piece->bytes, piece->size);
        if (odd)
            sum = checksum_swap(sum);
        odd ^= piece->size & 1;
        at += piece->size;
    }
    return sum;
}

static uint32_t options_size(const struct segment *segment)
{
    const struct tcp_options *options = &segment->options;
    uint32_t size = (options->mss ? 4u : 0u) + (options->sack_permitted ? 2u : 0u) +
                    (options->window_scale != NO_WINDOW_SCALE ? 3u : 0u) +
                    (options->has_timestamp ? 10u : 0u);
    size = (size + 3) & ~3u;
    return size + (segment->sack_count ? 4u + 8u * segment->sack_count : 0u);
}

/* Copies the payload behind the header and sums up both and the pseudo-header. */
static uint16_t transport_checksum(uint8_t *at, const struct segment *segment, uint32_t header_size)
{
    uint64_t sum = write_payload(at + header_size, segment);
    sum = checksum_pseudo(sum, &segment->source.address, &segment->destination.address, segment->transport,
                          header_size + segment->size);
    return checksum_fold(checksum_add(sum, at, header_size));
}

static void write_tcp(uint8_t *at, const struct segment *segment, uint32_t header_size)
{
    store16(at, segment->source.port);
    store16(at + 2, segment->destination.port);
    store32(at + 4, segment->seq);
    store32(at + 8, segment->flags & TCP_ACK ? segment->ack : 0);
    at[12] = (uint8_t)(header_size / 4 << 4);
    at[13] = segment->flags;
    store16(at + 14, segment->window);
    store32(at + 16, 0);
    write_options(at + TCP_HEADER, segment);

    uint16_t sum = transport_checksum(at, segment, header_size);
    memcpy(at + 16, &sum, 2);
}

/* RFC 768: a checksum of zero is sent as ones, because zero means that there is none. */
static void write_udp(uint8_t *at, const struct segment *segment)
{
    store16(at, segment->source.port);
    store16(at + 2, segment->destination.port);
    store16(at + 4, UDP_HEADER + segment->size);
    store16(at + 6, 0);
    uint16_t sum = transport_checksum(at, segment, UDP_HEADER);
    sum = sum ? sum : UINT16_MAX;
    memcpy(at + 6, &sum, 2);
}

void rewrite_segment(const struct segment *segment, const struct link_addresses *link, struct frame *frame)
{
    bool ipv4 = address_is_ipv4(&segment->destination.address);
    bool udp = segment->transport == DP_UDP;
    uint32_t header_size = udp ? UDP_HEADER : TCP_HEADER + options_size(segment);
    uint32_t size = header_size + segment->size;
    uint8_t *at = write_link(frame->data, link, ipv4);
    at = ipv4 ? write_ipv4(at, segment, size) : write_ipv6(at, segment, size);
    if (udp)
        write_udp(at, segment);
    else
        write_tcp(at, segment, header_size);
    frame->size = (uint32_t)(at - frame->data) + size;
}
