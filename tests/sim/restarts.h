/* restarts.h: a target that restarts: it forgets its connections without a word, resets whoever goes on, and
 * refuses SYNs for a while. And what the line has to make of it: at the next complete turn of each production
 * connection a new session begins, at most one try a second; nothing is torn, and what was not sent is
 * counted.
 */
#ifndef SIM_RESTARTS_H
#define SIM_RESTARTS_H

#include <stdint.h>

struct sim;
struct record;
struct segment;

/* At the beginning of a run. */
void restarts_plan(struct sim *sim);

/* The target restarts, if it is time. */
void restarts_run(struct sim *sim);

/* A session has been opened: not too soon after the one before it. */
void restarts_check_try(struct sim *sim, const struct record *record);

/* A segment of the target's reaches the line. */
void restarts_note_reset(const struct sim *sim, struct record *record, const struct segment *segment);

/* At the end of the run. */
void restarts_check(struct sim *sim);

#endif
