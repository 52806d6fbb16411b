/* script.h: the fuzzer's bytes, read one by one: what the fuzz targets decide by. */
#ifndef FUZZ_SCRIPT_H
#define FUZZ_SCRIPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

struct script {
    const uint8_t *at;
    size_t rest;
};

/* The next byte; 0 when there is none. */
static inline uint32_t take(struct script *script)
{
    if (!script->rest)
        return 0;
    script->rest--;
    return *script->at++;
}

static inline void check(bool condition)
{
    if (!condition)
        abort();
}

#endif
