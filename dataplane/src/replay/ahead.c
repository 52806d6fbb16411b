#include "ahead.h"

enum { CACHE_LINE = 64 };

/* A connection with one session takes eight lines, so that a million of them fit into 560 MB with their slots
 * and rings. Two lines would not even hold key, pointers and timer. */
_Static_assert(sizeof(struct session) <= 5 * CACHE_LINE, "a session has grown beyond five cache lines");
_Static_assert(sizeof(struct stream) <= 3 * CACHE_LINE, "a stream has grown beyond three cache lines");

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
    fetch(glance->object,
          glance->table == &replay->mirrored ? sizeof(struct stream) : sizeof(struct session));
}

void ahead_partner(const struct replay *replay, const struct glance *glance)
{
    if (!glance->object)
        return;
    if (glance->table == &replay->mirrored)
        fetch(((const struct stream *)glance->object)->sessions, sizeof(struct session));
    else
        fetch(((const struct session *)glance->object)->stream, sizeof(struct stream));
}
