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

#include "dataplane_config.h"

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
