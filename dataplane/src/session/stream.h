/* stream.h: what production said in one mirrored connection.
 *
 * The client's bytes in order (reassembly.h), and what the segments of both sides say besides:
 * acknowledgements, windows, FIN, RST, what was said but not seen. Also finds the place where a connection
 * seen in its midst can be taken up. Knows nothing of the target. Several sessions can read one stream.
 *
 * Offsets count from the client's first byte (`first`): 32 bits, because they are only compared with others
 * in the same window. Turns are the client's acknowledgements, counted from `origin`: 64 bits.
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

/* What `suspect` is: the offset of a RST that has come too early, or the sum of the numbers of a segment that
 * is far from what is known. */
enum suspicion { SUSPECT_NONE, SUSPECT_CLIENT_RESET, SUSPECT_SERVER_RESET, SUSPECT_STRANGE };

struct stream {
    struct flow flow; /* production's client and server; the key */
    struct session *sessions;
    struct reassembly client; /* its bytes, for the sessions. Joining: empty, and client.last is the size of
                                 the segment before join_next */
    struct timer timer;
    uint64_t heard;     /* when the last frame came */
    uint64_t spoke_at;  /* when the client last said something new */
    uint64_t asked_at;  /* when the client last spoke, while the server has not answered; else 0 */
    uint64_t acked;     /* how far the client has acknowledged the server, from origin */
    uint64_t turn;      /* of the last bytes in order */
    uint64_t reopen_at; /* sessions that the target has ended may open again from then on */
    uint64_t said;      /* how far the server has got, as far as its own frames are mirrored */
    uint64_t fin_turn;
    uint64_t server_fin;   /* offset of the production server's FIN, from origin */
    uint32_t gap_at;       /* since when bytes are missing, and none came: ticks of stream_tick */
    uint32_t server_acked; /* how far the server has acknowledged the client, from first */
    uint32_t first;        /* sequence number of the client's first byte */
    uint32_t origin;       /* the acknowledgement number that stands for "nothing received" */
    uint32_t window;       /* that the client offers the server, in bytes */
    uint32_t fin;          /* offset of the client's FIN */
    uint32_t join_ack;     /* joining: what the payload seen last acknowledged */
    uint32_t join_next;    /* joining: the sequence number behind it */
    uint32_t older;        /* embryonic: neighbours on the list, by slot of the pool + 1 */
    uint32_t newer;
    uint32_t server_next; /* how far the server has got by its own numbers, from origin */
    uint32_t suspect;     /* see suspicion */
    uint16_t session_count;
    uint16_t missing; /* sessions that the target has ended and that open again at a later turn */
    uint16_t transfer;
    uint16_t full; /* size of the largest segment that did not end what the client wrote (no PSH) */
    uint16_t mss;  /* the next four: what the client's SYN offers */
    uint8_t window_scale;
    uint8_t protocol;        /* enum protocol */
    bool unheard : 1;        /* the client's first acknowledgement seen came with bytes */
    uint8_t suspicion : 2;   /* enum suspicion */
    uint8_t strange : 2;     /* segments that continue the suspect one */
    bool embryonic : 1;      /* its SYN alone is known: on the list of such (lifecycle.h) */
    bool opened : 1;         /* its sessions have been opened */
    bool counted : 1;        /* by its protocol */
    bool upgrade : 1;        /* the client has asked for TLS */
    bool never_upgrades : 1; /* its protocol has no such request */
    bool has_newcomer : 1;   /* a SYN with new numbers waits */
    bool timestamps : 1;
    bool sack : 1;
    uint8_t phase : 2;   /* enum phase */
    uint8_t manner : 2;  /* enum manner: whether its server may speak unasked */
    bool has_server : 1; /* the server's direction is mirrored too */
    bool detected : 1;   /* what it speaks is known */
    bool joining : 1;    /* seen in mid-stream: nothing is kept until a turn begins */
    bool has_join_ack : 1;
    bool has_origin : 1;
    bool has_fin : 1;
    bool has_server_fin : 1;
    bool reset : 1;     /* the production connection was reset */
    bool cut : 1;       /* … by the end of the capture */
    bool holds_syn : 1; /* the SYN's data waits for stream_settle_syn */
};

/* About a millisecond; wraps after 52 days. */
static inline uint32_t stream_tick(uint64_t time)
{
    return (uint32_t)(time >> 20);
}

/* When the present hole's time began. */
static inline uint64_t stream_gap_since(const struct stream *stream, uint64_t now)
{
    return now - ((uint64_t)(stream_tick(now) - stream->gap_at) << 20);
}

/* Begins with the client's SYN. The stream's memory may hold anything before. */
void stream_open(struct stream *stream, const struct flow *flow, const struct packet *syn, uint64_t now);

/* Begins with a connection that is under way: joining. No bytes are kept until stream_begin. */
void stream_open_joining(struct stream *stream, const struct flow *flow, uint64_t now);

/* Joining: whether a turn begins with this segment, because its payload follows the payload seen before,
 * which did not end with a full segment, and acknowledges more. If so the stream may begin here, with
 * stream_begin. */
bool stream_turn_begins(struct stream *stream, const struct packet *packet);
void stream_begin(struct stream *stream, const struct packet *packet);

/* Not joining: whether a turn begins with this segment, so that a session can begin there, too. */
bool stream_turn_follows(const struct stream *stream, const struct packet *packet);

/* Gives up a hole, or has lost its sessions: from now on the stream is joining, behind it. The caller clears
 * what it holds. */
void stream_rejoin(struct stream *stream);

/* Notes what the segment says besides its bytes: acknowledgement, FIN, RST, and that all before it was said.
 */
void stream_note(struct stream *stream, const struct packet *packet);

/* Data in the client's SYN (RFC 7413) counts if the server has acknowledged it. Until that is known, it is
 * held. */
void stream_hold_syn(struct stream *stream, struct pool *chunks, const struct packet *syn);

/* A segment of either side may tell. True: the data counts, and is in order now. */
bool stream_settle_syn(struct stream *stream, struct pool *chunks, const struct packet *packet,
                       bool from_client);

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

/* The server's offset that this acknowledgement or sequence number stands for: the one nearest to what the
 * client has acknowledged. */
static inline uint64_t stream_turn(const struct stream *stream, uint32_t number)
{
    int64_t turn = (int64_t)stream->acked + (int32_t)(number - stream->origin - (uint32_t)stream->acked);
    return turn > 0 ? (uint64_t)turn : 0;
}

/* The client has closed, and all its bytes are here. */
static inline bool stream_is_finished(const struct stream *stream)
{
    return stream->has_fin && stream->client.next == stream->fin;
}

/* The server has something that is not here: production's network did not lose it, the mirror did. Nothing
 * will come again after a RST either. */
static inline bool stream_gap_is_ours(const struct stream *stream)
{
    return !stream->has_server || stream->reset ||
           seq_after(stream->server_acked, stream->client.next + stream_is_finished(stream));
}

/* A RST waits for what the mirror has not shown yet. */
static inline bool stream_awaits_reset(const struct stream *stream)
{
    return !stream->joining && !stream->reset &&
           (stream->suspicion == SUSPECT_CLIENT_RESET || stream->suspicion == SUSPECT_SERVER_RESET);
}

/* Bytes, or the FIN, were said and are not here. */
static inline bool stream_has_gap(const struct stream *stream)
{
    return seq_after(stream->client.known, stream->client.next + stream_is_finished(stream));
}

#endif
