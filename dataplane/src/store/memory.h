/* memory.h: large areas that are reserved at once and used little by little: pools and tables.
 *
 * Called by pool.c and table.c, which own the areas. Reserving takes address space, touching takes memory: a
 * page, mostly a huge one (2 MiB), at each first access, 0.1 to 5 ms of the worker's time where a virtual
 * machine has to get it from its host.
 */
#ifndef XDPCOPY_MEMORY_H
#define XDPCOPY_MEMORY_H

#include <stddef.h>

/* Zeros, or NULL. */
void *memory_reserve(size_t size);
void memory_free(void *memory, size_t size);

/* Touches all of it, without changing it. Returns how much that was: nothing where the kernel cannot
 * (MADV_POPULATE_WRITE, Linux 5.14) or has no memory left. */
size_t memory_warm(void *memory, size_t size);

#endif
