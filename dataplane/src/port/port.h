/* port.h: where frames come from and go to; one struct port is one queue of one device.
 *
 * Called by worker.c (bursts) and engine.c (open, close). The kinds are xsk.c (AF_XDP), capture.c (capture
 * files) and mem.c (tests and benchmarks); each embeds a struct port as its first member and owns its
 * buffers. An indirect call costs one burst, never one frame (tx_alloc and tx_push are per frame and touch
 * only the ring's own cache lines).
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
    /* Takes a buffer to fill; false if the ring has no room: try again in a later turn. */
    bool (*tx_alloc)(struct port *port, struct frame *frame);
    /* Queues a filled buffer (frame->size is now its length). */
    void (*tx_push)(struct port *port, const struct frame *frame);
    /* Hands what was queued to the kernel, and collects buffers that have been sent. Once a turn. */
    void (*flush)(struct port *port);
    /* A descriptor that poll(2) can wait on for frames to receive, or -1. */
    int (*wait_fd)(const struct port *port);
    int (*statistics)(const struct port *port, struct dp_port_statistics *statistics);
    void (*close)(struct port *port);
    /* Of a capture port alone. due: when its next frame is, PORT_NEVER if there is none. ended: every frame
     * of this repeat has been given back. again: begins the next repeat, once all sessions of the one before
     * have ended; false if there is none. */
    uint64_t (*due)(const struct port *port);
    bool (*ended)(const struct port *port);
    bool (*again)(struct port *port, uint64_t now);
};

#define PORT_NEVER UINT64_MAX

/* Each returns 0 or a negative errno, and then leaves a sentence in error (DP_ERROR_SIZE bytes). */
int port_open_xsk(const struct dp_port *config, uint32_t queue, struct port **port, char *error);
int port_open_mem(const struct dp_port *config, struct port **port, char *error);
/* The capture's configuration must outlive the port. */
int port_open_capture(const struct dp_capture *config, struct port **port, char *error);

/* The far end of a memory port; see dataplane.h. */
int port_mem_send(struct port *port, const uint8_t *frame, uint32_t size);
int port_mem_receive(struct port *port, uint8_t *frame, uint32_t size);
void port_mem_limit(struct port *port, uint32_t frames);

/* The control thread's view of a capture port; see dataplane.h. */
void port_capture_progress(const struct port *port, struct dp_capture_progress *progress);
void port_capture_trouble(const struct port *port, uint32_t file, char *trouble, size_t size);
void port_capture_pause(struct port *port, bool paused);

#endif
