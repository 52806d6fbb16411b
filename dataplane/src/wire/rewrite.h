/* rewrite.h: a segment of a session to a frame for the target.
 *
 * The payload stays where it is, named by pieces, until it is copied here, once.
 */
#ifndef XDPCOPY_REWRITE_H
#define XDPCOPY_REWRITE_H

#include "frame.h"
#include "packet.h"

#define SEGMENT_PIECES 8
#define SEGMENT_SACK_BLOCKS 3
#define REWRITE_HEADERS (14 + 40 + 60) /* at most, before the payload */

struct piece {
    const uint8_t *bytes;
    uint32_t size;
};

struct sack_block {
    uint32_t start;
    uint32_t end;
};

struct segment {
    struct endpoint source;
    struct endpoint destination;
    uint32_t transfer; /* its target gives the next hop */
    uint8_t transport; /* enum dp_transport; for UDP only size and pieces follow */
    uint32_t seq;
    uint32_t ack;
    uint16_t window;
    uint8_t flags;
    uint8_t piece_count;
    uint8_t sack_count;
    bool again; /* sent before */
    struct tcp_options options;
    struct sack_block sacks[SEGMENT_SACK_BLOCKS];
    uint32_t size; /* of all pieces */
    struct piece pieces[SEGMENT_PIECES];
};

struct link_addresses {
    uint8_t destination[6];
    uint8_t source[6];
};

/* Writes the segment as a frame and sets its size. The frame must have room for REWRITE_HEADERS and the
 * payload. */
void rewrite_segment(const struct segment *segment, const struct link_addresses *link, struct frame *frame);

#endif
