#include "frame.h"

#include <string.h>

enum { LINK = 14, IPV4 = 20, IPV6 = 40, TCP = 20 };

static void put16(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static void put32(uint8_t *at, uint32_t value)
{
    put16(at, value >> 16);
    put16(at + 2, value & 0xffff);
}

static uint32_t get16(const uint8_t *at)
{
    return (uint32_t)at[0] << 8 | at[1];
}

static uint32_t get32(const uint8_t *at)
{
    return get16(at) << 16 | get16(at + 2);
}

/* RFC 1071, the plain way: 16 bits at a time. */
static uint32_t sum16(uint32_t sum, const uint8_t *at, uint32_t size)
{
    for (; size > 1; at += 2, size -= 2)
        sum += get16(at);
    if (size)
        sum += (uint32_t)at[0] << 8;
    while (sum >> 16)
        sum = (sum >> 16) + (sum & 0xffff);
    return sum;
}

static bool is_ipv4(const struct host *host)
{
    static const uint8_t PREFIX[12] = {[10] = 0xff, [11] = 0xff};
    return memcmp(host->ip, PREFIX, sizeof(PREFIX)) == 0;
}

bool host_equal(const struct host *a, const struct host *b)
{
    return a->port == b->port && memcmp(a->ip, b->ip, sizeof(a->ip)) == 0;
}

/* Addresses, protocol and size, summed (RFC 9293 3.1; for IPv4 the prefix 0xffff adds nothing). */
static uint32_t pseudo_sum(const struct segment *segment, uint32_t tcp_size)
{
    uint8_t rest[4] = {0, 6};
    put16(rest + 2, tcp_size);
    uint32_t skip = is_ipv4(&segment->from) ? 12 : 0;
    uint32_t sum = sum16(0, segment->from.ip + skip, 16 - skip);
    sum = sum16(sum, segment->to.ip + skip, 16 - skip);
    return sum16(sum, rest, sizeof(rest));
}

/* --- writing -------------------------------------------------------------------------------------------- */

static uint32_t write_options(const struct segment *segment, uint8_t *at)
{
    const uint8_t *start = at;
    if (segment->mss) {
        put16(at, 0x0204);
        put16(at + 2, segment->mss);
        at += 4;
    }
    if (segment->sack_permitted) {
        put32(at, 0x01010402);
        at += 4;
    }
    if (segment->timestamps) {
        put32(at, 0x0101080a);
        put32(at + 4, segment->tsval);
        put32(at + 8, segment->tsecr);
        at += 12;
    }
    if (segment->scale != NO_SCALE) {
        put32(at, 0x01030300u | segment->scale);
        at += 4;
    }
    return (uint32_t)(at - start);
}

static uint32_t write_link(const struct framing *framing, bool ipv4, uint8_t *at)
{
    static const uint8_t ADDRESSES[12] = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1};
    memcpy(at, ADDRESSES, sizeof(ADDRESSES));
    uint32_t size = sizeof(ADDRESSES);
    for (uint32_t tag = 0; tag < framing->tags; tag++, size += 4)
        put32(at + size, (tag + 1 < framing->tags ? 0x88a80000u : 0x81000000u) | (7 + tag));
    put16(at + size, ipv4 ? 0x0800 : 0x86dd);
    return size + 2;
}

static uint32_t write_ip(const struct segment *segment, uint32_t tcp_size, uint8_t *at)
{
    if (!is_ipv4(&segment->from)) {
        put32(at, 0x60012345);
        put16(at + 4, tcp_size);
        put16(at + 6, 0x063c);
        memcpy(at + 8, segment->from.ip, 16);
        memcpy(at + 24, segment->to.ip, 16);
        return IPV6;
    }
    put16(at, 0x4500);
    put16(at + 2, IPV4 + tcp_size);
    put32(at + 4, 0x12344000);
    put16(at + 8, 0x3c06);
    put16(at + 10, 0);
    memcpy(at + 12, segment->from.ip + 12, 4);
    memcpy(at + 16, segment->to.ip + 12, 4);
    put16(at + 10, ~sum16(0, at, IPV4) & 0xffff);
    return IPV4;
}

