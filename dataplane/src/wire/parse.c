#include "parse.h"

#include "bytes.h"
#include "checksum.h"
#include "view.h"

enum {
    ETHERTYPE_IPV4 = 0x0800,
    ETHERTYPE_IPV6 = 0x86dd,
    ETHERTYPE_VLAN = 0x8100,
    ETHERTYPE_QINQ = 0x88a8,
    ETHERNET_HEADER = 14,
    VLAN_TAG = 4,
    MAX_VLAN_TAGS = 2,
    IPV4_HEADER = 20,
    IPV6_HEADER = 40,
    MAX_EXTENSIONS = 8,
    TCP_HEADER = 20,
    UDP_HEADER = 8,
};

static enum drop parse_link(struct view *view, uint16_t *ethertype)
{
    const uint8_t *header = view_take(view, ETHERNET_HEADER);
    if (!header)
        return DROP_truncated;
    *ethertype = load16(header + 12);
    for (int tag = 0; tag < MAX_VLAN_TAGS; tag++) {
        if (*ethertype != ETHERTYPE_VLAN && *ethertype != ETHERTYPE_QINQ)
            break;
        header = view_take(view, VLAN_TAG);
        if (!header)
            return DROP_truncated;
        *ethertype = load16(header + 2);
    }
    return DROP_NONE;
}

static enum drop parse_ipv4(struct view *view, bool verify, struct packet *packet, uint8_t *transport)
{
    if (!view_has(view, IPV4_HEADER))
        return DROP_truncated;
    const uint8_t *header = view->at;
    uint32_t header_size = (header[0] & 0x0fu) * 4;
    uint32_t total = load16(header + 2);
    if (header[0] >> 4 != 4 || header_size < IPV4_HEADER || total < header_size)
        return DROP_bad_ip_header;
    if (!view_has(view, total))
        return DROP_truncated;
    if (verify && checksum_fold(checksum_add(0, header, header_size)) != 0)
        return DROP_bad_ip_header;
    if (load16(header + 6) & 0x3fff) /* more fragments, or not the first */
        return DROP_fragment;
    *transport = header[9];
    packet->source.address = address_from_ipv4(header + 12);
    packet->destination.address = address_from_ipv4(header + 16);
    view_cut(view, total);
    view_skip(view, header_size);
    return DROP_NONE;
}

/* RFC 8200 4: hop-by-hop options (0), routing (43), fragment (44), authentication (51), destination
 * options (60). Anything else is the transport. */
static enum drop skip_extensions(struct view *view, uint8_t *transport)
{
    for (int i = 0; i < MAX_EXTENSIONS; i++) {
        if (*transport == 44)
            return DROP_fragment;
        if (*transport != 0 && *transport != 43 && *transport != 51 && *transport != 60)
            return DROP_NONE;
        if (!view_has(view, 8))
            return DROP_bad_ip_header;
        uint32_t size = *transport == 51 ? (view->at[1] + 2u) * 4 : (view->at[1] + 1u) * 8;
        const uint8_t *header = view_take(view, size);
        if (!header)
            return DROP_bad_ip_header;
        *transport = header[0];
    }
    return DROP_bad_ip_header;
}

static enum drop parse_ipv6(struct view *view, struct packet *packet, uint8_t *transport)
{
    const uint8_t *header = view_take(view, IPV6_HEADER);
    if (!header)
        return DROP_truncated;
    uint32_t payload = load16(header + 4);
    if (header[0] >> 4 != 6)
        return DROP_bad_ip_header;
    if (!view_has(view, payload))
        return DROP_truncated;
    *transport = header[6];
    packet->source.address = address_from_bytes(header + 8);
    packet->destination.address = address_from_bytes(header + 24);
    view_cut(view, payload);
    return skip_extensions(view, transport);
}

/* One option of the given size (at least 2, and it fits). Options of a wrong size are ignored, as
 * RFC 9293 3.1 (MUST-7) has it for unknown ones. */
static void parse_option(const uint8_t *option, uint32_t size, struct tcp_options *options)
{
    if (option[0] == 2 && size == 4)
        options->mss = load16(option + 2);
    else if (option[0] == 3 && size == 3)
        options->window_scale = option[2] > 14 ? 14 : option[2]; /* RFC 7323 2.3 */
    else if (option[0] == 4 && size == 2)
        options->sack_permitted = true;
    else if (option[0] == 8 && size == 10) {
        options->has_timestamp = true;
        options->timestamp = load32(option + 2);
        options->echo = load32(option + 6);
    }
}

