/* stream.h: what production said: the client's bytes of one mirrored connection, put in order.
 *
 * Called by replay.c with every mirrored segment of the connection; read by session.c and by rewrite (the
 * bytes are copied in here once, and out once). Knows nothing of the target. Owns the chunks.
 *
 * Positions are offsets from the client's first byte, 32 bits, wrapping: the sequence number less `first`.
 * Each chunk also keeps how far the client had acknowledged the server when it sent these bytes (`turn`):
 * bytes of different turns never share a chunk. That is all that turn-taking needs (session.h).
 */
#ifndef XDPCOPY_STREAM_H
#define XDPCOPY_STREAM_H

#include "reason.h"
#include "store/flow.h"
#include "store/pool.h"
#include "store/timer.h"
#include "wire/bytes.h"

#define CHUNK_BYTES 2016

struct chunk {
    struct chunk *next;
    uint32_t offset;
    uint32_t turn;
    uint16_t size;
    uint16_t holders; /* sessions that have not delivered it */
    uint16_t segment; /* while it waits: size of the mirrored segment that ends with it; 0: another chunk has
                         its end */
    bool goes_on; /* begins behind a full segment: its turn may begin in the midst of what the client wrote */
    uint8_t pad[9];
    uint8_t bytes[CHUNK_BYTES];
};

struct session;

/* Open: the client may say more. Closing: it will not, but sessions have not ended. Lingering: they have. The
 * last two pass by themselves. */
enum phase { PHASE_OPEN, PHASE_CLOSING, PHASE_LINGERING, PHASE_COUNT };

struct stream {
    struct flow flow; /* production's client and server; the key */
    struct session *sessions;
    struct chunk *head; /* in order: the oldest that a session still holds */
    struct chunk *tail;
    struct chunk *waiting; /* out of order, sorted by offset */
    struct chunk *waiting_last;
    struct timer timer;
    uint64_t heard; /* when the last frame came */
    uint64_t
        asked_at; /* when the client last said something that the server has said nothing since; 0: it has */
    uint64_t gap_at; /* since when bytes are missing */
    uint32_t first;  /* sequence number of the client's first byte */
    uint32_t next;   /* offset of the next byte in order */
    uint32_t origin; /* the acknowledgement number that stands for "nothing received" */
    uint32_t acked;  /* how far the client has acknowledged the server, from origin */
    uint32_t window; /* that the client offers the server, in bytes */
    uint32_t fin;    /* offset of the client's FIN */
    uint32_t fin_turn;
    uint32_t held;       /* bytes in chunks, in order or not */
    uint32_t known;      /* offset up to which the client has said something, by the numbers of either side */
    uint32_t server_fin; /* offset of the production server's FIN, from origin */
    uint32_t join_ack;   /* joining: what the payload seen last acknowledged */
    uint32_t join_next;  /* joining: the sequence number behind it */
    uint16_t session_count;
    uint16_t transfer;
    uint16_t full; /* size of the largest segment that did not end what the client wrote (no PSH) */
    uint16_t last; /* size of the segment that has brought the byte before `next` */
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

/* Takes over the SYN. The stream's memory is undefined before. */
void stream_open(struct stream *stream, const struct flow *flow, const struct packet *syn, uint64_t now);

/* Takes over a connection that is under way. Nothing is kept until stream_begin. */
void stream_open_joining(struct stream *stream, const struct flow *flow, uint64_t now);

/* Joining: whether a turn begins with this segment, because its payload follows the payload seen before,
 * which did not end with a full segment, and acknowledges more. If so the stream may begin here, with
 * stream_begin. */
bool stream_turn_begins(struct stream *stream, const struct packet *packet);
void stream_begin(struct stream *stream, const struct packet *packet);

/* A hole stays: from now on the stream is joining, behind the hole. What it holds is still to be cleared. */
void stream_rejoin(struct stream *stream);

/* Notes what the segment says besides its bytes: acknowledgement, FIN, RST, and that all before it was said.
 */
void stream_note(struct stream *stream, const struct packet *packet);

/* Puts the segment's bytes where they belong. DROP_NONE also when it carries none. On DROP_buffers_full
 * nothing more can be stored and the stream has a hole for good. */
enum drop stream_append(struct stream *stream, struct pool *chunks, const struct packet *packet,
                        uint64_t now);

/* UDP: the datagram as a chunk of its own, or NULL if there is no memory. It fits into a chunk. */
struct chunk *stream_append_datagram(struct stream *stream, struct pool *chunks, const struct packet *packet);

/* The production server's segment: its SYN-ACK gives the origin, its RST ends the conversation, and what it
 * acknowledges was said. */
void stream_on_server(struct stream *stream, const struct packet *packet);

/* A gap has lasted too long: whether all that is missing is the client's FIN: one number, and the server has
 * closed. It is then taken as said. */
bool stream_take_missed_fin(struct stream *stream);

/* A session has delivered this chunk: on to the next, and chunks that nobody holds are given back. */
struct chunk *stream_release(struct stream *stream, struct pool *chunks, struct chunk *chunk);

/* Gives back all chunks. */
void stream_clear(struct stream *stream, struct pool *chunks);

/* The client has said its last byte, and all of them are here. */
static inline bool stream_is_finished(const struct stream *stream)
{
    return stream->has_fin && stream->next == stream->fin;
}

/* Something was said, bytes or the FIN, that is not here. */
static inline bool stream_has_gap(const struct stream *stream)
{
    return seq_after(stream->known, stream->next + stream_is_finished(stream));
}

#endif
