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

/* Whether bytes are the beginning of a TLS record; UNSURE: there are too few of them. */
enum tls { TLS_NO, TLS_YES, TLS_UNSURE };
enum tls protocol_tls(const uint8_t *bytes, uint32_t size);

/* Whether a segment in the midst of a connection begins with a whole record's ClientHello header. */
int protocol_is_hello(const uint8_t *bytes, uint32_t size);

/* Whether the segment asks for TLS, so that a ClientHello may follow if the server agrees: STARTTLS (RFC 3207
 * SMTP, 9051 IMAP, 6120 XMPP), STLS (RFC 2595 POP3), LDAP's extended operation (RFC 4511 4.14), PostgreSQL's
 * SSLRequest. */
int protocol_asks_for_tls(const uint8_t *bytes, uint32_t size);

/* MySQL's SSLRequest, behind which the ClientHello follows at once, counts as TLS. server_spoke: the server
 * spoke before these bytes. */
enum protocol protocol_detect(const uint8_t *bytes, uint32_t size, int server_spoke);

#endif
