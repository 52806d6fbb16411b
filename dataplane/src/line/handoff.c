#include "handoff.h"

#include <stddef.h>
#include <string.h>
#include <sys/mman.h>

struct slot {
    uint32_t size;
    uint16_t role;
    uint8_t verify_checksums;
    uint8_t patience;
    uint8_t bytes[];
};

struct handoff {
    uint32_t tail __attribute__((aligned(64))); /* the producer's line */
    uint32_t head __attribute__((aligned(64))); /* the consumer's line */
    uint32_t mask __attribute__((aligned(64))); /* read by both, written by none */
    uint32_t slot_size;
    size_t total;
    uint8_t slots[];
};

struct handoff *handoff_open(uint32_t slots, uint32_t frame_size)
{
    uint32_t slot_size = ((uint32_t)sizeof(struct slot) + frame_size + 63) & ~63u;
    size_t total = sizeof(struct handoff) + (size_t)slots * slot_size;
    struct handoff *handoff =
        mmap(NULL, total, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (handoff == MAP_FAILED)
        return NULL;
    handoff->mask = slots - 1;
    handoff->slot_size = slot_size;
    handoff->total = total;
    return handoff;
}

void handoff_close(struct handoff *handoff)
{
    if (handoff)
        munmap(handoff, handoff->total);
}

static struct slot *slot_at(const struct handoff *handoff, uint32_t at)
{
    const uint8_t *slot = handoff->slots + (size_t)(at & handoff->mask) * handoff->slot_size;
    return (struct slot *)(void *)(uintptr_t)slot;
}

bool handoff_is_full(const struct handoff *handoff)
{
    return handoff->tail - __atomic_load_n(&handoff->head, __ATOMIC_ACQUIRE) > handoff->mask;
}

bool handoff_has_room(const struct handoff *handoff, uint32_t frames)
{
    return handoff->tail - __atomic_load_n(&handoff->head, __ATOMIC_ACQUIRE) + frames <= handoff->mask + 1;
}

bool handoff_put(struct handoff *handoff, const struct handed *handed)
{
    uint32_t tail = handoff->tail;
    if (handoff_is_full(handoff))
        return false;
    if (handed->frame.size + sizeof(struct slot) > handoff->slot_size)
        return false;
    struct slot *slot = slot_at(handoff, tail);
    slot->size = handed->frame.size;
    slot->role = (uint16_t)handed->role;
    slot->verify_checksums = handed->verify_checksums;
    slot->patience = (uint8_t)handed->patience;
    memcpy(slot->bytes, handed->frame.data, handed->frame.size);
    __atomic_store_n(&handoff->tail, tail + 1, __ATOMIC_RELEASE);
    return true;
}

uint32_t handoff_waiting(const struct handoff *handoff)
{
    return __atomic_load_n(&handoff->tail, __ATOMIC_ACQUIRE) - handoff->head;
}

uint32_t handoff_slots(const struct handoff *handoff)
{
    return handoff->mask + 1;
}

uint32_t handoff_take(const struct handoff *handoff, struct handed *handed, uint32_t most)
{
    uint32_t count = handoff_waiting(handoff);
    count = count < most ? count : most;
    for (uint32_t i = 0; i < count; i++) {
        struct slot *slot = slot_at(handoff, handoff->head + i);
        handed[i] = (struct handed){
            {slot->bytes, slot->size, 0}, slot->role, slot->verify_checksums, (enum patience)slot->patience};
    }
    return count;
}

void handoff_done(struct handoff *handoff, uint32_t frames)
{
    __atomic_store_n(&handoff->head, handoff->head + frames, __ATOMIC_RELEASE);
}
