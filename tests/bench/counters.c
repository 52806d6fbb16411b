#include "counters.h"

#include <stdio.h>
#include <string.h>

#include "bench.h"

static uint64_t value_of(const struct dp_engine *engine, uint32_t workers, uint32_t counter)
{
    uint64_t total = 0;
    for (uint32_t worker = 0; worker < workers; worker++)
        total += dp_counter_value(engine, worker, counter);
    return total;
}

uint64_t counters_value(const struct dp_engine *engine, uint32_t workers, const char *name)
{
    for (uint32_t i = 0; i < dp_counter_count(); i++)
        if (strcmp(dp_counter_info(i)->name, name) == 0)
            return value_of(engine, workers, i);
    bench_fail("there is no counter %s", name);
}

uint64_t counters_sum(const struct dp_engine *engine, uint32_t workers, const char *prefix)
{
    uint64_t total = 0;
    for (uint32_t i = 0; i < dp_counter_count(); i++)
        if (strncmp(dp_counter_info(i)->name, prefix, strlen(prefix)) == 0)
            total += value_of(engine, workers, i);
    return total;
}

void counters_print(const char *name, uint64_t value)
{
    printf(", \"%s\": %llu", name, (unsigned long long)value);
}
