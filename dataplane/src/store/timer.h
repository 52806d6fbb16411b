/* timer.h: a hierarchical timing wheel: arm, cancel and expire in constant time.
 *
 * Four levels of 256 slots; a tick is 2^20 ns (about a millisecond), the horizon 52 days. A timer fires in
 * the first advance after its tick has passed, never early. A wheel starts as zeroed memory. Timers are
 * embedded in what they belong to; the wheel links them and owns none. Varghese and Lauck, "Hashed and
 * Hierarchical Timing Wheels", 1987, scheme 7.
 */
#ifndef XDPCOPY_TIMER_H
#define XDPCOPY_TIMER_H

#include <stdbool.h>
#include <stdint.h>

#define TIMER_NEVER UINT64_MAX

enum timer_kind { TIMER_SESSION, TIMER_STREAM };

struct timer {
    struct timer *next;
    struct timer **link; /* what points here; NULL: not armed */
    uint64_t tick : 56;
    uint64_t kind : 8; /* enum timer_kind */
};

enum { TIMER_LEVELS = 4, TIMER_SLOTS = 256 };

struct wheel {
    uint64_t tick; /* every tick before this one has been handled */
    struct timer *slots[TIMER_LEVELS][TIMER_SLOTS];
    struct timer *expired;
    uint32_t armed;
};

/* Fires at `due` or up to a tick later; TIMER_NEVER disarms it. A timer that is armed for an earlier time
 * stays armed for it: its owner looks at what is due when it fires, and arms it again. One that is armed for
 * a later time is moved. */
void timer_arm(struct wheel *wheel, struct timer *timer, uint64_t due);
void timer_cancel(struct wheel *wheel, struct timer *timer);

/* The next timer that is due, disarmed, or NULL. */
struct timer *wheel_expire(struct wheel *wheel, uint64_t now);

/* Nothing is due before this time, which is at most so many ticks ahead. */
uint64_t wheel_idle_until(const struct wheel *wheel, uint32_t most_ticks);

#endif
