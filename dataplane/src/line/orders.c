#include "orders.h"

#include "replay/change.h"
#include "replay/send.h"

static void drain(struct worker *worker)
{
    worker->draining = true;
    replay_drain(&worker->replay);
}

static void tell_unconfirmed(struct worker *worker, uint64_t now)
{
    uint32_t unconfirmed = replay_unconfirmed(&worker->replay, now);
    if (unconfirmed != worker->followed.unconfirmed)
        __atomic_store_n(&worker->followed.unconfirmed, unconfirmed, __ATOMIC_RELEASE);
}

/* One step of a change, of which there is mostly none. */
static bool follow_change(struct worker *worker, uint64_t now)
{
    uint32_t epoch = __atomic_load_n(&worker->orders->epoch, __ATOMIC_ACQUIRE);
    struct followed *followed = &worker->followed;
    if (followed->clean == epoch)
        return false;
    if (worker->epoch != epoch) {
        worker->epoch = epoch;
        worker->config = worker->orders->config;
        change_adopt(&worker->replay, worker->config);
    }
    if (change_step(&worker->replay))
        return true;
    tell_unconfirmed(worker, now);
    __atomic_store_n(&followed->epoch, epoch, __ATOMIC_RELEASE);
    if (!worker->replay.ending)
        __atomic_store_n(&followed->clean, epoch, __ATOMIC_RELEASE);
    return false;
}

/* One step of an answer about sessions, for which mostly nobody has asked. */
static bool tell_sessions(struct worker *worker)
{
    uint32_t asked = __atomic_load_n(&worker->orders->asked, __ATOMIC_ACQUIRE);
    if (worker->followed.told == asked)
        return false;
    if (listing_step(&worker->replay, &worker->listing))
        return true;
    __atomic_store_n(&worker->followed.told, asked, __ATOMIC_RELEASE);
    return false;
}

bool orders_follow(struct worker *worker, uint64_t now)
{
    uint32_t bits = __atomic_load_n(&worker->orders->bits, __ATOMIC_ACQUIRE);
    if (bits & ORDER_PAUSE)
        worker->replay.paused_until = now;
    if ((bits & ORDER_DRAIN) && !worker->draining)
        drain(worker);
    tell_unconfirmed(worker, now);
    bool busy = follow_change(worker, now);
    return tell_sessions(worker) || busy;
}
