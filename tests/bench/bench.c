#define _GNU_SOURCE
#include "bench.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#if defined(__x86_64__)
#include <cpuid.h>
#include <x86intrin.h>
#endif

enum { NANOSECONDS = 1000000000, CALIBRATION = 20 * 1000 * 1000 };

static uint64_t read_clock(clockid_t clock)
{
    struct timespec time;
    clock_gettime(clock, &time);
    return (uint64_t)time.tv_sec * NANOSECONDS + (uint64_t)time.tv_nsec;
}

uint64_t bench_clock(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

uint64_t bench_cpu_clock(void)
{
    return read_clock(CLOCK_THREAD_CPUTIME_ID);
}

#if defined(__x86_64__)
/* "Invariant TSC": the same rate in all power states of the processor. */
static int tsc_is_constant(void)
{
    unsigned int a;
    unsigned int b;
    unsigned int c;
    unsigned int d;
    return __get_cpuid(0x80000007, &a, &b, &c, &d) && (d & (1u << 8));
}

double bench_tsc_ghz(void)
{
    if (!tsc_is_constant())
        return 0;
    uint64_t start = bench_clock();
    uint64_t first = __rdtsc();
    while (bench_clock() - start < CALIBRATION)
        ;
    uint64_t last = __rdtsc();
    return (double)(last - first) / (double)(bench_clock() - start);
}
#else
double bench_tsc_ghz(void)
{
    return 0;
}
#endif

void bench_fail(const char *format, ...)
{
    va_list values;
    va_start(values, format);
    vfprintf(stderr, format, values);
    va_end(values);
    fputc('\n', stderr);
    exit(1);
}

static const char *value_of(const char *argument, const char *name)
{
    size_t size = strlen(name);
    if (strncmp(argument, "--", 2) != 0 || strncmp(argument + 2, name, size) != 0)
        return NULL;
    return argument[2 + size] == '=' ? argument + 2 + size + 1 : NULL;
}

uint64_t bench_option(int argc, char **argv, const char *name, uint64_t otherwise)
{
    for (int i = 1; i < argc; i++) {
        const char *value = value_of(argv[i], name);
        if (!value)
            continue;
        char *end;
        uint64_t number = strtoull(value, &end, 0);
        if (*value == '\0' || *end)
            bench_fail("--%s=%s: that is no number", name, value);
        return number;
    }
    return otherwise;
}

/* Vigna's splitmix64. */
uint64_t bench_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

void bench_shuffle(uint32_t *order, uint32_t count, uint64_t *state)
{
    for (uint32_t i = 0; i < count; i++) {
        uint32_t at = (uint32_t)(bench_random(state) % (i + 1u));
        order[i] = order[at];
        order[at] = i;
    }
}

uint64_t bench_resident(void)
{
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (!file || fscanf(file, "%*u %lu", &pages) != 1)
        bench_fail("cannot read /proc/self/statm");
    fclose(file);
    return (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

void slices_add(struct slices *slices, uint64_t nanoseconds, uint64_t frames)
{
    if (frames && slices->count < BENCH_SLICES)
        slices->each[slices->count++] = (double)nanoseconds / (double)frames;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return x < y ? -1 : x > y;
}

void slices_print(struct slices *slices)
{
    uint32_t count = slices->count;
    if (!count)
        bench_fail("nothing was measured");
    qsort(slices->each, count, sizeof(slices->each[0]), compare);
    double middle = (slices->each[(count - 1) / 2] + slices->each[count / 2]) / 2;
    printf("\"ns_per_frame\": %.2f, \"least\": %.2f, \"most\": %.2f, \"frames_per_second\": %.0f, "
           "\"slices\": %u",
           middle, slices->each[0], slices->each[count - 1], NANOSECONDS / middle, count);
    double ghz = bench_tsc_ghz();
    if (ghz > 0)
        printf(", \"tsc_cycles_per_frame\": %.1f", middle * ghz);
}
