/* repeats.h: the end of the capture files, and the beginning of their next repeat.
 *
 * Called by worker.c once a turn where there is a capture port. Frames of a repeat may be with any worker, so
 * its end is agreed on: the worker that reads says that all frames are out; each worker, itself included,
 * takes what has been handed to it, cuts what the capture leaves open, waits until its last session has
 * ended, and says so; then the next repeat may begin. Nothing here waits: every turn looks, and goes on as
 * far as it can.
 */
#ifndef XDPCOPY_REPEATS_H
#define XDPCOPY_REPEATS_H

#include "worker.h"

void repeats_turn(struct worker *worker, uint64_t now);

#endif
