/* Any sequence of events through the whole line: mirrored segments, answers, time, a full ring.
 *
 * The input is a script: each event is an operation and a few bytes that choose addresses, flags, numbers
 * near the interesting ones, and sizes. After the script the engine is drained; then the ledger must close,
 * and nothing may be left in any pool.
 */
#include <string.h>

#include "line/worker.h"
#include "script.h"
#include "wire/bytes.h"
#include "wire/parse.h"

enum { WORKERS = 2, CLIENTS = 4, MIRROR = 0, TEST = 1, MOST_EVENTS = 400, MOST_PAYLOAD = 4096 };

/* What the fuzzer needs to know to name numbers that matter. */
struct scene {
    struct dp_engine *engine;
    uint64_t now;
    uint32_t iss[CLIENTS]; /* of the sessions, seen in their SYNs */
    uint32_t sent[CLIENTS];
};

static struct dp_engine *engine; /* opened once; each script begins and ends with nothing in it */
static uint8_t text[MOST_PAYLOAD];

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

static struct endpoint endpoint(uint8_t net, uint8_t host, uint16_t port)
{
    uint8_t bytes[4] = {198, net, 0, host};
    return (struct endpoint){address_from_ipv4(bytes), port};
}

static struct dp_config make_config(void)
{
    struct dp_config config = {
        .workers = WORKERS,
        .port_count = 2,
        .transfer_count = 2,
        .limits = {.connections = 16, .sessions = 16, .buffer_bytes = 64 * 2048, .backlog_bytes = 30000},
        .timing = {.settle = 5000000,
                   .response_timeout = 2000000000,
                   .idle_timeout = 20000000000,
                   .datagram_timeout = 3000000000,
                   .gap_timeout = 1000000000,
                   .linger = 500000000,
                   .tries = 4,
                   .syn_tries = 3},
    };
    struct dp_port port = {.kind = DP_PORT_MEMORY, .queues = WORKERS, .ring_size = 256, .mtu = 1500};
    config.ports[MIRROR] = config.ports[TEST] = port;
    config.ports[MIRROR].role = DP_ROLE_MIRROR;
    config.ports[MIRROR].mtu = 9000;
    config.ports[TEST].role = DP_ROLE_TEST;
    struct endpoint target = endpoint(19, 2, 8080);
    memcpy(config.transfers[0].target_ip, &target.address, 16);
    config.transfers[0].source_port = 80;
    config.transfers[0].target_port = 8080;
    config.transfers[0].multiplier = 2;
    config.transfers[0].instances = 7;
    config.transfers[1] = config.transfers[0];
    config.transfers[1].transport = DP_UDP;
    config.transfers[1].multiplier = 1;
    config.transfers[1].instances = 0;
    return config;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    char error[DP_ERROR_SIZE];
    struct dp_config config = make_config();
    (void)argc;
    (void)argv;
    for (uint32_t i = 0; i < sizeof(text); i++)
        text[i] = (uint8_t)i;
    check(dp_open(&config, &engine, error, sizeof(error)) == 0);
    return 0;
}

static void inject(const struct scene *scene, uint32_t port, uint32_t queue, const struct segment *segment)
{
    uint8_t bytes[MOST_PAYLOAD + REWRITE_HEADERS];
    struct link_addresses link = {{0}, {0}};
    struct frame frame = {bytes, sizeof(bytes), 0};
    rewrite_segment(segment, &link, &frame);
    dp_mem_send(scene->engine, port, queue, bytes, frame.size);
}

/* A number at, shortly before or shortly after the given one, or anything. */
static uint32_t near(struct script *script, uint32_t number)
{
    uint32_t choice = take(script);
    if (choice < 100)
        return number;
    if (choice < 180)
        return number + take(script) * 16;
    if (choice < 240)
        return number - take(script);
    return number ^ take(script) << 24;
}

static void add_payload(struct script *script, struct segment *segment)
{
    segment->size = take(script) * take(script) % MOST_PAYLOAD;
    segment->pieces[0] =
        (struct piece){text + segment->seq % 16, segment->size - (segment->size > 16 ? 16 : 0)};
    segment->size = segment->pieces[0].size;
    segment->piece_count = 1;
}

static void add_options(struct script *script, struct segment *segment)
{
    uint32_t choice = take(script);
    segment->options = (struct tcp_options){
        .mss = choice & 1 ? (uint16_t)(take(script) * 8) : 0,
        .window_scale = choice & 2 ? (uint8_t)(take(script) % 16) : NO_WINDOW_SCALE,
        .sack_permitted = choice & 4,
        .has_timestamp = choice & 8,
        .timestamp = take(script),
    };
}