static enum drop parse_options(struct view view, struct tcp_options *options)
{
    *options = (struct tcp_options){.window_scale = NO_WINDOW_SCALE};
    while (view.size && *view.at != 0) {
        if (*view.at == 1) {
            view_skip(&view, 1);
            continue;
        }
        uint32_t size = view_has(&view, 2) ? view.at[1] : 0;
        if (size < 2 || !view_has(&view, size))
            return DROP_bad_tcp_header;
        parse_option(view.at, size, options);
        view_skip(&view, size);
    }
    return DROP_NONE;
}

/* The sum over the pseudo-header and the segment is zero when the checksum is right. */
static bool checksum_is_right(const struct view *segment, const struct packet *packet)
{
    uint64_t sum = checksum_pseudo(0, &packet->source.address, &packet->destination.address,
                                   packet->transport, segment->size);
    return checksum_fold(checksum_add(sum, segment->at, segment->size)) == 0;
}

static bool flags_are_possible(uint8_t flags)
{
    if ((flags & TCP_SYN) && (flags & (TCP_FIN | TCP_RST)))
        return false;
    return flags & (TCP_SYN | TCP_RST | TCP_ACK);
}

static enum drop parse_tcp(struct view *view, bool verify, struct packet *packet)
{
    if (!view_has(view, TCP_HEADER))
        return DROP_bad_tcp_header;
    const uint8_t *header = view->at;
    uint32_t header_size = (header[12] >> 4) * 4u;
    if (header_size < TCP_HEADER || !view_has(view, header_size))
        return DROP_bad_tcp_header;
    if (verify && !checksum_is_right(view, packet))
        return DROP_bad_checksum;
    packet->source.port = load16(header);
    packet->destination.port = load16(header + 2);
    packet->seq = load32(header + 4);
    packet->ack = load32(header + 8);
    packet->flags = header[13];
    packet->window = load16(header + 14);
    if (!flags_are_possible(packet->flags))
        return DROP_bad_tcp_header;
    struct view options = {header + TCP_HEADER, header_size - TCP_HEADER};
    enum drop drop = parse_options(options, &packet->options);
    view_skip(view, header_size);
    packet->payload = view->at;
    packet->size = view->size;
    return drop;
}

/* RFC 768: no checksum is a zero, in IPv4 only (RFC 8200 8.1). */
static enum drop parse_udp(struct view *view, bool verify, struct packet *packet)
{
    if (!view_has(view, UDP_HEADER))
        return DROP_bad_udp_header;
    const uint8_t *header = view->at;
    uint32_t size = load16(header + 4);
    if (size < UDP_HEADER || !view_has(view, size))
        return DROP_bad_udp_header;
    view_cut(view, size);
    bool unchecked = load16(header + 6) == 0 && address_is_ipv4(&packet->source.address);
    if (verify && !unchecked && !checksum_is_right(view, packet))
        return DROP_bad_checksum;
    packet->source.port = load16(header);
    packet->destination.port = load16(header + 2);
    packet->seq = packet->ack = packet->window = 0;
    packet->flags = 0;
    packet->options = (struct tcp_options){.window_scale = NO_WINDOW_SCALE};
    view_skip(view, UDP_HEADER);
    packet->payload = view->at;
    packet->size = view->size;
    return DROP_NONE;
}

enum drop parse_frame(const struct frame *frame, bool verify_checksums, struct packet *packet)
{
    struct view view = {frame->data, frame->size};
    uint16_t ethertype;
    uint8_t transport = 0;
    enum drop drop = parse_link(&view, &ethertype);
    if (drop)
        return drop;
    if (ethertype == ETHERTYPE_IPV4)
        drop = parse_ipv4(&view, verify_checksums, packet, &transport);
    else if (ethertype == ETHERTYPE_IPV6)
        drop = parse_ipv6(&view, packet, &transport);
    else
        return DROP_not_ip;
    if (drop)
        return drop;
    packet->transport = transport;
    if (transport == DP_TCP)
        return parse_tcp(&view, verify_checksums, packet);
    return transport == DP_UDP ? parse_udp(&view, verify_checksums, packet) : DROP_other_transport;
}
