/* xsk.c: a queue of a network device as a port, over AF_XDP (pyxdp/afxdp.h). A mirror port cannot send: its
 * socket has no TX ring. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "afxdp.h"
#include "port.h"

struct xsk_port {
    struct port port;
    struct afxdp *socket;
    struct afxdp_frame burst[PORT_BURST]; /* the frames of the last rx, as afxdp names them */
};

_Static_assert(DP_ERROR_SIZE >= AFXDP_ERROR_SIZE, "a sentence of afxdp must fit");

static struct xsk_port *xsk_port(struct port *port)
{
    return (struct xsk_port *)port;
}

static const struct xsk_port *xsk_port_const(const struct port *port)
{
    return (const struct xsk_port *)port;
}

static uint32_t xsk_rx(struct port *port, uint64_t now, struct frame *frames, uint32_t most)
{
    (void)now;
    struct xsk_port *x = xsk_port(port);
    uint32_t count = afxdp_receive(x->socket, x->burst, most < PORT_BURST ? most : PORT_BURST);
    for (uint32_t i = 0; i < count; i++)
        frames[i] =
            (struct frame){.data = x->burst[i].data, .size = x->burst[i].size, .handle = x->burst[i].address};
    return count;
}

static uint32_t xsk_waiting(const struct port *port)
{
    return afxdp_waiting(xsk_port_const(port)->socket);
}

static void xsk_rx_done(struct port *port, const struct frame *frames, uint32_t count)
{
    struct xsk_port *x = xsk_port(port);
    for (uint32_t i = 0; i < count; i++)
        x->burst[i].address = frames[i].handle;
    afxdp_refill(x->socket, x->burst, count);
}

static bool xsk_tx_alloc(struct port *port, struct frame *frame)
{
    struct afxdp_frame taken;
    if (!afxdp_reserve(xsk_port(port)->socket, &taken))
        return false;
    *frame = (struct frame){.data = taken.data, .size = taken.size, .handle = taken.address};
    return true;
}

static void xsk_tx_push(struct port *port, const struct frame *frame)
{
    struct afxdp_frame filled = {.data = frame->data, .size = frame->size, .address = frame->handle};
    afxdp_submit(xsk_port(port)->socket, &filled);
}

static void xsk_flush(struct port *port)
{
    /* While the device is down frames wait in the ring; what that does to sessions is theirs to report. */
    afxdp_flush(xsk_port(port)->socket);
}

static int xsk_wait_fd(const struct port *port)
{
    return afxdp_fd(xsk_port_const(port)->socket);
}

static int xsk_statistics(const struct port *port, struct dp_port_statistics *statistics)
{
    struct afxdp_statistics now;
    int code = afxdp_statistics_read(xsk_port_const(port)->socket, &now);
    if (code)
        return code;
    *statistics = (struct dp_port_statistics){
        .rx_dropped = now.rx_dropped,
        .rx_ring_full = now.rx_ring_full,
        .rx_invalid = now.rx_invalid_descs,
        .tx_invalid = now.tx_invalid_descs,
        .rx_starved = now.rx_fill_ring_empty_descs,
        .tx_idle = now.tx_ring_empty_descs,
    };
    return 0;
}

static void xsk_close(struct port *port)
{
    afxdp_close(xsk_port(port)->socket);
    free(port);
}

static const struct port_ops xsk_ops = {
    .rx = xsk_rx,
    .rx_done = xsk_rx_done,
    .waiting = xsk_waiting,
    .tx_alloc = xsk_tx_alloc,
    .tx_push = xsk_tx_push,
    .flush = xsk_flush,
    .wait_fd = xsk_wait_fd,
    .statistics = xsk_statistics,
    .close = xsk_close,
};

static enum afxdp_mode mode_wanted(uint32_t mode)
{
    switch (mode) {
    case DP_MODE_ZEROCOPY:
        return AFXDP_ZEROCOPY;
    case DP_MODE_COPY:
        return AFXDP_COPY;
    default:
        return AFXDP_AUTO;
    }
}

static int open_socket(struct xsk_port *x, const struct dp_port *config, uint32_t queue, char *error)
{
    char device[DP_DEVICE_SIZE + 1] = {0}; /* the field need not end with a NUL */
    memcpy(device, config->device, DP_DEVICE_SIZE);
    struct afxdp_config wanted = {
        .device = device,
        .queue = queue,
        .mode = mode_wanted(config->xsk.mode),
        .ring_size = config->ring_size,
        .transmit = config->role == DP_ROLE_TEST,
        .fragments = config->xsk.fragments,
        .busy_poll = config->xsk.busy_poll,
    };
    int code = afxdp_open(&wanted, &x->socket, error);
    if (code)
        return code;
    code = afxdp_register(x->socket, config->xsk.sockets_map);
    if (code)
        snprintf(error, DP_ERROR_SIZE, "queue %u of %s cannot be put into the map of sockets: %s", queue,
                 device, code == -E2BIG ? "it ends before that queue; use fewer queues" : strerror(-code));
    return code;
}

int port_open_xsk(const struct dp_port *config, uint32_t queue, struct port **port, char *error)
{
    struct xsk_port *x = calloc(1, sizeof(*x));
    if (!x) {
        snprintf(error, DP_ERROR_SIZE, "no memory for a port");
        return -ENOMEM;
    }
    int code = open_socket(x, config, queue, error);
    if (code) {
        xsk_close(&x->port);
        return code;
    }
    uint32_t mtu = afxdp_mtu(x->socket);
    x->port = (struct port){
        .ops = &xsk_ops,
        .role = config->role,
        .mode = afxdp_mode_of(x->socket) == AFXDP_ZEROCOPY ? DP_MODE_ZEROCOPY : DP_MODE_COPY,
        .frame_size = config->mtu + PORT_LINK_HEADERS,
        .room = config->ring_size,
        .huge_pages = afxdp_on_huge_pages(x->socket),
        .mtu = config->mtu && config->mtu < mtu ? config->mtu : mtu,
    };
    *port = &x->port;
    return 0;
}
