#include "turns.h"

#include "stream.h"

enum {
    NANOSECONDS_PER_MILLI = 1000000,
    SLIGHTLY_SHORTER = 1460,
    MID_ANSWER = 300 * NANOSECONDS_PER_MILLI,
    LEVEL_QUIET = 1000 * NANOSECONDS_PER_MILLI,
    CUT_QUIET = 1000 * NANOSECONDS_PER_MILLI, /* ends an answer of unknown size, where the capture ends */
};

/* What the target has said since the present turn began. */
static uint32_t said(const struct session *session)
{
    return tcp_received(&session->tcp) - session->answer_mark;
}

/* The same without what is likely the rest of the answer before. */
static uint32_t answered(const struct session *session)
{
    return said(session) > session->owed ? said(session) - session->owed : 0;
}

/* Whether the answer that the client had seen before this turn has come from the target too: in bytes since
 * the present turn began, or with what the target had said too early (credit). */
static bool is_answered(const struct session *session, uint32_t turn)
{
    return answered(session) + session->credit >= turn - session->turn;
}

/* Whether the target has said, in all, as much as production had: the answer may have come with an earlier
 * one. Where its answers are always longer this says little. */
static bool is_level(const struct session *session, uint32_t turn)
{
    return !seq_before(tcp_received(&session->tcp), turn);
}

static uint64_t later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* Whether the target has said anything that may be the awaited answer. */
static bool has_spoken(const struct session *session, uint32_t turn)
{
    return said(session) || is_answered(session, turn) || is_level(session, turn);
}

/* How long the target must be quiet before the answer to a turn counts as complete, though production's was
 * longer. By a little: its pages differ. By more than a segment: more likely it is in the midst of its
 * answer, held up by a busy machine, or by a loss that costs it a retransmission timeout (200 ms and more on
 * Linux). */
static uint64_t settle_time(const struct session *session, const struct session_context *context,
                            uint32_t turn)
{
    uint64_t quiet = later(context->timing->settle, 2000ull * session->tcp.srtt);
    uint32_t missing = turn - session->turn - answered(session);
    if (is_answered(session, turn) || (answered(session) && missing <= SLIGHTLY_SHORTER))
        return quiet;
    return later(quiet, said(session) ? MID_ANSWER : LEVEL_QUIET);
}

/* When the target will have been quiet for long enough to have said all that it is going to say. It cannot
 * have been before it had the whole request. */
static uint64_t settled_at(const struct session *session, const struct session_context *context,
                           uint32_t turn)
{
    return later(session->quiet_since, session->delivered_at) + settle_time(session, context, turn);
}

/* The target has all that has left. */
static bool has_delivered(const struct session *session)
{
    return session->tcp.state != SYN_SENT && !seq_before(tcp_acked(&session->tcp), session->gate);
}

/* Whether a turn after so much of production's answer may begin; see session.h. */
static bool may_begin(const struct session *session, const struct session_context *context, uint32_t turn)
{
    if (!seq_after(turn, session->turn_end) || session->no_wait)
        return true;
    if (!has_delivered(session))
        return false;
    if (answered(session) >= turn - session->turn)
        return true;
    if (!has_spoken(session, turn) || context->now < settled_at(session, context, turn))
        return false;
    if (session->tcp.range_count) /* later bytes are here: the answer is certainly not over */
        return false;
    stats_add(&context->stats->gate_by_settle, 1);
    return true;
}

/* Whether the chunk's turn is likely the rest of a request whose beginning the target has: it has not said a
 * word. */
static bool may_go_on(const struct session *session, const struct session_context *context,
                      const struct chunk *chunk)
{
    return chunk->goes_on && has_delivered(session) && !has_spoken(session, chunk->turn) &&
           context->now >= settled_at(session, context, chunk->turn);
}

/* An answer that was a little shorter than production's, when silence ended it, may have been held up: its
 * rest is owed, and is not the answer to the present turn. If it does not come, the target's answers are
 * shorter. */
static void note_owed(struct session *session, uint32_t growth)
{
    uint32_t had = said(session) + session->credit;
    uint32_t missing = growth > had ? growth - had : 0;
    session->shorter = missing && (session->shorter || session->owed);
    bool held_up = said(session) && missing <= SLIGHTLY_SHORTER && !session->shorter;
    session->owed = held_up ? missing : 0;
}

/* What the target has said beyond production's answer is kept as a credit: it may be the next answer, given
 * before production gave it (to requests that were sent together). Where each turn is answered in full, it is
 * only a longer answer, and the credit is that of one turn. */
static void begin(struct session *session, const struct session_context *context, uint32_t turn)
{
    uint32_t growth = seq_after(turn, session->turn) ? turn - session->turn : 0;
    uint32_t own = answered(session);
    note_owed(session, growth);
    if (own >= growth)
        session->credit = own - growth;
    else
        session->credit = own + session->credit >= growth ? own + session->credit - growth : 0;
    session->turn = session->turn_end = seq_max(session->turn_end, turn);
    session->answer_mark = tcp_received(&session->tcp);
    session->quiet_since = context->now;
    session->begun = true;
}