static void mirrored(struct scene *scene, struct script *script)
{
    uint32_t choice = take(script);
    uint32_t client = choice % CLIENTS;
    bool from_server = choice & 0x80;
    struct segment segment = {.flags = (uint8_t)(take(script) & 0x1f),
                              .window = (uint16_t)(take(script) * 256)};
    segment.transport = choice & 0x40 ? DP_UDP : DP_TCP;
    struct endpoint ends[2] = {endpoint(18, (uint8_t)(10 + client), 40000), endpoint(18, 2, 80)};
    segment.source = ends[from_server];
    segment.destination = ends[!from_server];
    segment.seq = near(script, from_server ? 5000 : 1000);
    segment.ack = near(script, from_server ? 1000 : 5000);
    add_options(script, &segment);
    add_payload(script, &segment);
    inject(scene, MIRROR, choice >> 2 & 1, &segment);
}

static void answered(struct scene *scene, struct script *script)
{
    uint32_t choice = take(script);
    uint32_t client = choice % CLIENTS;
    struct segment segment = {
        .source = endpoint(19, 2, choice & 0x40 ? 8081 : 8080),
        .destination = endpoint(18, (uint8_t)(10 + client), 40000),
        .flags = (uint8_t)(take(script) & 0x1f),
        .window = (uint16_t)(take(script) * 256),
        .transport = choice & 0x10 ? DP_UDP : DP_TCP,
    };
    segment.seq = near(script, 9000);
    segment.ack = near(script, choice & 0x20 ? scene->sent[client] : scene->iss[client] + 1);
    add_options(script, &segment);
    add_payload(script, &segment);
    inject(scene, TEST, choice >> 2 & 1, &segment);
}

/* What left: it must be a proper frame for the target, from one of the clients. */
static void collect(struct scene *scene)
{
    uint8_t bytes[2048];
    struct endpoint target = endpoint(19, 2, 8080);
    for (uint32_t queue = 0; queue < WORKERS; queue++) {
        for (int size; (size = dp_mem_receive(scene->engine, TEST, queue, bytes, sizeof(bytes)));) {
            struct frame frame = {bytes, (uint32_t)size, 0};
            struct packet packet;
            check(size > 0 && size <= 1514);
            check(parse_frame(&frame, true, &packet) == DROP_NONE);
            check(endpoint_equal(&packet.destination, &target));
            uint32_t client = ((const uint8_t *)&packet.source.address)[15] - 10u;
            check(client < CLIENTS);
            if (packet.transport == DP_UDP)
                continue;
            if (packet.flags & TCP_SYN)
                scene->iss[client] = packet.seq;
            scene->sent[client] = packet.seq + packet.size;
        }
    }
}

static void event(struct scene *scene, struct script *script)
{
    uint32_t operation = take(script);
    if (operation < 110)
        mirrored(scene, script);
    else if (operation < 220)
        answered(scene, script);
    else if (operation < 245)
        scene->now += (uint64_t)take(script) * take(script) * 40000;
    else
        dp_mem_limit(scene->engine, TEST, operation & 1, take(script) % 8 ? 256 : 0);
    dp_step(scene->engine, scene->now);
    collect(scene);
}

static uint64_t sum(const char *prefix)
{
    uint64_t total = 0;
    for (uint32_t i = 0; i < dp_counter_count(); i++)
        for (uint32_t worker = 0; worker < WORKERS; worker++)
            if (strncmp(dp_counter_info(i)->name, prefix, strlen(prefix)) == 0)
                total += dp_counter_value(engine, worker, i);
    return total;
}

static void check_ledger(void)
{
    check(sum("mirror_frames") + sum("mirror_handed_in") ==
          sum("mirror_accepted") + sum("mirror_handed_off") + sum("drop_mirror_"));
    check(sum("test_frames") + sum("test_handed_in") ==
          sum("test_accepted") + sum("test_handed_off") + sum("drop_test_"));
    check(sum("sessions_opened") == sum("end_") && sum("sessions_live") == 0);
    check(sum("connections_opened") == sum("connections_closed") && sum("connections_live") == 0);
    check(sum("request_bytes_taken") == sum("request_bytes_acked") + sum("request_bytes_abandoned"));
    check(sum("request_bytes_pending") == 0 && sum("buffers_used") == 0 && sum("refused_destination") == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint64_t now = 1000000000000;
    struct script script = {data, size};
    struct scene scene = {.engine = engine, .now = now};
    for (uint32_t i = 0; script.rest && i < MOST_EVENTS; i++)
        event(&scene, &script);
    dp_mem_limit(engine, TEST, 0, 256);
    dp_mem_limit(engine, TEST, 1, 256);
    for (uint32_t i = 0; i < 12; i++) { /* all times pass: every session and connection ends by itself */
        scene.now += 5000000000;
        dp_step(engine, scene.now);
        collect(&scene);
        dp_step(engine, scene.now);
        collect(&scene);
    }
    check_ledger();
    now = scene.now;
    return 0;
}
