/* afxdp_open.c: making and ending a socket of afxdp.h, and saying why it cannot be made. */
#include "afxdp_private.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/mman.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* Linux 6.17: how many frames one sendto may send in copy mode; 32 without it. */
#ifndef XDP_MAX_TX_SKB_BUDGET
#define XDP_MAX_TX_SKB_BUDGET 9
#endif

#define XDP_HEADROOM 256 /* the kernel keeps this much of each received frame free in front */
#define SMALL_FRAME 2048
#define LARGE_FRAME 4096 /* a page: the most */
#define LEAST_RING 64
#define LARGEST_RING 32768
/* Linux 5.11. */
#ifndef SO_PREFER_BUSY_POLL
#define SO_PREFER_BUSY_POLL 69
#define SO_BUSY_POLL_BUDGET 70
#endif

#define BUSY_POLL_MICROSECONDS 20
#define BUSY_POLL_FRAMES 64
#define HUGE_PAGE ((size_t)2 << 20)
#define BUSY_RETRY_NS (10 * 1000 * 1000)
#define BUSY_RETRIES 50

/* --- what can go wrong, as a sentence --- */

__attribute__((format(printf, 3, 4))) static int fail(char *error, int code, const char *format, ...)
{
    va_list values;
    va_start(values, format);
    vsnprintf(error, AFXDP_ERROR_SIZE, format, values);
    va_end(values);
    return code;
}

/* What the kernel means by an errno of socket(AF_XDP), of its options, or of bind. */
static const char *cause(int code, enum afxdp_mode mode)
{
    switch (-code) {
    case EPERM:
        return "not permitted; run as root or with CAP_NET_RAW";
    case ENOBUFS:
        return "more locked memory than allowed; raise RLIMIT_MEMLOCK or add CAP_IPC_LOCK";
    case EAFNOSUPPORT:
        return "this kernel has no AF_XDP; use one with CONFIG_XDP_SOCKETS";
    case EBUSY:
        return "another AF_XDP socket is bound to it; stop the program that holds it";
    case EINVAL:
        return mode == AFXDP_ZEROCOPY
                   ? "there is no such queue (see ethtool -l), or no zero-copy the way the device"
                     " is set up (virtio needs iommu_platform=on); use mode copy or auto"
                   : "the device has no such queue; ethtool -l shows how many there are";
    case ENETDOWN:
        return "the device is down; set it up with ip link set DEVICE up";
    case EOPNOTSUPP:
        return mode == AFXDP_ZEROCOPY ? "the driver has no zero-copy for it; use mode copy or auto"
                                      : "the driver cannot do AF_XDP; use another device";
    default:
        return strerror(-code);
    }
}

static int fail_bind(const struct afxdp_config *config, int code, char *error)
{
    struct ethtool_drvinfo info = {.cmd = ETHTOOL_GDRVINFO, .driver = "unknown"};
    struct ifreq request = {.ifr_data = (char *)&info};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", config->device);
    if (fd >= 0) {
        ioctl(fd, SIOCETHTOOL, &request);
        close(fd);
    }
    return fail(error, code, "cannot bind to queue %u of %s (driver %s): %s", config->queue, config->device,
                info.driver, cause(code, config->mode));
}

/* --- opening --- */

uint32_t afxdp_largest_mtu(uint32_t frame_size)
{
    return frame_size > XDP_HEADROOM + LINK_HEADERS ? frame_size - XDP_HEADROOM - LINK_HEADERS : 0;
}

uint32_t afxdp_frame_size(uint32_t mtu)
{
    if (mtu <= afxdp_largest_mtu(SMALL_FRAME))
        return SMALL_FRAME;
    return mtu <= afxdp_largest_mtu(LARGE_FRAME) ? LARGE_FRAME : 0;
}

static int check_device(struct afxdp *s, const char *device, char *error)
{
    struct ifreq request = {0};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int code = fd < 0 ? -errno : -ENODEV;
    if (fd >= 0 && strlen(device) < sizeof(request.ifr_name)) {
        strcpy(request.ifr_name, device);
        code = ioctl(fd, SIOCGIFMTU, &request) ? -errno : 0;
    }
    if (fd >= 0)
        close(fd);
    if (code == -ENODEV)
        return fail(error, code, "there is no network device '%.40s'; ip link shows those there are", device);
    if (code)
        return fail(error, code, "cannot ask for the MTU of %.40s: %s", device, strerror(-code));
    s->mtu = (uint32_t)request.ifr_mtu;
    return 0;
}

