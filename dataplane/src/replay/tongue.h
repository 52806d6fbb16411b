/* tongue.h: what a connection speaks, and whether its bytes may be replayed.
 *
 * The verdict on bytes is protocol/detect.h's; here is what is remembered of it for each stream.
 */
#ifndef XDPCOPY_TONGUE_H
#define XDPCOPY_TONGUE_H

#include "replay.h"

/* The first bytes show what the connection speaks; that is counted once. While they may be the beginning of
 * TLS they wait (stream->detected). False: it must not be replayed. */
bool tongue_detect(struct replay *replay, struct stream *stream);

/* A segment in the midst of the connection with which TLS begins. */
bool tongue_is_tls(const struct replay *replay, struct stream *stream, const struct packet *packet);

/* A segment of either side, after which the server may speak unasked (manner.h). */
void tongue_hear_client(struct stream *stream, const struct packet *packet);
void tongue_hear_server(struct stream *stream, const struct packet *packet);

#endif
