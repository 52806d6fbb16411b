/* dataplane.h: THE BOUNDARY between Python and C.
 *
 * Everything that Python can see of the dataplane is declared here and nowhere else: dataplane/build.py
 * feeds this file to cffi as the cdef, so it is written in the subset of C that cffi reads (no macros but
 * integer constants, no inline functions).
 *
 * What crosses: down, a configuration (copied) and a few live settings; up, counters in a mapped segment,
 * the mode of each port and a sentence for each failure. Never: callbacks into Python, pointers to frames,
 * a call per packet (memory ports, for tests and benchmarks, are the exception).
 *
 * Functions that can fail return 0 or a negative errno, and leave a sentence in the engine (dp_error).
 * Times are nanoseconds. Addresses are 16 bytes in network order, IPv4 as ::ffff:a.b.c.d (RFC 4291 2.5.5.2).
 * Ports and all other numbers are in host order.
 */

#ifndef XDPCOPY_DATAPLANE_H
#define XDPCOPY_DATAPLANE_H

#include <stddef.h>
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

/* How a counter is to be read. The three last kinds are the headings of the ledger. */
enum dp_counter_kind { DP_COUNTER, DP_GAUGE, DP_DROP_MIRROR, DP_DROP_TEST, DP_SESSION_END };

struct dp_counter {
    const char *name;
    const char *unit;
    const char *help;
    uint32_t kind; /* enum dp_counter_kind */
};

/* What a queue of a device counts itself, since it was opened; zeros where there is no device. */
struct dp_port_statistics {
    uint64_t rx_dropped;   /* frames lost: no free buffer, or one too small */
    uint64_t rx_ring_full; /* frames lost: no room in the RX ring */
    uint64_t rx_invalid;   /* buffers for frames to come that the device refused */
    uint64_t tx_invalid;   /* frames to send that the device refused */
    uint64_t rx_starved;   /* times, not frames: it found no free buffer */
    uint64_t tx_idle;      /* times: it found nothing to send */
};

/* Times of one kind: from the last byte of a request to the first of its answer. Bucket i holds how many were
 * below dp_bucket_bound(i), and not below that of the bucket before. */
#define DP_BUCKETS 208

struct dp_histogram {
    uint64_t sum; /* nanoseconds */
    uint64_t most;
    uint64_t buckets[DP_BUCKETS];
};

enum dp_side { DP_SIDE_TARGET, DP_SIDE_PRODUCTION };

struct dp_engine;

/* Compiles a filter in the language of pcap-filter(7). On failure error holds libpcap's sentence. */
int dp_filter_compile(const char *text, struct dp_filter *filter, char *error, size_t error_size);

/* Lifecycle. dp_open allocates everything and binds the sockets; on failure *engine is NULL and error holds
 * a sentence. dp_start runs the worker threads. dp_stop resets every open session, waits at most timeout for
 * the resets to leave, and joins the threads. dp_close frees everything. */
int dp_open(const struct dp_config *config, struct dp_engine **engine, char *error, size_t error_size);
int dp_start(struct dp_engine *engine);
int dp_stop(struct dp_engine *engine, uint64_t timeout);
void dp_close(struct dp_engine *engine);
const char *dp_error(const struct dp_engine *engine);

/* Without threads: one loop of every worker at the given time, or of one of them, in any order, or each in a
 * thread of the caller's. Never together with dp_start. */
void dp_step(struct dp_engine *engine, uint64_t now);
void dp_step_worker(struct dp_engine *engine, uint32_t worker, uint64_t now);

/* Every worker resets its sessions and admits no new ones, from its next loop on. */
void dp_drain(struct dp_engine *engine);

/* Live change: the configuration's transfers, ranges and cap on new sessions replace those before; the rest
 * of it is not looked at. A transfer is known by its slot, its index here: it keeps its source, target and
 * transport until it is removed, and there are never fewer transfers. Each worker takes the change up in its
 * next loop and then resets the sessions of what does not run, some in each loop; no other session is
 * touched. dp_change_taken: 1 when every worker has done that. -EBUSY, and nothing changed, while a worker is
 * not done with the change before, or a new transfer is to have the slot of a removed one whose resets have
 * not left. */
