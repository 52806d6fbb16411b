#include "engine.h"

#include <stdarg.h>
#include <stdio.h>

int engine_fail(struct dp_engine *engine, int code, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(engine->error, sizeof(engine->error), format, arguments);
    va_end(arguments);
    return code;
}

const char *dp_error(const struct dp_engine *engine)
{
    return engine->error;
}

const void *dp_segment(const struct dp_engine *engine, size_t *size)
{
    *size = stats_size(engine->segment);
    return engine->segment;
}

uint64_t dp_counter_value(const struct dp_engine *engine, uint32_t worker, uint32_t counter)
{
    return dp_segment_value(engine->segment, worker, counter);
}
