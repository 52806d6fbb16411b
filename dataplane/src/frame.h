/* frame.h: one frame and where its bytes are.
 *
 * A received frame is borrowed from its port and lives for one turn of the worker; a byte that must live
 * longer is copied. A frame to be sent is taken from the port by port_tx_alloc, filled, and given back by
 * port_tx_push. Nobody else ever owns one.
 */
#ifndef XDPCOPY_FRAME_H
#define XDPCOPY_FRAME_H

#include <stdint.h>

struct frame {
    uint8_t *data;
    uint32_t size;   /* bytes of the frame; for port_tx_alloc: room */
    uint64_t handle; /* the port's own name for the buffer */
};

/* What becomes of a frame that there is no room for. Live: it is dropped, and counted. From a capture file it
 * waits in its port; where the capture's pace does not count (fast) also for what came before it. */
enum patience { PATIENCE_NONE, PATIENCE_ROOM, PATIENCE_FAST };

#endif
