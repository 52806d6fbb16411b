/* Reassembly: each rule by itself, and any pieces of a known text, stored and read through. */
#include <string.h>

#include "check.h"
#include "session/reassembly.h"

enum { TEXT_SIZE = 20000, CHUNKS = 256, ROUNDS = 200 };

static uint8_t text[TEXT_SIZE];
static struct pool chunks;

static struct span piece(uint32_t offset, uint32_t size)
{
    return span_of(text + offset, offset, size, 0);
}

static enum drop store(struct reassembly *reassembly, uint32_t offset, uint32_t size)
{
    struct span span = piece(offset, size);
    return reassembly_store(reassembly, &chunks, &span, 1);
}

static enum drop store_turn(struct reassembly *reassembly, uint32_t offset, uint32_t size, uint32_t turn)
{
    struct span span = span_of(text + offset, offset, size, turn);
    return reassembly_store(reassembly, &chunks, &span, 1);
}

static void finish(struct reassembly *reassembly)
{
    reassembly_clear(reassembly, &chunks);
    CHECK(chunks.live == 0 && reassembly->held == 0 && !reassembly->head && !reassembly->waiting);
}

static uint32_t bytes_in(const struct chunk *chunk)
{
    uint32_t bytes = 0;
    for (; chunk; chunk = chunk->next)
        bytes += chunk->size;
    return bytes;
}

/* What is in order is the text from `from` up to `next`, and every byte that is held is counted. */
static void check_stored(const struct reassembly *reassembly, uint32_t from)
{
    for (const struct chunk *chunk = reassembly->head; chunk; chunk = chunk->next) {
        CHECK(chunk->offset == from);
        CHECK(memcmp(chunk->bytes, text + from, chunk->size) == 0);
        from += chunk->size;
    }
    CHECK(from == reassembly->next);
    CHECK(reassembly->held == bytes_in(reassembly->head) + bytes_in(reassembly->waiting));
}

/* A random piece around what is awaited; now and then exactly that. */
static struct span random_piece(const struct reassembly *reassembly, uint64_t *state, uint32_t step)
{
    uint32_t around = reassembly->next > 3000 ? reassembly->next - 3000 : 0;
    uint32_t at = step % 50 == 49 ? reassembly->next : around + random32(state) % 9000;
    at = at < TEXT_SIZE ? at : TEXT_SIZE - 1;
    uint32_t size = 1 + random32(state) % 3000;
    return piece(at, min32(size, TEXT_SIZE - at));
}

static void test_any_pieces_are_stored_in_order(void)
{
    uint64_t state = 99;
    for (int round = 0; round < ROUNDS; round++) {
        struct reassembly reassembly = {0};
        uint32_t read = 0;
        for (uint32_t step = 0; reassembly.next < TEXT_SIZE; step++) {
            struct span span = random_piece(&reassembly, &state, step);
            enum drop drop = reassembly_store(&reassembly, &chunks, &span, 1);
            CHECK(drop == DROP_NONE || drop == DROP_duplicate);
            check_stored(&reassembly, read);
            while (reassembly.head && random32(&state) % 3) {
                read += reassembly.head->size;
                reassembly_release(&reassembly, &chunks, reassembly.head);
            }
            check_stored(&reassembly, read);
        }
        CHECK(!reassembly.waiting);
        finish(&reassembly);
    }
}

/* A reader that keeps nothing but its place. */
static uint32_t read_ripe(struct reassembly *reassembly, uint32_t at)
{
    for (struct chunk *chunk; (chunk = reassembly_ripe(reassembly, &chunks)); pool_give(&chunks, chunk)) {
        CHECK(chunk->offset == at && memcmp(chunk->bytes, text + at, chunk->size) == 0);
        at += chunk->size;
    }
    return at;
}

static uint32_t read_span(const struct span *span, uint32_t at)
{
    CHECK(!span->size || span->offset == at);
    CHECK(memcmp(span->bytes, text + at, span->size) == 0);
    return at + span->size;
}

static uint32_t read_through(struct reassembly *reassembly, struct span span, uint32_t at)
{
    enum drop drop = reassembly_take(reassembly, &chunks, &span);
    CHECK(drop == DROP_NONE || drop == DROP_duplicate);
    if (!drop && span.offset == at)
        at = read_span(&span, at);
    return read_ripe(reassembly, at);
}

static void test_any_pieces_are_read_through_in_order(void)
{
    uint64_t state = 7;
    for (int round = 0; round < ROUNDS; round++) {
        struct reassembly reassembly = {0};
        uint32_t at = 0;
        for (uint32_t step = 0; at < TEXT_SIZE; step++) {
            at = read_through(&reassembly, random_piece(&reassembly, &state, step), at);
            CHECK(reassembly.next == at && reassembly.held == bytes_in(reassembly.waiting));
        }
        finish(&reassembly);
    }
}

