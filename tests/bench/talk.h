/* talk.h: connections as the benchmarks need them: every segment of both conversations, many at a time.
 *
 * A struct talk is one production connection, its replay, and the target that answers it; it knows the next
 * sequence number of each. The number of a connection is its place in an array, and gives its client's
 * address and port. Where a connection is replayed several times, its sessions are talks of their own, of
 * which only the target's side is used. Called by bench_parse.c and bench_line.c.
 */
#ifndef BENCH_TALK_H
#define BENCH_TALK_H

#include "wire/packet.h"
#include "wire/rewrite.h"

enum {
    TALK_REQUEST = 300,
    TALK_ANSWER = 1024,
    TALK_FRAME = 2048,
    TALK_SOURCE_PORT = 80,
    TALK_TARGET_PORT = 8080,
    TALK_CLIENTS = 16384, /* addresses: 198.18.64.0 to 198.18.127.255, of mirrored clients and of the pool */
};

/* Connections that have a client endpoint of their own: ports from 10000. */
#define TALK_MOST (TALK_CLIENTS * 50000u)

struct talk {
    uint32_t client; /* production's client: its next sequence number */
    uint32_t server; /* production's server */
    uint32_t replay; /* the session, as far as the target has received it */
    uint32_t target; /* the target */
    uint32_t origin; /* number of the production connection that it replays */
};

/* Who says what. */
enum line {
    CLIENT_SYN,
    CLIENT_ACK,
    CLIENT_REQUEST,
    CLIENT_FIN,
    SERVER_SYN,
    SERVER_ANSWER,
    SERVER_FIN,
    TARGET_SYN,
    TARGET_ANSWER,
    TARGET_FIN,
};

static inline bool line_is_of_server(enum line line)
{
    return line >= SERVER_SYN && line <= SERVER_FIN;
}

static inline bool line_is_of_target(enum line line)
{
    return line >= TARGET_SYN;
}

/* Connections with numbers from first on, each with the client endpoint of its number: production's, or the
 * forged ones of a pool, which the line gives out in this order. */
struct talks {
    struct talk *each;
    uint32_t first;
    uint32_t count;
    bool forged;
};

/* What the line sent for a connection. */
struct replayed {
    uint8_t flags;
    bool request;
};

struct endpoint talk_source(void); /* the mirrored server */
struct endpoint talk_target(void);
struct endpoint talk_client(uint32_t number);
struct endpoint talk_forged(uint32_t number); /* of the pool TALK_POOL */

/* A new connection, before its SYN; it replays itself. */
void talk_begin(struct talk *talk, uint32_t number);

/* Says the line: the frame with its checksums (TALK_FRAME bytes of room), and the numbers that follow from
 * it. Returns its size. */
uint32_t talk_say(struct talks *talks, uint32_t place, enum line line, uint8_t *frame);

/* The same as a segment for rewrite, between any endpoints: what bench_parse.c varies. The payload is good
 * until the next call. */
void talk_segment(struct talk *talk, uint32_t number, enum line line, struct segment *segment);

/* Hears a frame that the line sent: takes note of it, or returns what is wrong with it. */
const char *talk_hear(const struct talks *talks, uint8_t *frame, uint32_t size, struct replayed *replayed);

#endif
