/* target.h: the server under test: a correct TCP server of RFC 9293, written from the RFC alone, and on top
 * of it an application that knows the dialogue.
 *
 * One peer for each session. target_receive.c is what segments do to it, target_send.c what it sends and its
 * timers, application.c when it reads, answers and closes, and what it does wrong if it misbehaves.
 * Offsets count from the first byte of either side; bytes that are received are checked by the judge before
 * they get here, so only their places are kept.
 */
#ifndef SIM_TARGET_H
#define SIM_TARGET_H

#include "frame.h"
#include "ranges.h"

struct sim;
struct record;

enum peer_state {
    PEER_CLOSED,
    PEER_SYN_RECEIVED,
    PEER_ESTABLISHED,
    PEER_FIN_WAIT_1,
    PEER_FIN_WAIT_2,
    PEER_CLOSING,
    PEER_CLOSE_WAIT,
    PEER_LAST_ACK,
    PEER_TIME_WAIT,
};

struct peer {
    enum peer_state state;
    struct record *record;

    /* Receiving. */
    uint32_t irs;
    struct ranges received; /* offsets */
    uint32_t rcv_nxt;       /* offset; a FIN is not counted */
    uint32_t rcv_adv;       /* right edge of the window that was offered */
    uint32_t rcv_fin;       /* offset of the client's FIN, or NOT_YET */
    bool fin_taken;
    uint32_t read; /* by the application */
    uint8_t rcv_scale;
    uint32_t unacked_segments;
    uint64_t ack_at; /* the delayed acknowledgement is due */
    uint32_t last_ack_sent;

    /* Sending. */
    uint32_t iss;
    uint32_t snd_una; /* offsets; the FIN counts as a byte */
    uint32_t snd_nxt;
    uint32_t snd_max;
    uint32_t snd_edge; /* right edge of the client's window */
    uint32_t snd_wl1;
    uint32_t snd_wl2;
    uint32_t mss;
    uint8_t snd_scale;
    uint32_t cwnd;
    uint32_t duplicate_acks;
    uint64_t resend_at;
    uint64_t rto;
    uint32_t retries;

    bool timestamps;
    bool sack;
    uint32_t ts_recent;
    uint64_t gone_at; /* the end of TIME-WAIT */

    /* The application. */
    uint32_t written; /* bytes */
    bool closed;      /* it has closed its side: a FIN follows what it has written */
    bool deaf;        /* it has closed the socket: nobody reads any more */
    bool silent;      /* its host is gone */
    bool greeted;
    uint32_t exchange; /* the next to be answered; UINT32_MAX: not known yet (joined) */
    uint32_t pieces;   /* of the present answer that have been written */
    bool thinking;
    uint64_t write_at;
    uint64_t read_at;
};

#define NEVER UINT64_MAX
#define NOT_YET UINT32_MAX

enum { TIME_WAIT_MS = 60000, MOST_RETRIES = 15 };

/* A frame arrives at the target. */
void target_on_frame(struct sim *sim, const uint8_t *frame, uint32_t size);

/* When the peer wants to be called again, at the latest; and that call. */
uint64_t target_deadline(const struct peer *peer);
void target_on_time(struct sim *sim, struct peer *peer);

/* It waits for an acknowledgement, or its application has not read all that has come. */
static inline bool target_is_busy(const struct peer *peer)
{
    if (peer->state == PEER_CLOSED || peer->silent)
        return false;
    return peer->resend_at != NEVER || (peer->read_at != NEVER && !peer->deaf);
}

/* --- between the parts of the target
 * ------------------------------------------------------------------------ */

/* All that may be sent now. */
void peer_send(struct sim *sim, struct peer *peer);
void peer_send_syn_ack(struct sim *sim, struct peer *peer);
void peer_acknowledge(struct sim *sim, struct peer *peer);
void peer_resend(struct sim *sim, struct peer *peer);
void peer_reset(struct sim *sim, struct peer *peer);

/* A RST to somebody who has no connection (RFC 9293 3.10.7.1). */
void target_refuse(struct sim *sim, const struct segment *segment);

/* The room behind what has been received. */
uint32_t peer_window(const struct sim *sim, const struct peer *peer);

/* Acknowledgement of new bytes: how the timers go on. */
void peer_on_acked(struct sim *sim, struct peer *peer);

void application_open(struct sim *sim, struct peer *peer);

/* Reads what there is, answers what is due. */
void application_run(struct sim *sim, struct peer *peer);

#endif
