/* Parsing and writing of frames: every length, both families, and what is written is read back. */
#include <string.h>

#include "check.h"
#include "wire/bytes.h"
#include "wire/checksum.h"
#include "wire/parse.h"
#include "wire/rewrite.h"

static struct endpoint endpoint_v4(uint8_t last, uint16_t port)
{
    uint8_t bytes[4] = {198, 18, 0, last};
    return (struct endpoint){address_from_ipv4(bytes), port};
}

static struct endpoint endpoint_v6(uint8_t last, uint16_t port)
{
    uint8_t bytes[16] = {0xfd, 0, 1, 0x98, [15] = last};
    return (struct endpoint){address_from_bytes(bytes), port};
}

static struct segment make_segment(bool ipv6)
{
    return (struct segment){
        .source = ipv6 ? endpoint_v6(1, 40000) : endpoint_v4(1, 40000),
        .destination = ipv6 ? endpoint_v6(2, 8080) : endpoint_v4(2, 8080),
        .seq = 0xfffffff0,
        .ack = 77,
        .window = 1234,
        .transport = DP_TCP,
        .flags = TCP_ACK | TCP_PSH,
        .options = {.window_scale = NO_WINDOW_SCALE},
    };
}

static uint32_t write(const struct segment *segment, uint8_t *bytes)
{
    struct link_addresses link = {{2, 0, 0, 0, 0, 1}, {2, 0, 0, 0, 0, 2}};
    struct frame frame = {bytes, 0, 0};
    rewrite_segment(segment, &link, &frame);
    return frame.size;
}

/* In a heap block of exactly this size, so that the sanitizer sees a byte too many. */
static enum drop parse_exactly(const uint8_t *bytes, uint32_t size, struct packet *packet)
{
    uint8_t *copy = malloc(size ? size : 1);
    memcpy(copy, bytes, size);
    struct frame frame = {copy, size, 0};
    enum drop drop = parse_frame(&frame, true, packet);
    free(copy);
    return drop;
}

static void test_written_segment_is_read_back(void)
{
    static const uint8_t PAYLOAD[] = "0123456789abcdef";
    for (int ipv6 = 0; ipv6 < 2; ipv6++) {
        for (uint32_t split = 0; split <= 16; split++) {
            uint8_t bytes[256];
            struct packet packet;
            struct segment segment = make_segment(ipv6);
            segment.options.has_timestamp = split & 1;
            segment.options.timestamp = 11;
            segment.options.echo = 22;
            segment.pieces[0] = (struct piece){PAYLOAD, split};
            segment.pieces[1] = (struct piece){PAYLOAD + split, 16 - split};
            segment.piece_count = 2;
            segment.size = 16;
            struct frame frame = {bytes, write(&segment, bytes), 0};
            CHECK(parse_frame(&frame, true, &packet) == DROP_NONE);
            CHECK(endpoint_equal(&packet.source, &segment.source));
            CHECK(endpoint_equal(&packet.destination, &segment.destination));
            CHECK(packet.seq == segment.seq && packet.ack == segment.ack && packet.window == segment.window);
            CHECK(packet.flags == segment.flags && packet.size == 16);
            CHECK(memcmp(packet.payload, PAYLOAD, 16) == 0);
            CHECK(packet.options.has_timestamp == segment.options.has_timestamp);
            CHECK(!packet.options.has_timestamp ||
                  (packet.options.timestamp == 11 && packet.options.echo == 22));
        }
    }
}

static void test_datagram_is_read_back(void)
{
    for (int ipv6 = 0; ipv6 < 2; ipv6++) {
        for (uint32_t size = 0; size < 20; size++) {
            uint8_t bytes[256];
            struct packet packet;
            struct segment segment = make_segment(ipv6);
            segment.transport = DP_UDP;
            segment.pieces[0] = (struct piece){(const uint8_t *)"0123456789abcdefghij", size};
            segment.piece_count = 1;
            segment.size = size;
            uint32_t written = write(&segment, bytes);
            CHECK(parse_exactly(bytes, written, &packet) == DROP_NONE);
            CHECK(packet.transport == DP_UDP && packet.size == size);
            CHECK(endpoint_equal(&packet.source, &segment.source));
            for (uint32_t cut = 0; cut < written; cut++)
                CHECK(parse_exactly(bytes, cut, &packet) == DROP_truncated);
            bytes[written - 1] ^= 1;
            CHECK(parse_exactly(bytes, written, &packet) == DROP_bad_checksum);
        }
    }
}

