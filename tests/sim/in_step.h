/* in_step.h: a target that has said, in all, as much as production at a turn is in step: the turn leaves at
 * once, and never because the target was quiet.
 */
#ifndef SIM_IN_STEP_H
#define SIM_IN_STEP_H

#include <stdbool.h>
#include <stdint.h>

struct sim;
struct record;

/* Whether the turn may leave because the target is in step. */
bool in_step_is_due(const struct sim *sim, const struct record *record, uint32_t turn);

/* Something has reached the line: notes since when the session's next turn may leave. */
void in_step_note(struct sim *sim, struct record *record);

/* Bytes up to `end` leave: those of a turn that might leave have not waited. */
void in_step_check(struct sim *sim, struct record *record, uint32_t end);

/* At the end of the run. */
void in_step_verdict(struct sim *sim);

#endif
