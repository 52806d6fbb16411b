/* replay.h: what a worker holds of its conversations, and its memory.
 *
 * struct replay owns the pools (streams, sessions, chunks), the two tables (mirrored connections; sessions),
 * the timing wheel and the list of sessions that may have something to send. Everything else in this folder
 * works on it: what the mirror shows (mirror.h), what the target says (answer.h), what is due (clock.h), what
 * leaves (send.h).
 */
#ifndef XDPCOPY_REPLAY_H
#define XDPCOPY_REPLAY_H

#include "admission/admit.h"
#include "admission/endpoints.h"
#include "admission/shed.h"
#include "admission/transfers.h"
#include "doubts.h"
#include "session/session.h"
#include "store/table.h"

enum { REPLAY_STRAYS = 1024 };

/* An answer that no session claims: the target still holds a connection that we do not. */
struct stray {
    struct flow flow;
    uint32_t seq;
    uint16_t transfer;
};

/* How far the reset of sessions whose transfer has stopped running has got (change.h). */
struct change {
    uint32_t next; /* slot of the pool of streams: those before it have been looked at */
    bool under_way;
};

struct replay {
    const struct dp_config *config;
    struct transfers transfers;
    struct admission admission;
    struct sheds sheds;
    struct endpoints endpoints;
    struct session_context context;
    struct pool streams;
    struct pool sessions;
    struct table mirrored;
    struct table forged;
    struct wheel wheel;
    struct session *ready_head;
    struct session *ready_tail;
    uint32_t ready_count;
    uint32_t budget; /* segments that the first of the list may still send before it goes to the end */
    uint32_t stray_count;
    struct stray strays[REPLAY_STRAYS];
    uint32_t phases[PHASE_COUNT]; /* connections by phase */
    uint64_t paused_until;        /* the earliest that a gap counts from: nothing was mirrored before */
    uint32_t ending;              /* sessions that have ended but are still on the ready list */
    uint32_t resetting;           /* those of them that ended by order: pause, removal, stop */
    struct change change;
    bool draining;
    uint32_t empty_beats[3]; /* chunks, sessions, streams: housekeepings in a row with the pool empty */
    struct doubts doubts;
};

/* Opens it for one of config->workers, with its part of the configured limits. Returns 0 or a negative errno.
 */
int replay_open(struct replay *replay, const struct dp_config *config, struct stats *stats, uint32_t mtu,
                uint32_t worker);
void replay_close(struct replay *replay);

/* Touches the memory that the first connections and a burst of requests need: less than 200 MiB, and the
 * tables. */
void replay_warm(struct replay *replay);

/* Now and then: sets the gauges that show the pools; gives memory of pools that stay empty back. */
void replay_housekeeping(struct replay *replay);

/* Nothing wants to leave. */
static inline bool replay_is_quiet(const struct replay *replay)
{
    return !replay->ready_head && !replay->stray_count;
}

#endif
