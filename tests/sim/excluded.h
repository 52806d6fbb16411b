/* excluded.h: cases that the line is known not to serve yet. Each is a switch with its reason; set it to 0 to
 * see the failure. A case leaves this file when the line serves it.
 */
#ifndef SIM_EXCLUDED_H
#define SIM_EXCLUDED_H

/* A request that has no answer is sent before the answer to an earlier one has been read. Where the target's
 * answer is shorter than production's it has said all of it by then, and nothing behind the request without
 * an answer: the next turn waits for it, and the session ends as target_silent. */
#define EXCLUDE_SHORTER_ANSWERS_BEHIND_NO_ANSWER 1

/* Where a request overlaps an answer and the mirror shows a copy that was cut in another way before the
 * segment itself, the line does not see that the turn goes on in the midst of a request. */
#define EXCLUDE_SHORTER_ANSWERS_BEHIND_COPIES 1

#endif
