#include "timer.h"

#include <stddef.h>

enum { TICK_SHIFT = 20, SLOT_BITS = 8 };

#define TIMER_TICKS (((uint64_t)1 << 56) - 1) /* as many as the field in a timer holds */

static void link_timer(struct wheel *wheel, struct timer **head, struct timer *timer)
{
    timer->next = *head;
    timer->link = head;
    if (timer->next)
        timer->next->link = &timer->next;
    *head = timer;
    wheel->armed++;
}

/* In the lowest level whose slots reach the tick; beyond the horizon, the last slot of the top level. The
 * distance is counted in whole slots, so that above level 0 it is never the present slot, which has already
 * been emptied. */
static struct timer **slot_of(struct wheel *wheel, uint64_t tick)
{
    for (uint32_t level = 0; level < TIMER_LEVELS; level++) {
        uint32_t shift = level * SLOT_BITS;
        if ((tick >> shift) - (wheel->tick >> shift) < TIMER_SLOTS)
            return &wheel->slots[level][(tick >> shift) % TIMER_SLOTS];
    }
    uint32_t shift = (TIMER_LEVELS - 1) * SLOT_BITS;
    return &wheel->slots[TIMER_LEVELS - 1][((wheel->tick >> shift) + TIMER_SLOTS - 1) % TIMER_SLOTS];
}

void timer_cancel(struct wheel *wheel, struct timer *timer)
{
    if (!timer->link)
        return;
    *timer->link = timer->next;
    if (timer->next)
        timer->next->link = timer->link;
    timer->link = NULL;
    wheel->armed--;
}

void timer_arm(struct wheel *wheel, struct timer *timer, uint64_t due)
{
    if (due == TIMER_NEVER) {
        timer_cancel(wheel, timer);
        return;
    }
    uint64_t tick = (due >> TICK_SHIFT) + 1;
    if (timer->link) {
        if (timer->tick <= tick)
            return;
        timer_cancel(wheel, timer);
    }
    timer->tick = (tick < wheel->tick ? wheel->tick : tick) & TIMER_TICKS;
    link_timer(wheel, slot_of(wheel, timer->tick), timer);
}

/* Empties a slot and files each of its timers anew: one level down, or among the expired. */
static void cascade(struct wheel *wheel, struct timer **slot)
{
    struct timer *timer = *slot;
    *slot = NULL;
    while (timer) {
        struct timer *next = timer->next;
        wheel->armed--;
        link_timer(wheel, timer->tick <= wheel->tick ? &wheel->expired : slot_of(wheel, timer->tick), timer);
        timer = next;
    }
}

static void advance(struct wheel *wheel)
{
    for (uint32_t level = TIMER_LEVELS - 1; level > 0; level--) {
        uint32_t shift = level * SLOT_BITS;
        if ((wheel->tick & ((1ull << shift) - 1)) == 0)
            cascade(wheel, &wheel->slots[level][(wheel->tick >> shift) % TIMER_SLOTS]);
    }
    cascade(wheel, &wheel->slots[0][wheel->tick % TIMER_SLOTS]);
}

struct timer *wheel_expire(struct wheel *wheel, uint64_t now)
{
    uint64_t target = now >> TICK_SHIFT;
    if (!wheel->armed && wheel->tick <= target)
        wheel->tick = target + 1;
    while (!wheel->expired && wheel->tick <= target) {
        advance(wheel);
        wheel->tick++;
    }
    struct timer *timer = wheel->expired;
    if (timer)
        timer_cancel(wheel, timer);
    return timer;
}

uint64_t wheel_idle_until(const struct wheel *wheel, uint32_t most_ticks)
{
    uint64_t tick = wheel->tick;
    uint64_t last = tick + most_ticks;
    if (wheel->expired)
        return 0;
    while (tick < last && !wheel->slots[0][tick % TIMER_SLOTS] && (tick == wheel->tick || tick % TIMER_SLOTS))
        tick++;
    return tick << TICK_SHIFT;
}
