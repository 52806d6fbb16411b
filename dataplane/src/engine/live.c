/* live.c: what can be changed while the workers run. */
#include <errno.h>

#include "config.h"
#include "engine.h"

static bool all_have_taken(const struct dp_engine *engine)
{
    for (uint32_t i = 0; i < engine->config->workers; i++)
        if (__atomic_load_n(&engine->workers[i].followed.epoch, __ATOMIC_ACQUIRE) != engine->orders.epoch)
            return false;
    return true;
}

static bool all_are_clean(const struct dp_engine *engine)
{
    for (uint32_t i = 0; i < engine->config->workers; i++)
        if (__atomic_load_n(&engine->workers[i].followed.clean, __ATOMIC_ACQUIRE) != engine->orders.epoch)
            return false;
    return true;
}

static bool is_other(const struct dp_transfer *a, const struct dp_transfer *b)
{
    return memcmp(a->source_ip, b->source_ip, sizeof(a->source_ip)) != 0 ||
           a->source_port != b->source_port ||
           memcmp(a->target_ip, b->target_ip, sizeof(a->target_ip)) != 0 ||
           a->target_port != b->target_port || a->transport != b->transport;
}

/* Copies what may change. */
static void take_over(struct dp_config *next, const struct dp_config *config)
{
    next->transfer_count = config->transfer_count;
    memcpy(next->transfers, config->transfers, sizeof(next->transfers));
    next->range_count = config->range_count;
    memcpy(next->ranges, config->ranges, sizeof(next->ranges));
    next->limits.sessions_per_second = config->limits.sessions_per_second;
}

static int check_change(struct dp_engine *engine, const struct dp_config *next)
{
    for (uint32_t i = 0; i < engine->config->transfer_count; i++) {
        const struct dp_transfer *before = &engine->config->transfers[i];
        const struct dp_transfer *after = &next->transfers[i];
        if (before->state != DP_REMOVED && is_other(before, after))
            return engine_fail(engine, -EINVAL, "transfer %u has another source or target; remove it first",
                               i);
        if (before->state == DP_REMOVED && after->state != DP_REMOVED && !all_are_clean(engine))
            return engine_fail(engine, -EBUSY, "the sessions of transfer %u are still being reset", i);
    }
    return 0;
}

static void publish(struct dp_engine *engine, const struct dp_config *next)
{
    for (uint32_t i = 0; i < engine->config->transfer_count; i++)
        if (engine->config->transfers[i].state == DP_REMOVED && next->transfers[i].state != DP_REMOVED)
            stats_clear_transfer(engine->segment, i);
    for (uint32_t i = 0; i < next->transfer_count; i++)
        __atomic_store_n(&engine->next_hops[i], mac_pack(next->transfers[i].target_mac), __ATOMIC_RELAXED);
    engine->config = engine->orders.config = next;
    __atomic_store_n(&engine->orders.epoch, engine->orders.epoch + 1, __ATOMIC_RELEASE);
}

int dp_change(struct dp_engine *engine, const struct dp_config *config)
{
    uint32_t count = engine->config->transfer_count;
    if (config->transfer_count < count)
        return engine_fail(engine, -EINVAL, "%u transfers where there were %u; remove them in place",
                           config->transfer_count, count);
    if (!all_have_taken(engine))
        return engine_fail(engine, -EBUSY, "a worker has not taken up the change before");
    struct dp_config *next = &engine->configs[engine->config == &engine->configs[0]];
    take_over(next, config); /* no worker reads it any more */
    int code = config_check_transfers(next, engine->error);
    code = code ? code : check_change(engine, next);
    if (!code)
        publish(engine, next);
    return code;
}

int dp_change_taken(const struct dp_engine *engine)
{
    return all_have_taken(engine);
}

uint32_t dp_unconfirmed(const struct dp_engine *engine)
{
    uint32_t sessions = 0;
    for (uint32_t i = 0; i < engine->config->workers; i++)
        sessions += __atomic_load_n(&engine->workers[i].followed.unconfirmed, __ATOMIC_ACQUIRE);
    return sessions;
}

static bool all_have_told(const struct dp_engine *engine)
{
    for (uint32_t i = 0; i < engine->config->workers; i++)
        if (__atomic_load_n(&engine->workers[i].followed.told, __ATOMIC_ACQUIRE) != engine->orders.asked)
            return false;
    return true;
}

int dp_sessions_ask(struct dp_engine *engine, const struct dp_session_query *query)
{
    if (query->limit > DP_MAX_ROWS)
        return engine_fail(engine, -EINVAL, "limit is %u; give at most %d", query->limit, DP_MAX_ROWS);
    if (!all_have_told(engine))
        return engine_fail(engine, -EBUSY, "a worker has not answered the question before");
    for (uint32_t i = 0; i < engine->config->workers; i++)
        engine->workers[i].listing =
            (struct listing){.query = *query, .rows = engine->rows + (size_t)i * DP_MAX_ROWS};
    __atomic_store_n(&engine->orders.asked, engine->orders.asked + 1, __ATOMIC_RELEASE);
    return 0;
}

int dp_sessions_take(struct dp_engine *engine, struct dp_session_row *rows, uint32_t size, uint32_t *more)
{
    if (!all_have_told(engine))
        return -EAGAIN;
    uint32_t count = 0;
    *more = 0;
    for (uint32_t i = 0; i < engine->config->workers; i++) {
        const struct listing *listing = &engine->workers[i].listing;
        *more |= listing->more || listing->count > size - count;
        for (uint32_t row = 0; row < listing->count && count < size; row++) {
            rows[count] = listing->rows[row];
            rows[count++].worker = i;
        }
    }
    return (int)count;
}
