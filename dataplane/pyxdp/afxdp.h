/* afxdp.h: one AF_XDP socket with its own memory, for one queue of one device.
 *
 * All that talks to libxdp's xsk API is behind it. This header is also a cdef of dataplane.pyxdp, so C and
 * Python use the same sockets. One thread at a time may use a socket.
 *
 * It owns the umem (an area of frames that kernel and process share) and four rings, all of them
 * single-producer, single-consumer:
 *
 *     fill        process -> kernel   empty frames to receive into
 *     RX          kernel -> process   frames that have arrived
 *     TX          process -> kernel   frames to be sent
 *     completion  kernel -> process   frames that have been sent, to be filled again
 *
 *     afxdp_refill --> fill --> [kernel receives] --> RX --> afxdp_receive
 *     afxdp_submit --> TX --> [kernel sends] --> completion --> afxdp_flush, afxdp_reserve
 *
 * Frames of the two directions are disjoint parts of the umem: 2 * ring_size frames only ever travel
 * fill -> RX -> fill (so that a driver's own ring and ours can both be full), ring_size frames only ever
 * TX -> completion -> TX. Neither ring that we produce into can therefore overflow, and a burst of one
 * direction cannot starve the other. A socket opened without transmit has neither TX ring nor TX frames: the
 * kernel itself refuses to send on it.
 *
 * A received frame may come in several umem frames if the socket is opened with fragments (XDP_USE_SG). It is
 * put together in memory of the socket, so its receiver sees one piece. What is sent is never
 * split: see afxdp_mtu.
 *
 * Functions that can fail return 0 or a negative errno; afxdp_open also leaves a sentence.
 */
#ifndef AFXDP_H
#define AFXDP_H

#include <stdbool.h>
#include <stdint.h>

#define AFXDP_ERROR_SIZE 256
#define AFXDP_DEVICE_SIZE 16
#define AFXDP_JUMBO_MTU 9216
#define AFXDP_JOINED 64 /* frames put together in one call of afxdp_receive */

/* AUTO: zero-copy if the driver has it for this queue, else copy. */
enum afxdp_mode { AFXDP_AUTO, AFXDP_ZEROCOPY, AFXDP_COPY };

struct afxdp_config {
    const char *device;
    uint32_t queue;
    uint32_t mode;       /* enum afxdp_mode */
    uint32_t ring_size;  /* descriptors of RX and TX ring, a power of two, 64 to 32768 */
    uint32_t frame_size; /* 2048 or 4096; 0: the smallest that carries the device's MTU */
    bool transmit;       /* false: receive only */
    bool fragments;      /* frames may come in several umem frames, up to AFXDP_JUMBO_MTU */
    bool busy_poll;      /* the process drives the driver's polling (see afxdp_receive), not interrupts */
};

struct afxdp_frame {
    uint8_t *data;
    uint32_t size;    /* bytes of the frame; from afxdp_reserve: room */
    uint64_t address; /* of data in the umem; names the frame when it is given back */
};

/* XDP_STATISTICS, linux/if_xdp.h. Since the socket was opened. */
struct afxdp_statistics {
    uint64_t rx_dropped;               /* frames dropped for other reasons than the next two */
    uint64_t rx_invalid_descs;         /* frames dropped because the fill ring named a bad address */
    uint64_t tx_invalid_descs;         /* descriptors of the TX ring that were refused */
    uint64_t rx_ring_full;             /* frames dropped because the process was too slow */
    uint64_t rx_fill_ring_empty_descs; /* times that the kernel wanted a frame and found none */
    uint64_t tx_ring_empty_descs;      /* times that the kernel looked for a frame to send and found none */
};

struct afxdp;

/* Binds a socket. On failure *socket is NULL and error (AFXDP_ERROR_SIZE bytes) says cause and cure. A queue
 * that was released a moment ago (the kernel does it in the background) is waited for, half a second. */
int afxdp_open(const struct afxdp_config *config, struct afxdp **socket, char *error);

/* Puts the socket into an XSKMAP (-EINVAL: that map is none), under the number of its queue: from now on
 * frames arrive. The kernel takes it out again when the socket is closed. */
int afxdp_register(const struct afxdp *socket, int sockets_map);

void afxdp_close(struct afxdp *socket);

/* Borrows up to most frames that have arrived; returns how many. With busy_poll an empty ring has the driver
 * look at the device, here and now: up to BUSY_POLL_FRAMES of afxdp_open.c, to be borrowed next time. */
uint32_t afxdp_receive(struct afxdp *socket, struct afxdp_frame *frames, uint32_t most);

/* Frames that have arrived and were not received yet. */
uint32_t afxdp_waiting(struct afxdp *socket);

/* Gives borrowed frames back to be received into. Each frame once, in any order. */
void afxdp_refill(struct afxdp *socket, const struct afxdp_frame *frames, uint32_t count);

/* Takes a frame to fill; false if all are on their way: flush and try again later. */
bool afxdp_reserve(struct afxdp *socket, struct afxdp_frame *frame);

/* Queues a reserved frame; size is its length now. A frame of size 0 is given back unsent. */
void afxdp_submit(struct afxdp *socket, const struct afxdp_frame *frame);

/* Hands what was queued to the kernel and collects frames that have been sent. Returns 0 also when the kernel
 * could not take everything yet (the rest goes with the next flush), and a negative errno when it refuses, as
 * -ENETDOWN while the device is down. */
int afxdp_flush(struct afxdp *socket);

/* Frames that can be reserved now, and frames in all, for sending. */
uint32_t afxdp_transmit_room(struct afxdp *socket);
uint32_t afxdp_transmit_frames(const struct afxdp *socket);

/* The mode obtained (never AUTO), the descriptor to poll, and the largest MTU for what is sent: the device's
 * when it was opened, but no more than one frame of the umem carries. */
enum afxdp_mode afxdp_mode_of(const struct afxdp *socket);
bool afxdp_on_huge_pages(const struct afxdp *socket); /* the umem; else it is on normal pages */
int afxdp_fd(const struct afxdp *socket);
uint32_t afxdp_mtu(const struct afxdp *socket);

int afxdp_statistics_read(const struct afxdp *socket, struct afxdp_statistics *statistics);

/* The smallest frame size that carries an MTU (Ethernet header and two VLAN tags included), or 0. */
uint32_t afxdp_frame_size(uint32_t mtu);

/* The largest MTU that a frame size carries. */
uint32_t afxdp_largest_mtu(uint32_t frame_size);

#endif
