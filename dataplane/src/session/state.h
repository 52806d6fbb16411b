/* state.h: what a session remembers, and what the sessions of a worker share.
 *
 * Data alone: session.h has the events, turns.h the rule that moves `gate`.
 */
#ifndef XDPCOPY_STATE_H
#define XDPCOPY_STATE_H

#include "observe/stats.h"
#include "store/flow.h"
#include "store/pool.h"
#include "store/timer.h"
#include "tcp.h"

struct chunk;
struct stream;

/* In the order of use: an exchange (request in, segment out, answer in, acknowledgement out) touches
 * everything before tcp.recover, and nothing behind. */
struct session {
    struct flow flow; /* forged endpoint and target; the key */
    struct stream *stream;
    struct session *sibling;    /* the next session of the same stream */
    struct session *ready_next; /* the worker's list of sessions with something to send */
    struct chunk *chunk;        /* the first that the target has not acknowledged wholly */
    struct chunk *gate_chunk;   /* the last that may be sent, if it is still held */
    struct chunk *send_chunk;   /* where the last sent bytes were found, if it is still held */
    struct timer timer;
    uint64_t delivered_at; /* when the target last acknowledged something new */
    uint64_t quiet_since;  /* when the target last said something new, or the present turn began */
    uint64_t asked_at;     /* when bytes last left, while the target has not answered them; else 0 */
    uint32_t gate;         /* bytes up to this offset may be sent */
    uint32_t turn;         /* the present turn: production's answers up to it had been seen by the client */
    uint32_t turn_end;     /* turns up to this one have left with it */
    uint32_t answer_mark;  /* how much the target had answered when the present turn began */
    uint32_t credit;       /* what the target had said by then beyond production's answers */
    uint32_t owed;         /* by how much its last answer was shorter than production's; may still come */
    uint32_t delivered;    /* bytes up to this offset have been accounted as acknowledged */
    uint32_t turns;        /* begun */
    uint16_t transfer;
    uint8_t end;       /* enum end; END_NONE while it lives */
    bool begun : 1;    /* the first turn has begun */
    bool shorter : 1;  /* the target's answers are shorter than production's: nothing is owed */
    bool fin_open : 1; /* the FIN may be sent */
    bool ready : 1;    /* is on the list */
    bool reset_due : 1;
    bool no_wait : 1;      /* turns do not wait for each other (-W) */
    bool ack_mirrored : 1; /* answers are acknowledged as the production client does */
    uint16_t most_mss;     /* that the SYN announces (-D); 0: what the test port carries */
    struct tcp tcp;
    uint64_t opened_at;
    uint32_t retransmits;
};

/* What a worker's sessions have in common. */
struct session_context {
    const struct dp_timing *timing;
    struct stats *stats;
    struct transfer_stats *transfers; /* by index */
    struct pool chunks;
    uint64_t now;
    uint64_t clock_offset; /* added to now: a clock that keeps running across restarts */
    uint32_t mtu;
};

static inline struct transfer_stats *session_stats(const struct session *session,
                                                   const struct session_context *context)
{
    return &context->transfers[session->transfer];
}

#endif
