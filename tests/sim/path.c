#include "path.h"

#include <stdlib.h>
#include <string.h>

#include "frame.h"

/* What one way does to frames; chances per mille. */
struct trouble {
    uint32_t loss;
    uint32_t duplicate;
    uint32_t reorder;
    uint32_t late_us;
    uint32_t delay_us;
    uint32_t truncate;
    uint32_t flip;
};

static struct trouble trouble_of(const struct scenario *s, enum way way)
{
    switch (way) {
    case WAY_MIRROR:
        return (struct trouble){
            s->mirror_loss,     s->mirror_duplicate, s->mirror_reorder, s->mirror_late_us, 0,
            s->mirror_truncate, s->mirror_flip};
    case WAY_UP:
        return (struct trouble){s->up_loss, s->up_duplicate, s->up_reorder, s->path_late_us, s->path_delay_us,
                                0,          s->up_flip};
    default:
        return (struct trouble){s->down_loss,    s->down_duplicate, s->down_reorder,
                                s->path_late_us, s->path_delay_us,  0,
                                s->down_flip};
    }
}

void path_open(struct path *path, const struct scenario *scenario, uint64_t now)
{
    *path = (struct path){.scenario = scenario, .first_queue = (uint32_t)scenario->seed % 7};
    path->mirror_from = now + scenario->mirror_from_ms * 1000000ull;
    for (uint32_t way = 0; way < WAYS; way++)
        path->random[way] = random_stream(scenario->seed, 10 + way);
}

void path_close(struct path *path)
{
    for (uint32_t i = 0; i < path->count; i++)
        free(path->heap[i]);
    free(path->heap);
    free(path->taken);
}

/* --- the queue: a binary heap -----------------------------------------------------------------------------
 */

static bool is_before(const struct event *a, const struct event *b)
{
    return a->at != b->at ? a->at < b->at : a->serial < b->serial;
}

static void sift_up(struct path *path, uint32_t at)
{
    struct event *event = path->heap[at];
    for (; at && is_before(event, path->heap[(at - 1) / 2]); at = (at - 1) / 2)
        path->heap[at] = path->heap[(at - 1) / 2];
    path->heap[at] = event;
}

static void sift_down(struct path *path, uint32_t at)
{
    struct event *event = path->heap[at];
    for (uint32_t child; (child = 2 * at + 1) < path->count; at = child) {
        if (child + 1 < path->count && is_before(path->heap[child + 1], path->heap[child]))
            child++;
        if (!is_before(path->heap[child], event))
            break;
        path->heap[at] = path->heap[child];
    }
    path->heap[at] = event;
}

static void put(struct path *path, struct event *event)
{
    if (path->count == path->room) {
        path->room = path->room ? path->room * 2 : 256;
        path->heap = realloc(path->heap, path->room * sizeof(struct event *));
        if (!path->heap)
            abort();
    }
    event->serial = path->serial++;
    path->heap[path->count++] = event;
    sift_up(path, path->count - 1);
}

uint64_t path_next(const struct path *path)
{
    return path->count ? path->heap[0]->at : UINT64_MAX;
}

const struct event *path_take(struct path *path)
{
    struct event *event = path->heap[0];
    free(path->taken);
    path->taken = event;
    path->heap[0] = path->heap[--path->count];
    if (path->count)
        sift_down(path, 0);
    return event;
}

/* --- the dice ---------------------------------------------------------------------------------------------
 */

static uint64_t arrival(struct path *path, enum way way, const struct trouble *trouble, uint64_t at)
{
    struct random *random = &path->random[way];
    uint64_t quantum = path->scenario->quantum_us * 1000ull;
    at += trouble->delay_us * 1000ull;
    if (chance(random, trouble->reorder))
        at += 1000ull * between(random, 1, trouble->late_us);
    return (at + quantum - 1) / quantum * quantum;
}

/* True: it is still understood. */
static bool damage(struct random *random, const struct trouble *trouble, struct event *event)
{
    struct segment segment;
    if (chance(random, trouble->truncate))
        event->size = below(random, event->size);
    if (event->size && chance(random, trouble->flip)) {
        uint32_t bit = below(random, event->size * 8);
        event->bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    return frame_read(event->bytes, event->size, &segment);
}

uint64_t path_send(struct path *path, enum way way, uint32_t about, uint64_t at, uint64_t not_before,
                   const uint8_t *bytes, uint32_t size)
{
    struct random *random = &path->random[way];
    struct trouble trouble = trouble_of(path->scenario, way);
    uint64_t first = 0;
    if (way == WAY_MIRROR && at < path->mirror_from)
        return 0;
    uint32_t copies = chance(random, trouble.loss) ? 0 : 1;
    copies += chance(random, trouble.duplicate);
    for (; copies; copies--) {
        struct event *event = malloc(sizeof(*event) + size);
        if (!event)
            abort();
        *event = (struct event){.way = way, .about = about, .size = size};
        memcpy(event->bytes, bytes, size);
        event->at = arrival(path, way, &trouble, at);
        event->at = event->at < not_before ? not_before : event->at;
        uint32_t dice = below(random, path->scenario->workers);
        bool sprayed = way == WAY_DOWN && path->scenario->spray;
        event->queue = sprayed ? dice : (about + path->first_queue) % path->scenario->workers;
        bool whole = damage(random, &trouble, event);
        if (whole && (!first || event->at < first))
            first = event->at;
        put(path, event);
        path->carried[way]++;
    }
    return first;
}
