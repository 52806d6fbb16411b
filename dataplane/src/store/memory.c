#include "memory.h"

#include <sys/mman.h>

void *memory_reserve(size_t size)
{
    void *memory =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
        return NULL;
    madvise(memory, size, MADV_HUGEPAGE); /* only advice: fewer TLB misses */
    return memory;
}

void memory_free(void *memory, size_t size)
{
    if (memory)
        munmap(memory, size);
}

size_t memory_warm(void *memory, size_t size)
{
    return madvise(memory, size, MADV_POPULATE_WRITE) ? 0 : size;
}
