/* The hand-off ring between two threads; built with ThreadSanitizer. */
#include <pthread.h>
#include <sched.h>
#include <string.h>

#include "check.h"
#include "line/handoff.h"

enum { FRAMES = 50000, BURST = 5 };

static void *produce(void *argument)
{
    struct handoff *handoff = argument;
    uint8_t bytes[64];
    for (uint32_t i = 0; i < FRAMES;) {
        memset(bytes, (int)i, sizeof(bytes));
        struct handed handed = {{bytes, 1 + i % 64, 0}, i % 2, i % 3 == 0, i % 3};
        if (handoff_put(handoff, &handed))
            i++;
        else
            sched_yield();
    }
    return NULL;
}

static void check_frame(const struct handed *handed, uint32_t i)
{
    CHECK(handed->frame.size == 1 + i % 64 && handed->role == i % 2);
    CHECK(handed->verify_checksums == (i % 3 == 0) && handed->patience == i % 3);
    CHECK(handed->frame.data[0] == (uint8_t)i && handed->frame.data[handed->frame.size - 1] == (uint8_t)i);
}

static void test_frames_arrive_whole_and_in_order(void)
{
    struct handoff *handoff = handoff_open(16, 64);
    pthread_t producer;
    CHECK(handoff);
    CHECK(pthread_create(&producer, NULL, produce, handoff) == 0);
    for (uint32_t i = 0, burst = 1; i < FRAMES; burst = burst % BURST + 1) {
        struct handed handed[BURST];
        uint32_t count = handoff_take(handoff, handed, burst);
        CHECK(count <= burst);
        if (!count)
            sched_yield();
        for (uint32_t at = 0; at < count; at++)
            check_frame(&handed[at], i + at);
        uint32_t done = count - (count > 1 && i % 2); /* the last one is borrowed again, now and then */
        handoff_done(handoff, done);
        i += done;
    }
    pthread_join(producer, NULL);
    handoff_close(handoff);
}

static void test_a_full_ring_and_a_large_frame_are_refused(void)
{
    struct handoff *handoff = handoff_open(4, 100);
    uint8_t bytes[300] = {0};
    struct handed small = {{bytes, 10, 0}, 0, false, PATIENCE_NONE};
    struct handed large = {{bytes, 300, 0}, 0, false, PATIENCE_NONE};
    CHECK(!handoff_put(handoff, &large));
    for (int i = 0; i < 4; i++)
        CHECK(handoff_put(handoff, &small));
    CHECK(!handoff_put(handoff, &small));
    handoff_close(handoff);
}

int main(void)
{
    RUN(test_frames_arrive_whole_and_in_order);
    RUN(test_a_full_ring_and_a_large_frame_are_refused);
    return 0;
}
