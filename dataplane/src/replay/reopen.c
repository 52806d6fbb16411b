#include "reopen.h"

#include "lifecycle.h"

/* The target has closed behind its answer, and everything was delivered: what comes next needs a session of
 * its own, at once. */
static void end_closed(struct replay *replay, struct stream *stream)
{
    for (struct session *session = stream->sessions, *next; session; session = next) {
        next = session->sibling;
        if (!tcp_is_ended(&session->tcp) || session->chunk || session->fin_open)
            continue;
        session_end(session, &replay->context, END_target_closed);
        session->reset_due = true; /* it still waits for our FIN */
        session_retire(replay, session);
        stream->reopen_at = replay->context.now;
    }
}

/* Some copies are missing, the others go on: with a turn that begins here the missing ones open again. */
static void reopen_missing(struct replay *replay, struct stream *stream, const struct packet *packet)
{
    const struct dp_transfer *transfer = &replay->config->transfers[stream->transfer];
    uint64_t turn = stream_turn(stream, packet->ack);
    if (connection_may_reopen(replay, stream) &&
        !connection_refuse(replay, transfer, &packet->source, false)) {
        uint32_t opened = connection_open_sessions(replay, stream, stream->missing, turn);
        if (opened)
            connection_reopened(replay, stream, opened);
    }
}

void reopen_on_turn(struct replay *replay, struct stream *stream, const struct packet *packet)
{
    if (replay->config->transfers[stream->transfer].reopen)
        end_closed(replay, stream);
    if (stream->missing && stream->sessions)
        reopen_missing(replay, stream, packet);
}
