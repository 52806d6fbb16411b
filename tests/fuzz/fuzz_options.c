/* Any 40 bytes as the options of a SYN: what parse says beside a plain reading of the rules, and again after
 * the rewriter has written it.
 */
#include <string.h>

#include "script.h"
#include "wire/bytes.h"
#include "wire/parse.h"
#include "wire/rewrite.h"

enum { LINK = 14, IP = 20, TCP = 20, MOST_OPTIONS = 40 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* RFC 9293 3.1: kind 0 ends, kind 1 is one byte, all others have a length that counts both. False: it does
 * not fit. */
static bool next_option(const uint8_t *options, uint32_t end, uint32_t *at, uint32_t *size)
{
    while (*at < end && options[*at] == 1)
        ++*at;
    *size = 0;
    if (*at == end || options[*at] == 0)
        return true;
    if (*at + 1 == end)
        return false;
    *size = options[*at + 1];
    return *size >= 2 && *at + *size <= end;
}

/* The last option of this kind and size, or NULL. */
static const uint8_t *find(const uint8_t *options, uint32_t end, uint8_t kind, uint32_t wanted)
{
    const uint8_t *found = NULL;
    uint32_t at = 0;
    uint32_t size;
    while (next_option(options, end, &at, &size) && size) {
        if (options[at] == kind && size == wanted)
            found = options + at;
        at += size;
    }
    return found;
}

static bool is_sound(const uint8_t *options, uint32_t end)
{
    uint32_t at = 0;
    uint32_t size;
    while (next_option(options, end, &at, &size)) {
        if (!size)
            return true;
        at += size;
    }
    return false;
}

static void check_parsed(const uint8_t *options, uint32_t end, const struct tcp_options *parsed)
{
    const uint8_t *mss = find(options, end, 2, 4);
    const uint8_t *scale = find(options, end, 3, 3);
    const uint8_t *stamp = find(options, end, 8, 10);
    check(parsed->mss == (mss ? mss[2] << 8 | mss[3] : 0));
    check(parsed->window_scale == (!scale ? NO_WINDOW_SCALE : scale[2] > 14 ? 14 : scale[2]));
    check(parsed->sack_permitted == (find(options, end, 4, 2) != NULL));
    check(parsed->has_timestamp == (stamp != NULL));
    if (stamp)
        check(parsed->timestamp == load32(stamp + 2) && parsed->echo == load32(stamp + 6));
}

static void check_rewritten(const struct packet *packet)
{
    uint8_t bytes[REWRITE_HEADERS];
    struct frame frame = {bytes, sizeof(bytes), 0};
    struct link_addresses link = {{0}, {0}};
    struct segment segment = {.source = packet->source,
                              .destination = packet->destination,
                              .transport = DP_TCP,
                              .flags = TCP_SYN,
                              .options = packet->options};
    struct packet again;
    rewrite_segment(&segment, &link, &frame);
    check(frame.size <= sizeof(bytes) && parse_frame(&frame, true, &again) == DROP_NONE);
    check(again.options.mss == packet->options.mss);
    check(again.options.window_scale == packet->options.window_scale);
    check(again.options.sack_permitted == packet->options.sack_permitted);
    check(again.options.has_timestamp == packet->options.has_timestamp);
    check(again.options.timestamp == packet->options.timestamp && again.options.echo == packet->options.echo);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint32_t given = size > MOST_OPTIONS ? MOST_OPTIONS : (uint32_t)size;
    uint32_t end = (given + 3) & ~3u;
    uint8_t *bytes = calloc(1, LINK + IP + TCP + end);
    uint8_t *ip = bytes + LINK;
    uint8_t *tcp = ip + IP;
    store16(bytes + 12, 0x0800);
    ip[0] = 0x45;
    ip[9] = 6;
    store16(ip + 2, IP + TCP + end);
    tcp[12] = (uint8_t)((TCP + end) / 4 << 4);
    tcp[13] = TCP_SYN;
    memcpy(tcp + TCP, data, given);
    struct frame frame = {bytes, LINK + IP + TCP + end, 0};
    struct packet packet;
    enum drop drop = parse_frame(&frame, false, &packet);
    check(drop == (is_sound(tcp + TCP, end) ? DROP_NONE : DROP_bad_tcp_header));
    if (!drop) {
        check_parsed(tcp + TCP, end, &packet.options);
        check_rewritten(&packet);
    }
    free(bytes);
    return 0;
}
