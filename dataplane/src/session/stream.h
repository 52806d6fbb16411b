/* stream.h: what production said in one mirrored connection.
 *
 * The client's bytes in order (reassembly.h), and what the segments of both sides say besides:
 * acknowledgements, windows, FIN, RST, what was said but not seen. Also finds the place where a connection
 * seen in its midst can be taken up. Knows nothing of the target. Several sessions can read one stream.
 *
 * Offsets count from the client's first byte (`first`); turns are the client's acknowledgements, counted from
 * `origin`.
 */
#ifndef XDPCOPY_STREAM_H
#define XDPCOPY_STREAM_H

#include "reassembly.h"
#include "store/flow.h"
#include "store/timer.h"

struct session;

/* Open: the client may say more. Closing: it will not, but sessions have not ended. Lingering: they have. The
 * last two pass by themselves. */
enum phase { PHASE_OPEN, PHASE_CLOSING, PHASE_LINGERING, PHASE_COUNT };

struct stream {
    struct flow flow; /* production's client and server; the key */
    struct session *sessions;
    struct reassembly client; /* its bytes, for the sessions. Joining: empty, and client.last is the size of
                                 the segment before join_next */
    struct timer timer;
    uint64_t heard;    /* when the last frame came */
    uint64_t asked_at; /* when the client last spoke, while the server has not answered; else 0 */
    uint64_t gap_at;   /* since when bytes are missing */
    uint32_t first;    /* sequence number of the client's first byte */
    uint32_t origin;   /* the acknowledgement number that stands for "nothing received" */
    uint32_t acked;    /* how far the client has acknowledged the server, from origin */
    uint32_t window;   /* that the client offers the server, in bytes */
    uint32_t fin;      /* offset of the client's FIN */
    uint32_t fin_turn;
    uint32_t server_fin; /* offset of the production server's FIN, from origin */
    uint32_t join_ack;   /* joining: what the payload seen last acknowledged */
    uint32_t join_next;  /* joining: the sequence number behind it */
    uint16_t session_count;
    uint16_t transfer;
    uint16_t full; /* size of the largest segment that did not end what the client wrote (no PSH) */
    uint16_t mss;  /* the next four: what the client's SYN offers */
    uint8_t window_scale;
    bool timestamps : 1;
    bool sack : 1;
    uint8_t phase;     /* enum phase */
    bool detected : 1; /* what it speaks has been counted */
    bool joining : 1;  /* seen in mid-stream: nothing is kept until a turn begins */
    bool has_join_ack : 1;
    bool has_origin : 1;
    bool has_fin : 1;
    bool has_server_fin : 1;
    bool reset : 1; /* the production connection was reset */
    bool cut : 1;   /* … by the end of the capture */
};

/* Begins with the client's SYN. The stream's memory may hold anything before. */
void stream_open(struct stream *stream, const struct flow *flow, const struct packet *syn, uint64_t now);

/* Begins with a connection that is under way: joining. No bytes are kept until stream_begin. */
void stream_open_joining(struct stream *stream, const struct flow *flow, uint64_t now);

/* Joining: whether a turn begins with this segment, because its payload follows the payload seen before,
 * which did not end with a full segment, and acknowledges more. If so the stream may begin here, with
 * stream_begin. */
bool stream_turn_begins(struct stream *stream, const struct packet *packet);
void stream_begin(struct stream *stream, const struct packet *packet);

/* Gives up a hole: from now on the stream is joining, behind it. The caller clears what it holds. */
void stream_rejoin(struct stream *stream);

/* Notes what the segment says besides its bytes: acknowledgement, FIN, RST, and that all before it was said.
 */
void stream_note(struct stream *stream, const struct packet *packet);

/* Stores the segment's bytes. DROP_NONE also if it carries none. After DROP_buffers_full the stream has a
 * hole for good. */
enum drop stream_append(struct stream *stream, struct pool *chunks, const struct packet *packet,
                        uint64_t now);

/* UDP: the datagram as a chunk of its own, or NULL if there is no memory. It fits into a chunk. */
struct chunk *stream_append_datagram(struct stream *stream, struct pool *chunks, const struct packet *packet);

/* The production server's segment: its SYN-ACK gives the origin, its RST ends the conversation, and what it
 * acknowledges was said. */
void stream_on_server(struct stream *stream, const struct packet *packet);

/* For a gap that has lasted too long: if one number is missing and the server has closed, it is the client's
 * FIN and is taken as said. */
bool stream_take_missed_fin(struct stream *stream);

/* The client has closed, and all its bytes are here. */
static inline bool stream_is_finished(const struct stream *stream)
{
    return stream->has_fin && stream->client.next == stream->fin;
}

/* Bytes, or the FIN, were said and are not here. */
static inline bool stream_has_gap(const struct stream *stream)
{
    return seq_after(stream->client.known, stream->client.next + stream_is_finished(stream));
}

#endif