static int choose_frame_size(struct afxdp *s, const struct afxdp_config *config, char *error)
{
    uint32_t fitting = config->fragments ? LARGE_FRAME : afxdp_frame_size(s->mtu);
    uint32_t size = config->frame_size ? config->frame_size : fitting;
    if (size && size != SMALL_FRAME && size != LARGE_FRAME)
        return fail(error, -EINVAL, "frame size %u is neither %d nor %d", size, SMALL_FRAME, LARGE_FRAME);
    uint32_t whole = afxdp_largest_mtu(size ? size : LARGE_FRAME);
    uint32_t largest = config->fragments ? AFXDP_JUMBO_MTU : whole;
    if (s->mtu > largest)
        return fail(error, -EMSGSIZE,
                    "the MTU %u of %s does not fit a frame of AF_XDP; ip link set %s mtu %u, or less", s->mtu,
                    config->device, config->device, largest);
    s->mtu = s->mtu < whole ? s->mtu : whole; /* what is sent is never split */
    s->frame_size = size;
    return 0;
}

static int check_sizes(struct afxdp *s, const struct afxdp_config *config, char *error)
{
    uint32_t ring = config->ring_size;
    if (config->mode > AFXDP_COPY)
        return fail(error, -EINVAL, "mode %u is none of auto, zerocopy, copy", config->mode);
    if (ring < LEAST_RING || ring > LARGEST_RING || (ring & (ring - 1)))
        return fail(error, -EINVAL, "ring size %u is not a power of two from %d to %d", ring, LEAST_RING,
                    LARGEST_RING);
    return choose_frame_size(s, config, error);
}

/* Reserved huge pages if enough are free (vm.nr_hugepages), else normal ones: with the advice to join them,
 * which means fewer TLB misses too. Neither is copied when the process forks: the pages are pinned. */
static void *map_pages(struct afxdp *s)
{
    size_t rounded = (s->area_size + HUGE_PAGE - 1) & ~(HUGE_PAGE - 1);
    int flags = MAP_PRIVATE | MAP_ANONYMOUS;
    void *area = mmap(NULL, rounded, PROT_READ | PROT_WRITE, flags | MAP_HUGETLB | (int)MAP_HUGE_2MB, -1, 0);
    s->huge_pages = area != MAP_FAILED;
    if (s->huge_pages) {
        s->area_size = rounded;
    } else {
        area = mmap(NULL, s->area_size, PROT_READ | PROT_WRITE, flags, -1, 0);
        madvise(area, s->area_size, MADV_HUGEPAGE);
    }
    madvise(area, s->area_size, MADV_DONTFORK);
    return area;
}

/* The receive part first, then the transmit part. */
static int map_area(struct afxdp *s, const struct afxdp_config *config, char *error)
{
    uint32_t rx_frames = 2 * config->ring_size;
    s->tx_frames = config->transmit ? config->ring_size : 0;
    s->frame_mask = ~(uint64_t)(s->frame_size - 1);
    s->area_size = (size_t)s->frame_size * (rx_frames + s->tx_frames);
    s->tx_free = calloc(s->tx_frames + 1, sizeof(*s->tx_free));
    s->joined = config->fragments ? malloc((size_t)(AFXDP_JOINED + 1) * JOINED_SIZE) : NULL;
    s->area = map_pages(s);
    if (s->area == MAP_FAILED || !s->tx_free || (config->fragments && !s->joined))
        return fail(error, -ENOMEM, "no memory for an umem of %zu KiB", s->area_size / 1024);
    while (s->tx_free_count < s->tx_frames) {
        s->tx_free[s->tx_free_count] = (uint64_t)s->frame_size * (rx_frames + s->tx_free_count);
        s->tx_free_count++;
    }
    return 0;
}

static int create_umem(struct afxdp *s, const struct afxdp_config *config, char *error)
{
    struct xsk_umem_config umem = {
        .fill_size = 2 * config->ring_size,
        .comp_size = config->transmit ? config->ring_size : LEAST_RING,
        .frame_size = s->frame_size,
    };
    int code = xsk_umem__create(&s->umem, s->area, s->area_size, &s->fill, &s->completion, &umem);
    if (code)
        return fail(error, code, "cannot create an AF_XDP umem of %zu KiB: %s", s->area_size / 1024,
                    code == -EINVAL ? strerror(EINVAL) : cause(code, config->mode));
    return 0;
}

static int create_socket(struct afxdp *s, const struct afxdp_config *config)
{
    /* With neither XDP_COPY nor XDP_ZEROCOPY the kernel tries zero-copy, then copy. */
    static const uint16_t mode_flags[] = {
        [AFXDP_AUTO] = 0, [AFXDP_ZEROCOPY] = XDP_ZEROCOPY, [AFXDP_COPY] = XDP_COPY};
    struct xsk_socket_config options = {
        .rx_size = config->ring_size,
        .tx_size = config->ring_size,
        .libxdp_flags = XSK_LIBXDP_FLAGS__INHIBIT_PROG_LOAD,
        .bind_flags =
            (uint16_t)(XDP_USE_NEED_WAKEUP | mode_flags[config->mode] | (config->fragments ? XDP_USE_SG : 0)),
    };
    return xsk_socket__create(&s->socket, config->device, config->queue, s->umem, &s->rx,
                              config->transmit ? &s->tx : NULL, &options);
}

