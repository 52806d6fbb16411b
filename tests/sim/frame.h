/* frame.h: the simulator's own frames: written and read here, checksums and all, without a line of the
 * dataplane's code, so that a mistake there is not repeated here.
 */
#ifndef SIM_FRAME_H
#define SIM_FRAME_H

#include <stdbool.h>
#include <stdint.h>

enum { FIN = 1, SYN = 2, RST = 4, PSH = 8, ACK = 16 };
enum { NO_SCALE = 255, MOST_FRAME = 9300, MOST_SACKS = 4 };

/* IPv4 as ::ffff:a.b.c.d. */
struct host {
    uint8_t ip[16];
    uint16_t port;
};

struct sack {
    uint32_t start;
    uint32_t end;
};

struct segment {
    struct host from;
    struct host to;
    uint32_t seq;
    uint32_t ack;
    uint8_t flags;
    uint16_t window;
    uint16_t mss; /* 0: no option */
    uint8_t scale;
    bool sack_permitted;
    bool timestamps;
    uint32_t tsval;
    uint32_t tsecr;
    uint32_t sack_count;
    struct sack sacks[MOST_SACKS];
    uint32_t options_size;
    uint32_t size;
    const uint8_t *payload;
};

/* What may stand around the packet. */
struct framing {
    uint32_t tags;    /* VLAN tags, at most 2 */
    uint32_t padding; /* bytes behind the packet */
};

/* Writes the frame into MOST_FRAME bytes; returns its size. */
uint32_t frame_write(const struct segment *segment, const struct framing *framing, uint8_t *frame);

/* False: it is damaged in a way that a host notices. */
bool frame_read(const uint8_t *frame, uint32_t size, struct segment *segment);

bool host_equal(const struct host *a, const struct host *b);

#endif
