/* bench_parse.c: parse_frame alone: nanoseconds for each frame, by kind of frame.
 *
 * Near: the frames stay in the core's own caches. Far: as many frames as a port has buffers, so they come
 * from the last-level cache at best, as frames do that a device or the kernel has just written.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "talk.h"
#include "wire/parse.h"

enum { NEAR = 32, FAR = 4096, BURST = 64 };

struct kind {
    const char *name;
    enum line lines[4]; /* in turn */
    uint32_t count;
    bool ipv6;
};

static const struct kind KINDS[] = {
    {"IPv4 request, 300 B", {CLIENT_REQUEST}, 1, false},
    {"IPv4 acknowledgement", {CLIENT_ACK}, 1, false},
    {"IPv4 answer, 1 kB", {TARGET_ANSWER}, 1, false},
    {"IPv6 request, 300 B", {CLIENT_REQUEST}, 1, true},
    {"IPv6 acknowledgement", {CLIENT_ACK}, 1, true},
    {"IPv4 all of these", {CLIENT_REQUEST, CLIENT_ACK, TARGET_ANSWER, CLIENT_ACK}, 4, false},
};

struct field {
    uint8_t *bytes;
    struct frame frames[FAR];
    uint32_t order[FAR];
    uint32_t count;
    uint64_t random;
};

static volatile uint32_t sink; /* what is parsed is used */

static void to_ipv6(struct endpoint *endpoint)
{
    uint8_t bytes[16] = {0xfd, 0, 1, 0x98, 0, 0x18};
    memcpy(bytes + 12, (const uint8_t *)&endpoint->address + 12, 4);
    endpoint->address = address_from_bytes(bytes);
}

static void fill(struct field *field, const struct kind *kind, uint32_t count)
{
    static const struct link_addresses LINK = {{2, 0, 0, 0, 0, 2}, {2, 0, 0, 0, 0, 1}};
    field->count = count;
    for (uint32_t i = 0; i < count; i++) {
        struct talk talk;
        struct segment segment;
        struct frame *frame = &field->frames[i];
        *frame = (struct frame){field->bytes + (size_t)i * TALK_FRAME, TALK_FRAME, i};
        talk_begin(&talk, i);
        talk_segment(&talk, i, kind->lines[bench_random(&field->random) % kind->count], &segment);
        if (kind->ipv6) {
            to_ipv6(&segment.source);
            to_ipv6(&segment.destination);
        }
        rewrite_segment(&segment, &LINK, frame);
    }
}

static void parse_all(const struct field *field, bool verify)
{
    for (uint32_t i = 0; i < field->count; i++) {
        struct packet packet;
        if (parse_frame(&field->frames[field->order[i]], verify, &packet))
            bench_fail("a frame that was made right is not parsed");
        sink += packet.size;
    }
}

static void measure(struct field *field, bool verify, uint32_t slices, uint64_t slice_frames,
                    struct slices *result)
{
    *result = (struct slices){.count = 0};
    parse_all(field, verify);
    while (result->count < slices) {
        uint64_t spent = 0;
        uint64_t frames = 0;
        for (; frames < slice_frames; frames += field->count) {
            if (field->count == FAR)
                bench_shuffle(field->order, field->count, &field->random);
            uint64_t start = bench_cpu_clock();
            for (uint32_t again = 0; again < FAR / field->count; again++)
                parse_all(field, verify);
            spent += bench_cpu_clock() - start;
            frames += (FAR / field->count - 1) * field->count;
        }
        slices_add(result, spent, frames);
    }
}

static void report(struct field *field, const struct kind *kind, uint32_t slices, uint64_t slice_frames)
{
    static const struct {
        const char *name;
        uint32_t count;
        bool verify;
    } WAYS[] = {{"near", NEAR, true}, {"far", FAR, true}, {"far_unverified", FAR, false}};
    printf("{\"kind\": \"%s\"", kind->name);
    for (uint32_t i = 0; i < sizeof(WAYS) / sizeof(WAYS[0]); i++) {
        struct slices result;
        fill(field, kind, WAYS[i].count);
        bench_shuffle(field->order, field->count, &field->random);
        measure(field, WAYS[i].verify, slices, slice_frames, &result);
        printf(", \"%s\": {", WAYS[i].name);
        slices_print(&result);
        printf("}");
    }
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < field->count; i++)
        bytes += field->frames[i].size;
    printf(", \"frame_bytes\": %.0f}", (double)bytes / field->count);
}

int main(int argc, char **argv)
{
    uint64_t slices = bench_option(argc, argv, "slices", 15);
    uint64_t slice_frames = bench_option(argc, argv, "slice-frames", 300000);
    struct field *field = calloc(1, sizeof(*field));
    if (field)
        field->bytes = aligned_alloc(4096, (size_t)FAR * TALK_FRAME);
    if (!field || !field->bytes || !slices || slices > BENCH_SLICES)
        bench_fail("no memory, or --slices is not 1 to %d", BENCH_SLICES);
    printf("[");
    for (uint32_t i = 0; i < sizeof(KINDS) / sizeof(KINDS[0]); i++) {
        printf(i ? ", " : "");
        report(field, &KINDS[i], (uint32_t)slices, slice_frames);
    }
    printf("]\n");
    free(field->bytes);
    free(field);
    return 0;
}
