#include "admit.h"

static const double NANOSECONDS = 1e9;

void admission_open(struct admission *admission, const struct dp_config *config)
{
    *admission = (struct admission){.config = config};
}

/* Steps of the golden ratio: whatever run of ports a client uses, every second one or all, they fall evenly
 * over the range (Weyl), so that its share of the sample is exact and not a matter of luck. */
static uint32_t sampling_hash(const struct endpoint *client)
{
    uint64_t hash = hash_address(&client->address, 0x8ebc6af09c88c6e3);
    return (uint32_t)(hash >> 32) + client->port * 0x9e3779b9U;
}

static bool is_sampled(const struct admission *admission, const struct dp_transfer *transfer,
                       const struct endpoint *client, uint64_t now)
{
    double threshold = transfer->sample ? (double)transfer->sample : 0x1p32;
    uint64_t elapsed = now - admission->started;
    if (elapsed < transfer->ramp)
        threshold *= (double)elapsed / (double)transfer->ramp;
    return sampling_hash(client) < threshold;
}

static bool take_tokens(struct admission *admission, uint32_t sessions, uint64_t now)
{
    double rate = (double)admission->config->limits.sessions_per_second / admission->config->workers;
    admission->tokens += rate * (double)(now - admission->filled) / NANOSECONDS;
    admission->filled = now;
    if (admission->tokens > rate)
        admission->tokens = rate;
    if (admission->tokens < sessions && admission->tokens < rate)
        return false;
    admission->tokens -= sessions;
    return true;
}

enum drop admit(struct admission *admission, const struct dp_transfer *transfer,
                const struct endpoint *client, bool opens, uint64_t now)
{
    if (!admission->running) {
        admission->running = true;
        admission->started = now;
        admission->filled = now;
        admission->tokens = (double)admission->config->limits.sessions_per_second;
    }
    if (!is_sampled(admission, transfer, client, now))
        return DROP_not_sampled;
    uint32_t sessions = transfer->multiplier ? transfer->multiplier : 1;
    if (opens && admission->config->limits.sessions_per_second && !take_tokens(admission, sessions, now))
        return DROP_rate_limited;
    return DROP_NONE;
}
