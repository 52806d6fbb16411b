/* player.h: one production connection on a time line of its own.
 *
 * Plays the connection's dialogue: segments of both sides, acknowledgements that grow as the client reads,
 * retransmissions, keep-alive probes, the end. Every frame is put on its way to the mirror port; the turns
 * that the client's acknowledgements make of its bytes are noted in the connection.
 */
#ifndef SIM_PLAYER_H
#define SIM_PLAYER_H

#include "production.h"

void player_play(struct sim *sim, struct connection *connection, uint64_t start);

#endif
