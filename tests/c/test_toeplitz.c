/* The hash of receive-side scaling against Microsoft's published vectors, and its symmetric forms. */
#include <arpa/inet.h>

#include "check.h"
#include "wire/toeplitz.h"

static const uint8_t KEY[40] = {0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67,
                                0x25, 0x3d, 0x43, 0xa3, 0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb,
                                0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30,
                                0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa};

/* "Verifying the RSS Hash Calculation": destination, source, hash of the addresses, and with the TCP ports.
 */
static const struct vector {
    const char *destination;
    uint16_t destination_port;
    const char *source;
    uint16_t source_port;
    uint32_t addresses, with_ports;
} VECTORS[] = {
    {"161.142.100.80", 1766, "66.9.149.187", 2794, 0x323e8fc2, 0x51ccc178},
    {"65.69.140.83", 4739, "199.92.111.2", 14230, 0xd718262a, 0xc626b0ea},
    {"12.22.207.184", 38024, "24.19.198.95", 12898, 0xd2d0a5de, 0x5c2b394a},
    {"209.142.163.6", 2217, "38.27.205.30", 48228, 0x82989176, 0xafc7327f},
    {"202.188.127.2", 1303, "153.39.163.191", 44251, 0x5d1809c5, 0x10e828a2},
    {"3ffe:2501:200:3::1", 1766, "3ffe:2501:200:1fff::7", 2794, 0x2cc18cd5, 0x40207d3d},
    {"ff02::1", 4739, "3ffe:501:8::260:97ff:fe40:efab", 14230, 0x0f0c461c, 0xdde51bbf},
    {"fe80::200:f8ff:fe21:67cf", 38024, "3ffe:1900:4545:3:200:f8ff:fe21:67cf", 44251, 0x4b61e985, 0x02d1feef},
};

static struct toeplitz toeplitz;

static struct endpoint endpoint_of(const char *text, uint16_t port)
{
    uint8_t bytes[16];
    if (inet_pton(AF_INET6, text, bytes) == 1)
        return (struct endpoint){address_from_bytes(bytes), port};
    CHECK(inet_pton(AF_INET, text, bytes) == 1);
    return (struct endpoint){address_from_ipv4(bytes), port};
}

static struct dp_rss rss_of(uint32_t fields, uint32_t symmetry)
{
    struct dp_rss rss = {.key_size = sizeof(KEY),
                         .symmetry = symmetry,
                         .fields = {{fields, fields}, {DP_RSS_ADDRESSES, DP_RSS_ADDRESSES}}};
    memcpy(rss.key, KEY, sizeof(KEY));
    return rss;
}

static uint32_t hash_of(const struct vector *vector, uint32_t transport, bool turned)
{
    struct endpoint source = endpoint_of(vector->source, vector->source_port);
    struct endpoint destination = endpoint_of(vector->destination, vector->destination_port);
    return turned ? toeplitz_hash(&toeplitz, transport, &destination, &source)
                  : toeplitz_hash(&toeplitz, transport, &source, &destination);
}

static void test_hashes_are_the_published_ones(void)
{
    struct dp_rss with_ports = rss_of(DP_RSS_ADDRESSES | DP_RSS_PORTS, DP_RSS_PLAIN);
    toeplitz_open(&toeplitz, &with_ports);
    for (size_t i = 0; i < sizeof(VECTORS) / sizeof(*VECTORS); i++) {
        CHECK(hash_of(&VECTORS[i], DP_TCP, false) == VECTORS[i].with_ports);
        CHECK(hash_of(&VECTORS[i], DP_UDP, false) == VECTORS[i].addresses);
    }
}

static void test_symmetric_forms_are_the_same_in_both_directions(void)
{
    for (uint32_t symmetry = DP_RSS_XOR; symmetry <= DP_RSS_OR_XOR; symmetry++) {
        struct dp_rss rss = rss_of(DP_RSS_ADDRESSES | DP_RSS_PORTS, symmetry);
        toeplitz_open(&toeplitz, &rss);
        for (size_t i = 0; i < sizeof(VECTORS) / sizeof(*VECTORS); i++) {
            CHECK(hash_of(&VECTORS[i], DP_TCP, false) == hash_of(&VECTORS[i], DP_TCP, true));
            CHECK(hash_of(&VECTORS[i], DP_TCP, false) != VECTORS[i].with_ports);
            CHECK(i == 0 || hash_of(&VECTORS[i], DP_TCP, false) != hash_of(&VECTORS[i - 1], DP_TCP, false));
        }
    }
}

static void test_a_repeated_key_is_symmetric_by_itself(void)
{
    struct dp_rss rss = rss_of(DP_RSS_ADDRESSES | DP_RSS_PORTS, DP_RSS_PLAIN);
    for (uint32_t i = 0; i < rss.key_size; i++)
        rss.key[i] = i % 2 ? 0x5a : 0x6d;
    toeplitz_open(&toeplitz, &rss);
    for (size_t i = 0; i < sizeof(VECTORS) / sizeof(*VECTORS); i++)
        CHECK(hash_of(&VECTORS[i], DP_TCP, false) == hash_of(&VECTORS[i], DP_TCP, true));
}

static void test_the_queue_is_the_tables(void)
{
    struct dp_rss rss = rss_of(DP_RSS_ADDRESSES | DP_RSS_PORTS, DP_RSS_PLAIN);
    rss.table_size = 128;
    for (uint32_t i = 0; i < rss.table_size; i++)
        rss.table[i] = (uint16_t)(i * 7 % 5);
    toeplitz_open(&toeplitz, &rss);
    for (size_t i = 0; i < sizeof(VECTORS) / sizeof(*VECTORS); i++) {
        struct endpoint source = endpoint_of(VECTORS[i].source, VECTORS[i].source_port);
        struct endpoint destination = endpoint_of(VECTORS[i].destination, VECTORS[i].destination_port);
        uint32_t slot = VECTORS[i].with_ports & 127;
        CHECK(toeplitz_queue(&toeplitz, DP_TCP, &source, &destination) == slot * 7 % 5);
    }
}

int main(void)
{
    RUN(test_hashes_are_the_published_ones);
    RUN(test_symmetric_forms_are_the_same_in_both_directions);
    RUN(test_a_repeated_key_is_symmetric_by_itself);
    RUN(test_the_queue_is_the_tables);
    return 0;
}
