#include "listing.h"

#include "session/turns.h"

enum { STEP_BUDGET = 256 }; /* sessions */

static uint32_t state_of(const struct session *session)
{
    static const uint32_t STATES[] = {
        [SYN_SENT] = DP_SESSION_SYN_SENT,   [ESTABLISHED] = DP_SESSION_ESTABLISHED,
        [FIN_WAIT_1] = DP_SESSION_FIN_WAIT, [FIN_WAIT_2] = DP_SESSION_FIN_WAIT,
        [CLOSING] = DP_SESSION_CLOSING,     [CLOSE_WAIT] = DP_SESSION_CLOSE_WAIT,
        [LAST_ACK] = DP_SESSION_CLOSING,    [TIME_WAIT] = DP_SESSION_CLOSING,
        [CLOSED] = DP_SESSION_CLOSING,
    };
    return session->flow.transport == DP_UDP ? DP_SESSION_DATAGRAMS : STATES[session->tcp.state];
}

/* What the target keeps it waiting for; DP_WAITS_PRODUCTION: nothing. */
static uint32_t target_keeps(const struct session *session)
{
    const struct tcp *tcp = &session->tcp;
    if (seq_before(tcp->snd_nxt - tcp->iss - 1, session->gate))
        return tcp->snd_nxt - tcp->snd_una >= tcp->snd_wnd ? DP_WAITS_WINDOW : DP_WAITS_NOTHING;
    if (tcp->snd_una != tcp->snd_nxt)
        return DP_WAITS_ACKNOWLEDGEMENT;
    return turns_wait_for_target(session) ? DP_WAITS_ANSWER : DP_WAITS_PRODUCTION;
}

static uint32_t waits_of(const struct session *session)
{
    if (session->flow.transport == DP_UDP)
        return session->chunk ? DP_WAITS_NOTHING : DP_WAITS_PRODUCTION;
    if (session->tcp.state == SYN_SENT)
        return DP_WAITS_HANDSHAKE;
    uint32_t waits = target_keeps(session);
    return waits == DP_WAITS_PRODUCTION && stream_has_gap(session->stream) ? DP_WAITS_GAP : waits;
}

static bool is_wanted(const struct dp_session_query *query, const struct session *session, uint32_t slot)
{
    struct address client = address_from_bytes(query->client_ip);
    return (query->transfer == DP_ANY || query->transfer == session->transfer) &&
           (query->state == DP_ANY || query->state == state_of(session)) &&
           (query->slot == DP_ANY || query->slot == slot) &&
           (address_is_any(&client) || address_equal(&client, &session->stream->flow.client));
}

static void copy_address(uint8_t to[16], const struct address *from)
{
    memcpy(to, from->half, 16);
}

static void tell(const struct replay *replay, const struct session *session, struct dp_session_row *row)
{
    const struct stream *stream = session->stream;
    uint64_t now = replay->context.now;
    uint64_t active = stream->heard > session->quiet_since ? stream->heard : session->quiet_since;
    *row = (struct dp_session_row){
        .slot = pool_slot(&replay->sessions, session),
        .transfer = session->transfer,
        .state = state_of(session),
        .waits = waits_of(session),
        .client_port = stream->flow.client_port,
        .server_port = stream->flow.server_port,
        .forged_port = session->flow.client_port,
        .target_port = session->flow.server_port,
        .opened_at = session->opened_at,
        .age = now - session->opened_at,
        .idle = now - active,
        .turns = session->turns,
        .request_bytes = stream->client.next,
        .pending_bytes = stream->client.next - session->delivered,
        .answer_bytes = tcp_received(&session->tcp),
        .retransmits = session->retransmits,
        .rtt = session->tcp.srtt,
    };
    copy_address(row->client_ip, &stream->flow.client);
    copy_address(row->server_ip, &stream->flow.server);
    copy_address(row->forged_ip, &session->flow.client);
    copy_address(row->target_ip, &session->flow.server);
}

bool listing_step(const struct replay *replay, struct listing *listing)
{
    for (uint32_t spent = 0; spent < STEP_BUDGET; spent++) {
        if (listing->next >= replay->sessions.touched || listing->more)
            return false;
        uint32_t slot = listing->next++;
        const struct session *session = pool_at(&replay->sessions, slot);
        if (!table_holds(&replay->forged, session) || !is_wanted(&listing->query, session, slot))
            continue;
        if (listing->count < listing->query.limit)
            tell(replay, session, &listing->rows[listing->count++]);
        else
            listing->more = true;
    }
    return true;
}
