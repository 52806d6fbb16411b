#include "change.h"

#include "lifecycle.h"

enum { STEP_BUDGET = 256 }; /* connections and sessions; tens of microseconds */

/* Whether the change ends sessions of any transfer. */
static bool stops_any(const struct dp_config *before, const struct dp_config *after)
{
    for (uint32_t i = 0; i < before->transfer_count; i++)
        if (before->transfers[i].state == DP_RUNNING && after->transfers[i].state != DP_RUNNING)
            return true;
    return false;
}

void change_adopt(struct replay *replay, const struct dp_config *config)
{
    replay->change = (struct change){.under_way = stops_any(replay->config, config)};
    admission_adopt(&replay->admission, config);
    transfers_open(&replay->transfers, config);
    replay->endpoints.config = config;
    replay->context.timing = &config->timing;
    replay->config = config;
}

/* Why the sessions of the transfer end; END_NONE: they do not. */
static enum end end_of(const struct dp_transfer *transfer)
{
    static const enum end ENDS[] = {
        [DP_RUNNING] = END_NONE,
        [DP_PAUSED] = END_paused,
        [DP_REMOVED] = END_transfer_removed,
        [DP_STOPPED] = END_stopped,
    };
    return ENDS[transfer->state];
}

static uint32_t end_connection(struct replay *replay, struct stream *stream)
{
    enum end end = end_of(&replay->config->transfers[stream->transfer]);
    uint32_t sessions = stream->session_count;
    if (!end)
        return 0;
    connection_end_sessions(replay, stream, end);
    connection_forget(replay, stream);
    return sessions;
}

void change_reach(struct replay *replay, const struct session *session)
{
    if (replay->change.under_way && !session->end)
        end_connection(replay, session->stream);
}

/* By slot of the pool and not of the table, where objects move when others leave. */
bool change_step(struct replay *replay)
{
    struct change *change = &replay->change;
    for (uint32_t spent = 0; change->under_way && spent < STEP_BUDGET; spent++) {
        if (change->next >= replay->streams.touched) {
            change->under_way = false;
            break;
        }
        struct stream *stream = pool_at(&replay->streams, change->next++);
        if (table_holds(&replay->mirrored, stream))
            spent += end_connection(replay, stream);
    }
    return change->under_way;
}

void replay_drain(struct replay *replay)
{
    replay->draining = true;
    for (uint32_t slot = 0; slot <= replay->forged.mask;) {
        struct session *session = table_at(&replay->forged, slot);
        if (!session) {
            slot++;
            continue;
        }
        session_end(session, &replay->context, END_stopped);
        session_retire(replay, session); /* closes the slot: the next one may have moved here */
    }
}