static void test_reading_through_in_order_stores_nothing(void)
{
    struct reassembly reassembly = {0};
    for (uint32_t at = 0; at < TEXT_SIZE; at += 1000) {
        struct span span = piece(at, 1000);
        CHECK(reassembly_take(&reassembly, &chunks, &span) == DROP_NONE);
        CHECK(span.bytes == text + at && span.size == 1000 && chunks.live == 0);
    }
    CHECK(reassembly.next == TEXT_SIZE && !reassembly_has_hole(&reassembly));
}

static void test_nothing_is_taken_twice_or_from_far_away(void)
{
    struct reassembly reassembly = {0};
    CHECK(store(&reassembly, 0, 0) == DROP_NONE && chunks.live == 0);
    CHECK(store(&reassembly, 0, 100) == DROP_NONE);
    CHECK(store(&reassembly, 0, 100) == DROP_duplicate);
    CHECK(store(&reassembly, 50, 51) == DROP_NONE && reassembly.next == 101);
    CHECK(store(&reassembly, 200, 100) == DROP_NONE);
    CHECK(store(&reassembly, 220, 50) == DROP_duplicate);
    struct span far = span_of(text, 101 + FURTHEST_AHEAD + 1, 1, 0);
    CHECK(reassembly_store(&reassembly, &chunks, &far, 1) == DROP_outside_window);
    CHECK(reassembly.held == 201);
    finish(&reassembly);
}

static void test_turns_share_no_chunk_and_never_go_back(void)
{
    struct reassembly reassembly = {0};
    CHECK(store_turn(&reassembly, 0, 10, 5) == DROP_NONE);
    CHECK(store_turn(&reassembly, 10, 10, 5) == DROP_NONE);
    CHECK(chunks.live == 1 && reassembly.head->size == 20);
    CHECK(store_turn(&reassembly, 30, 10, 2) == DROP_NONE); /* early, and older than the bytes before it */
    CHECK(store_turn(&reassembly, 20, 10, 9) == DROP_NONE);
    const struct chunk *second = reassembly.head->next;
    CHECK(second->turn == 9 && second->size == 10);
    CHECK(second->next->turn == 9 && second->next->offset == 30);
    finish(&reassembly);
}

static void test_chunks_know_the_segment_before_them(void)
{
    struct reassembly reassembly = {0};
    store_turn(&reassembly, 0, 1448, 1);
    store_turn(&reassembly, 1448 + 700, 300, 3);
    CHECK(reassembly.last == 1448);
    store_turn(&reassembly, 1448, 700, 2);
    const struct chunk *second = reassembly.head->next;
    CHECK(second->behind == 1448 && second->next->behind == 700 && reassembly.last == 300);
    store_turn(&reassembly, reassembly.next, 3000, 4); /* in two chunks */
    const struct chunk *third = second->next->next;
    CHECK(third->behind == 300 && third->next->behind == 0 && reassembly.last == 3000);
    finish(&reassembly);
}

static void test_a_chunk_stays_until_every_reader_lets_go(void)
{
    struct reassembly reassembly = {0};
    struct span span = piece(0, 100);
    CHECK(reassembly_store(&reassembly, &chunks, &span, 2) == DROP_NONE);
    struct chunk *first = reassembly.head;
    CHECK(reassembly_release(&reassembly, &chunks, first) == NULL && chunks.live == 1);
    span = piece(100, 100); /* the first has a reader less: it must not grow */
    CHECK(reassembly_store(&reassembly, &chunks, &span, 2) == DROP_NONE);
    CHECK(first->size == 100 && chunks.live == 2);
    CHECK(reassembly_release(&reassembly, &chunks, first) == reassembly.tail && chunks.live == 1);
    finish(&reassembly);
}

static void test_datagrams_have_chunks_of_their_own(void)
{
    struct reassembly reassembly = {0};
    for (uint32_t at = 0; at < 300; at += 100) {
        struct span span = piece(at, 100);
        CHECK(reassembly_store_apart(&reassembly, &chunks, &span, 1) == reassembly.tail);
        CHECK(reassembly.tail->offset == at && reassembly.tail->size == 100);
    }
    CHECK(chunks.live == 3 && reassembly.next == 300);
    finish(&reassembly);
}

