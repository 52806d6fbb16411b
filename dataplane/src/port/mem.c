/* mem.c: a port in memory: frames are put in and taken out by the thread that steps the workers.
 *
 * For tests, fuzzers and benchmarks. Two rings of fixed slots; the TX ring counts as full at a limit that the
 * far end sets, so that back-pressure can be tested.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "port.h"

struct ring {
    uint8_t *slots;
    uint32_t *sizes;
    uint32_t mask;
    uint32_t head; /* next to take */
    uint32_t tail; /* next to put */
};

struct mem_port {
    struct port port;
    struct ring rx;
    struct ring tx;
    uint32_t slot_size;
    uint32_t tx_limit;
};

static struct mem_port *mem(const struct port *port)
{
    return (struct mem_port *)(void *)(uintptr_t)port;
}

static uint8_t *slot_at(const struct mem_port *port, const struct ring *ring, uint32_t at)
{
    return ring->slots + (size_t)(at & ring->mask) * port->slot_size;
}

static uint32_t mem_rx(struct port *base, uint64_t now, struct frame *frames, uint32_t most)
{
    (void)now;
    struct mem_port *port = mem(base);
    uint32_t count = port->rx.tail - port->rx.head;
    count = count < most ? count : most;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t at = port->rx.head + i;
        frames[i] = (struct frame){slot_at(port, &port->rx, at), port->rx.sizes[at & port->rx.mask], at};
    }
    return count;
}

static void mem_rx_done(struct port *base, const struct frame *frames, uint32_t count)
{
    (void)frames;
    mem(base)->rx.head += count;
}

static uint32_t mem_waiting(const struct port *base)
{
    const struct mem_port *port = mem(base);
    return port->rx.tail - port->rx.head;
}

static bool mem_tx_alloc(struct port *base, struct frame *frame)
{
    struct mem_port *port = mem(base);
    if (port->tx.tail - port->tx.head >= port->tx_limit)
        return false;
    *frame = (struct frame){slot_at(port, &port->tx, port->tx.tail), port->slot_size, port->tx.tail};
    return true;
}

static void mem_tx_push(struct port *base, const struct frame *frame)
{
    struct mem_port *port = mem(base);
    port->tx.sizes[port->tx.tail++ & port->tx.mask] = frame->size;
}

static void mem_flush(struct port *base)
{
    (void)base;
}

static int mem_wait_fd(const struct port *base)
{
    (void)base;
    return -1;
}

static int mem_statistics(const struct port *base, struct dp_port_statistics *statistics)
{
    (void)base;
    memset(statistics, 0, sizeof(*statistics));
    return 0;
}

static void ring_close(struct mem_port *port, struct ring *ring)
{
    if (ring->slots)
        munmap(ring->slots, ((size_t)ring->mask + 1) * port->slot_size);
    free(ring->sizes);
}

static void mem_close(struct port *base)
{
    struct mem_port *port = mem(base);
    ring_close(port, &port->rx);
    ring_close(port, &port->tx);
    free(port);
}

static const struct port_ops MEM_OPS = {
    .rx = mem_rx,
    .rx_done = mem_rx_done,
    .waiting = mem_waiting,
    .tx_alloc = mem_tx_alloc,
    .tx_push = mem_tx_push,
    .flush = mem_flush,
    .wait_fd = mem_wait_fd,
    .statistics = mem_statistics,
    .close = mem_close,
};

static int ring_open(struct mem_port *port, struct ring *ring, uint32_t slots)
{
    ring->mask = slots - 1;
    ring->sizes = calloc(slots, sizeof(*ring->sizes));
    void *memory = mmap(NULL, (size_t)slots * port->slot_size, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    ring->slots = memory == MAP_FAILED ? NULL : memory;
    return ring->sizes && ring->slots ? 0 : -ENOMEM;
}

int port_open_mem(const struct dp_port *config, uint32_t queue, struct port **out, char *error)
{
    (void)queue;
    struct mem_port *port = calloc(1, sizeof(*port));
    if (!port) {
        snprintf(error, DP_ERROR_SIZE, "no memory for a memory port");
        return -ENOMEM;
    }
    port->port = (struct port){.ops = &MEM_OPS,
                               .role = config->role,
                               .mode = DP_MODE_MEMORY,
                               .mtu = config->mtu,
                               .frame_size = config->mtu + PORT_LINK_HEADERS,
                               .room = config->ring_size};
    port->slot_size = (config->mtu + 128 + 63) & ~63u;
    port->tx_limit = config->ring_size;
    if (ring_open(port, &port->rx, config->ring_size) || ring_open(port, &port->tx, config->ring_size)) {
        snprintf(error, DP_ERROR_SIZE, "no memory for a memory port with ring_size %u", config->ring_size);
        mem_close(&port->port);
        return -ENOMEM;
    }
    *out = &port->port;
    return 0;
}

int port_mem_send(struct port *base, const uint8_t *frame, uint32_t size)
{
    struct mem_port *port = mem(base);
    if (size > port->slot_size)
        return -EMSGSIZE;
    if (port->rx.tail - port->rx.head > port->rx.mask)
        return -ENOBUFS;
    memcpy(slot_at(port, &port->rx, port->rx.tail), frame, size);
    port->rx.sizes[port->rx.tail++ & port->rx.mask] = size;
    return 0;
}

int port_mem_receive(struct port *base, uint8_t *frame, uint32_t size)
{
    struct mem_port *port = mem(base);
    if (port->tx.head == port->tx.tail)
        return 0;
    uint32_t length = port->tx.sizes[port->tx.head & port->tx.mask];
    if (length > size)
        return -EMSGSIZE;
    memcpy(frame, slot_at(port, &port->tx, port->tx.head++), length);
    return (int)length;
}

void port_mem_limit(struct port *base, uint32_t frames)
{
    struct mem_port *port = mem(base);
    port->tx_limit = frames <= port->tx.mask ? frames : port->tx.mask + 1;
}
