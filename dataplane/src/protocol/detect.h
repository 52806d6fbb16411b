/* detect.h: the application protocol of a connection, told from its client's first bytes.
 *
 * Only TLS changes what is replayed: its bytes are bound to production's keys and mean nothing to another
 * server (the transfer's option tls). Sources: RFC 8446 5.1 (record), RFC 9113 3.4 (preface), RFC 9110 9.3
 * (methods), MySQL client/server protocol (handshake response), PostgreSQL frontend/backend protocol
 * (start-up message), Redis serialization protocol.
 */
#ifndef XDPCOPY_DETECT_H
#define XDPCOPY_DETECT_H

#include <stdint.h>

#include "reason.h"

/* server_spoke: the server spoke before these bytes. */
enum protocol protocol_detect(const uint8_t *bytes, uint32_t size, int server_spoke);

#endif