static void test_what_is_known_and_not_here_is_a_hole(void)
{
    struct reassembly reassembly = {0};
    CHECK(store(&reassembly, 0, 100) == DROP_NONE && !reassembly_has_hole(&reassembly));
    reassembly_note_known(&reassembly, 50);
    CHECK(!reassembly_has_hole(&reassembly));
    reassembly_note_known(&reassembly, 100 + FURTHEST_AHEAD);
    CHECK(!reassembly_has_hole(&reassembly));
    reassembly_note_known(&reassembly, 150);
    CHECK(reassembly_has_hole(&reassembly));
    CHECK(store(&reassembly, 100, 50) == DROP_NONE && !reassembly_has_hole(&reassembly));
    CHECK(store(&reassembly, 300, 50) == DROP_NONE && reassembly_has_hole(&reassembly));
    CHECK(reassembly.known == 350);
    finish(&reassembly);
}

static void test_a_hole_that_is_given_up_is_counted(void)
{
    struct reassembly reassembly = {0};
    CHECK(reassembly_skip(&reassembly) == 0);
    CHECK(read_through(&reassembly, piece(100, 50), 0) == 0);
    CHECK(read_through(&reassembly, piece(200, 50), 0) == 0);
    reassembly_note_known(&reassembly, 300);
    CHECK(reassembly_skip(&reassembly) == 100 && read_ripe(&reassembly, 100) == 150);
    CHECK(reassembly_skip(&reassembly) == 50 && read_ripe(&reassembly, 200) == 250);
    CHECK(reassembly_skip(&reassembly) == 50 && read_ripe(&reassembly, 300) == 300);
    CHECK(!reassembly_has_hole(&reassembly) && reassembly.last == 0);
    finish(&reassembly);
}

static void test_what_found_no_room_is_a_hole(void)
{
    struct reassembly reassembly = {0};
    uint32_t stored = 0;
    while (store_turn(&reassembly, 0, 0, 0) == DROP_NONE && chunks.live < CHUNKS) {
        CHECK(store_turn(&reassembly, reassembly.next, 10, stored) == DROP_NONE);
        stored++;
    }
    uint32_t next = reassembly.next;
    CHECK(store_turn(&reassembly, next, 10, stored) == DROP_buffers_full);
    CHECK(reassembly.next == next && reassembly.known == next + 10 && reassembly.held == next);
    CHECK(store(&reassembly, next + 20, 10) == DROP_buffers_full);
    CHECK(reassembly.known == next + 30 && reassembly.held == next);
    finish(&reassembly);
}

static void test_offsets_wrap(void)
{
    struct reassembly reassembly = {.next = UINT32_MAX - 4999, .known = UINT32_MAX - 4999};
    uint32_t start = reassembly.next;
    struct span early = span_of(text + 6000, start + 6000, 1000, 0);
    CHECK(reassembly_store(&reassembly, &chunks, &early, 1) == DROP_NONE);
    CHECK(reassembly.known == 2000 && reassembly_has_hole(&reassembly));
    struct span rest = span_of(text, start, 6000, 0);
    CHECK(reassembly_store(&reassembly, &chunks, &rest, 1) == DROP_NONE);
    CHECK(reassembly.next == 2000 && !reassembly_has_hole(&reassembly) && reassembly.held == 7000);
    finish(&reassembly);
}

/* Four gigabytes and more, of which nobody notes what is known. */
static void test_a_long_connection_has_no_hole_by_wrapping(void)
{
    enum { STEP = 1 << 30 };
    struct reassembly reassembly = {0};
    for (int step = 0; step < 9; step++) {
        struct span span = {text, reassembly.next, STEP, 0, reassembly.next + STEP, 0};
        CHECK(reassembly_take(&reassembly, &chunks, &span) == DROP_NONE);
        CHECK(!reassembly_has_hole(&reassembly));
    }
}

int main(void)
{
    uint64_t state = 1;
    for (uint32_t i = 0; i < TEXT_SIZE; i++)
        text[i] = (uint8_t)random32(&state);
    CHECK(pool_open(&chunks, sizeof(struct chunk), CHUNKS) == 0);
    RUN(test_any_pieces_are_stored_in_order);
    RUN(test_any_pieces_are_read_through_in_order);
    RUN(test_reading_through_in_order_stores_nothing);
    RUN(test_nothing_is_taken_twice_or_from_far_away);
    RUN(test_turns_share_no_chunk_and_never_go_back);
    RUN(test_chunks_know_the_segment_before_them);
    RUN(test_a_chunk_stays_until_every_reader_lets_go);
    RUN(test_datagrams_have_chunks_of_their_own);
    RUN(test_what_is_known_and_not_here_is_a_hole);
    RUN(test_a_hole_that_is_given_up_is_counted);
    RUN(test_what_found_no_room_is_a_hole);
    RUN(test_offsets_wrap);
    RUN(test_a_long_connection_has_no_hole_by_wrapping);
    pool_close(&chunks);
    return 0;
}
