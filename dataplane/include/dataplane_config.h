/* dataplane_config.h: what an engine is told, the part of the boundary (dataplane.h) that goes down.
 *
 * Constants and structs alone, each filled by dataplane/binding and copied by dp_open or dp_change. Times are
 * nanoseconds, addresses 16 bytes, as in dataplane.h.
 */
#ifndef XDPCOPY_DATAPLANE_CONFIG_H
#define XDPCOPY_DATAPLANE_CONFIG_H

#include <stdint.h>

#define DP_MAX_WORKERS 64
#define DP_MAX_PORTS 8
#define DP_MAX_TRANSFERS 64
#define DP_MAX_RANGES 1024
#define DP_DEVICE_SIZE 16
#define DP_MAX_FILES 64
#define DP_PATH_SIZE 256
#define DP_FILE_SIZE 1024
#define DP_MAX_INSTRUCTIONS 4096
#define DP_MAX_RSS_KEY 64
#define DP_MAX_RSS_TABLE 4096
#define DP_MIN_MTU 576
#define DP_MAX_MTU 9216
#define DP_RING_SIZE 4096 /* ring_size where nobody chose another */
#define DP_ERROR_SIZE 256

/* Numbers of IP; 0 in a transfer means TCP. */
enum dp_transport { DP_TCP = 6, DP_UDP = 17 };

enum dp_port_kind { DP_PORT_MEMORY, DP_PORT_XSK, DP_PORT_CAPTURE };
enum dp_port_role { DP_ROLE_MIRROR, DP_ROLE_TEST };

/* AUTO: the best that binds; only asked for. The others are also what a port can have obtained. */
enum dp_port_mode { DP_MODE_AUTO, DP_MODE_ZEROCOPY, DP_MODE_COPY, DP_MODE_MEMORY, DP_MODE_CAPTURE };

/* A device reached through AF_XDP. */
struct dp_xsk {
    uint32_t mode;       /* enum dp_port_mode */
    int32_t sockets_map; /* fd of the XSKMAP of the program that is attached to the device */
    uint32_t busy_poll;  /* 1: the worker drives the driver's polling, not interrupts */
    uint32_t fragments;  /* 1: frames may come in several buffers (jumbo frames) */
};

/* Capture files (pcap, pcapng), merged by time. Their frames wait where a device's would be dropped: for
 * memory, and for room in tables and rings. */
struct dp_capture {
    uint32_t file_count;
    char files[DP_MAX_FILES][DP_FILE_SIZE];
    double speed;      /* capture time goes by so many times as fast (-a); 0: 1 */
    uint64_t idle_cap; /* a longer silence in the capture counts as so long (-I); 0: silences are kept */
    uint32_t repeats;  /* how often everything is replayed (-T); 0: once */
    uint32_t fast;     /* 1: capture times do not count; the next frame follows once the line has dealt with
                        * those before */
};

/* Where frames come from or go to: what every kind has, and what one kind alone has. Queue q belongs to
 * worker q modulo workers. There is exactly one test port; it has at least as many queues as workers. A
 * capture is a mirror port with one queue, and then the only mirror port. */
struct dp_port {
    uint32_t kind; /* enum dp_port_kind */
    uint32_t role; /* enum dp_port_role */
    char device[DP_DEVICE_SIZE];
    uint32_t queues;
    uint32_t ring_size;        /* frames that each ring holds, a power of two */
    int32_t shed_map;          /* fd of memory with a struct shed, by which frames are dropped before the port
                                * in overload; 0: none */
    uint32_t verify_checksums; /* 1: frames with a wrong IP or TCP checksum are dropped and counted */
    uint32_t mtu;              /* of the device; bounds the segments sent through a test port */
    uint8_t mac[6];            /* of the device: source of what is sent; test port only */
    struct dp_xsk xsk;         /* DP_PORT_XSK only */
    struct dp_capture *capture; /* DP_PORT_CAPTURE only; dp_open copies it */
};

/* How the test port's NIC spreads what it receives over its queues (Toeplitz, as its driver tells): forged
 * endpoints are then chosen so that answers arrive on the queue of their session's owner. table_size 0: not
 * known; answers on another queue are handed off, which they are too if the NIC does not do as it says. */
enum dp_rss_symmetry { DP_RSS_PLAIN, DP_RSS_XOR, DP_RSS_OR_XOR };
enum dp_rss_fields { DP_RSS_ADDRESSES = 1, DP_RSS_PORTS = 2 };

struct dp_rss {
    uint32_t table_size;
    uint16_t table[DP_MAX_RSS_TABLE]; /* queue, by hash modulo table_size */
    uint32_t key_size;
    uint8_t key[DP_MAX_RSS_KEY];
    uint32_t symmetry;     /* enum dp_rss_symmetry */
    uint32_t fields[2][2]; /* enum dp_rss_fields, of TCP and UDP, over IPv4 and IPv6 */
};

