/* script.h: dialogues of many connections at once: what is said at which stage, and what the mirror shows of
 * it.
 *
 * A stage is what is said at one time. Between two stages time passes; if a stage has a line of the target,
 * it answers what the line under test sent for the stage before. Called by bench_line.c.
 */
#ifndef BENCH_SCRIPT_H
#define BENCH_SCRIPT_H

#include "talk.h"

enum { SCRIPT_BURST = 64, SCRIPT_STAGES = 6, STAGE_LINES = 2 };

/* Of the production connection: the client's segments but for acknowledgements of answers, all of the
 * client's, or both directions. */
enum mirrored { MIRRORED_REQUESTS, MIRRORED_CLIENT, MIRRORED_BOTH };

struct stage {
    enum line lines[STAGE_LINES];
};

struct script {
    struct stage stages[SCRIPT_STAGES];
    uint32_t count;
};

extern const struct script SCRIPT_HANDSHAKE; /* of connections that stay */
extern const struct script SCRIPT_EXCHANGE;  /* a request and its answer */
extern const struct script SCRIPT_VISIT;     /* a connection from SYN to FIN, with one request */

/* Whether the mirror shows a line of production. */
bool stage_shows(const struct stage *stage, enum line line, enum mirrored mirrored);

/* So many connections, each replayed by so many sessions, may be at each stage at a time that no port gets
 * more than a burst in one step; at least one. */
uint32_t script_cohort(const struct script *script, enum mirrored mirrored, uint32_t sessions);

#endif
