/* replay.h: all conversations that one worker owns.
 *
 * Called by worker.c: packets and the time go in, segments are pulled out. Owns the pools, the two tables
 * (mirrored connections; sessions), the timing wheel and the list of sessions that have something to send.
 * Every packet comes back with the reason why it was not used, or DROP_NONE.
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

enum { REPLAY_STRAYS = 1024, REPLAY_BUDGET = 16, REPLAY_RELEASE_BEATS = 20, REPLAY_WARM_BYTES = 64 << 20 };

/* An answer that no session claims: the target still holds a connection that we do not. */
struct stray {
    struct flow flow;
    uint32_t seq;
    uint16_t transfer;
};

/* How far the worker has got with the sessions of transfers that do not run (change.h). */
struct change {
    uint32_t next; /* of the pool of streams: those before have been looked at */
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
    uint32_t budget; /* segments that the first of the list may still send before the next one's turn */
    uint32_t stray_count;
    struct stray strays[REPLAY_STRAYS];
    uint32_t phases[PHASE_COUNT]; /* connections by phase */
    uint64_t paused_until;        /* nothing was mirrored before, so nothing is missing since then */
    uint32_t ending;              /* sessions that have ended and are on the ready list yet */
    uint32_t resetting;           /* of those: by order (pause, removal, stop) */
    struct change change;
    bool draining;
    uint32_t
        empty_beats[3]; /* housekeepings that found the pool of chunks, sessions, streams empty, in a row */
    struct doubts doubts;
};

/* Takes its part (one of config->workers) of the configured limits. Returns 0 or a negative errno. */
int replay_open(struct replay *replay, const struct dp_config *config, struct stats *stats, uint32_t mtu,
                uint32_t worker);
void replay_close(struct replay *replay);

/* Touches the memory that the first connections and a burst of requests need: less than 200 MiB, and the
 * tables. */
void replay_warm(struct replay *replay);

enum drop replay_on_mirror(struct replay *replay, const struct packet *packet, uint64_t now);
enum drop replay_on_answer(struct replay *replay, const struct packet *packet, uint64_t now);
void replay_on_time(struct replay *replay, uint64_t now);

/* The next segment that wants to leave; replay_sent when it has. Called again without replay_sent, it names
 * the same one. */
bool replay_next(struct replay *replay, struct segment *segment);
void replay_sent(struct replay *replay, const struct segment *segment);

/* It may not leave: it is given up, and nothing of it counts as sent. */
void replay_refused(struct replay *replay);

/* Sessions that ended by order and that the target may hold yet: their RST has not left, or see doubts.h. */
uint32_t replay_unconfirmed(struct replay *replay, uint64_t now);

/* Resets all sessions and admits no new ones. */
void replay_drain(struct replay *replay);

/* Whether the packet comes from a client to a mirrored service, or from the service. */
bool replay_is_from_client(const struct replay *replay, const struct packet *packet);

/* Now and then: gauges that are read off the pools; memory of pools that have been empty goes back. */
void replay_housekeeping(struct replay *replay);

/* Nothing to send, nothing due. */
static inline bool replay_is_quiet(const struct replay *replay)
{
    return !replay->ready_head && !replay->stray_count;
}

#endif
