/* Pool, table, timing wheel and stream, each against a model that is too simple to be wrong. */
#include <string.h>
#include <sys/mman.h>

#include "admission/shed.h"
#include "check.h"
#include "session/stream.h"
#include "store/flow.h"
#include "store/table.h"
#include "store/timer.h"

enum { OBJECTS = 300, STEPS = 200000 };

struct object {
    struct flow flow;
    uint32_t number;
};

static struct flow flow_of(uint32_t number)
{
    struct endpoint client = {{{0, number % 7}}, (uint16_t)number};
    struct endpoint server = {{{0, 1}}, 80};
    return flow_make(DP_TCP, &client, &server);
}

static void test_pool_gives_each_object_once(void)
{
    struct pool pool;
    void *objects[OBJECTS];
    CHECK(pool_open(&pool, 40, OBJECTS) == 0);
    for (int round = 0; round < 3; round++) {
        for (uint32_t i = 0; i < OBJECTS; i++) {
            objects[i] = pool_take(&pool);
            CHECK(objects[i]);
            memset(objects[i], (int)i, 40);
            CHECK(pool.base + pool.object_size * pool_slot(&pool, objects[i]) == objects[i]);
        }
        CHECK(pool_take(&pool) == NULL);
        CHECK(pool.live == OBJECTS);
        for (uint32_t i = 0; i < OBJECTS; i++)
            CHECK(((uint8_t *)objects[i])[39] == (uint8_t)i);
        for (uint32_t i = 0; i < OBJECTS; i++)
            pool_give(&pool, objects[i]);
    }
    CHECK(pool.live == 0);
    pool_close(&pool);
}

static bool is_in_memory(uint8_t *at)
{
    unsigned char pages;
    CHECK(mincore((void *)((uintptr_t)at & ~4095ul), 1, &pages) == 0);
    return pages & 1;
}

static void test_pool_keeps_what_was_warm(void)
{
    enum { SIZE = 4096, COUNT = 8192, WARM = 8 << 20 };
    struct pool pool;
    CHECK(pool_open(&pool, SIZE, COUNT) == 0);
    CHECK(!is_in_memory(pool.base));
    pool_warm(&pool, WARM);
    CHECK(is_in_memory(pool.base) && is_in_memory(pool.base + WARM - 1));
    for (uint32_t round = 0; round < 2; round++) {
        void *objects[COUNT];
        for (uint32_t i = 0; i < COUNT; i++)
            memset(objects[i] = pool_take(&pool), 1, SIZE);
        CHECK(is_in_memory(pool.base + (size_t)SIZE * COUNT - 1));
        for (uint32_t i = 0; i < COUNT; i++)
            pool_give(&pool, objects[i]);
        pool_release(&pool);
        CHECK(is_in_memory(pool.base) && is_in_memory(pool.base + WARM - 1));
        CHECK(!is_in_memory(pool.base + (size_t)SIZE * COUNT - 1));
    }
    pool_close(&pool);
}

static void test_table_against_an_array(void)
{
    struct pool pool;
    struct table table;
    struct object *model[2 * OBJECTS] = {0};
    uint64_t state = 42;
    CHECK(pool_open(&pool, sizeof(struct object), OBJECTS) == 0);
    CHECK(table_open(&table, &pool) == 0);
    for (uint32_t step = 0; step < STEPS; step++) {
        uint32_t number = random32(&state) % (2 * OBJECTS);
        struct flow flow = flow_of(number);
        CHECK(table_find(&table, &flow) == model[number]);
        if (model[number]) {
            table_remove(&table, model[number]);
            pool_give(&pool, model[number]);
            model[number] = NULL;
        } else if ((model[number] = pool_take(&pool))) {
            model[number]->flow = flow;
            model[number]->number = number;
            table_insert(&table, model[number]);
        }
    }
    for (uint32_t number = 0; number < 2 * OBJECTS; number++) {
        struct flow flow = flow_of(number);
        CHECK(table_find(&table, &flow) == model[number]);
    }
    table_close(&table);
    pool_close(&pool);
}

static void test_timers_fire_once_and_never_early(void)
{
    static struct wheel wheel;
    static struct timer timers[OBJECTS];
    static uint64_t due[OBJECTS]; /* 0: not armed */
    uint64_t state = 7;
    uint64_t now = 12345678;
    for (uint32_t step = 0; step < STEPS / 4; step++) {
        uint32_t i = random32(&state) % OBJECTS;
        uint64_t ahead = (uint64_t)random32(&state) << (random32(&state) % 20);
        if (!due[i]) {
            due[i] = now + ahead + 1;
            timer_arm(&wheel, &timers[i], due[i]);
        } else if (step % 7 == 0) {
            due[i] = 0;
            if (step % 2)
                timer_cancel(&wheel, &timers[i]);
            else
                timer_arm(&wheel, &timers[i], TIMER_NEVER);
        } else if (now + ahead + 1 < due[i]) {
            due[i] = now + ahead + 1; /* earlier: moved; later would leave it where it is */
            timer_arm(&wheel, &timers[i], due[i]);
        }
        now += (uint64_t)random32(&state) >> (random32(&state) % 16);
        for (struct timer *timer; (timer = wheel_expire(&wheel, now));) {
            uint64_t *expected = &due[timer - timers];
            CHECK(*expected && *expected <= now);
            *expected = 0;
        }
        for (uint32_t j = 0; step % 64 == 0 && j < OBJECTS; j++)
            CHECK(!due[j] || due[j] + (2ull << 20) > now); /* not later than two ticks */
    }
}

