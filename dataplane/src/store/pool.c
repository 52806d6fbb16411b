#include "pool.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "memory.h"

enum { LEAST_RELEASE = 1 << 20 }; /* bytes; less is not worth the page faults to get it back */

int pool_open(struct pool *pool, size_t object_size, uint32_t capacity)
{
    size_t rounded = (object_size + 63) & ~(size_t)63; /* objects never share a cache line */
    void *base = memory_reserve(rounded * capacity);
    if (!base)
        return -ENOMEM;
    *pool = (struct pool){.base = base, .object_size = rounded, .capacity = capacity};
    return 0;
}

void pool_close(struct pool *pool)
{
    memory_free(pool->base, pool->object_size * pool->capacity);
    pool->base = NULL;
}

void pool_warm(struct pool *pool, size_t most)
{
    size_t whole = pool->object_size * pool->capacity;
    pool->warm = memory_warm(pool->base, whole < most ? whole : most);
}

void pool_release(struct pool *pool)
{
    size_t touched = pool->touched * pool->object_size;
    if (pool->live || touched < pool->warm + LEAST_RELEASE)
        return;
    madvise(pool->base + pool->warm, touched - pool->warm, MADV_DONTNEED);
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
