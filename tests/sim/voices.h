/* voices.h: the two sides of a production connection, segment by segment: the player has them speak, and the
 * mirror shows it.
 */
#ifndef SIM_VOICES_H
#define SIM_VOICES_H

#include "frame.h"
#include "random.h"
#include "scenario.h"

struct sim;
struct connection;

enum { SERVER_MSS = 1460 };

/* One connection on its time line. */
struct player {
    struct sim *sim;
    const struct scenario *scenario;
    struct connection *connection;
    struct random random;
    struct random strays;
    struct random acks;
    uint64_t now;
    uint32_t said;     /* by the client */
    uint32_t answered; /* by the server */
    uint32_t acked;    /* of it, by the client */
    uint32_t most;     /* bytes of a segment of the client */
    uint32_t last;     /* of its last one */
    bool full;         /* the client's last segment was so large */
    bool settled;      /* the handshake is over */
    bool fin_heard;    /* by the server */
    bool window_closed;
};

/* A segment of the client; returns when the mirror shows it. */
uint64_t client_says(struct player *player, uint8_t flags, uint32_t offset, const uint8_t *bytes,
                     uint32_t size);

/* The same with its bytes at this offset; then some time passes. */
void client_sends(struct player *player, uint8_t flags, uint32_t offset, uint32_t size);
void client_acks(struct player *player);

/* A segment of the server. */
void server_sends(struct player *player, uint8_t flags, uint32_t offset, uint32_t size);

/* It acknowledges at once; the client does not wait for that. */
void server_acks(struct player *player);

#endif
