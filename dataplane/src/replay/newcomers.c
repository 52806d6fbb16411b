#include "newcomers.h"

#include "session/stream.h"

const struct newcomer *newcomers_find(const struct newcomers *newcomers, const struct stream *stream)
{
    for (uint32_t i = 0; stream->has_newcomer && i < MOST_NEWCOMERS; i++)
        if (newcomers->list[i].stream == stream)
            return &newcomers->list[i];
    return NULL;
}

void newcomers_forget(struct newcomers *newcomers, struct stream *stream)
{
    const struct newcomer *newcomer = newcomers_find(newcomers, stream);
    stream->has_newcomer = false;
    if (newcomer)
        newcomers->list[newcomer - newcomers->list].stream = NULL;
}

void newcomers_note(struct newcomers *newcomers, struct stream *stream, const struct packet *syn,
                    uint64_t now)
{
    newcomers_forget(newcomers, stream);
    struct newcomer *newcomer = &newcomers->list[newcomers->next++ % MOST_NEWCOMERS];
    if (newcomer->stream)
        newcomer->stream->has_newcomer = false;
    *newcomer = (struct newcomer){stream, *syn, now};
    newcomer->syn.payload = NULL; /* the frame goes; the client says it again */
    newcomer->syn.size = 0;
    stream->has_newcomer = true;
}

bool newcomer_is_confirmed(const struct newcomer *newcomer, const struct packet *packet, bool from_client)
{
    uint32_t first = newcomer->syn.seq + 1;
    if (from_client)
        return packet->seq == first && !(packet->flags & TCP_RST);
    return (packet->flags & (TCP_SYN | TCP_ACK)) == (TCP_SYN | TCP_ACK) && packet->ack == first;
}
