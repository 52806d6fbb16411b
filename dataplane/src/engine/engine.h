/* engine.h: what is behind a struct dp_engine. It owns everything: configuration, segment, ports, workers and
 * their threads. life.c makes and ends it, ports.c has its ports, live.c changes it while it runs.
 */
#ifndef XDPCOPY_ENGINE_H
#define XDPCOPY_ENGINE_H

#include <pthread.h>

#include "line/worker.h"

struct engine_port {
    struct port *queues[WORKER_QUEUES];
};

struct dp_engine {
    struct dp_config configs[2];    /* they differ in what dp_change may change */
    const struct dp_config *config; /* the one of them that is in use */
    struct stats_segment *segment;
    struct dp_capture *captures[DP_MAX_PORTS]; /* copies; NULL for a port of another kind */
    struct engine_port ports[DP_MAX_PORTS];
    struct worker *workers;
    pthread_t threads[DP_MAX_WORKERS];
    uint32_t running; /* threads */
    struct orders orders;
    uint32_t repeats_read;       /* see repeats.h */
    struct port *capture;        /* the one port whose frames can wait, or NULL */
    struct dp_session_row *rows; /* DP_MAX_ROWS of each worker */
    struct toeplitz toeplitz;    /* of the test port */
    struct sheds sheds;          /* of the mirror ports */
    uint64_t next_hops[DP_MAX_TRANSFERS];
    char error[DP_ERROR_SIZE];
};

/* Leaves a sentence in the engine; returns the code. */
__attribute__((format(printf, 3, 4))) int engine_fail(struct dp_engine *engine, int code, const char *format,
                                                      ...);

#endif
