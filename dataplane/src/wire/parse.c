#include "parse.h"

#include "bytes.h"
#include "checksum.h"
#include "view.h"

enum {
    ETHERTYPE_IPV4 = 0x0800,
    ETHERTYPE_IPV6 = 0x86dd,
    ETHERNET_HEADER = 14,
    VLAN_TAG = 4,
    MAX_VLAN_TAGS = 8,
    IPV4_HEADER = 20,
    IPV6_HEADER = 40,
    MAX_EXTENSIONS = 8,
    TCP_HEADER = 20,
    UDP_HEADER = 8,
    ICMP = 1,
    ICMPV6 = 58,
    ICMP_HEADER = 8,
    QUOTED = 8, /* bytes of a segment that every ICMP error quotes: ports and number */
};

/* 802.1Q, 802.1ad, and the numbers that were used for stacked tags before it. */
static bool is_vlan(uint16_t ethertype)
{
    return ethertype == 0x8100 || ethertype == 0x88a8 || ethertype == 0x9100 || ethertype == 0x9200 ||
           ethertype == 0x9300;
}

static enum drop parse_link(struct view *view, uint16_t *ethertype)
{
    const uint8_t *header = view_take(view, ETHERNET_HEADER);
    if (!header)
        return DROP_truncated;
    *ethertype = load16(header + 12);
    for (int tag = 0; tag < MAX_VLAN_TAGS; tag++) {
        if (!is_vlan(*ethertype))
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
    packet->id = load16(header + 4);
    packet->source.address = address_from_ipv4(header + 12);
    packet->destination.address = address_from_ipv4(header + 16);
    view_cut(view, total);
    view_skip(view, header_size);
    return DROP_NONE;
}

/* RFC 8200 4: hop-by-hop options, routing, fragment, authentication, destination options. */
static bool is_extension(uint8_t header)
{
    return header == 0 || header == 43 || header == 44 || header == 51 || header == 60;
}

/* To the transport. A fragment with neither an offset nor more behind it is a whole packet (RFC 6946). */
static enum drop skip_extensions(struct view *view, uint8_t *transport)
{
    for (int i = 0; i < MAX_EXTENSIONS; i++) {
        bool fragment = *transport == 44;
        if (!is_extension(*transport))
            return DROP_NONE;
        if (!view_has(view, 8))
            return DROP_bad_ip_header;
        if (fragment && (load16(view->at + 2) & 0xfff9))
            return DROP_fragment;
        uint32_t size = fragment ? 8 : *transport == 51 ? (view->at[1] + 2u) * 4 : (view->at[1] + 1u) * 8;
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
    packet->id = 0;
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
    packet->urgent = packet->flags & TCP_URG ? load16(header + 18) : 0;
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
    packet->urgent = 0;
    packet->options = (struct tcp_options){.window_scale = NO_WINDOW_SCALE};
    view_skip(view, UDP_HEADER);
    packet->payload = view->at;
    packet->size = view->size;
    return DROP_NONE;
}

/* For routers that do not say how much they carry (RFC 1191 7): the next smaller size that is common. */
static uint32_t plateau_below(uint32_t size)
{
    static const uint16_t PLATEAUS[] = {32000, 17914, 8166, 4352, 2002, 1492, 1006, 508, 296};
    for (uint32_t i = 0; i < sizeof(PLATEAUS) / sizeof(PLATEAUS[0]); i++)
        if (PLATEAUS[i] < size)
            return PLATEAUS[i];
    return 68;
}

/* The addresses of a quoted IPv4 header; leaves the view at its payload. */
static bool read_quoted_ipv4(struct view *view, struct packet *packet)
{
    const uint8_t *header = view->at;
    uint32_t size = view_has(view, IPV4_HEADER) ? (header[0] & 0x0fu) * 4 : 0;
    if (size < IPV4_HEADER || header[0] >> 4 != 4 || header[9] != DP_TCP || load16(header + 6) & 0x1fff)
        return false;
    packet->destination.address = address_from_ipv4(header + 12);
    packet->source.address = address_from_ipv4(header + 16);
    if (!packet->path_mtu)
        packet->path_mtu = plateau_below(load16(header + 2));
    return view_take(view, size) != NULL;
}

static bool read_quoted_ipv6(struct view *view, struct packet *packet)
{
    const uint8_t *header = view_take(view, IPV6_HEADER);
    if (!header || header[0] >> 4 != 6 || header[6] != DP_TCP)
        return false;
    packet->destination.address = address_from_bytes(header + 8);
    packet->source.address = address_from_bytes(header + 24);
    return packet->path_mtu != 0;
}

static bool icmp_checksum_is_right(const struct view *message, const struct packet *packet)
{
    if (packet->transport == ICMPV6)
        return checksum_is_right(message, packet);
    return checksum_fold(checksum_add(0, message->at, message->size)) == 0;
}

/* "Fragmentation needed" (RFC 792, 1191) and "packet too big" (RFC 4443 3.2), about a segment of TCP. As a
 * packet it comes from where that segment went. */
static enum drop parse_too_big(struct view *view, bool verify, struct packet *packet)
{
    bool ipv6 = packet->transport == ICMPV6;
    if (verify && !icmp_checksum_is_right(view, packet))
        return DROP_bad_checksum;
    const uint8_t *icmp = view_take(view, ICMP_HEADER);
    if (!icmp || (ipv6 ? icmp[0] != 2 : icmp[0] != 3 || icmp[1] != 4))
        return DROP_other_transport;
    packet->path_mtu = ipv6 ? load32(icmp + 4) : load16(icmp + 6);
    if (!(ipv6 ? read_quoted_ipv6(view, packet) : read_quoted_ipv4(view, packet)) || !view_has(view, QUOTED))
        return DROP_other_transport;
    packet->transport = DP_TCP;
    packet->destination.port = load16(view->at);
    packet->source.port = load16(view->at + 2);
    packet->seq = load32(view->at + 4);
    packet->flags = 0;
    packet->size = 0;
    packet->payload = view->at;
    return DROP_NONE;
}

static enum drop parse_transport(struct view *view, bool verify, struct packet *packet)
{
    packet->path_mtu = 0;
    if (packet->transport == DP_TCP)
        return parse_tcp(view, verify, packet);
    if (packet->transport == DP_UDP)
        return parse_udp(view, verify, packet);
    bool ipv4 = address_is_ipv4(&packet->source.address);
    return packet->transport == (ipv4 ? ICMP : ICMPV6) ? parse_too_big(view, verify, packet)
                                                       : DROP_other_transport;
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
    return parse_transport(&view, verify_checksums, packet);
}
