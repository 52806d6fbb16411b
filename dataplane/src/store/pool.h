/* pool.h: objects of one size, taken and given back without the allocator.
 *
 * Memory is reserved at once and touched only as the pool grows, so a generous capacity costs nothing. A
 * worker touches the first part of it before it starts, because a page fault takes longer than a loop. An
 * object stays in its slot: tables refer to objects by that number.
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
    size_t warm;      /* bytes from the start that were touched beforehand, and are kept */
    uint32_t touched; /* slots that have ever been taken */
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

/* Touches the memory of the first slots, at most so many bytes. */
void pool_warm(struct pool *pool, size_t most);

/* Gives memory that is not warm back to the system if no object is taken and there is enough to be worth it.
 */
void pool_release(struct pool *pool);

/* The object in this slot, which may be a free one. */
static inline void *pool_at(const struct pool *pool, uint32_t slot)
{
    return pool->base + pool->object_size * slot;
}

static inline uint32_t pool_slot(const struct pool *pool, const void *object)
{
    return (uint32_t)((size_t)((const uint8_t *)object - pool->base) / pool->object_size);
}

#endif
