/* production.h: the production connections, as the mirror shows them.
 *
 * Each plays its dialogue on a time line of its own: segments of both sides, acknowledgements that grow as
 * the client reads, retransmissions, keep-alive probes, the end. All frames are put on their way to the
 * mirror port at the beginning of a run. What has been shown to the line is noted as it arrives.
 */
#ifndef SIM_PRODUCTION_H
#define SIM_PRODUCTION_H

#include "dialogue.h"
#include "frame.h"
#include "ranges.h"

struct sim;

enum { MOST_CONNECTIONS = 8, NO_CONNECTION = 255 };

/* The client's bytes from this offset on were sent when it had acknowledged so much of the server's. */
struct turn {
    uint32_t offset;
    uint32_t ack;
    bool goes_on; /* behind a full segment: it may be in the midst of a request */
};

struct connection {
    struct dialogue dialogue;
    struct host client;
    struct host server;
    uint32_t index;
    uint32_t client_isn;
    uint32_t server_isn;
    uint32_t total; /* bytes that the client sends */
    struct turn *turns;
    uint32_t turn_count;
    uint32_t turn_room;
    bool has_fin; /* the client closes; its FIN is a turn of its own */
    uint32_t fin_ack;
    uint64_t over_at;   /* when production was over */
    uint32_t successor; /* the connection that uses the same client port afterwards, or NO_CONNECTION */
    uint64_t syn_at;    /* when the mirror shows the SYN; 0: never */
    bool syn_shown;     /* so far: */
    bool origin_shown;
    uint32_t origin; /* how much of the server's bytes the first acknowledgement shown was for */
    bool fin_shown;
    bool reset_shown;
    bool server_fin_shown;
    uint32_t known; /* so many bytes, and its FIN, the client has sent, by the numbers of both sides */
    struct ranges shown;
};

void production_open(struct sim *sim);
void production_close(struct sim *sim);

/* A mirrored frame arrives at the line. */
void production_on_shown(struct sim *sim, struct connection *connection, const struct segment *segment);

#endif
