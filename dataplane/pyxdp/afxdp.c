/* afxdp.c: frames through the four rings of a socket of afxdp.h. */
#include "afxdp_private.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#define BATCH 64 /* completions that are looked at together */

/* --- receiving --- */

/* Another piece of a frame that comes in several. True: it was the last, and `piece` is the whole frame now,
 * under the last one's address; the others are given back. What is too long is cut off: the frame shows that
 * by itself. */
static bool join(struct afxdp *s, struct afxdp_frame *piece, bool last)
{
    uint8_t *whole = s->joined + (size_t)s->joined_at * JOINED_SIZE;
    uint32_t room = JOINED_SIZE - s->joined_size;
    uint32_t size = piece->size < room ? piece->size : room;
    memcpy(whole + s->joined_size, piece->data, size);
    s->joined_size += size;
    if (!last) {
        afxdp_refill(s, piece, 1);
        return false;
    }
    piece->data = whole;
    piece->size = s->joined_size;
    s->joined_size = 0;
    s->joined_at = (s->joined_at + 1) % (AFXDP_JOINED + 1);
    return true;
}

/* As many frames as the descriptors make up. */
static uint32_t take(struct afxdp *s, uint32_t at, uint32_t descriptors, struct afxdp_frame *frames)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < descriptors; i++) {
        const struct xdp_desc *desc = xsk_ring_cons__rx_desc(&s->rx, at + i);
        bool last = !(desc->options & XDP_PKT_CONTD);
        frames[count] =
            (struct afxdp_frame){.data = s->area + desc->addr, .size = desc->len, .address = desc->addr};
        if ((last && !s->joined_size) || join(s, &frames[count], last))
            count++;
    }
    return count;
}

uint32_t afxdp_receive(struct afxdp *s, struct afxdp_frame *frames, uint32_t most)
{
    uint32_t at = 0;
    uint32_t count;
    uint32_t taken = 0;
    if (s->joined && most > AFXDP_JOINED)
        most = AFXDP_JOINED;
    while (!taken && (count = xsk_ring_cons__peek(&s->rx, most, &at))) {
        taken = take(s, at, count, frames);
        xsk_ring_cons__release(&s->rx, count);
    }
    /* A driver that ran out of frames sleeps until it is told that there are new ones. */
    if (!taken && (s->busy_poll || xsk_ring_prod__needs_wakeup(&s->fill)))
        recvfrom(s->fd, NULL, 0, MSG_DONTWAIT, NULL, NULL);
    return taken;
}

uint32_t afxdp_waiting(struct afxdp *s)
{
    /* Not xsk_cons_nb_avail, which looks at the kernel's end only when all that it saw there is taken. */
    s->rx.cached_prod = __atomic_load_n(s->rx.producer, __ATOMIC_ACQUIRE);
    return s->rx.cached_prod - s->rx.cached_cons;
}

void afxdp_refill(struct afxdp *s, const struct afxdp_frame *frames, uint32_t count)
{
    uint32_t at = 0;
    /* There is always room: the ring is as large as the number of frames that travel through it. */
    if (!count || !xsk_ring_prod__reserve(&s->fill, count, &at))
        return;
    for (uint32_t i = 0; i < count; i++)
        *xsk_ring_prod__fill_addr(&s->fill, at + i) = frames[i].address & s->frame_mask;
    xsk_ring_prod__submit(&s->fill, count);
}

/* --- sending --- */

static void collect_sent(struct afxdp *s)
{
    uint32_t at = 0;
    uint32_t count;
    while ((count = xsk_ring_cons__peek(&s->completion, BATCH, &at)) > 0) {
        for (uint32_t i = 0; i < count; i++)
            s->tx_free[s->tx_free_count++] = *xsk_ring_cons__comp_addr(&s->completion, at + i);
        xsk_ring_cons__release(&s->completion, count);
    }
}

bool afxdp_reserve(struct afxdp *s, struct afxdp_frame *frame)
{
    if (s->tx_free_count == 0 && s->tx_frames)
        collect_sent(s);
    if (s->tx_free_count == 0)
        return false;
    uint64_t address = s->tx_free[--s->tx_free_count];
    *frame = (struct afxdp_frame){.data = s->area + address, .size = s->frame_size, .address = address};
    return true;
}

void afxdp_submit(struct afxdp *s, const struct afxdp_frame *frame)
{
    uint32_t at = 0;
    /* There is always room: the ring is as large as the number of frames that travel through it. */
    if (!frame->size || !xsk_ring_prod__reserve(&s->tx, 1, &at)) {
        s->tx_free[s->tx_free_count++] = frame->address;
        return;
    }
    *xsk_ring_prod__tx_desc(&s->tx, at) = (struct xdp_desc){.addr = frame->address, .len = frame->size};
    s->tx_queued++;
}

/* Frames that the kernel has not yet taken from the TX ring. */
static uint32_t tx_waiting(struct afxdp *s)
{
    return s->tx.size - xsk_prod_nb_free(&s->tx, s->tx.size);
}

/* Copy mode sends inside sendto, and stops with EAGAIN after a number of frames: repeat while it makes
 * progress. */
static int kick(struct afxdp *s)
{
    for (uint32_t before = tx_waiting(s);;) {
        if (sendto(s->fd, NULL, 0, MSG_DONTWAIT, NULL, 0) >= 0)
            return 0;
        if (errno != EAGAIN && errno != EBUSY && errno != ENOBUFS)
            return -errno;
        uint32_t now = tx_waiting(s);
        if (errno != EAGAIN || now == 0 || now >= before)
            return 0;
        before = now;
    }
}

int afxdp_flush(struct afxdp *s)
{
    if (s->tx_free_count == s->tx_frames)
        return 0;
    if (s->tx_queued) {
        xsk_ring_prod__submit(&s->tx, s->tx_queued);
        s->tx_queued = 0;
    }
    /* In copy mode the flag is always up, but there is nothing to wake for once the ring is empty. A
     * zero-copy driver may need the wake-up to report what it has sent, too. */
    int code = 0;
    if (xsk_ring_prod__needs_wakeup(&s->tx) && (s->mode == AFXDP_ZEROCOPY || tx_waiting(s)))
        code = kick(s);
    collect_sent(s);
    return code;
}

uint32_t afxdp_transmit_room(struct afxdp *s)
{
    collect_sent(s);
    return s->tx_free_count;
}

uint32_t afxdp_transmit_frames(const struct afxdp *s)
{
    return s->tx_frames;
}

/* --- asking --- */

enum afxdp_mode afxdp_mode_of(const struct afxdp *s)
{
    return s->mode;
}

bool afxdp_on_huge_pages(const struct afxdp *s)
{
    return s->huge_pages;
}

int afxdp_fd(const struct afxdp *s)
{
    return s->fd;
}

uint32_t afxdp_mtu(const struct afxdp *s)
{
    return s->mtu;
}

int afxdp_statistics_read(const struct afxdp *s, struct afxdp_statistics *statistics)
{
    _Static_assert(sizeof(*statistics) == sizeof(struct xdp_statistics), "the same six counters in order");
    socklen_t size = sizeof(*statistics);
    return getsockopt(s->fd, SOL_XDP, XDP_STATISTICS, statistics, &size) ? -errno : 0;
}
