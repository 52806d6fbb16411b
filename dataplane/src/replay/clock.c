#include "clock.h"

#include "lifecycle.h"

#define OWNER_OF(object, type, member) ((type *)(void *)((uint8_t *)(object)-offsetof(type, member)))

/* The hole is never sent. The connection is taken up again behind it, where the next turn begins. */
static void end_at_gap(struct replay *replay, struct stream *stream)
{
    const struct dp_transfer *transfer = &replay->config->transfers[stream->transfer];
    if (stream_take_missed_fin(stream)) {
        connection_tell(replay, stream, NULL);
    } else {
        if (!transfer->full_sessions_only)
            stream_rejoin(stream);
        connection_end_sessions(replay, stream, END_mirror_gap);
    }
    connection_watch(replay, stream);
}

static void on_stream_time(struct replay *replay, struct stream *stream)
{
    const struct dp_timing *timing = &replay->config->timing;
    uint64_t now = replay->context.now;
    if (now < connection_deadline(replay, stream)) {
        connection_watch(replay, stream);
        return;
    }
    if (stream->session_count && stream_has_gap(stream) && now < stream->heard + timing->idle_timeout) {
        end_at_gap(replay, stream);
        return;
    }
    connection_end_sessions(replay, stream, END_idle);
    connection_forget(replay, stream);
}

void replay_on_time(struct replay *replay, uint64_t now)
{
    replay->context.now = now;
    for (struct timer *timer; (timer = wheel_expire(&replay->wheel, now));) {
        if (timer->kind == TIMER_STREAM) {
            on_stream_time(replay, OWNER_OF(timer, struct stream, timer));
            continue;
        }
        struct session *session = OWNER_OF(timer, struct session, timer);
        session_on_time(session, &replay->context);
        session_follow_up(replay, session);
    }
}
