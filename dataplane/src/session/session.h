/* session.h: one replay of a mirrored connection: the policy between stream and tcp, and nothing else.
 *
 * Called by replay.c. A session reads its stream (which it may share with others), owns its tcp, and decides
 * when a request may leave. Pure: no I/O, no clock, no allocation; output is pulled by session_next while
 * there is room for it.
 *
 * Turn-taking. A chunk of the stream knows how far the production client had acknowledged the server when it
 * sent these bytes. Where that has grown since the bytes before, a new turn begins, and the growth is the
 * size of production's answer to the turn before. A turn may begin when the target has acknowledged all
 * earlier bytes, and since the turn before began it has answered as many bytes as production did, or has
 * answered something and been quiet for `settle`. What it had said too early counts, too, after `settle`. The
 * client's FIN and RST wait for their turn in the same way. So a server that speaks first needs no special
 * case, nor do pipelined requests (same turn). A turn that goes on behind a full segment may be the rest of a
 * request, without which the target has nothing to say: it leaves as a part of the turn before when the
 * target has been quite silent.
 */
#ifndef XDPCOPY_SESSION_H
#define XDPCOPY_SESSION_H

#include "observe/stats.h"
#include "stream.h"
#include "tcp.h"

/* In the order of use: an exchange (request in, segment out, answer in, acknowledgement out) touches
 * everything before tcp.recover, and nothing behind. */
struct session {
    struct flow flow; /* forged endpoint and target; the key */
    struct stream *stream;
    struct session *sibling;    /* the next session of the same stream */
    struct session *ready_next; /* the list of sessions with something to send (replay/ready.h) */
    struct chunk *chunk;        /* the first that the target has not acknowledged wholly */
    struct chunk *gate_chunk;   /* the last that may be sent, if it is still held */
    struct chunk *send_chunk;   /* where the last sent bytes were found, if it is still held */
    struct timer timer;
    uint64_t delivered_at; /* when the target last acknowledged something new */
    uint64_t quiet_since;  /* when the target last said something new, or the present turn began */
    uint64_t asked_at;     /* when bytes last left that the target has said nothing since; 0: it has */
    uint32_t gate;         /* bytes up to this offset may be sent */
    uint32_t turn;         /* the present turn: production's answers up to it had been seen by the client */
    uint32_t turn_end;     /* turns up to this one have left with it */
    uint32_t answer_mark;  /* how much the target had answered when the present turn began */
    uint32_t credit;       /* what the target had said by then beyond production's answers */
    uint32_t owed;         /* what its last answer was shorter than production's, and may still come */
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
    uint64_t clock_offset; /* added to now: a clock that goes on over restarts */
    uint32_t mtu;
};

static inline struct transfer_stats *session_stats(const struct session *session,
                                                   const struct session_context *context)
{
    return &context->transfers[session->transfer];
}

/* Begins a session on a stream that has just been opened; the memory is undefined before. */
void session_open(struct session *session, struct session_context *context, const struct flow *flow,
                  struct stream *stream, const struct dp_transfer *transfer);

/* The stream has got further: bytes (the first chunk of them, or NULL), a FIN, a RST, an acknowledgement. */
void session_on_stream(struct session *session, struct session_context *context, struct chunk *first);

/* The target's segment. */
enum drop session_on_answer(struct session *session, struct session_context *context,
                            const struct packet *packet);

void session_on_time(struct session *session, struct session_context *context);

/* The next segment to send, if any; session_sent when it has really left. */
bool session_next(struct session *session, struct session_context *context, struct segment *segment);
void session_sent(struct session *session, struct session_context *context, const struct segment *segment);

/* UDP: the largest datagram that the test port carries in one frame. */
uint32_t session_most_datagram(const struct session *session, const struct session_context *context);

/* When session_on_time must be called at the latest. */
uint64_t session_deadline(const struct session *session, const struct session_context *context);

/* Ends it for this reason, if it has not ended: gives up its chunks, leaves a RST to be pulled where the
 * target still holds the connection. The caller removes it from its stream. */
void session_end(struct session *session, struct session_context *context, enum end end);

#endif
