/* Which frames of refused clients the mirror port's XDP program can drop, by how many connections are known.
 */
#include "admission/shed.h"
#include "check.h"
#include "store/flow.h"

enum { CLIENTS = 65536 };

static struct shed shed;

static struct endpoint client(uint32_t number)
{
    uint8_t bytes[16] = {[10] = 0xff,    0xff, 10, (uint8_t)(number >> 16), (uint8_t)(number >> 8),
                         (uint8_t)number};
    return (struct endpoint){address_from_bytes(bytes), (uint16_t)(1024 + number % 60000)};
}

/* The share of new clients whose slot is that of no known connection. */
static double sheds(uint32_t from)
{
    uint32_t dropped = 0;
    for (uint32_t i = from; i < from + CLIENTS; i++) {
        struct endpoint one = client(i);
        dropped += !shed.known[shed_slot(hash_sample(one.address.half[0], one.address.half[1], one.port))];
    }
    return (double)dropped / CLIENTS;
}

static void know(uint32_t from, uint32_t to)
{
    for (uint32_t i = from; i < to; i++) {
        struct endpoint one = client(i);
        sheds_know(&(struct sheds){.at = {&shed}, .count = 1}, &one);
    }
}

static void test_most_of_what_is_refused_is_shed_beside_a_million_connections(void)
{
    know(0, 131072);
    CHECK(sheds(2000000) > 0.9);
    know(131072, 1000000);
    CHECK(sheds(2000000) > 0.55);
}

int main(void)
{
    RUN(test_most_of_what_is_refused_is_shed_beside_a_million_connections);
    return 0;
}
