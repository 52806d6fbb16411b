#include "reassembly.h"

static void span_skip(struct span *span, uint32_t size)
{
    span->bytes += size;
    span->offset += size;
    span->size -= size;
}

static struct chunk *chunk_new(struct pool *chunks, const struct span *span)
{
    struct chunk *chunk = pool_take(chunks);
    if (!chunk)
        return NULL;
    chunk->next = NULL;
    chunk->offset = span->offset;
    chunk->turn = span->turn;
    chunk->size = 0;
    chunk->holders = 0;
    chunk->segment = 0;
    chunk->behind = 0;
    chunk->goes_on = false;
    return chunk;
}

/* Moves as many bytes as fit from the span to the end of the chunk. */
static void chunk_fill(struct chunk *chunk, struct span *span)
{
    uint32_t size = min32(span->size, CHUNK_BYTES - (uint32_t)chunk->size);
    memcpy(chunk->bytes + chunk->size, span->bytes, size);
    chunk->size = (uint16_t)(chunk->size + size);
    span_skip(span, size);
    chunk->segment = span->offset == span->end ? span->segment : 0;
}

/* Takes away bytes at the start. */
static void chunk_trim(struct chunk *chunk, uint32_t size)
{
    memmove(chunk->bytes, chunk->bytes + size, chunk->size - size);
    chunk->size = (uint16_t)(chunk->size - size);
    chunk->offset += size;
}

static void advance(struct reassembly *reassembly, uint32_t size, uint16_t segment)
{
    reassembly->next += size;
    reassembly->known = seq_max(reassembly->known, reassembly->next);
    reassembly->last = segment;
}

/* Leaves of the span what has not been in order yet. */
static enum drop trim_known(const struct reassembly *reassembly, struct span *span)
{
    if (seq_before(span->offset, reassembly->next)) {
        uint32_t known = reassembly->next - span->offset;
        if (known >= span->size)
            return DROP_duplicate;
        span_skip(span, known);
    }
    return span->offset - reassembly->next > FURTHEST_AHEAD ? DROP_outside_window : DROP_NONE;
}

static enum drop no_room(struct reassembly *reassembly, const struct span *span)
{
    reassembly_note_known(reassembly, span->end);
    return DROP_buffers_full;
}

/* Moves as much of the span as a chunk holds, and as lies before *link, to a chunk before *link. Returns the
 * link behind it; NULL: no memory. */
static struct chunk **insert(struct reassembly *reassembly, struct pool *chunks, struct span *span,
                             struct chunk **link)
{
    struct chunk *after = *link;
    struct span part = *span;
    if (after)
        part.size = min32(part.size, after->offset - span->offset);
    struct chunk *chunk = chunk_new(chunks, &part);
    if (!chunk)
        return NULL;
    chunk_fill(chunk, &part);
    chunk->next = after;
    *link = chunk;
    if (!after)
        reassembly->waiting_last = chunk;
    reassembly->held += chunk->size;
    span_skip(span, chunk->size);
    return &chunk->next;
}

/* Keeps early bytes, each one once: what neighbours have is left out. */
static enum drop keep_waiting(struct reassembly *reassembly, struct pool *chunks, struct span *span)
{
    struct chunk **link = &reassembly->waiting;
    struct chunk *last = reassembly->waiting_last;
    bool kept = false;
    if (reassembly->waiting && !seq_after(last->offset + last->size, span->offset))
        link = &last->next; /* behind all of them, as nearly always: a long list is not walked */
    while (span->size) {
        while (*link && !seq_after((*link)->offset + (*link)->size, span->offset))
            link = &(*link)->next;
        const struct chunk *after = *link;
        if (after && !seq_after(after->offset, span->offset)) {
            span_skip(span, min32(after->offset + after->size - span->offset, span->size));
            continue;
        }
        link = insert(reassembly, chunks, span, link);
        if (!link)
            return no_room(reassembly, span);
        kept = true;
    }
    reassembly_note_known(reassembly, span->end);
    return kept ? DROP_NONE : DROP_duplicate;
}

struct chunk *reassembly_ripe(struct reassembly *reassembly, struct pool *chunks)
{
    struct chunk *chunk;
    while ((chunk = reassembly->waiting) && !seq_after(chunk->offset, reassembly->next)) {
        uint32_t known = reassembly->next - chunk->offset;
        reassembly->waiting = chunk->next;
        reassembly->held -= chunk->size;
        if (known >= chunk->size) {
            pool_give(chunks, chunk);
            continue;
        }
        if (known)
            chunk_trim(chunk, known);
        chunk->behind = reassembly->last;
        advance(reassembly, chunk->size, chunk->segment);
        return chunk;
    }
    return NULL;
}

