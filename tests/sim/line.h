/* line.h: the real line between memory ports, turned by the simulator's clock, and its accounts.
 */
#ifndef SIM_LINE_H
#define SIM_LINE_H

#include <pthread.h>

#include "dataplane.h"
#include "path.h"
#include "random.h"

struct sim;

enum { PORT_MIRROR, PORT_TEST, MOST_WORKERS = 8 };

/* The counters that are read all the time. */
#define ACCOUNTS                                                                                             \
    ACCOUNT(mirror_frames)                                                                                   \
    ACCOUNT(mirror_accepted)                                                                                 \
    ACCOUNT(mirror_handed_off)                                                                               \
    ACCOUNT(mirror_handed_in)                                                                                \
    ACCOUNT(test_frames)                                                                                     \
    ACCOUNT(test_accepted)                                                                                   \
    ACCOUNT(test_handed_off)                                                                                 \
    ACCOUNT(test_handed_in)                                                                                  \
    ACCOUNT(sent_frames)                                                                                     \
    ACCOUNT(connections_opened)                                                                              \
    ACCOUNT(connections_closed)                                                                              \
    ACCOUNT(connections_live)                                                                                \
    ACCOUNT(sessions_opened)                                                                                 \
    ACCOUNT(sessions_live)                                                                                   \
    ACCOUNT(request_bytes_taken)                                                                             \
    ACCOUNT(request_bytes_acked)                                                                             \
    ACCOUNT(request_bytes_abandoned)                                                                         \
    ACCOUNT(request_bytes_pending)

enum account {
#define ACCOUNT(name) ACCOUNT_##name,
    ACCOUNTS
#undef ACCOUNT
        ACCOUNT_COUNT
};

/* A worker that turns in a thread of its own when `begin` is passed, and then waits at `end`. */
struct turner {
    struct line *line;
    uint32_t worker;
    pthread_t thread;
};

struct line {
    struct dp_engine *engine;
    struct random random; /* in which order workers turn */
    struct turner turners[MOST_WORKERS];
    uint32_t turner_count;
    pthread_barrier_t begin;
    pthread_barrier_t end;
    uint64_t turn_at;                 /* UINT64_MAX: the turners end */
    uint32_t accounts[ACCOUNT_COUNT]; /* where they stand */
    uint64_t frames_in[2];            /* by port */
    uint64_t frames_out;
    uint64_t steps;
    bool busy; /* it has not done all that it can do now */
};

void line_open(struct sim *sim);
void line_close(struct sim *sim);

/* A frame arrives at one of its ports. */
void line_take(struct sim *sim, const struct event *event);

/* One turn; what leaves goes on its way to the target. */
void line_step(struct sim *sim);

/* A counter, over all workers. */
uint64_t line_count(const struct sim *sim, const char *name);
uint64_t line_account(const struct sim *sim, enum account account);

/* Every frame, session, connection and byte is under exactly one heading. Holds between any two turns. */
void line_check_ledger(struct sim *sim);

#endif
