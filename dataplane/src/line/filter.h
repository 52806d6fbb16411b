/* filter.h: which frames of mirror ports are looked at at all (tcpcopy's -F).
 *
 * Classic BPF, compiled and run by libpcap. No instructions: every frame passes.
 */
#ifndef XDPCOPY_FILTER_H
#define XDPCOPY_FILTER_H

#include <dataplane.h>
#include <stdbool.h>

#include "frame.h"

bool filter_is_valid(const struct dp_filter *filter);

bool filter_passes(const struct dp_filter *filter, const struct frame *frame);

#endif