static void test_every_combination_of_options_is_read_back(void)
{
    for (uint32_t mask = 0; mask < 16; mask++) {
        uint8_t bytes[256];
        struct packet packet;
        struct segment segment = make_segment(false);
        segment.flags = TCP_SYN;
        segment.options = (struct tcp_options){
            .mss = mask & 1 ? 1460 : 0,
            .sack_permitted = mask & 2,
            .window_scale = mask & 4 ? 7 : NO_WINDOW_SCALE,
            .has_timestamp = mask & 8,
        };
        uint32_t size = write(&segment, bytes);
        CHECK(parse_exactly(bytes, size, &packet) == DROP_NONE);
        CHECK(packet.options.mss == segment.options.mss);
        CHECK(packet.options.sack_permitted == segment.options.sack_permitted);
        CHECK(packet.options.window_scale == segment.options.window_scale);
        CHECK(packet.options.has_timestamp == segment.options.has_timestamp);
    }
}

static void test_every_truncation_has_a_reason(void)
{
    for (int ipv6 = 0; ipv6 < 2; ipv6++) {
        uint8_t bytes[256];
        struct packet packet;
        struct segment segment = make_segment(ipv6);
        segment.options.has_timestamp = true;
        segment.pieces[0] = (struct piece){(const uint8_t *)"hello", 5};
        segment.piece_count = 1;
        segment.size = 5;
        uint32_t size = write(&segment, bytes);
        for (uint32_t cut = 0; cut < size; cut++)
            CHECK(parse_exactly(bytes, cut, &packet) == DROP_truncated);
        CHECK(parse_exactly(bytes, size, &packet) == DROP_NONE);
    }
}

static void test_every_flipped_bit_is_harmless(void)
{
    uint8_t bytes[256];
    struct packet packet;
    struct segment segment = make_segment(false);
    segment.pieces[0] = (struct piece){(const uint8_t *)"hello", 5};
    segment.piece_count = 1;
    segment.size = 5;
    uint32_t size = write(&segment, bytes);
    for (uint32_t bit = 14 * 8; bit < size * 8; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        CHECK(parse_exactly(bytes, size, &packet) != DROP_NONE); /* one of the two checksums is wrong now */
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
}

static void test_padding_is_no_payload(void)
{
    uint8_t bytes[256] = {0};
    struct packet packet;
    struct segment segment = make_segment(false);
    CHECK(write(&segment, bytes) == 54);
    CHECK(parse_exactly(bytes, 60, &packet) == DROP_NONE);
    CHECK(packet.size == 0);
}

static void test_vlan_tags_are_skipped(void)
{
    uint8_t bytes[256];
    uint8_t tagged[256];
    struct packet packet;
    struct segment segment = make_segment(true);
    uint32_t size = write(&segment, bytes);
    for (uint32_t tags = 1; tags <= 3; tags++) {
        memcpy(tagged, bytes, 12);
        for (uint32_t i = 0; i < tags; i++) {
            store16(tagged + 12 + 4 * i, i == 0 && tags > 1 ? 0x88a8 : 0x8100);
            store16(tagged + 14 + 4 * i, 100 + i);
        }
        memcpy(tagged + 12 + 4 * tags, bytes + 12, size - 12);
        enum drop drop = parse_exactly(tagged, size + 4 * tags, &packet);
        CHECK(drop == (tags <= 2 ? DROP_NONE : DROP_not_ip));
    }
}

int main(void)
{
    RUN(test_written_segment_is_read_back);
    RUN(test_datagram_is_read_back);
    RUN(test_every_combination_of_options_is_read_back);
    RUN(test_every_truncation_has_a_reason);
    RUN(test_every_flipped_bit_is_harmless);
    RUN(test_padding_is_no_payload);
    RUN(test_vlan_tags_are_skipped);
    return 0;
}
