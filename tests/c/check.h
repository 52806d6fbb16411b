/* check.h: the little that the C tests need: CHECK, a repeatable random number, and the closing line. */
#ifndef XDPCOPY_CHECK_H
#define XDPCOPY_CHECK_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define CHECK(condition)                                                                                     \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            fprintf(stderr, "%s:%d: in %s: not true: %s\n", __FILE__, __LINE__, __func__, #condition);       \
            exit(1);                                                                                         \
        }                                                                                                    \
    } while (0)

#define RUN(test)                                                                                            \
    do {                                                                                                     \
        test();                                                                                              \
        printf("ok %s\n", #test);                                                                            \
    } while (0)

/* xorshift64*: the same numbers in every run. */
static inline uint32_t random32(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return (uint32_t)((*state * 0x2545f4914f6cdd1d) >> 32);
}

#endif
