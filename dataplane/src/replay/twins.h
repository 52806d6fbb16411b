/* twins.h: datagrams that the mirror shows twice, on their way into a device and out of it.
 *
 * Owns a small table of those that came last, by conversation, content and number (IPv4's identification).
 * Two that agree in all within 20 ms are one. Without a number (IPv6, and 0, as Linux sends with "don't
 * fragment" from sockets that are not connected) equal datagrams may well be two, such as counters sent to
 * a statistics server: they are paired, if they come within a millisecond.
 */
#ifndef XDPCOPY_TWINS_H
#define XDPCOPY_TWINS_H

#include "store/flow.h"
#include "wire/packet.h"

enum { TWINS = 4096 };

struct twin {
    uint64_t hash;
    uint64_t at;
};

struct twins {
    struct twin last[TWINS];
};

/* Whether the datagram has come before; it is remembered. `timed`: frames come at the pace that production
 * had, so that it means something if datagrams without a number follow closely. */
bool twins_find(struct twins *twins, const struct flow *flow, const struct packet *packet, bool timed,
                uint64_t now);

#endif
