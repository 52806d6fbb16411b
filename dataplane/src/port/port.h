/* port.h: where frames come from and go to; one struct port is one queue of one device.
 *
 * The kinds are xsk.c (AF_XDP), capture.c (capture files) and mem.c (tests and benchmarks); PORT_KINDS lists
 * them. Each embeds a struct port as its first member and owns its buffers. An indirect call costs one burst,
 * never one frame (tx_alloc and tx_push are per frame and touch only the ring's own cache lines).
 */
#ifndef XDPCOPY_PORT_H
#define XDPCOPY_PORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dataplane.h"
#include "frame.h"

#define PORT_BURST 64

struct port {
    const struct port_ops *ops;
    enum dp_port_role role;
    enum dp_port_mode mode; /* the mode obtained */
    bool huge_pages;        /* its buffers are on them */
    uint32_t mtu;
    uint32_t frame_size;    /* of the largest frame that it receives */
    uint32_t room;          /* frames that it holds until they are received; 0: it never has to drop */
    enum patience patience; /* of its frames */
};

struct port_ops {
    /* Borrows up to most (<= PORT_BURST) frames that have arrived, or are due, by now; returns how many. */
    uint32_t (*rx)(struct port *port, uint64_t now, struct frame *frames, uint32_t most);
    /* Frames that have arrived; the port drops what comes when there are `room`. */
    uint32_t (*waiting)(const struct port *port);
    /* Gives back the first frames of the last rx. All of them; of a port whose frames can wait, those that
     * were dealt with: the others are borrowed again. */
    void (*rx_done)(struct port *port, const struct frame *frames, uint32_t count);
    /* Takes a buffer to fill; false if the ring has no room: try again in a later loop. */
    bool (*tx_alloc)(struct port *port, struct frame *frame);
    /* Queues a filled buffer (frame->size is now its length). */
    void (*tx_push)(struct port *port, const struct frame *frame);
    /* Hands what was queued to the kernel, and collects buffers that have been sent. Once a loop. */
    void (*flush)(struct port *port);
    /* A descriptor that poll(2) can wait on for frames to receive, or -1. */
    int (*wait_fd)(const struct port *port);
    int (*statistics)(const struct port *port, struct dp_port_statistics *statistics);
    void (*close)(struct port *port);
    /* Only of a port whose frames can wait (patience). due: when its next frame is, PORT_NEVER if there is
     * none. ended: every frame of this repeat has been given back. again: begins the next repeat, once all
     * sessions of the one before have ended; false if there is none. */
    uint64_t (*due)(const struct port *port);
    bool (*ended)(const struct port *port);
    bool (*again)(struct port *port, uint64_t now);
    /* The same, from any thread; see dp_capture_… in dataplane.h. */
    void (*progress)(const struct port *port, struct dp_capture_progress *progress);
    void (*trouble)(const struct port *port, uint32_t file, char *trouble, size_t size);
    void (*pause)(struct port *port, bool paused);
};

#define PORT_NEVER UINT64_MAX
#define PORT_LINK_HEADERS 64 /* room for them in front of an MTU */

/* Every kind, and what opens one queue of it. */
#define PORT_KINDS(KIND)                                                                                     \
    KIND(DP_PORT_MEMORY, port_open_mem)                                                                      \
    KIND(DP_PORT_XSK, port_open_xsk)                                                                         \
    KIND(DP_PORT_CAPTURE, port_open_capture)

/* Opens one queue of a port of any kind (kinds.c). Returns 0, or a negative errno and a sentence in error
 * (DP_ERROR_SIZE bytes). What config points to must outlive the port. */
int port_open(const struct dp_port *config, uint32_t queue, struct port **port, char *error);

#define PORT_KIND(kind, open)                                                                                \
    int open(const struct dp_port *config, uint32_t queue, struct port **port, char *error);
PORT_KINDS(PORT_KIND)
#undef PORT_KIND

/* The far end of a memory port; see dataplane.h. */
int port_mem_send(struct port *port, const uint8_t *frame, uint32_t size);
int port_mem_receive(struct port *port, uint8_t *frame, uint32_t size);
void port_mem_limit(struct port *port, uint32_t frames);

#endif
