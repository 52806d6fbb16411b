/* manner.h: whether a protocol's server speaks only when it is asked.
 *
 * Where each request is answered, the next one waits for the answer. Where the server may speak unasked, a
 * push that the target does not make must not stop the session. Told from the client's first bytes, and
 * again where a protocol changes hands: HTTP/1's upgrade (RFC 9110 15.2.2), Redis' SUBSCRIBE.
 */
#ifndef XDPCOPY_MANNER_H
#define XDPCOPY_MANNER_H

#include <stdbool.h>

#include "detect.h"

enum manner {
    MANNER_UNKNOWN,
    MANNER_ANSWERS, /* every request, and nothing else */
    MANNER_PUSHES,
};

enum manner manner_of(enum protocol protocol, const uint8_t *bytes, uint32_t size, bool server_spoke);

/* A later segment of the client or of the server after which the server may speak unasked. */
bool manner_client_subscribes(const uint8_t *bytes, uint32_t size);
bool manner_server_switches(const uint8_t *bytes, uint32_t size);

#endif
