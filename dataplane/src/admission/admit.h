/* admit.h: which new connections are replayed.
 *
 * Sampling (-r): a keyed hash of the client endpoint below a threshold, so it is uniform, the same for every
 * transfer, worker and run, and independent of the owner's hash. Gradual start (-g): the threshold grows.
 * Caps on new sessions, of each transfer and of all: buckets that hold at most one second's worth.
 *
 * Overload. A worker has too much to do in an interval (5 ms) when something was about to overflow, or when
 * it never caught up and what waits is more than five intervals' work and has grown. From the third such
 * interval in a row the threshold sinks, each interval by a quarter of the backlog's relative growth, at most
 * by an eighth; a backlog that shrinks is left to shrink. It rises by a 160th of the whole each interval,
 * less where more than half of the time is needed, so that what was let in shows its effect before more is:
 * back from nothing within 0.8 s of little to do. The same hash decides who is refused, so it is whole
 * connections, and the same ones for as long as the overload lasts. Sessions that are under way are not
 * touched.
 */
#ifndef XDPCOPY_ADMIT_H
#define XDPCOPY_ADMIT_H

#include "dataplane.h"
#include "reason.h"
#include "store/flow.h"

struct bucket {
    uint64_t filled; /* when it was last filled */
    double tokens;   /* sessions that may start now */
    bool open;       /* it has been filled once */
};

struct admission {
    const struct dp_config *config;
    struct {
        uint64_t started; /* when the first connection asked; the ramp begins */
        bool running;
        struct bucket bucket;
    } transfers[DP_MAX_TRANSFERS];
    struct bucket bucket; /* of all transfers */
    double share;         /* of what would be let in; 1 without overload */
    uint64_t adapted_at;  /* when the share was last looked at */
    uint32_t pressing;    /* intervals in a row with too much to do */
    uint64_t pressed_since;
    uint64_t done;     /* frames received by the end of the interval before */
    uint64_t noted_at; /* when the last loop was noted */
    uint64_t slack;    /* nanoseconds of this interval in which there was nothing to do */
    uint32_t backlog;  /* at the end of the interval before */
    bool idle;         /* the last loop found nothing to do */
    bool caught_up;    /* a loop of this interval left nothing to do */
    bool pressed;      /* something was about to overflow in this interval */
};

void admission_open(struct admission *admission, const struct dp_config *config);

/* A live change: new ramps start, and those of transfers that run again start over. */
void admission_adopt(struct admission *admission, const struct dp_config *config);

/* What one loop of the worker was like. */
struct loop {
    bool pressed;   /* something was about to overflow */
    bool caught_up; /* it left nothing to do */
    bool idle;      /* it found nothing to do */
};

/* Once a loop. True: an interval is over, and admission_adapt is next. */
bool admission_note(struct admission *admission, struct loop loop, uint64_t now);

/* Once an interval. `backlog`: frames and sessions that wait; `done`: all frames received so far. */
void admission_adapt(struct admission *admission, uint32_t backlog, uint64_t done, uint64_t now);

/* How many hashes, from the highest down, no transfer lets in now or would soon (a SYN that waits in a ring
 * may be let in by the time it is taken). 0 without overload. */
uint32_t admission_closed(const struct admission *admission);

/* DROP_NONE, or why the connection is not replayed. `opens`: it would start now, so the caps apply. */
enum drop admit(struct admission *admission, const struct dp_transfer *transfer,
                const struct endpoint *client, bool opens, uint64_t now);

#endif
