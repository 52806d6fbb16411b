/* Any order of a client's segments through the stream, beside a map of the bytes that were given.
 *
 * The client's byte at each offset is a function of the offset, so that a byte in the wrong place shows.
 * After each event the chunks in order must be just what was given without a hole, each byte held once, and
 * no segment is read beyond its end. At the end no chunk is left.
 */
#include <string.h>

#include "script.h"
#include "session/stream.h"

enum { MOST_EVENTS = 300, MOST_SESSIONS = 3, MOST_OFFSET = 1 << 18, MOST_CHUNKS = 256, MOST_SIZE = 5000 };

struct model {
    struct stream stream;
    struct pool *chunks;
    uint32_t said[MOST_SESSIONS]; /* how far each session has delivered */
    uint32_t next;                /* the first byte that was never given */
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

static void check_chunk(const struct chunk *chunk)
{
    check(chunk->size > 0 && chunk->size <= CHUNK_BYTES);
    for (uint32_t i = 0; i < chunk->size; i++)
        check(chunk->bytes[i] == byte_at(chunk->offset + i));
}

/* In order: without a hole up to `next`, the turns never going back. Waiting: behind it, sorted, apart. */
static void check_stream(const struct model *model)
{
    const struct stream *stream = &model->stream;
    uint32_t held = 0;
    uint32_t count = 0;
    const struct chunk *last = NULL;
    for (const struct chunk *chunk = stream->client.head; chunk; last = chunk, chunk = chunk->next) {
        check_chunk(chunk);
        check(!last || chunk->offset == last->offset + last->size);
        check(!last || !seq_before(chunk->turn, last->turn));
        held += chunk->size;
        count++;
    }
    check(stream->client.tail == last);
    check(!last || last->offset + last->size == stream->client.next);
    uint32_t end = stream->client.next;
    for (const struct chunk *chunk = stream->client.waiting; chunk; chunk = chunk->next) {
        check_chunk(chunk);
        check(chunk == stream->client.waiting ? seq_after(chunk->offset, end)
                                              : !seq_before(chunk->offset, end));
        end = chunk->offset + chunk->size;
        held += chunk->size;
        count++;
    }
    check(stream->client.held == held && model->chunks->live == count);
    check(stream->client.next == model->next);
}

static void note_given(struct model *model, uint32_t offset, uint32_t size)
{
    memset(model->given + offset, true, size);
    while (model->next < MOST_OFFSET && model->given[model->next])
        model->next++;
}

static void write_payload(uint8_t *at, uint32_t offset, uint32_t size)
{
    for (uint32_t i = 0; i < size; i++)
        at[i] = byte_at(offset + i);
}

/* False: the stream has no more room, and its connection would end. */
static bool client_says(struct model *model, struct script *script, uint64_t now)
{
    uint32_t before = take(script) * (take(script) & 31);
    uint32_t offset = model->next + take(script) * take(script) / 8 - (before > model->next ? 0 : before);
    uint32_t size = take(script) * (take(script) & 31) % MOST_SIZE;
    if (offset + size > MOST_OFFSET)
        return true;
    uint8_t *payload = malloc(size + 1);
    write_payload(payload, offset, size);
    struct packet packet = {
        .seq = model->stream.first + offset,
        .ack = model->stream.origin + take(script) * 16,
        .flags = (uint8_t)((take(script) & (TCP_FIN | TCP_PSH)) | TCP_ACK),
        .size = size,
        .payload = payload,
    };
    stream_note(&model->stream, &packet);
    enum drop drop = stream_append(&model->stream, model->chunks, &packet, now);
    free(payload);
    check(drop == DROP_NONE || drop == DROP_duplicate || drop == DROP_buffers_full);
    if (drop == DROP_buffers_full)
        return false;
    note_given(model, offset, size);
    return true;
}

static void server_says(struct model *model, struct script *script)
{
    struct packet packet = {
        .seq = model->stream.origin + take(script) * 16,
        .ack = model->stream.first + model->next + take(script) - 8,
        .flags = (uint8_t)((take(script) & TCP_FIN) | TCP_ACK),
    };
    stream_on_server(&model->stream, &packet);
    stream_take_missed_fin(&model->stream);
}

/* One session delivers its oldest chunk. */
static void deliver(struct model *model, uint32_t session)
{
    struct chunk *chunk = model->stream.client.head;
    while (chunk && chunk->offset != model->said[session])
        chunk = chunk->next;
    if (!chunk)
        return;
    model->said[session] += chunk->size;
    reassembly_release(&model->stream.client, model->chunks, chunk);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct model model;
    struct script script = {data, size};
    struct packet syn = {.seq = take(&script) << 24 | take(&script), .flags = TCP_SYN};
    struct flow flow = {.client_port = 1};
    memset(&model, 0, sizeof(model));
    model.chunks = &pool;
    stream_open(&model.stream, &flow, &syn, 1);
    model.stream.session_count = (uint16_t)(1 + take(&script) % MOST_SESSIONS);
    for (uint64_t now = 2; script.rest && now < MOST_EVENTS; now++) {
        uint32_t what = take(&script);
        if (what < 150 && !client_says(&model, &script, now))
            break;
        if (what >= 150 && what < 180)
            server_says(&model, &script);
        if (what >= 180)
            deliver(&model, what % model.stream.session_count);
        check_stream(&model);
    }
    reassembly_clear(&model.stream.client, &pool);
    check(pool.live == 0);
    return 0;
}
