/* case.h: one case of bench_line.c: what is asked for on its command line, and the engine's configuration.
 */
#ifndef BENCH_CASE_H
#define BENCH_CASE_H

#include "dataplane.h"
#include "script.h"

enum {
    MIRROR = 0,
    TEST = 1,
    RING = 1024,
    STEP = 20000, /* virtual nanoseconds: about what a step takes, so that timers are as they would be */
};

#define SECOND 1000000000ull

struct options {
    uint32_t sessions;
    uint32_t latency;
    enum mirrored mirrored;
    uint32_t slices;
    uint64_t slice_frames;
    uint64_t seconds;
    uint64_t linger;
    uint32_t workers;
    uint32_t copies;
    bool foreign;
    bool churn;
    bool verify;
};

/* Sessions that replay one connection. */
static inline uint32_t sessions_each(const struct options *options)
{
    return options->copies ? options->copies : 1;
}

/* Ends the program, with the usage, where that makes no case. */
struct options case_read(int argc, char **argv);
void case_print(const struct options *options);

struct dp_config case_config(const struct options *options);

#endif
