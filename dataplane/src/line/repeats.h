/* repeats.h: the end of the capture files, and the start of their next repeat.
 *
 * Any worker may hold frames of a repeat, so they agree on its end. The worker that reads says that all
 * frames are out. Each worker, the reader too, takes what has been handed to it, cuts what the capture leaves
 * open, lets its last session end, and says so. Then the next repeat may begin. Nothing here blocks: each
 * loop takes it as far as it can.
 */
#ifndef XDPCOPY_REPEATS_H
#define XDPCOPY_REPEATS_H

#include "worker.h"

void repeats_step(struct worker *worker, uint64_t now);

#endif
