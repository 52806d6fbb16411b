/* dialogue.h: what two programs say to each other on one connection: exchanges of a request and an answer.
 *
 * Drawn once for each production connection. production.c plays both sides of it for the mirror; the target's
 * application (application.c) knows it and plays the server's side against the line. Sizes only: the bytes
 * are a function of connection and offset (content_fill).
 */
#ifndef SIM_DIALOGUE_H
#define SIM_DIALOGUE_H

#include "random.h"
#include "scenario.h"

enum { MOST_EXCHANGES = 24 };

struct exchange {
    uint32_t request;
    uint32_t answer;        /* of production's server */
    uint32_t target_answer; /* of the target, for the same request */
    uint32_t think_us;      /* of the target's application */
    bool pipelined;         /* sent without waiting for the answers before it */
    bool overlap;           /* sent while the answers before it are being read */
    bool in_pieces;         /* the target writes its answer in two pieces */
};

struct dialogue {
    uint32_t greeting;
    uint32_t target_greeting;
    uint32_t count;
    enum ending ending;
    struct exchange exchanges[MOST_EXCHANGES];
};

void dialogue_draw(struct dialogue *dialogue, const struct scenario *scenario, struct random *random);

/* Bytes of the requests before this exchange; of all, with dialogue->count. */
uint32_t dialogue_requests(const struct dialogue *dialogue, uint32_t exchange);

/* How much the target has said where production's server had said so much: the same part of the same answer.
 */
uint32_t dialogue_target_offset(const struct dialogue *dialogue, uint32_t production_offset);

/* Whether the server's side is the first to say that it has nothing more to say, or does so unasked. */
bool dialogue_server_closes(const struct dialogue *dialogue);

/* The bytes that the client of this connection sends from the offset on. */
void content_fill(uint32_t connection, uint32_t offset, uint8_t *bytes, uint32_t size);

#endif
