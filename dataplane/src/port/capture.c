/* capture.c: capture files as a mirror port: frames released at the capture's pace.
 *
 * A frame is due at start + position ÷ speed, where position is its capture time from the first frame on,
 * less what -I has cut out of silences: computed from the start, never from the frame before, so that errors
 * do not accumulate. Frames are read ahead into a ring of slots and stay there until they are given back, so
 * a worker that has no room leaves them here. A repeat reads the files anew.
 *
 * The worker that owns the port reads; the control thread asks for progress and troubles and sets a pause,
 * through values with relaxed loads and stores.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "capture_files.h"
#include "port.h"

enum {
    SLOTS = PORT_BURST,
    SLOT_BYTES =
        66 << 10, /* the largest IP packet, as hosts that merge segments capture them, and its headers */
    MERGING_ERROR =
        1000000000, /* frames of one capture come in order but for this; a larger step: a new clock */
};

static const uint64_t FURTHEST = 1ull << 62;

struct slot {
    uint64_t position;
    uint32_t size;
};

struct capture_port {
    struct port port;
    const struct dp_capture *config;
    uint8_t *memory;
    struct slot slots[SLOTS];
    uint32_t head; /* the next to be released */
    uint32_t tail; /* the next to be read into */
    bool running;  /* this repeat has a start */
    uint64_t start;
    uint64_t paused_at;    /* 0: goes on */
    uint64_t time;         /* capture time of the last frame read */
    uint64_t position;     /* and its position */
    uint64_t bytes_before; /* read in earlier repeats */
    uint32_t pause;        /* wanted by the control thread */
    struct dp_capture_progress progress;
    struct capture_files files;
};

static struct capture_port *capture(const struct port *port)
{
    return (struct capture_port *)(void *)(uintptr_t)port;
}

static uint8_t *memory_of(const struct capture_port *port, uint32_t at)
{
    return port->memory + (size_t)(at % SLOTS) * SLOT_BYTES;
}

static void put(uint64_t *to, uint64_t value)
{
    __atomic_store_n(to, value, __ATOMIC_RELAXED);
}

static uint64_t get(const uint64_t *from)
{
    return __atomic_load_n(from, __ATOMIC_RELAXED);
}

/* --- reading -------------------------------------------------------------------------------------------- */

/* Where the frame of this capture time stands. A small step back is a frame that was captured late; behind a
 * large one the clock of the capturing machine was set. */
static uint64_t position_at(struct capture_port *port, uint64_t time)
{
    const struct dp_capture *config = port->config;
    if (time < port->time) {
        if (port->time - time > MERGING_ERROR)
            port->time = time;
        return port->position;
    }
    uint64_t gap = time - port->time;
    if (config->idle_cap && gap > config->idle_cap)
        gap = config->idle_cap;
    port->time = time;
    port->position = gap < FURTHEST - port->position ? port->position + gap : FURTHEST;
    return port->position;
}

static void read_ahead(struct capture_port *port)
{
    while (port->tail - port->head < SLOTS) {
        struct capture_source *source = capture_files_earliest(&port->files);
        if (!source)
            return;
        struct slot *slot = &port->slots[port->tail % SLOTS];
        slot->size = capture_file_copy(&source->file, memory_of(port, port->tail), SLOT_BYTES);
        slot->position = position_at(port, source->file.time);
        port->tail++;
        capture_files_advance(&port->files, source);
    }
}

/* Where the present repeat begins in the files. */
static void rewind_all(struct capture_port *port)
{
    capture_files_begin(&port->files);
    const struct capture_source *first = capture_files_earliest(&port->files);
    port->time = first ? first->file.time : 0;
    port->position = 0;
}

/* --- pace ----------------------------------------------------------------------------------------------- */

static uint64_t due_at(const struct capture_port *port, const struct slot *slot)
{
    if (port->config->fast)
        return port->start;
    if (port->config->speed == 1)
        return port->start + slot->position;
    double distance = (double)slot->position / port->config->speed;
    return port->start + (distance < (double)FURTHEST ? (uint64_t)distance : FURTHEST);
}

static uint64_t capture_due(const struct port *base)
{
    const struct capture_port *port = capture(base);
    if (port->paused_at || port->head == port->tail)
        return PORT_NEVER;
    return due_at(port, &port->slots[port->head % SLOTS]);
}

/* A pause ends with the clock of the capture where it was. */
static bool is_paused(struct capture_port *port, uint64_t now)
{
    if (__atomic_load_n(&port->pause, __ATOMIC_RELAXED)) {
        if (!port->paused_at)
            port->paused_at = now;
        return true;
    }
    if (port->paused_at) {
        port->start += now - port->paused_at;
        port->paused_at = 0;
    }
    return false;
}

static uint32_t capture_rx(struct port *base, uint64_t now, struct frame *frames, uint32_t most)
{
    struct capture_port *port = capture(base);
    if (!port->running) {
        port->running = true;
        port->start = now;
        port->paused_at = port->paused_at ? now : 0;
        rewind_all(port);
    }
    if (port->progress.finished || is_paused(port, now))
        return 0;
    if (port->tail - port->head < SLOTS / 2) {
        read_ahead(port);
        put(&port->progress.bytes, port->bytes_before + capture_files_read(&port->files));
    }
    uint32_t count = 0;
    for (; count < most && port->head + count != port->tail; count++) {
        uint32_t at = port->head + count;
        const struct slot *slot = &port->slots[at % SLOTS];
        if (due_at(port, slot) > now)
            break;
        frames[count] = (struct frame){memory_of(port, at), slot->size, at};
    }
    uint64_t due = capture_due(base);
    put(&port->progress.late, !port->config->fast && due < now ? now - due : 0);
    return count;
}

