/* verdict.h: what must be true when a run is over.
 */
#ifndef SIM_VERDICT_H
#define SIM_VERDICT_H

struct sim;

/* Nothing has happened for a while: what is delivered has been given back. */
void verdict_check_quiet(struct sim *sim);

/* All is over, but the line may still remember connections: reasons, deliveries, number of frames. */
void verdict_check(struct sim *sim);

/* All times have passed: nothing may be left. */
void verdict_check_empty(struct sim *sim);

#endif
