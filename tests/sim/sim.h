/* sim.h: one run of the simulation: a seed's scenario, the line under test, and the world around it.
 *
 *     production ──(mirror path)──► line ──(path up)──► target
 *                                        ◄──(path down)──
 *
 * production.c says what the mirror shows, path.c what becomes of frames on their way, line.c holds the real
 * line (dp_open, dp_step), target*.c and application.c are the server under test, judge.c and conformance.c
 * look at every frame that crosses the line's borders, verdict.c at what is left in the end. The clock is
 * virtual and one seed decides everything: a run can be repeated bit by bit.
 */
#ifndef SIM_SIM_H
#define SIM_SIM_H

#include <setjmp.h>

#include "judge.h"
#include "line.h"
#include "path.h"
#include "production.h"
#include "target.h"

enum { MOST_RECORDS = 256 };

struct sim {
    struct scenario scenario;
    uint64_t now;
    uint64_t began;
    struct line line;
    struct path path;
    struct connection connections[MOST_CONNECTIONS];
    uint32_t connection_count;
    struct record records[MOST_RECORDS];
    uint32_t record_count;
    struct peer peers[MOST_RECORDS]; /* one for each record */
    struct host target;
    uint64_t frozen_from; /* the target's applications stand still */
    uint64_t frozen_until;
    uint64_t digest; /* of all that crossed the line's borders, and when */
    bool trace;
    bool quiet; /* a failure is not reported, only told by sim_run */
    uint8_t failure;
    jmp_buf failed;
};

/* Runs a scenario. 0: all was well; else a number for what was not as it must be, which has been reported. */
uint8_t sim_run(const struct scenario *scenario, bool trace, bool quiet, uint64_t *digest);

/* Reports a failure and leaves the run. */
__attribute__((format(printf, 2, 3), noreturn)) void sim_fail(struct sim *sim, const char *format, ...);

/* A line of the trace, if there is one. */
__attribute__((format(printf, 2, 3))) void sim_note(const struct sim *sim, const char *format, ...);

/* An address of the test network: IPv4 198.net.0.number or an IPv6 one, as the scenario has it. */
struct host sim_host(const struct sim *sim, uint8_t net, uint8_t number, uint16_t port);

#endif
