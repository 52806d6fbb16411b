/* excluded.h: cases that the line is known not to serve yet. Each is a switch with its reason; set it to 0 to
 * see the failure. A case leaves this file when the line serves it.
 */
#ifndef SIM_EXCLUDED_H
#define SIM_EXCLUDED_H

/* A client's RST that overtakes bytes in the mirror, or behind which bytes are missing, ends the session
 * without them: its sequence number is not looked at. */
#define EXCLUDE_DELIVERY_BEFORE_RESET 1

/* A request that is sent while the answer before it is still being read splits into turns. Where the target's
 * answer is shorter than production's it has nothing to say between them, and the session ends as
 * target_silent. The same with a request that has no answer behind one that was not waited for. */
#define EXCLUDE_SHORTER_ANSWERS_WHERE_TURNS_OVERLAP 1

/* Segments beyond the target's window: an old segment of the target's that acknowledges more moves the
 * window, and an empty segment stands behind the byte that has probed a closed window. */
#define EXCLUDE_SEGMENTS_BEYOND_THE_WINDOW 1

/* The silence that ends a shorter answer is counted while the request is still being delivered; when its last
 * byte is acknowledged the next turn leaves at once. */
#define EXCLUDE_SILENCE_WHILE_A_REQUEST_IS_UNDER_WAY 1

/* A connection that was under way when the mirror began is not joined at a turn that is a single segment with
 * a FIN. */
#define EXCLUDE_JOINING_WITH_A_SEGMENT_THAT_CLOSES 1

#endif
