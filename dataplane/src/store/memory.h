/* memory.h: large areas, reserved at once and used little by little, for pools and tables.
 *
 * Reserving takes address space, touching takes memory: each first access gets a page, mostly a huge one
 * (2 MiB), which costs 0.1 to 5 ms where a virtual machine has to get it from its host.
 */
#ifndef XDPCOPY_MEMORY_H
#define XDPCOPY_MEMORY_H

#include <stddef.h>

/* Zeros, or NULL. */
void *memory_reserve(size_t size);
void memory_free(void *memory, size_t size);

/* Touches all of it without changing it. Returns how much was touched: 0 where the kernel cannot
 * (MADV_POPULATE_WRITE, Linux 5.14) or has no memory left. */
size_t memory_warm(void *memory, size_t size);

#endif
