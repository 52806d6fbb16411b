#include "doubts.h"

static struct doubt *find(struct doubts *doubts, uint32_t flow)
{
    for (uint32_t i = 0; i < doubts->count; i++)
        if (doubts->at[i].flow == flow)
            return &doubts->at[i];
    return NULL;
}

static void begin(struct doubts *doubts, uint32_t flow, uint64_t wait, uint64_t now)
{
    if (doubts->count < MOST_DOUBTS) {
        doubts->at[doubts->count++] = (struct doubt){flow, (uint32_t)(wait / 1000), now + wait};
        return;
    }
    doubts->beyond++;
    doubts->beyond_until = now + wait > doubts->beyond_until ? now + wait : doubts->beyond_until;
}

void doubts_begin(struct doubts *doubts, const struct flow *flow, uint64_t round_trip, uint64_t now)
{
    begin(doubts, flow_hash(flow), 2 * round_trip > DOUBT_WAIT ? 2 * round_trip : DOUBT_WAIT, now);
}

void doubts_renew(struct doubts *doubts, const struct flow *flow, uint64_t now)
{
    uint32_t hash = flow_hash(flow);
    struct doubt *doubt = find(doubts, hash);
    if (doubt)
        doubt->until = now + (uint64_t)doubt->wait * 1000;
    else
        begin(doubts, hash, DOUBT_WAIT, now);
}

void doubts_settle(struct doubts *doubts, const struct flow *flow)
{
    struct doubt *doubt = find(doubts, flow_hash(flow));
    if (doubt)
        *doubt = doubts->at[--doubts->count];
}

uint32_t doubts_count(struct doubts *doubts, uint64_t now)
{
    if (now < doubts->look_at)
        return doubts->count + doubts->beyond;
    doubts->look_at = now + DOUBT_LOOK;
    for (uint32_t i = 0; i < doubts->count;) {
        if (doubts->at[i].until > now)
            i++;
        else
            doubts->at[i] = doubts->at[--doubts->count];
    }
    if (doubts->beyond_until <= now)
        doubts->beyond = 0;
    return doubts->count + doubts->beyond;
}