/* The chunk that holds the byte at the gate, or NULL. */
static struct chunk *chunk_at_gate(const struct session *session)
{
    struct chunk *chunk = session->gate_chunk;
    if (!chunk)
        return session->chunk;
    return seq_before(session->gate, chunk->offset + chunk->size) ? chunk : chunk->next;
}

static bool reset_waits(const struct session *session)
{
    const struct stream *stream = session->stream;
    if (stream_is_finished(stream) && stream->has_server_fin)
        return false; /* both had closed: a kernel that wants to be sure, not an abort */
    return stream->reset && !stream_has_gap(stream) && session->gate == stream->client.next;
}

static bool fin_waits(const struct session *session)
{
    return stream_is_finished(session->stream) && session->gate == session->stream->fin && !session->fin_open;
}

/* The capture ends here. Everything must have been delivered; then it counts as answered as for the next
 * turn, or, where the capture does not show how much of an answer there was, when the target has been quiet.
 */
static bool cut_is_due(const struct session *session, const struct session_context *context)
{
    if (!has_delivered(session))
        return false;
    if (seq_after(session->stream->acked, session->turn_end))
        return may_begin(session, context, session->stream->acked);
    return context->now - session->quiet_since >= CUT_QUIET;
}

static enum end end_with_stream(const struct session *session, const struct session_context *context)
{
    if (session->stream->cut)
        return cut_is_due(session, context) ? END_capture_ended : END_NONE;
    bool due = has_delivered(session) && may_begin(session, context, session->stream->acked);
    return due ? END_client_reset : END_NONE;
}

static void count_turn(struct session *session, struct session_context *context)
{
    session->turns++;
    STATS_COUNT(context->stats, session_stats(session, context), turns_sent, 1);
}

/* Opens the gate for one chunk, if it may leave. */
static bool open_for(struct session *session, struct session_context *context, struct chunk *chunk)
{
    bool next_turn = !session->begun || seq_after(chunk->turn, session->turn_end);
    if (may_begin(session, context, chunk->turn)) {
        if (next_turn) {
            begin(session, context, chunk->turn);
            count_turn(session, context);
        }
    } else if (may_go_on(session, context, chunk)) {
        session->turn_end = chunk->turn;
        stats_add(&context->stats->gate_by_silence, 1);
    } else {
        return false;
    }
    session->gate = chunk->offset + chunk->size;
    session->gate_chunk = chunk;
    return true;
}

enum end turns_open(struct session *session, struct session_context *context)
{
    for (struct chunk *chunk; (chunk = chunk_at_gate(session));)
        if (!open_for(session, context, chunk))
            return END_NONE;
    if (fin_waits(session) && may_begin(session, context, session->stream->fin_turn)) {
        begin(session, context, session->stream->fin_turn);
        session->fin_open = true;
    }
    return reset_waits(session) ? end_with_stream(session, context) : END_NONE;
}

/* The turn that waits for the target: of bytes, of the FIN or of a RST. False: none does. */
static bool next_turn(const struct session *session, uint32_t *turn)
{
    const struct chunk *chunk = chunk_at_gate(session);
    if (!chunk && !fin_waits(session) && !reset_waits(session))
        return false;
    *turn = chunk ? chunk->turn : fin_waits(session) ? session->stream->fin_turn : session->stream->acked;
    return true;
}

bool turns_wait_for_target(const struct session *session)
{
    uint32_t turn;
    return session->fin_open || next_turn(session, &turn);
}

static uint64_t sooner(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t silent_at(const struct session *session, const struct session_context *context)
{
    return later(session->quiet_since, session->delivered_at) + context->timing->response_timeout;
}

bool turns_target_is_silent(const struct session *session, const struct session_context *context)
{
    return session->tcp.state != SYN_SENT && turns_wait_for_target(session) &&
           context->now >= silent_at(session, context);
}

uint64_t turns_deadline(const struct session *session, const struct session_context *context)
{
    if (session->tcp.state == SYN_SENT || !turns_wait_for_target(session))
        return TIMER_NEVER;
    uint64_t deadline = silent_at(session, context);
    uint64_t cut = session->quiet_since + CUT_QUIET;
    if (session->stream->cut && cut > context->now)
        deadline = sooner(deadline, cut);
    uint32_t turn;
    const struct chunk *chunk = chunk_at_gate(session);
    if (!next_turn(session, &turn) || !(has_spoken(session, turn) || (chunk && chunk->goes_on)))
        return deadline;
    uint64_t settled = settled_at(session, context, turn);
    return settled > context->now ? sooner(deadline, settled) : deadline;
}
