/* excluded.h: cases that the line is known not to serve yet. Each is a switch with its reason; set it to 0 to
 * see the failure. A case leaves this file when the line serves it.
 */
#ifndef SIM_EXCLUDED_H
#define SIM_EXCLUDED_H

/* A client's RST ends the session at once when it comes with the same turn as what is still to be delivered, or
 * overtakes it in the mirror: then less than everything arrives. */
#define EXCLUDE_DELIVERY_BEFORE_RESET 1

/* A request that is sent while the answer before it is still being read splits into turns. Where the target's
 * answer is shorter than production's it has nothing to say between them, and the session ends as
 * target_silent. The same with a request that has no answer behind one that was not waited for. */
#define EXCLUDE_SHORTER_ANSWERS_WHERE_TURNS_OVERLAP 1

/* Where answers are acknowledged as the production client does, the window that is offered is cut to units of the
 * window scale each time anew, so that its right edge creeps back (RFC 7323 2.4 would keep it). */
#define EXCLUDE_WINDOW_THAT_CREEPS_BACK 1

#endif
