/* judge.h: what is known of each session from outside, and what may therefore cross the line's border.
 *
 * A record begins with a SYN that the line sends. judge_on_sent looks at every frame that leaves: its bytes
 * must be the production client's at this offset and must have been mirrored; a turn must be due; and it must
 * be what a client of RFC 9293 may send (conformance.c). judge_on_answer notes what reaches the line, and
 * which turns may leave from then on. Offsets count from the session's first byte; base is where that lies in
 * the production connection.
 */
#ifndef SIM_JUDGE_H
#define SIM_JUDGE_H

#include "frame.h"
#include "ranges.h"

struct sim;
struct connection;

struct record {
    uint32_t index;
    uint32_t connection;
    struct host client; /* forged */
    uint32_t iss;
    bool joined; /* did not begin with the production connection's SYN */
    bool base_known;
    uint32_t base;

    /* What the line sent. */
    uint32_t next_turn; /* of the connection's turns, the first that may not leave yet; the FIN is the last */
    uint32_t mark;      /* what the target had answered when the turn before it might leave */
    uint32_t surplus;   /* what it had said by then beyond production's answers */
    uint64_t turn_at;   /* when that was */
    uint32_t last_tsval;
    uint32_t last_ack;
    uint32_t told_edge; /* right edge of the window that it offered */
    struct segment syn;

    /* What reached the line. */
    bool opened;
    struct segment syn_ack;
    uint32_t acked;
    uint64_t acked_at;
    uint32_t edge; /* right edge of the window that the target offered */
    struct ranges answers;
    uint32_t answered; /* how far they go without a hole; the FIN counts as a byte */
    uint32_t kept;     /* of it, what the line has for certain: it may forget what came out of order */
    uint64_t answered_at;

    /* What the target makes of it (target.c, application.c). */
    uint32_t received; /* in order, by its TCP */
    uint32_t read;     /* by its application */
    uint32_t written;
    bool ended;   /* the FIN has come, too */
    bool gave_up; /* its TCP sent something too often without an answer */
};

/* The session that the endpoint belongs to at present, or NULL. */
struct record *judge_find(struct sim *sim, const struct host *client);

/* A frame has left the line. Returns the session that it belongs to. */
struct record *judge_on_sent(struct sim *sim, const struct segment *segment, uint32_t frame_size);

/* A mirrored frame of the connection has arrived at the line. */
void judge_on_mirrored(struct sim *sim, uint32_t connection);

/* A frame of the target's arrives at the line. */
void judge_on_answer(struct sim *sim, struct record *record, const struct segment *segment);

/* The target's TCP has got bytes in order up to here. */
void judge_on_received(struct sim *sim, struct record *record, uint32_t received);

/* And the client's FIN. */
void judge_on_end(struct sim *sim, const struct record *record);

/* Whether the segment is one that a client may send in this connection. */
void conformance_check(struct sim *sim, struct record *record, const struct segment *segment,
                       uint32_t frame_size);

#endif
