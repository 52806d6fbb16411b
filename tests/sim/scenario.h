/* scenario.h: what a run is like, drawn from its seed.
 *
 * There are four kinds of runs, by what may be expected of them: all goes well and everything must arrive;
 * the mirror loses; the target misbehaves; the line's limits are narrow or it is stopped on the way. Within
 * each the parameters are drawn at random. scenario.def lists them.
 */
#ifndef SIM_SCENARIO_H
#define SIM_SCENARIO_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* How a production connection ends. */
enum ending {
    ENDING_ANY,
    CLIENT_CLOSES,           /* after the last answer */
    CLIENT_CLOSES_AT_ONCE,   /* FIN right behind the last request; the answer still comes */
    CLIENT_SENDS_AND_CLOSES, /* FIN in the last segment of the last request */
    SERVER_CLOSES,           /* after the last answer; then the client */
    BOTH_CLOSE,              /* the FINs cross */
    CLIENT_RESETS,           /* after the last answer */
    CLIENT_RESETS_AT_ONCE,   /* right behind the last request */
    SERVER_RESETS,           /* where the mirror shows both directions */
    NEVER_CLOSES,
    ENDINGS
};

/* What a target may do wrong. */
enum misbehaviour {
    BEHAVES,
    STALLS,   /* reads and acknowledges, but never answers again */
    CLOSES,   /* closes its socket, and resets whatever comes after */
    SHUTS,    /* says that it has nothing more to say, and reads on */
    RESETS,   /* resets the connection */
    REFUSES,  /* answers each SYN with a RST */
    ABSENT,   /* the host is not there */
    VANISHES, /* the host goes away */
    MISBEHAVIOURS
};

struct scenario {
    uint64_t seed;
#define PARAMETER(name, simplest, help) uint32_t name;
#include "scenario.def"
#undef PARAMETER
};

struct parameter {
    const char *name;
    const char *help;
    uint32_t simplest;
    uint32_t offset;
};

extern const struct parameter PARAMETERS[];
extern const uint32_t PARAMETER_COUNT;

/* What the seed decides. */
void scenario_draw(struct scenario *scenario, uint64_t seed);

uint32_t *scenario_at(struct scenario *scenario, const struct parameter *parameter);

/* "name=number"; false: there is no such parameter. */
bool scenario_set(struct scenario *scenario, const char *setting);

/* Every byte that production's client sent is shown to the line, and in time. */
bool scenario_mirror_is_whole(const struct scenario *scenario);

/* Nothing keeps a connection from being replayed to its end. */
bool scenario_completes(const struct scenario *scenario);

/* The order of turns can be checked at the target itself: it never says more than production, and no silence
 * of its own is taken for the end of an answer. */
bool scenario_is_strict(const struct scenario *scenario);

void scenario_print(struct scenario *scenario, FILE *file);

#endif
