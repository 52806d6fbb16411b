/* newcomers.h: SYNs with new numbers on connections that live.
 *
 * Such a SYN is a client that has begun anew, or an old segment (RFC 9293 3.5.1). Where both directions are
 * mirrored it counts when the server's SYN-ACK or the client's next segment confirms it; where the client's
 * is alone, after a while in which the client said nothing with the old numbers. Owns the list of them.
 */
#ifndef XDPCOPY_NEWCOMERS_H
#define XDPCOPY_NEWCOMERS_H

#include <stdbool.h>

#include "wire/packet.h"

struct stream;

enum { MOST_NEWCOMERS = 256 };

struct newcomer {
    struct stream *stream; /* NULL: free */
    struct packet syn;
    uint64_t at;
};

struct newcomers {
    uint32_t next;
    struct newcomer list[MOST_NEWCOMERS];
};

/* Remembers the SYN; if there are too many, the oldest is forgotten. */
void newcomers_note(struct newcomers *newcomers, struct stream *stream, const struct packet *syn,
                    uint64_t now);

/* The stream's, or NULL. */
const struct newcomer *newcomers_find(const struct newcomers *newcomers, const struct stream *stream);
void newcomers_forget(struct newcomers *newcomers, struct stream *stream);

/* Whether the segment, of either side, belongs to the new connection. */
bool newcomer_is_confirmed(const struct newcomer *newcomer, const struct packet *packet, bool from_client);

#endif
