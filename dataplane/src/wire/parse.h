/* parse.h: a frame's bytes to a packet, or the reason why not.
 *
 * Reads Ethernet, up to two VLAN tags (802.1Q, 802.1ad), IPv4 with options, IPv6 with extension headers, TCP
 * and UDP. Never trusts a length: what a header announces must fit into the frame; padding behind it is
 * ignored.
 */
#ifndef XDPCOPY_PARSE_H
#define XDPCOPY_PARSE_H

#include "frame.h"
#include "packet.h"
#include "reason.h"

/* Fills the packet, or returns why it is not usable. */
enum drop parse_frame(const struct frame *frame, bool verify_checksums, struct packet *packet);

#endif
