#include "send.h"

#include "change.h"
#include "lifecycle.h"
#include "ready.h"

static bool next_stray(const struct replay *replay, struct segment *segment)
{
    const struct stray *stray = &replay->strays[replay->stray_count - 1];
    *segment = (struct segment){
        .source = {stray->flow.client, stray->flow.client_port},
        .destination = {stray->flow.server, stray->flow.server_port},
        .transfer = stray->transfer,
        .transport = DP_TCP,
        .seq = stray->seq,
        .flags = TCP_RST,
        .options.window_scale = NO_WINDOW_SCALE,
    };
    return true;
}

bool replay_next(struct replay *replay, struct segment *segment)
{
    if (replay->stray_count)
        return next_stray(replay, segment);
    while (replay->ready_head) {
        change_reach(replay, replay->ready_head);
        if (session_next(replay->ready_head, &replay->context, segment))
            return true;
        struct session *session = ready_pop(replay);
        if (session->end) {
            replay->ending--;
            replay->resetting -= ends_by_order(session);
            pool_give(&replay->sessions, session);
        } else /* planning may have started a timer */
            timer_arm(&replay->wheel, &session->timer, session_deadline(session, &replay->context));
    }
    return false;
}

static void count_sent(struct stats *stats, const struct segment *segment)
{
    stats_add(&stats->sent_payload, segment->size != 0);
    stats_add(&stats->sent_syn, (segment->flags & TCP_SYN) != 0);
    stats_add(&stats->sent_fin, (segment->flags & TCP_FIN) != 0);
    stats_add(&stats->sent_rst, (segment->flags & TCP_RST) != 0);
}

void replay_sent(struct replay *replay, const struct segment *segment)
{
    count_sent(replay->context.stats, segment);
    STATS_COUNT(replay->context.stats, &replay->context.transfers[segment->transfer], retransmits,
                segment->again);
    if (replay->stray_count) {
        replay->stray_count--;
        return;
    }
    struct session *session = replay->ready_head;
    bool was_over = session->end;
    if (ends_by_order(session) && session->tcp.snd_una != session->tcp.snd_max)
        doubts_begin(&replay->doubts, &session->flow, (uint64_t)session->tcp.srtt * MICROSECOND,
                     replay->context.now);
    session_sent(session, &replay->context, segment);
    if (session->end && !was_over)
        session_retire(replay, session);
    else if (--replay->budget == 0)
        ready_push(replay, ready_pop(replay));
}

void replay_refused(struct replay *replay)
{
    if (replay->stray_count)
        replay->stray_count--;
    else if (replay->ready_head->end)
        replay->ready_head->reset_due = false;
    else
        ready_pop(replay);
}

uint32_t replay_unconfirmed(struct replay *replay, uint64_t now)
{
    return replay->resetting + doubts_count(&replay->doubts, now);
}
