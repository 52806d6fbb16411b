/* mirror.h: what the mirror shows: frames of production's clients and servers.
 *
 * Finds the connection, or asks admission about a new one; puts the client's bytes into its stream and tells
 * its sessions.
 */
#ifndef XDPCOPY_MIRROR_H
#define XDPCOPY_MIRROR_H

#include "replay.h"

/* DROP_NONE, or why the packet was not used. */
enum drop replay_on_mirror(struct replay *replay, const struct packet *packet, uint64_t now);

/* Whether a client sent the packet to a mirrored service; else the service sent it, or nobody we know. */
bool replay_is_from_client(const struct replay *replay, const struct packet *packet);

#endif
