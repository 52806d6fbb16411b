#include "ahead.h"

enum { CACHE_LINE = 64, EXCHANGE = offsetof(struct session, tcp.recover) };

/* A connection with one session takes ten lines: two of them because the positions in production's and the
 * target's answers are 64 bits long. What an exchange touches of a session is still five. */
_Static_assert(sizeof(struct session) <= 6 * CACHE_LINE, "a session has grown beyond six cache lines");
_Static_assert(sizeof(struct stream) <= 4 * CACHE_LINE, "a stream has grown beyond four cache lines");
_Static_assert(offsetof(struct session, tcp.recover) <= 5 * CACHE_LINE, "an exchange touches a sixth line");

static void fetch(const void *object, size_t size)
{
    for (size_t at = 0; object && at < size; at += CACHE_LINE)
        __builtin_prefetch((const uint8_t *)object + at, 1);
}

struct glance ahead_slot(const struct replay *replay, uint32_t role, const struct packet *packet)
{
    bool forth = role == DP_ROLE_MIRROR && transfers_have_port(&replay->transfers, packet->destination.port);
    struct flow flow = forth ? flow_make(packet->transport, &packet->source, &packet->destination)
                             : flow_make(packet->transport, &packet->destination, &packet->source);
    struct glance glance = {.table = role == DP_ROLE_MIRROR ? &replay->mirrored : &replay->forged,
                            .hash = flow_hash(&flow)};
    __builtin_prefetch(table_slot(glance.table, glance.hash));
    return glance;
}

void ahead_object(const struct replay *replay, struct glance *glance)
{
    if (!glance->table)
        return;
    glance->object = table_glance(glance->table, glance->hash);
    fetch(glance->object, glance->table == &replay->mirrored ? sizeof(struct stream) : EXCHANGE);
}

void ahead_partner(const struct replay *replay, const struct glance *glance)
{
    if (!glance->object)
        return;
    if (glance->table == &replay->mirrored)
        fetch(((const struct stream *)glance->object)->sessions, EXCHANGE);
    else
        fetch(((const struct session *)glance->object)->stream, sizeof(struct stream));
}
