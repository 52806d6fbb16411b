/* pool.h: objects of one size, taken and given back without the allocator.
 *
 * Memory is reserved at once and touched only as the pool grows, so a generous capacity costs nothing; a
 * worker that runs touches the first part of it beforehand, because a page fault takes longer than a turn.
 * Used by replay.c for streams, sessions and chunks. An object's index is stable: tables refer to it.
 */
#ifndef XDPCOPY_POOL_H
#define XDPCOPY_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pool {
    uint8_t *base;
    void *free; /* each free object holds the address of the next */
    size_t object_size;
    uint32_t capacity;
    size_t warm;      /* bytes that have been touched beforehand, and stay */
    uint32_t touched; /* objects ever taken */
    uint32_t live;
};

/* Returns 0 or -ENOMEM. */
int pool_open(struct pool *pool, size_t object_size, uint32_t capacity);
void pool_close(struct pool *pool);

/* An object with undefined contents, or NULL when all are taken. */
void *pool_take(struct pool *pool);
void pool_give(struct pool *pool, void *object);

/* Whether most of the objects are taken. */
static inline bool pool_is_short(const struct pool *pool)
{
    return pool->live > pool->capacity / 4 * 3;
}

/* Touches no more than so many bytes, from the first object on. */
void pool_warm(struct pool *pool, size_t most);

/* Gives the memory that is not warm back to the system, if no object is taken and there is much of it. */
void pool_release(struct pool *pool);

/* The object of this index, which may be a free one. */
static inline void *pool_at(const struct pool *pool, uint32_t index)
{
    return pool->base + pool->object_size * index;
}

static inline uint32_t pool_index(const struct pool *pool, const void *object)
{
    return (uint32_t)((size_t)((const uint8_t *)object - pool->base) / pool->object_size);
}

#endif