/* Consecutive addresses of a client pool. */
struct dp_range {
    uint8_t first[16];
    uint32_t count;
};

/* What a transfer does. What is not running resets its sessions, and admits no connection: paused under
 * `paused`; removed as if there were no such transfer; stopped as paused, and of the target's stray segments
 * only those without data are answered with RST. A removed one keeps its slot, so that its resets can leave
 * and late answers are recognised. */
enum dp_transfer_state { DP_RUNNING, DP_PAUSED, DP_REMOVED, DP_STOPPED };

/* "Traffic to source is replayed to target." source_ip :: means any address (tcpcopy's -x without an
 * address), less than one that is named. Zero in an optional field means tcpcopy's default. */
struct dp_transfer {
    uint32_t state; /* enum dp_transfer_state */
    uint8_t source_ip[16];
    uint8_t target_ip[16];
    uint32_t transport; /* enum dp_transport */
    uint16_t source_port;
    uint16_t target_port;
    uint8_t target_mac[6]; /* of the next hop towards the target */
    uint32_t multiplier;   /* sessions for each connection (-n); 0: one */
    uint64_t sample;       /* of 2^32: connections whose hash is below are replayed (-r); 0: all */
    uint64_t ramp;         /* the sample grows linearly from nothing over this time (-g); 0: at once */
    uint32_t range_first;  /* client pool (-c): ranges[range_first …] of the configuration */
    uint32_t range_count;  /* 0: the mirrored client's own address */
    uint16_t instance;     /* of `instances` engines towards the same target; each has its own ports (-f) */
    uint16_t instances;    /* 0: one */
    uint32_t full_sessions_only; /* connections whose SYN was not seen are ignored (-O) */
    uint32_t
        ack_mirrored; /* answers are acknowledged when, and with the window that, production's client did */
    uint32_t tls_replay;          /* 0: connections that speak TLS end under tls_not_replayable */
    uint32_t no_wait;             /* the next turn does not wait for the answer to the one before (-W) */
    uint32_t mss;                 /* most that a SYN announces (-D); 0: what the test port carries */
    uint32_t sessions_per_second; /* new ones, all workers together; 0: no cap but that of dp_limits */
    uint8_t loopback_ip[16];      /* stands for clients with a loopback address (-H); ::: they keep it */
};

struct dp_limits {
    uint32_t connections;         /* mirrored connections held at once, all workers together */
    uint32_t sessions;            /* sessions held at once, all workers together */
    uint64_t buffer_bytes;        /* request bytes held at once, all workers together */
    uint32_t backlog_bytes;       /* request bytes that one connection may hold */
    uint32_t sessions_per_second; /* new ones, all workers together; 0: no cap */
    uint32_t packets_per_second;  /* sent, all workers together; 0: no cap. RSTs are not held back */
};

/* Times and counts of the session simulation (docs/architecture.md, section "Replay semantics"). */
struct dp_timing {
    uint64_t settle;           /* least silence that ends a shorter answer than production's */
    uint64_t response_timeout; /* a turn without an answer ends the session (tcpcopy's -t) */
    uint64_t idle_timeout;     /* a mirrored connection without frames is forgotten */
    uint64_t datagram_timeout; /* a UDP conversation without datagrams is over */
    uint64_t gap_timeout;      /* missing mirrored bytes end the session */
    uint64_t linger;           /* an ended connection's key is kept so long, for late duplicates */
    uint32_t tries;            /* transmissions of one segment without any answer */
    uint32_t syn_tries;        /* transmissions of a SYN */
};

/* A filter of mirrored frames (-F): a program of classic BPF, as libpcap compiles it for Ethernet. */
struct dp_instruction {
    uint16_t code;
    uint8_t jt;
    uint8_t jf;
    uint32_t k;
};

struct dp_filter {
    uint32_t count; /* 0: every frame passes */
    struct dp_instruction instructions[DP_MAX_INSTRUCTIONS];
};

struct dp_config {
    uint32_t workers;
    uint32_t cpus[DP_MAX_WORKERS]; /* CPU of each worker thread; DP_NO_CPU: not pinned */
    uint32_t port_count;
    struct dp_port ports[DP_MAX_PORTS];
    uint32_t transfer_count;
    struct dp_transfer transfers[DP_MAX_TRANSFERS];
    uint32_t range_count;
    struct dp_range ranges[DP_MAX_RANGES];
    struct dp_limits limits;
    struct dp_rss rss;
    struct dp_timing timing;
    struct dp_filter filter;       /* of the frames of mirror ports */
    uint64_t clock_offset;         /* added to the clock for initial sequence numbers and timestamps */
    char stats_path[DP_PATH_SIZE]; /* file of the stats segment; empty: private memory */
};

#define DP_NO_CPU 0xffffffff

#endif
