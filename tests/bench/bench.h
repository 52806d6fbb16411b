/* bench.h: what the benchmark programs share: the clock, numbers from the command line, an order to visit
 * things in, and the middle of several measurements.
 *
 * Each program prints one JSON object on its standard output, or a sentence on its standard error and fails.
 * python -m tests.bench runs them and makes tables of what they print.
 */
#ifndef BENCH_H
#define BENCH_H

#include <stdint.h>

#define BENCH_SLICES 64

/* Nanoseconds for each frame, measured several times: the machine is not alone. */
struct slices {
    double each[BENCH_SLICES];
    uint32_t count;
};

/* Nanoseconds, for how long to go on. */
uint64_t bench_clock(void);

/* Nanoseconds that this thread was on a CPU, which is what is measured: other programs that want the same CPU
 * do not count, as far as the kernel sees them. Reading it takes about a hundred of them. */
uint64_t bench_cpu_clock(void);

/* How fast the time stamp counter counts, in GHz; 0 if the processor does not promise that it is constant. */
double bench_tsc_ghz(void);

/* The value of --name=NUMBER among the arguments, or what is said otherwise. Ends the program when it is no
 * number. */
uint64_t bench_option(int argc, char **argv, const char *name, uint64_t otherwise);

/* Prints a sentence and ends the program. */
__attribute__((format(printf, 1, 2), noreturn)) void bench_fail(const char *format, ...);

/* Pseudo-random numbers: the same in every run. */
uint64_t bench_random(uint64_t *state);

/* 0 to count - 1 in a random order. */
void bench_shuffle(uint32_t *order, uint32_t count, uint64_t *state);

/* Bytes of this process that are in memory. */
uint64_t bench_resident(void);

void slices_add(struct slices *slices, uint64_t nanoseconds, uint64_t frames);

/* "ns_per_frame": …, "least": …, "most": …, "frames_per_second": …, "tsc_cycles_per_frame": …, "slices": … */
void slices_print(struct slices *slices);

#endif
