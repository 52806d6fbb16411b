/* Segments in any order through reassembly, stored or read through, beside a map of the bytes that were
 * given.
 *
 * The byte at each offset is a function of the offset, so that a byte in the wrong place shows. Each byte
 * comes out once and in order, holes are as large as in the map, and nothing is held that is not counted.
 * Offsets start close below their wrap. At the end no chunk is left.
 */
#include <string.h>

#include "script.h"
#include "session/reassembly.h"

enum { MOST_EVENTS = 300, MOST_OFFSET = 1 << 18, MOST_CHUNKS = 512, MOST_SIZE = 5000, READERS = 2 };

struct model {
    struct reassembly reassembly;
    struct pool *chunks;
    bool through;           /* it is read through; else stored */
    uint32_t start;         /* the offset of the first byte; the rest counts from it */
    uint32_t said[READERS]; /* how far each reader of what is stored has got */
    uint32_t next;          /* the first byte that was neither given nor skipped */
    uint32_t known;         /* the furthest that anything was given or noted */
    bool given[MOST_OFFSET];
};

static struct pool pool;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    check(pool_open(&pool, sizeof(struct chunk), MOST_CHUNKS) == 0);
    return 0;
}

static uint8_t byte_at(uint32_t offset)
{
    return (uint8_t)(offset * 31 + (offset >> 8));
}

static void check_bytes(const uint8_t *bytes, uint32_t offset, uint32_t size)
{
    for (uint32_t i = 0; i < size; i++)
        check(bytes[i] == byte_at(offset + i));
}

/* The chunks' bytes, which are counted; their number is added to *count. */
static uint32_t check_chunks(const struct model *model, const struct chunk *chunk, uint32_t *count)
{
    uint32_t held = 0;
    for (; chunk; chunk = chunk->next) {
        check(chunk->size > 0 && chunk->size <= CHUNK_BYTES);
        check_bytes(chunk->bytes, chunk->offset - model->start, chunk->size);
        check(!chunk->next || !seq_before(chunk->next->offset, chunk->offset + chunk->size));
        held += chunk->size;
        (*count)++;
    }
    return held;
}

static void check_model(const struct model *model)
{
    const struct reassembly *reassembly = &model->reassembly;
    uint32_t count = 0;
    uint32_t held = check_chunks(model, reassembly->head, &count);
    held += check_chunks(model, reassembly->waiting, &count);
    check(reassembly->held == held && model->chunks->live == count);
    check(!reassembly->waiting || seq_after(reassembly->waiting->offset, reassembly->next));
    check(reassembly->next - model->start == model->next);
    check(reassembly->known - model->start == model->known);
    check(reassembly_has_hole(reassembly) == (model->known != model->next));
    check(!model->through || !reassembly->head);
    for (const struct chunk *chunk = reassembly->head; chunk && chunk->next; chunk = chunk->next)
        check(!seq_before(chunk->next->turn, chunk->turn) &&
              chunk->next->offset == chunk->offset + chunk->size);
}

static void model_advance(struct model *model)
{
    while (model->next < MOST_OFFSET && model->given[model->next])
        model->next++;
    model->known = model->known > model->next ? model->known : model->next;
}

/* What a hasher would see: each byte once, from `at` on. */
static uint32_t read_ripe(struct model *model, uint32_t at)
{
    for (struct chunk *chunk; (chunk = reassembly_ripe(&model->reassembly, model->chunks));) {
        check(chunk->offset - model->start == at);
        check_bytes(chunk->bytes, at, chunk->size);
        at += chunk->size;
        pool_give(model->chunks, chunk);
    }
    return at;
}

static enum drop read_through(struct model *model, struct span *span)
{
    uint32_t at = model->reassembly.next - model->start;
    enum drop drop = reassembly_take(&model->reassembly, model->chunks, span);
    if (model->reassembly.next - model->start != at) {
        check(!drop && span->offset - model->start == at && span->size);
        check_bytes(span->bytes, at, span->size);
        at += span->size;
    } else {
        check(drop || !span->size);
    }
    check(read_ripe(model, at) == model->reassembly.next - model->start);
    return drop;
}

/* False: there is no more room. */
static bool give(struct model *model, struct script *script)
{
    uint32_t before = take(script) * (take(script) & 31);
    uint32_t offset = model->next + take(script) * take(script) / 8 - (before > model->next ? 0 : before);
    uint32_t size = take(script) * (take(script) & 31) % MOST_SIZE;
    if (offset + size > MOST_OFFSET)
        return true;
    uint8_t *bytes = malloc(size + 1);
    for (uint32_t i = 0; i < size; i++)
        bytes[i] = byte_at(offset + i);
    struct span span = span_of(bytes, model->start + offset, size, take(script));
    enum drop drop = model->through ? read_through(model, &span)
                                    : reassembly_store(&model->reassembly, model->chunks, &span, READERS);
    free(bytes);
    if (drop == DROP_buffers_full)
        return false;
    check(drop == DROP_NONE || drop == DROP_duplicate);
    memset(model->given + offset, true, size);
    if (size && offset + size > model->known)
        model->known = offset + size;
    model_advance(model);
    return true;
}

static void note_known(struct model *model, uint32_t ahead)
{
    uint32_t offset = model->next + ahead;
    if (offset > MOST_OFFSET)
        return;
    reassembly_note_known(&model->reassembly, model->start + offset);
    model->known = model->known > offset ? model->known : offset;
}

static void skip(struct model *model)
{
    uint32_t end = model->next;
    while (end < model->known && !model->given[end])
        end++;
    check(reassembly_skip(&model->reassembly) == end - model->next);
    model->next = end;
    model_advance(model);
    check(read_ripe(model, end) == model->next);
}

static void deliver(struct model *model, uint32_t reader)
{
    struct chunk *chunk = model->reassembly.head;
    while (chunk && chunk->offset - model->start != model->said[reader])
        chunk = chunk->next;
    if (!chunk)
        return;
    model->said[reader] += chunk->size;
    reassembly_release(&model->reassembly, model->chunks, chunk);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct model model;
    struct script script = {data, size};
    memset(&model, 0, sizeof(model));
    model.chunks = &pool;
    model.start = UINT32_MAX - take(&script) * 64;
    model.through = take(&script) & 1;
    model.reassembly.next = model.reassembly.known = model.start;
    for (int event = 0; script.rest && event < MOST_EVENTS; event++) {
        uint32_t what = take(&script);
        if (what < 160 && !give(&model, &script))
            break;
        if (what >= 160 && what < 175)
            note_known(&model, take(&script) * 8);
        if (what >= 175 && model.through)
            skip(&model);
        if (what >= 175 && !model.through)
            deliver(&model, what % READERS);
        check_model(&model);
    }
    reassembly_clear(&model.reassembly, &pool);
    check(pool.live == 0);
    return 0;
}
