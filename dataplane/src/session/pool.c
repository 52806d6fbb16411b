#include "pool.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

enum { LEAST_RELEASE = 1 << 20 }; /* bytes; less is not worth the page faults that follow */

int pool_open(struct pool *pool, size_t object_size, uint32_t capacity)
{
    size_t rounded = (object_size + 63) & ~(size_t)63; /* objects never share a cache line */
    void *base = mmap(NULL, rounded * capacity, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED)
        return -ENOMEM;
    madvise(base, rounded * capacity, MADV_HUGEPAGE); /* advice: fewer misses of the TLB */
    *pool = (struct pool){.base = base, .object_size = rounded, .capacity = capacity};
    return 0;
}

void pool_close(struct pool *pool)
{
    if (pool->base)
        munmap(pool->base, pool->object_size * pool->capacity);
    pool->base = NULL;
}

void pool_release(struct pool *pool)
{
    if (pool->live || pool->touched * pool->object_size < LEAST_RELEASE)
        return;
    madvise(pool->base, pool->touched * pool->object_size, MADV_DONTNEED);
    pool->free = NULL;
    pool->touched = 0;
}

void *pool_take(struct pool *pool)
{
    void *object = pool->free;
    if (object)
        memcpy(&pool->free, object, sizeof(pool->free));
    else if (pool->touched < pool->capacity)
        object = pool->base + pool->object_size * pool->touched++;
    else
        return NULL;
    pool->live++;
    return object;
}

void pool_give(struct pool *pool, void *object)
{
    memcpy(object, &pool->free, sizeof(pool->free));
    pool->free = object;
    pool->live--;
}