enum { TEXT_SIZE = 20000 };

static uint8_t text[TEXT_SIZE];

/* A random piece of the text around what the stream waits for; now and then exactly that. */
static struct packet random_piece(const struct stream *stream, uint64_t *state, uint32_t step)
{
    uint32_t around = stream->client.next > 3000 ? stream->client.next - 3000 : 0;
    uint32_t at = step % 50 == 49 ? stream->client.next : around + random32(state) % 9000;
    at = at < TEXT_SIZE ? at : TEXT_SIZE - 1;
    uint32_t size = 1 + random32(state) % 3000;
    size = size < TEXT_SIZE - at ? size : TEXT_SIZE - at;
    return (struct packet){.seq = stream->first + at, .flags = TCP_ACK, .payload = text + at, .size = size};
}

static uint32_t bytes_in(const struct chunk *chunk)
{
    uint32_t bytes = 0;
    for (; chunk; chunk = chunk->next)
        bytes += chunk->size;
    return bytes;
}

/* What is in order is the text, from where the reader is up to `next`, and nothing is counted wrongly. */
static void check_stream(const struct stream *stream, uint32_t seen)
{
    uint32_t at = seen;
    for (const struct chunk *chunk = stream->client.head; chunk; chunk = chunk->next) {
        CHECK(chunk->offset == at);
        CHECK(memcmp(chunk->bytes, text + at, chunk->size) == 0);
        at += chunk->size;
    }
    CHECK(at == stream->client.next);
    CHECK(stream->client.held == bytes_in(stream->client.head) + bytes_in(stream->client.waiting));
}

/* A stream is fed random pieces of a known text, in random order, twice and overlapping. */
static void feed_stream(uint64_t *state, struct pool *chunks)
{
    struct stream stream;
    struct flow flow = flow_of(1);
    struct packet syn = {.seq = random32(state), .flags = TCP_SYN};
    stream_open(&stream, &flow, &syn, 0);
    stream.session_count = 1;
    for (uint32_t i = 0; i < TEXT_SIZE; i++)
        text[i] = (uint8_t)random32(state);
    uint32_t seen = 0;
    for (uint32_t step = 0; stream.client.next < TEXT_SIZE; step++) {
        struct packet packet = random_piece(&stream, state, step);
        enum drop drop = stream_append(&stream, chunks, &packet, 0);
        CHECK(drop == DROP_NONE || drop == DROP_duplicate);
        check_stream(&stream, seen);
        while (stream.client.head && random32(state) % 3) {
            seen += stream.client.head->size;
            reassembly_release(&stream.client, chunks, stream.client.head);
        }
        check_stream(&stream, seen);
    }
    CHECK(!stream.client.waiting);
    reassembly_clear(&stream.client, chunks);
    CHECK(chunks->live == 0 && stream.client.held == 0);
}

static void test_stream_puts_any_pieces_in_order(void)
{
    struct pool chunks;
    uint64_t state = 99;
    CHECK(pool_open(&chunks, sizeof(struct chunk), 256) == 0);
    for (int round = 0; round < 300; round++)
        feed_stream(&state, &chunks);
    pool_close(&chunks);
}

static uint32_t known(const struct shed *shed, const struct endpoint *client)
{
    return shed
        ->known[shed_slot(hash_sample(client->address.half[0], client->address.half[1], client->port))];
}

static void test_known_connections_are_counted_in_every_map(void)
{
    static struct shed one, other;
    struct sheds sheds = {.at = {&one, &other}, .count = 2};
    struct endpoint client = {{{0, 1}}, 10000}, busy = {{{0, 1}}, 10001};
    for (int i = 0; i < 254; i++)
        sheds_know(&sheds, &client);
    CHECK(known(&one, &client) == 254 && known(&other, &client) == 254 && known(&one, &busy) == 0);
    for (int i = 0; i < 254; i++)
        sheds_forget(&sheds, &client);
    CHECK(known(&one, &client) == 0 && known(&other, &client) == 0);
    for (int i = 0; i < 300; i++)
        sheds_know(&sheds, &busy);
    for (int i = 0; i < 300; i++)
        sheds_forget(&sheds, &busy);
    CHECK(known(&one, &busy) == UINT8_MAX); /* it has lost count: never again sure that there is none */
}

static void test_a_worker_that_closes_is_counted_once(void)
{
    static struct shed shed;
    struct sheds first = {.at = {&shed}, .count = 1}, second = {.at = {&shed}, .count = 1, .worker = 1};
    sheds_close_above(&first, 100);
    sheds_close_above(&first, 200);
    CHECK(shed.closing == 1 && shed.closed[0] == 200 && shed.closed[1] == 0);
    sheds_close_above(&second, 50);
    CHECK(shed.closing == 2 && shed.closed[1] == 50);
    sheds_close_above(&first, 0);
    sheds_close_above(&second, 0);
    CHECK(shed.closing == 0 && shed.closed[0] == 0 && shed.closed[1] == 0);
    CHECK(shed_is_closed(1, UINT32_MAX) && !shed_is_closed(1, UINT32_MAX - 1) &&
          !shed_is_closed(0, UINT32_MAX));
}

int main(void)
{
    RUN(test_pool_gives_each_object_once);
    RUN(test_pool_keeps_what_was_warm);
    RUN(test_table_against_an_array);
    RUN(test_timers_fire_once_and_never_early);
    RUN(test_stream_puts_any_pieces_in_order);
    RUN(test_known_connections_are_counted_in_every_map);
    RUN(test_a_worker_that_closes_is_counted_once);
    return 0;
}
