/* numbers.h: which of the mirror's numbers production would have believed (RFC 9293 3.10.7.4, RFC 5961).
 *
 * An old segment, or one with random numbers, must not end a replay that production's connection survives. A
 * RST counts with the very number that its receiver expects; one that is a little ahead of what the mirror
 * has shown waits until bytes or acknowledgements have come to it. A segment far from what is known says
 * nothing. Only if several in a row agree with each other, and advance, the mirror has missed a lot.
 */
#ifndef XDPCOPY_NUMBERS_H
#define XDPCOPY_NUMBERS_H

#include "stream.h"

/* What to make of a segment. LOST: the stream has gone on elsewhere. */
enum belief { BELIEVED, STRANGE, UNCONFIRMED, LOST };

/* A segment without SYN of a stream that is not joining. */
enum belief numbers_of_client(struct stream *stream, const struct packet *packet);
enum belief numbers_of_server(struct stream *stream, const struct packet *packet);

/* The same for a stream that is joining. */
bool numbers_fit_joining(struct stream *stream, const struct packet *packet, bool from_client);

/* After each segment: whether a RST that waited is confirmed now; then the stream is reset. */
bool numbers_confirm_reset(struct stream *stream);

#endif