int dp_change(struct dp_engine *engine, const struct dp_config *config);
int dp_change_taken(const struct dp_engine *engine);

/* Sessions that a change has ended and that the target may hold yet: their RST has not left, or it left
 * behind bytes that the target has not acknowledged, and two round trips (50 ms at least) have not gone by
 * since then or since the target last challenged it. A challenge is answered with the number that it names.
 */
uint32_t dp_unconfirmed(const struct dp_engine *engine);

/* Counters: descriptors (the same for every engine), and a worker's value. */
uint32_t dp_counter_count(void);
const struct dp_counter *dp_counter_info(uint32_t counter);
uint64_t dp_counter_value(const struct dp_engine *engine, uint32_t worker, uint32_t counter);

/* The same from the stats segment of another process, mapped by the caller: size bytes at segment.
 * Returns -EPROTO if it was not written by this version. */
int dp_segment_check(const void *segment, size_t size, uint32_t *workers);
uint64_t dp_segment_value(const void *segment, uint32_t worker, uint32_t counter);
uint64_t dp_segment_heartbeat(const void *segment, uint32_t worker);

/* What is counted for each transfer: descriptors; the value of one worker for the transfer at an index; and
 * the answer times, of the target or of production. In the segment of another process, or in this one's. */
uint32_t dp_transfer_counter_count(void);
const struct dp_counter *dp_transfer_counter_info(uint32_t counter);
uint64_t dp_segment_transfer_value(const void *segment, uint32_t worker, uint32_t transfer, uint32_t counter);
int dp_segment_answer_time(const void *segment, uint32_t worker, uint32_t transfer, uint32_t side,
                           struct dp_histogram *histogram);
uint64_t dp_bucket_bound(uint32_t bucket);
const void *dp_segment(const struct dp_engine *engine, size_t *size);

/* Differs where a segment's layout does. */
uint64_t dp_schema(void);

/* Which sessions are asked for; DP_ANY and :: where it does not matter. */
#define DP_ANY 0xffffffff
#define DP_MAX_ROWS 1000

enum dp_session_state {
    DP_SESSION_SYN_SENT,
    DP_SESSION_ESTABLISHED,
    DP_SESSION_FIN_WAIT,
    DP_SESSION_CLOSE_WAIT,
    DP_SESSION_CLOSING,
    DP_SESSION_DATAGRAMS,
};

/* What a session waits for before it sends more: more from the mirror; missing mirrored bytes; the handshake;
 * the end of the target's answer; an acknowledgement; a window; nothing. */
enum dp_session_waits {
    DP_WAITS_PRODUCTION,
    DP_WAITS_GAP,
    DP_WAITS_HANDSHAKE,
    DP_WAITS_ANSWER,
    DP_WAITS_ACKNOWLEDGEMENT,
    DP_WAITS_WINDOW,
    DP_WAITS_NOTHING,
};

struct dp_session_query {
    uint32_t transfer;
    uint32_t state;
    uint32_t slot;  /* as in dp_session_row */
    uint32_t limit; /* rows from each worker; at most DP_MAX_ROWS */
    uint8_t client_ip[16];
};

/* A session. Worker, slot and opened_at together name it as long as it lives. */
struct dp_session_row {
    uint32_t worker;
    uint32_t slot;
    uint32_t transfer;
    uint32_t state;
    uint32_t waits;
    uint32_t turns;
    uint32_t request_bytes; /* mirrored, in order; these three modulo 2^32 */
    uint32_t pending_bytes; /* of those, not acknowledged by the target */
    uint32_t answer_bytes;
    uint32_t retransmits;
    uint32_t rtt; /* microseconds, smoothed; 0: not measured */
    uint16_t client_port;
    uint16_t server_port;
    uint16_t forged_port;
    uint16_t target_port;
    uint8_t client_ip[16];
    uint8_t server_ip[16];
    uint8_t forged_ip[16];
    uint8_t target_ip[16];
    uint64_t opened_at; /* by the worker's clock */
    uint64_t age;
    uint64_t idle; /* since either side said something */
};

