#include "repeats.h"

#include "replay/offline.h"

static bool has_handed_frames(const struct worker *worker)
{
    struct handed handed;
    for (uint32_t other = 0; other < worker->config->workers; other++)
        if (worker->patient_from[other] && handoff_take(worker->patient_from[other], &handed, 1))
            return true;
    return false;
}

/* This worker's part in the end of a repeat. */
static void close_repeat(struct worker *worker)
{
    uint32_t read = __atomic_load_n(worker->repeats_read, __ATOMIC_ACQUIRE);
    if (worker->repeats_over == read || has_handed_frames(worker))
        return;
    if (worker->repeats_cut != read) {
        offline_cut(&worker->replay);
        worker->repeats_cut = read;
    }
    if (!offline_is_over(&worker->replay))
        return;
    offline_forget(&worker->replay);
    __atomic_store_n(&worker->repeats_over, read, __ATOMIC_RELEASE);
}

static bool all_are_over(const struct worker *worker, uint32_t read)
{
    for (uint32_t i = 0; i < worker->config->workers; i++)
        if (__atomic_load_n(&worker->all[i].repeats_over, __ATOMIC_ACQUIRE) != read)
            return false;
    return true;
}

/* The reading worker's part. */
static void begin_next(struct worker *worker, uint64_t now)
{
    struct port *port = worker->capture;
    if (worker->capture_finished || !port->ops->ended(port))
        return;
    uint32_t read = *worker->repeats_read;
    if (!worker->repeat_read) {
        worker->repeat_read = true;
        __atomic_store_n(worker->repeats_read, read + 1, __ATOMIC_RELEASE);
        return;
    }
    if (!all_are_over(worker, read))
        return;
    worker->repeat_read = false;
    stats_add(&worker->stats->capture_repeats, 1);
    worker->capture_finished = !port->ops->again(port, now);
}

void repeats_step(struct worker *worker, uint64_t now)
{
    if (worker->draining)
        return;
    if (worker->capture)
        begin_next(worker, now);
    close_repeat(worker);
}