enum drop reassembly_take(struct reassembly *reassembly, struct pool *chunks, struct span *span)
{
    if (!span->size)
        return DROP_NONE;
    enum drop drop = trim_known(reassembly, span);
    if (drop)
        return drop;
    if (span->offset != reassembly->next)
        return keep_waiting(reassembly, chunks, span);
    advance(reassembly, span->size, span->segment);
    return DROP_NONE;
}

uint32_t reassembly_skip(struct reassembly *reassembly)
{
    uint32_t end = reassembly->waiting ? reassembly->waiting->offset : reassembly->known;
    uint32_t size = end - reassembly->next;
    if (size)
        advance(reassembly, size, 0);
    return size;
}

/* --- the list of what is stored ------------------------------------------------------------------------- */

/* The sender's acknowledgement never goes back: what it had sent before belongs to the later turn. */
static uint32_t turn_of(const struct reassembly *reassembly, uint32_t turn)
{
    return reassembly->tail ? seq_max(turn, reassembly->tail->turn) : turn;
}

static void link_tail(struct reassembly *reassembly, struct chunk *chunk, uint16_t readers)
{
    chunk->next = NULL;
    chunk->holders = readers;
    if (reassembly->tail)
        reassembly->tail->next = chunk;
    else
        reassembly->head = chunk;
    reassembly->tail = chunk;
    reassembly->held += chunk->size;
}

/* The tail may grow as long as no reader is past it. */
static bool tail_can_grow(const struct reassembly *reassembly, const struct span *span, uint16_t readers)
{
    const struct chunk *tail = reassembly->tail;
    return tail && tail->turn == span->turn && tail->size < CHUNK_BYTES && tail->holders == readers;
}

static void grow_tail(struct reassembly *reassembly, struct span *span)
{
    uint32_t before = span->size;
    chunk_fill(reassembly->tail, span);
    advance(reassembly, before - span->size, reassembly->tail->segment);
    reassembly->held += before - span->size;
}

/* The start of the span, which is in order, in a new chunk. */
static struct chunk *append_chunk(struct reassembly *reassembly, struct pool *chunks, struct span *span,
                                  uint16_t readers)
{
    struct chunk *chunk = chunk_new(chunks, span);
    if (!chunk)
        return NULL;
    chunk_fill(chunk, span);
    chunk->behind = reassembly->last;
    advance(reassembly, chunk->size, chunk->segment);
    link_tail(reassembly, chunk, readers);
    return chunk;
}

enum drop reassembly_store(struct reassembly *reassembly, struct pool *chunks, struct span *span,
                           uint16_t readers)
{
    if (!span->size)
        return DROP_NONE;
    enum drop drop = trim_known(reassembly, span);
    if (drop)
        return drop;
    if (span->offset != reassembly->next)
        return keep_waiting(reassembly, chunks, span);
    span->turn = turn_of(reassembly, span->turn);
    if (tail_can_grow(reassembly, span, readers))
        grow_tail(reassembly, span);
    while (span->size)
        if (!append_chunk(reassembly, chunks, span, readers))
            return no_room(reassembly, span);
    for (struct chunk *chunk; (chunk = reassembly_ripe(reassembly, chunks));) {
        chunk->turn = turn_of(reassembly, chunk->turn);
        link_tail(reassembly, chunk, readers);
    }
    return DROP_NONE;
}

struct chunk *reassembly_store_apart(struct reassembly *reassembly, struct pool *chunks,
                                     const struct span *span, uint16_t readers)
{
    struct span rest = *span;
    return append_chunk(reassembly, chunks, &rest, readers);
}

struct chunk *reassembly_release(struct reassembly *reassembly, struct pool *chunks, struct chunk *chunk)
{
    struct chunk *next = chunk->next;
    chunk->holders--;
    while (reassembly->head && !reassembly->head->holders) {
        struct chunk *done = reassembly->head;
        reassembly->head = done->next;
        reassembly->held -= done->size;
        if (!reassembly->head)
            reassembly->tail = NULL;
        pool_give(chunks, done);
    }
    return next;
}

static void give_all(struct pool *chunks, struct chunk *chunk)
{
    while (chunk) {
        struct chunk *next = chunk->next;
        pool_give(chunks, chunk);
        chunk = next;
    }
}

void reassembly_clear(struct reassembly *reassembly, struct pool *chunks)
{
    give_all(chunks, reassembly->head);
    give_all(chunks, reassembly->waiting);
    reassembly->head = reassembly->tail = reassembly->waiting = NULL;
    reassembly->held = 0;
}
