/* transmit.h: the way out: segments that are ready become frames on the test port.
 *
 * Segments are pulled only while there is room for them. A full TX ring delays; it loses nothing and blocks
 * nothing.
 */
#ifndef XDPCOPY_TRANSMIT_H
#define XDPCOPY_TRANSMIT_H

#include "worker.h"

/* True if anything was sent. */
bool transmit_ready(struct worker *worker, uint64_t now);

#endif