static void delete_umem(struct afxdp *s)
{
    if (s->umem)
        xsk_umem__delete(s->umem);
    s->umem = NULL;
}

/* The umem's descriptor is the socket's, and is spent by a failed bind: each try needs both. */
static int bind_socket(struct afxdp *s, const struct afxdp_config *config, char *error)
{
    static const struct timespec pause = {.tv_nsec = BUSY_RETRY_NS};
    int code = -EBUSY;
    for (int tries = 0; code == -EBUSY && tries < BUSY_RETRIES; tries++) {
        if (tries > 0)
            nanosleep(&pause, NULL);
        code = create_umem(s, config, error);
        if (code)
            return code;
        code = create_socket(s, config);
        if (code)
            delete_umem(s);
    }
    return code ? fail_bind(config, code, error) : 0;
}

static int read_mode(struct afxdp *s, char *error)
{
    struct xdp_options options;
    socklen_t size = sizeof(options);
    s->fd = xsk_socket__fd(s->socket);
    if (getsockopt(s->fd, SOL_XDP, XDP_OPTIONS, &options, &size)) {
        int code = -errno;
        return fail(error, code, "cannot read the mode of an AF_XDP socket: %s", strerror(-code));
    }
    s->mode = options.flags & XDP_OPTIONS_ZEROCOPY ? AFXDP_ZEROCOPY : AFXDP_COPY;
    return 0;
}

/* Copy mode sends through skbs: let one sendto take the whole ring, and let all of it be under way. */
static void widen_transmit(const struct afxdp *s)
{
    if (!s->tx_frames || s->mode != AFXDP_COPY)
        return;
    int budget = (int)s->tx_frames;
    int bytes = (int)(s->tx_frames * 2 * s->frame_size);
    setsockopt(s->fd, SOL_XDP, XDP_MAX_TX_SKB_BUDGET, &budget, sizeof(budget));
    setsockopt(s->fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes));
}

static int set_busy_poll(struct afxdp *s, const struct afxdp_config *config, char *error)
{
    static const struct {
        int name, value;
    } options[] = {{SO_PREFER_BUSY_POLL, 1},
                   {SO_BUSY_POLL, BUSY_POLL_MICROSECONDS},
                   {SO_BUSY_POLL_BUDGET, BUSY_POLL_FRAMES}};
    s->busy_poll = config->busy_poll;
    for (size_t i = 0; config->busy_poll && i < sizeof(options) / sizeof(*options); i++) {
        if (setsockopt(s->fd, SOL_SOCKET, options[i].name, &options[i].value, sizeof(int))) {
            int code = -errno;
            return fail(error, code, "busy polling cannot be set up for queue %u of %s: %s", config->queue,
                        config->device,
                        code == -ENOPROTOOPT ? "it needs Linux 5.11; leave out busy_poll" : strerror(-code));
        }
    }
    return 0;
}

static void fill_all(struct afxdp *s, uint32_t frames)
{
    uint32_t at = 0;
    xsk_ring_prod__reserve(&s->fill, frames, &at);
    for (uint32_t i = 0; i < frames; i++)
        *xsk_ring_prod__fill_addr(&s->fill, at + i) = (uint64_t)s->frame_size * i;
    xsk_ring_prod__submit(&s->fill, frames);
}

int afxdp_open(const struct afxdp_config *config, struct afxdp **out, char *error)
{
    *out = NULL;
    struct afxdp *s = calloc(1, sizeof(*s));
    if (!s)
        return fail(error, -ENOMEM, "no memory for an AF_XDP socket");
    s->queue = config->queue;
    int code = check_device(s, config->device, error);
    if (!code)
        code = check_sizes(s, config, error);
    if (!code)
        code = map_area(s, config, error);
    if (!code)
        code = bind_socket(s, config, error);
    if (!code)
        code = read_mode(s, error);
    if (!code)
        code = set_busy_poll(s, config, error);
    if (code) {
        afxdp_close(s);
        return code;
    }
    widen_transmit(s);
    fill_all(s, 2 * config->ring_size);
    *out = s;
    return 0;
}

int afxdp_register(const struct afxdp *s, int sockets_map)
{
    /* Any other map would take the number of the descriptor for a value. */
    struct bpf_map_info info = {0};
    uint32_t size = sizeof(info);
    int code = bpf_obj_get_info_by_fd(sockets_map, &info, &size);
    if (code)
        return code;
    if (info.type != BPF_MAP_TYPE_XSKMAP)
        return -EINVAL;
    return bpf_map_update_elem(sockets_map, &s->queue, &s->fd, BPF_ANY);
}

void afxdp_close(struct afxdp *s)
{
    if (!s)
        return;
    if (s->socket)
        xsk_socket__delete(s->socket);
    delete_umem(s);
    if (s->area && s->area != MAP_FAILED)
        munmap(s->area, s->area_size);
    free(s->tx_free);
    free(s->joined);
    free(s);
}
