/* admit.h: which connections are replayed, asked once for each new one.
 *
 * Called by replay.c. Sampling (-r) is a keyed hash of the client endpoint below a threshold: uniform, the
 * same for every transfer, worker and run, and independent of the owner's hash. The gradual start (-g) lets
 * the threshold grow. Caps on new sessions, of a transfer and of all, are buckets that hold at most one
 * second's worth.
 *
 * Overload. A worker has too much to do in an interval (5 ms) when something was about to overflow, or when
 * it has never caught up and what waits is more than five intervals' work and has grown. After three such
 * intervals in a row the threshold sinks: by a quarter of the part that the backlog has grown by, at most an
 * eighth, each interval; a backlog that shrinks is left to it. It rises by a 160th of the whole each
 * interval, less where more than half of the time is needed, so that what was let in shows its effect before
 * more is: back from nothing within 0.8 s of little to do. Who is refused is decided by the same hash, so it
 * is whole connections, and the same ones for as long as it lasts. Sessions that are under way are not
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
    double share;         /* of what would be let in that is; 1 but for overload */
    uint64_t adapted_at;  /* when the share was last looked at */
    uint32_t pressing;    /* intervals in a row in which there was too much to do */
    uint64_t pressed_since;
    uint64_t done;     /* frames received, at the end of the interval before */
    uint64_t noted_at; /* the last turn */
    uint64_t slack;    /* nanoseconds of this interval in which there was nothing to do */
    uint32_t backlog;  /* at the end of the interval before */
    bool idle;         /* the last turn found nothing to do */
    bool caught_up;    /* a turn of this interval has left nothing to do */
    bool pressed;      /* in this interval something was about to overflow */
};

void admission_open(struct admission *admission, const struct dp_config *config);

/* A live change: ramps that are new, and those of transfers that run again, begin anew. */
void admission_adopt(struct admission *admission, const struct dp_config *config);

/* What a turn of the worker was like. */
struct turn {
    bool pressed;   /* something was about to overflow */
    bool caught_up; /* nothing is left to do */
    bool idle;      /* there was nothing to do */
};

/* Once a turn. True if an interval is over: admission_adapt is next. */
bool admission_note(struct admission *admission, struct turn turn, uint64_t now);

/* Once an interval. backlog: frames and sessions that wait; done: all frames that have been received. */
void admission_adapt(struct admission *admission, uint32_t backlog, uint64_t done, uint64_t now);

/* How many hashes, from the highest down, no transfer lets in at present, nor would soon: connections whose
 * SYN still waits in a ring might be let in meanwhile. 0 without overload. */
uint32_t admission_closed(const struct admission *admission);

/* DROP_NONE, or why the connection is not replayed. `opens`: it would start now, so the cap counts. */
enum drop admit(struct admission *admission, const struct dp_transfer *transfer,
                const struct endpoint *client, bool opens, uint64_t now);

#endif