/* Asks every worker; -EBUSY while it answers the question before. dp_sessions_take: -EAGAIN until all have
 * answered, then how many rows there are, at most size; *more is set to 1 if there are other sessions that
 * fit. */
int dp_sessions_ask(struct dp_engine *engine, const struct dp_session_query *query);
int dp_sessions_take(struct dp_engine *engine, struct dp_session_row *rows, uint32_t size, uint32_t *more);

/* Of one queue: the mode obtained; whether its buffers are on reserved huge pages (1, 0); its statistics. */
int dp_port_mode(const struct dp_engine *engine, uint32_t port, uint32_t queue);
int dp_port_huge_pages(const struct dp_engine *engine, uint32_t port, uint32_t queue);
int dp_port_statistics(const struct dp_engine *engine, uint32_t port, uint32_t queue,
                       struct dp_port_statistics *statistics);

/* The far end of a memory port: put a frame into its RX queue; take the next frame that the line sent.
 * dp_mem_send returns -ENOBUFS when the queue is full; dp_mem_receive the frame's length, 0 when there
 * is none. dp_mem_limit sets how many sent frames the port holds before its TX ring is "full". */
int dp_mem_send(struct dp_engine *engine, uint32_t port, uint32_t queue, const uint8_t *frame, uint32_t size);
int dp_mem_receive(struct dp_engine *engine, uint32_t port, uint32_t queue, uint8_t *frame, uint32_t size);
int dp_mem_limit(struct dp_engine *engine, uint32_t port, uint32_t queue, uint32_t frames);

/* How far the replay of the capture files has got. */
struct dp_capture_progress {
    uint64_t bytes;       /* of the files, read so far; all repeats together */
    uint64_t bytes_total; /* to be read */
    uint64_t frames;      /* released to the line; all repeats together */
    uint64_t position;    /* capture time of the last of them, from the first; -I has its part taken out */
    uint64_t late;        /* for how long the next frame has been due: it waits for room */
    uint32_t repeat;      /* repeats that are over, sessions and all */
    uint32_t repeats;
    uint32_t broken; /* files whose rest could not be read; dp_capture_trouble says why */
    uint32_t paused;
    uint32_t finished; /* everything has been replayed, and every session has ended */
};

/* All three return -EINVAL where the engine has no capture port. dp_capture_trouble: a sentence for the file
 * whose rest could not be read, else an empty one. A pause shifts the clock of the capture: nothing bursts
 * after it. */
int dp_capture_progress(const struct dp_engine *engine, struct dp_capture_progress *progress);
int dp_capture_trouble(const struct dp_engine *engine, uint32_t file, char *trouble, size_t size);
int dp_capture_pause(struct dp_engine *engine, uint32_t paused);

/* What a capture file holds. Times are nanoseconds since 1970, both 0 where there is no frame. */
struct dp_capture_facts {
    uint64_t bytes;
    uint64_t frames;
    uint64_t cut;   /* frames of which the file has the beginning alone */
    uint64_t first; /* the earliest frame's time */
    uint64_t last;
    int link;                    /* its link type, LINKTYPE_… */
    char trouble[DP_ERROR_SIZE]; /* why its rest could not be read; empty: all of it was */
};

/* Reads a capture file to its end; needs no engine. 0, or -errno and a sentence: what is no capture file, or
 * has a link type that cannot be replayed. */
int dp_capture_inspect(const char *path, struct dp_capture_facts *facts, char *error, size_t size);

/* The compiled dataplane/bpf/steer.bpf.c, an ELF object that libbpf loads. */
const uint8_t *dp_steer_object(size_t *size);

#endif
