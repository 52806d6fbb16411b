/* afxdp_private.h: the socket itself, for afxdp_open.c and afxdp.c alone. */
#ifndef AFXDP_PRIVATE_H
#define AFXDP_PRIVATE_H

#include "afxdp.h"

#include <stddef.h>
#include <xdp/xsk.h>

#ifndef AF_XDP
#define AF_XDP 44
#endif
#ifndef SOL_XDP
#define SOL_XDP 283
#endif

/* Linux 6.6. */
#ifndef XDP_USE_SG
#define XDP_USE_SG (1 << 4)
#define XDP_PKT_CONTD (1 << 0)
#endif

#define LINK_HEADERS (14 + 2 * 4) /* Ethernet and two VLAN tags, which the MTU does not count */
#define JOINED_SIZE (AFXDP_JUMBO_MTU + LINK_HEADERS)

struct afxdp {
    struct xsk_ring_cons rx;
    struct xsk_ring_prod fill;
    struct xsk_ring_prod tx;
    struct xsk_ring_cons completion;
    uint8_t *area;
    uint64_t frame_mask; /* address & frame_mask: start of the frame */
    uint32_t frame_size;
    uint32_t tx_frames;
    uint32_t tx_free_count;
    uint32_t tx_queued; /* in the TX ring, not yet shown to the kernel */
    uint64_t *tx_free;  /* addresses of frames to fill, a stack */
    uint8_t *joined; /* room for AFXDP_JOINED frames that came in several, and one in the making; or NULL */
    uint32_t joined_at;   /* number of the one in the making */
    uint32_t joined_size; /* bytes of it that are here */
    bool busy_poll;
    bool huge_pages;
    int fd;
    enum afxdp_mode mode;
    uint32_t queue;
    uint32_t mtu;
    size_t area_size;
    struct xsk_umem *umem;
    struct xsk_socket *socket;
};

#endif
