#include "admit.h"

static const double NANOSECONDS = 1e9;
static const double SINKING = 1.0 / 8;  /* of the share, each interval: the most that it sinks by */
static const double GAIN = 1.0 / 4;     /* of the growth, each interval */
static const double RISING = 1.0 / 160; /* of the whole */
static const double MARGIN = 1.0 / 32;  /* what the share rises by in 25 ms */
static const double WHOLE = 0x1p32;     /* all hashes */

enum {
    INTERVAL = 5 * 1000 * 1000,
    BURST =
        3 * INTERVAL - 1, /* what is over sooner was a burst, or a pause of the worker, and is only late */
    MOST_ELAPSED = 4 * INTERVAL,
    LATE = 5, /* intervals' work that may wait */
};

void admission_open(struct admission *admission, const struct dp_config *config)
{
    *admission = (struct admission){.config = config, .share = 1};
}

/* The part of the share to lose in this interval: over a few of them, as much as the backlog has grown by. */
static double excess_of(const struct admission *admission, uint32_t backlog, uint64_t done)
{
    if (admission->pressed)
        return SINKING;
    uint64_t dealt_with = done - admission->done;
    if (admission->caught_up || backlog <= LATE * dealt_with || backlog <= admission->backlog)
        return 0;
    double grown = (double)(backlog - admission->backlog) / (double)(dealt_with + 1);
    return grown * GAIN < SINKING ? grown * GAIN : SINKING;
}

/* How fast the share may rise: the less slack the slower, so that what was let in shows its effect first. */
static double room_of(const struct admission *admission, uint64_t elapsed)
{
    double slack = 2 * (double)admission->slack / (double)elapsed;
    return slack < 1 ? slack : 1;
}

bool admission_note(struct admission *admission, struct loop loop, uint64_t now)
{
    admission->slack += admission->idle ? now - admission->noted_at : 0;
    admission->noted_at = now;
    admission->idle = loop.idle;
    admission->pressed |= loop.pressed;
    admission->caught_up |= loop.caught_up;
    return now - admission->adapted_at >= INTERVAL;
}

void admission_adapt(struct admission *admission, uint32_t backlog, uint64_t done, uint64_t now)
{
    uint64_t elapsed = now - admission->adapted_at;
    double intervals = (double)(elapsed < MOST_ELAPSED ? elapsed : MOST_ELAPSED) / INTERVAL;
    double excess = excess_of(admission, backlog, done);
    if (excess == 0)
        admission->pressing = 0;
    else if (admission->pressing++ == 0)
        admission->pressed_since = now;
    if (excess == 0)
        admission->share += RISING * intervals * room_of(admission, elapsed);
    else if (admission->pressing > 2 && now - admission->pressed_since > BURST)
        admission->share -= excess * intervals * admission->share;
    if (admission->share > 1)
        admission->share = 1;
    admission->backlog = backlog;
    admission->done = done;
    admission->adapted_at = now;
    admission->slack = 0;
    admission->pressed = admission->caught_up = false;
}

static double whole_sample(const struct dp_transfer *transfer)
{
    return transfer->sample ? (double)transfer->sample : WHOLE;
}

uint32_t admission_closed(const struct admission *admission)
{
    if (admission->share >= 1)
        return 0;
    double widest = 0;
    for (uint32_t i = 0; i < admission->config->transfer_count; i++) {
        const struct dp_transfer *transfer = &admission->config->transfers[i];
        double sample = whole_sample(transfer);
        widest = transfer->state == DP_RUNNING && sample > widest ? sample : widest;
    }
    double closed = WHOLE - widest * admission->share - WHOLE * MARGIN;
    return closed > 0 ? (uint32_t)closed : 0;
}

void admission_adopt(struct admission *admission, const struct dp_config *config)
{
    for (uint32_t i = 0; i < admission->config->transfer_count; i++) {
        const struct dp_transfer *before = &admission->config->transfers[i];
        const struct dp_transfer *after = &config->transfers[i];
        if (before->state != DP_RUNNING || before->ramp != after->ramp)
            admission->transfers[i].running = false;
    }
    admission->config = config;
}

/* Clients with a hash below this are in the sample. */
static double sample_of(const struct dp_transfer *transfer, uint64_t elapsed)
{
    double threshold = whole_sample(transfer);
    if (elapsed < transfer->ramp)
        threshold *= (double)elapsed / (double)transfer->ramp;
    return threshold;
}

/* Whether so many sessions may start now. A connection that wants more than a second's worth may start when
 * the bucket is full. */
static bool has_tokens(struct bucket *bucket, double rate, uint32_t sessions, uint64_t now)
{
    if (rate <= 0) {
        bucket->open = false;
        return true;
    }
    bucket->tokens =
        bucket->open ? bucket->tokens + rate * (double)(now - bucket->filled) / NANOSECONDS : rate;
    bucket->tokens = bucket->tokens > rate ? rate : bucket->tokens;
    bucket->filled = now;
    bucket->open = true;
    return bucket->tokens >= sessions || bucket->tokens >= rate;
}

enum drop admit(struct admission *admission, const struct dp_transfer *transfer,
                const struct endpoint *client, bool opens, uint64_t now)
{
    uint32_t index = (uint32_t)(transfer - admission->config->transfers);
    struct bucket *own = &admission->transfers[index].bucket;
    if (!admission->transfers[index].running) {
        admission->transfers[index].running = true;
        admission->transfers[index].started = now;
    }
    double sample = sample_of(transfer, now - admission->transfers[index].started);
    uint32_t hash = hash_sample(client->address.half[0], client->address.half[1], client->port);
    if (hash >= sample)
        return DROP_not_sampled;
    if (hash >= sample * admission->share)
        return DROP_overloaded;
    double workers = admission->config->workers;
    uint32_t sessions = transfer->multiplier;
    if (!opens)
        return DROP_NONE;
    if (!has_tokens(own, transfer->sessions_per_second / workers, sessions, now) ||
        !has_tokens(&admission->bucket, admission->config->limits.sessions_per_second / workers, sessions,
                    now))
        return DROP_rate_limited;
    own->tokens -= sessions;
    admission->bucket.tokens -= sessions;
    return DROP_NONE;
}
