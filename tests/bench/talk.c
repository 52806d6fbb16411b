#include "talk.h"

#include "wire/parse.h"

enum { FIRST_PORT = 10000, FIRST_FORGED_PORT = 1024, TIMESTAMP = 1000 };

/* What a request begins with: whose it is, so that it can be checked at the other end. */
struct tag {
    uint32_t number;
    uint32_t seq;
};

static struct endpoint endpoint(uint32_t ipv4, uint32_t port)
{
    uint8_t bytes[4] = {(uint8_t)(ipv4 >> 24), (uint8_t)(ipv4 >> 16), (uint8_t)(ipv4 >> 8), (uint8_t)ipv4};
    return (struct endpoint){address_from_ipv4(bytes), (uint16_t)port};
}

struct endpoint talk_source(void)
{
    return endpoint(0xc6120002, TALK_SOURCE_PORT); /* 198.18.0.2 */
}

struct endpoint talk_target(void)
{
    return endpoint(0xc6130002, TALK_TARGET_PORT); /* 198.19.0.2 */
}

static struct endpoint client_from(uint32_t number, uint32_t first_port)
{
    return endpoint(0xc6124000 + number % TALK_CLIENTS, first_port + number / TALK_CLIENTS);
}

struct endpoint talk_client(uint32_t number)
{
    return client_from(number, FIRST_PORT);
}

struct endpoint talk_forged(uint32_t number)
{
    return client_from(number, FIRST_FORGED_PORT);
}

static uint32_t number_of(const struct talks *talks, const struct endpoint *client)
{
    const uint8_t *bytes = (const uint8_t *)&client->address + 12;
    uint32_t low = ((uint32_t)bytes[2] << 8 | bytes[3]) % TALK_CLIENTS;
    uint32_t first_port = talks->forged ? FIRST_FORGED_PORT : FIRST_PORT;
    return (client->port - first_port) * TALK_CLIENTS + low;
}

void talk_begin(struct talk *talk, uint32_t number)
{
    uint32_t start = number * 2654435761u;
    *talk = (struct talk){.client = start, .server = ~start, .target = start ^ 0x5a5a5a5a, .origin = number};
}

static uint8_t flags_of(enum line line)
{
    static const uint8_t FLAGS[] = {
        [CLIENT_SYN] = TCP_SYN,
        [CLIENT_ACK] = TCP_ACK,
        [CLIENT_REQUEST] = TCP_ACK | TCP_PSH,
        [CLIENT_FIN] = TCP_ACK | TCP_FIN,
        [SERVER_SYN] = TCP_ACK | TCP_SYN,
        [SERVER_ANSWER] = TCP_ACK | TCP_PSH,
        [SERVER_FIN] = TCP_ACK | TCP_FIN,
        [TARGET_SYN] = TCP_ACK | TCP_SYN,
        [TARGET_ANSWER] = TCP_ACK | TCP_PSH,
        [TARGET_FIN] = TCP_ACK | TCP_FIN,
    };
    return FLAGS[line];
}

static uint32_t payload_of(enum line line)
{
    if (line == CLIENT_REQUEST)
        return TALK_REQUEST;
    return line == SERVER_ANSWER || line == TARGET_ANSWER ? TALK_ANSWER : 0;
}

/* Addresses, and the two numbers that the line moves or shows. */
static uint32_t *take_sides(struct talk *talk, uint32_t number, enum line line, struct segment *segment)
{
    struct endpoint client = talk_client(number);
    if (line <= CLIENT_FIN) {
        segment->source = client;
        segment->destination = talk_source();
        segment->ack = talk->server;
        return &talk->client;
    }
    segment->destination = client;
    segment->source = line_is_of_server(line) ? talk_source() : talk_target();
    segment->ack = line_is_of_server(line) ? talk->client : talk->replay;
    return line_is_of_server(line) ? &talk->server : &talk->target;
}

static void add_payload(struct segment *segment, uint32_t number, uint32_t size)
{
    static uint8_t text[TALK_ANSWER] = "GET /";
    static struct tag tag;
    tag = (struct tag){number, segment->seq};
    segment->pieces[0] = (struct piece){(const uint8_t *)&tag, sizeof(tag)};
    segment->pieces[1] = (struct piece){text, size - (uint32_t)sizeof(tag)};
    segment->piece_count = 2;
    segment->size = size;
}

void talk_segment(struct talk *talk, uint32_t number, enum line line, struct segment *segment)
{
    *segment = (struct segment){.transport = DP_TCP, .flags = flags_of(line), .window = 502};
    uint32_t *seq = take_sides(talk, number, line, segment);
    bool syn = segment->flags & TCP_SYN;
    segment->seq = *seq;
    segment->options = (struct tcp_options){
        .mss = syn ? 1460 : 0,
        .window_scale = syn ? 7 : NO_WINDOW_SCALE,
        .sack_permitted = syn,
        .has_timestamp = true,
        .timestamp = TIMESTAMP,
    };
    uint32_t size = payload_of(line);
    if (size)
        add_payload(segment, number, size);
    *seq += size + (syn || (segment->flags & TCP_FIN));
}

uint32_t talk_say(struct talks *talks, uint32_t place, enum line line, uint8_t *bytes)
{
    static const struct link_addresses LINK = {{2, 0, 0, 0, 0, 2}, {2, 0, 0, 0, 0, 1}};
    struct segment segment;
    struct frame frame = {bytes, TALK_FRAME, 0};
    talk_segment(&talks->each[place], talks->first + place, line, &segment);
    if (talks->forged)
        segment.destination = talk_forged(talks->first + place);
    rewrite_segment(&segment, &LINK, &frame);
    return frame.size;
}

static const char *hear_payload(const struct talk *talk, const struct packet *packet)
{
    struct tag tag;
    if (packet->size != TALK_REQUEST)
        return "a request of another size";
    memcpy(&tag, packet->payload, sizeof(tag));
    if (tag.number != talk->origin)
        return "a request of another connection";
    return packet->seq == talk->replay ? NULL : "a request out of order";
}

const char *talk_hear(const struct talks *talks, uint8_t *bytes, uint32_t size, struct replayed *replayed)
{
    struct frame frame = {bytes, size, 0};
    struct packet packet;
    struct endpoint target = talk_target();
    if (parse_frame(&frame, true, &packet))
        return "a frame that is not sound";
    uint32_t number = number_of(talks, &packet.source);
    if (number - talks->first >= talks->count || !endpoint_equal(&packet.destination, &target))
        return "a frame between wrong endpoints";
    struct talk *talk = &talks->each[number - talks->first];
    *replayed = (struct replayed){packet.flags, packet.size != 0};
    if (packet.flags & TCP_SYN)
        talk->replay = packet.seq;
    const char *wrong = packet.size ? hear_payload(talk, &packet) : NULL;
    bool step = packet.flags & (TCP_SYN | TCP_FIN);
    talk->replay += packet.size + step;
    return wrong;
}
