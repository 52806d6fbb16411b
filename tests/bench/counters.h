/* counters.h: an engine's counters by name, all workers together. Called by bench_line.c. */
#ifndef BENCH_COUNTERS_H
#define BENCH_COUNTERS_H

#include "dataplane.h"

/* Ends the program where there is no counter of this name. */
uint64_t counters_value(const struct dp_engine *engine, uint32_t workers, const char *name);

/* Of all counters whose names begin so. */
uint64_t counters_sum(const struct dp_engine *engine, uint32_t workers, const char *prefix);

/* , "name": value */
void counters_print(const char *name, uint64_t value);

#endif