uint32_t frame_write(const struct segment *segment, const struct framing *framing, uint8_t *frame)
{
    uint8_t options[40];
    uint32_t options_size = write_options(segment, options);
    uint32_t tcp_size = TCP + options_size + segment->size;
    uint32_t at = write_link(framing, is_ipv4(&segment->from), frame);
    at += write_ip(segment, tcp_size, frame + at);
    uint8_t *tcp = frame + at;
    put16(tcp, segment->from.port);
    put16(tcp + 2, segment->to.port);
    put32(tcp + 4, segment->seq);
    put32(tcp + 8, segment->ack);
    tcp[12] = (uint8_t)((TCP + options_size) << 2);
    tcp[13] = segment->flags;
    put16(tcp + 14, segment->window);
    put32(tcp + 16, 0);
    memcpy(tcp + TCP, options, options_size);
    if (segment->size)
        memcpy(tcp + TCP + options_size, segment->payload, segment->size);
    put16(tcp + 16, ~sum16(pseudo_sum(segment, tcp_size), tcp, tcp_size) & 0xffff);
    memset(tcp + tcp_size, 0xee, framing->padding);
    return at + tcp_size + framing->padding;
}

/* --- reading -------------------------------------------------------------------------------------------- */

static void read_sacks(const uint8_t *option, uint32_t size, struct segment *segment)
{
    for (uint32_t at = 2; at + 8 <= size && segment->sack_count < MOST_SACKS; at += 8)
        segment->sacks[segment->sack_count++] = (struct sack){get32(option + at), get32(option + at + 4)};
}

static void read_option(const uint8_t *option, uint32_t size, struct segment *segment)
{
    if (option[0] == 2 && size == 4)
        segment->mss = (uint16_t)get16(option + 2);
    else if (option[0] == 3 && size == 3)
        segment->scale = option[2];
    else if (option[0] == 4 && size == 2)
        segment->sack_permitted = true;
    else if (option[0] == 5)
        read_sacks(option, size, segment);
    else if (option[0] == 8 && size == 10) {
        segment->timestamps = true;
        segment->tsval = get32(option + 2);
        segment->tsecr = get32(option + 6);
    }
}

static bool read_options(const uint8_t *at, uint32_t size, struct segment *segment)
{
    for (uint32_t length; size && *at; at += length, size -= length) {
        length = *at == 1 || size < 2 ? 1 : at[1];
        if (length > size || (*at != 1 && length < 2))
            return false;
        if (*at != 1)
            read_option(at, length, segment);
    }
    return true;
}

static bool read_tcp(const uint8_t *tcp, uint32_t size, struct segment *segment)
{
    if (size < TCP || (tcp[12] >> 4) * 4u < TCP || (tcp[12] >> 4) * 4u > size)
        return false;
    if (sum16(pseudo_sum(segment, size), tcp, size) != 0xffff)
        return false;
    uint32_t header = (tcp[12] >> 4) * 4u;
    segment->from.port = (uint16_t)get16(tcp);
    segment->to.port = (uint16_t)get16(tcp + 2);
    segment->seq = get32(tcp + 4);
    segment->ack = get32(tcp + 8);
    segment->flags = tcp[13];
    segment->window = (uint16_t)get16(tcp + 14);
    segment->options_size = header - TCP;
    segment->payload = tcp + header;
    segment->size = size - header;
    return read_options(tcp + TCP, header - TCP, segment);
}

static bool read_ipv4(const uint8_t *ip, uint32_t size, struct segment *segment)
{
    if (size < IPV4 || ip[0] != 0x45 || get16(ip + 2) < IPV4 || get16(ip + 2) > size || ip[9] != 6)
        return false;
    if (sum16(0, ip, IPV4) != 0xffff || (get16(ip + 6) & 0x3fff))
        return false;
    segment->from.ip[10] = segment->from.ip[11] = segment->to.ip[10] = segment->to.ip[11] = 0xff;
    memcpy(segment->from.ip + 12, ip + 12, 4);
    memcpy(segment->to.ip + 12, ip + 16, 4);
    return read_tcp(ip + IPV4, get16(ip + 2) - IPV4, segment);
}

static bool read_ipv6(const uint8_t *ip, uint32_t size, struct segment *segment)
{
    if (size < IPV6 || ip[0] >> 4 != 6 || IPV6 + get16(ip + 4) > size || ip[6] != 6)
        return false;
    memcpy(segment->from.ip, ip + 8, 16);
    memcpy(segment->to.ip, ip + 24, 16);
    return read_tcp(ip + IPV6, get16(ip + 4), segment);
}

bool frame_read(const uint8_t *frame, uint32_t size, struct segment *segment)
{
    *segment = (struct segment){.scale = NO_SCALE};
    uint32_t at = LINK;
    while (size >= at && (get16(frame + at - 2) == 0x8100 || get16(frame + at - 2) == 0x88a8))
        at += 4;
    if (size < at)
        return false;
    if (get16(frame + at - 2) == 0x0800)
        return read_ipv4(frame + at, size - at, segment);
    return get16(frame + at - 2) == 0x86dd && read_ipv6(frame + at, size - at, segment);
}