static void capture_rx_done(struct port *base, const struct frame *frames, uint32_t count)
{
    (void)frames;
    struct capture_port *port = capture(base);
    if (!count)
        return;
    port->head += count;
    put(&port->progress.position, port->slots[(port->head - 1) % SLOTS].position);
    put(&port->progress.frames, port->progress.frames + count);
}

/* --- repeats -------------------------------------------------------------------------------------------- */

static bool capture_ended(const struct port *base)
{
    const struct capture_port *port = capture(base);
    return port->running && port->head == port->tail && !capture_files_earliest(&capture(base)->files);
}

static bool capture_again(struct port *base, uint64_t now)
{
    struct capture_port *port = capture(base);
    (void)now;
    uint32_t repeat = __atomic_add_fetch(&port->progress.repeat, 1, __ATOMIC_RELAXED);
    port->bytes_before = repeat * port->files.bytes;
    if (repeat >= port->progress.repeats) {
        __atomic_store_n(&port->progress.finished, 1, __ATOMIC_RELAXED);
        return false;
    }
    capture_files_reopen(&port->files);
    port->running = false; /* the clock starts with the next rx */
    return true;
}

/* --- the control thread's view -------------------------------------------------------------------------- */

static void capture_progress(const struct port *base, struct dp_capture_progress *progress)
{
    const struct capture_port *port = capture(base);
    const struct dp_capture_progress *now = &port->progress;
    *progress = (struct dp_capture_progress){
        .bytes = get(&now->bytes),
        .bytes_total = now->bytes_total,
        .frames = get(&now->frames),
        .position = get(&now->position),
        .late = get(&now->late),
        .repeat = __atomic_load_n(&now->repeat, __ATOMIC_RELAXED),
        .repeats = now->repeats,
        .broken = __atomic_load_n(&port->files.broken, __ATOMIC_RELAXED),
        .paused = __atomic_load_n(&port->pause, __ATOMIC_RELAXED),
        .finished = __atomic_load_n(&now->finished, __ATOMIC_RELAXED),
    };
}

static void capture_trouble(const struct port *base, uint32_t file, char *trouble, size_t size)
{
    snprintf(trouble, size, "%s", capture_files_trouble(&capture(base)->files, file));
}

static void capture_pause(struct port *base, bool paused)
{
    __atomic_store_n(&capture(base)->pause, paused, __ATOMIC_RELAXED);
}

/* --- the rest of a port --------------------------------------------------------------------------------- */

static bool capture_tx_alloc(struct port *base, struct frame *frame)
{
    (void)base, (void)frame;
    return false; /* a mirror port never sends */
}

static void capture_tx_push(struct port *base, const struct frame *frame)
{
    (void)base, (void)frame;
}

static void capture_flush(struct port *base)
{
    (void)base;
}

static int capture_wait_fd(const struct port *base)
{
    (void)base;
    return -1;
}

static int capture_statistics(const struct port *base, struct dp_port_statistics *statistics)
{
    (void)base;
    memset(statistics, 0, sizeof(*statistics));
    return 0;
}

static void capture_close(struct port *base)
{
    struct capture_port *port = capture(base);
    capture_files_close(&port->files);
    if (port->memory)
        munmap(port->memory, (size_t)SLOTS * SLOT_BYTES);
    free(port);
}

static const struct port_ops CAPTURE_OPS = {
    .rx = capture_rx,
    .rx_done = capture_rx_done,
    .tx_alloc = capture_tx_alloc,
    .tx_push = capture_tx_push,
    .flush = capture_flush,
    .wait_fd = capture_wait_fd,
    .statistics = capture_statistics,
    .close = capture_close,
    .due = capture_due,
    .ended = capture_ended,
    .again = capture_again,
    .progress = capture_progress,
    .trouble = capture_trouble,
    .pause = capture_pause,
};

static int open_memory(struct capture_port *port, char *error)
{
    void *memory = mmap(NULL, (size_t)SLOTS * SLOT_BYTES, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) {
        snprintf(error, DP_ERROR_SIZE, "no memory for the frames of capture files");
        return -ENOMEM;
    }
    port->memory = memory;
    return 0;
}

int port_open_capture(const struct dp_port *config, uint32_t queue, struct port **out, char *error)
{
    (void)queue;
    const struct dp_capture *wanted = config->capture;
    struct capture_port *port = calloc(1, sizeof(*port));
    if (!port) {
        snprintf(error, DP_ERROR_SIZE, "no memory for a capture port");
        return -ENOMEM;
    }
    port->port = (struct port){
        .ops = &CAPTURE_OPS,
        .role = DP_ROLE_MIRROR,
        .mode = DP_MODE_CAPTURE,
        .frame_size = SLOT_BYTES,
        .patience = wanted->fast ? PATIENCE_FAST : PATIENCE_ROOM,
    };
    port->config = wanted;
    int code = open_memory(port, error);
    code = code ? code : capture_files_open(&port->files, wanted, error);
    if (code) {
        capture_close(&port->port);
        return code;
    }
    port->progress.repeats = wanted->repeats;
    port->progress.bytes_total = port->files.bytes * wanted->repeats;
    *out = &port->port;
    return 0;
}
