/* overload.h: what this worker tells admission about its load, and what admission makes of it.
 *
 * Overload is answered at the door: what has been let in is served, and fewer connections are let in.
 */
#ifndef XDPCOPY_OVERLOAD_H
#define XDPCOPY_OVERLOAD_H

#include "worker.h"

/* Once a loop; `busy`: the loop found something to do. */
void overload_adapt(struct worker *worker, bool busy, uint64_t now);

#endif
