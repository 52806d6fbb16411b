#include "dialogue.h"

#include <string.h>

enum { TELLING = 8 };

static uint32_t scaled(uint32_t size, const struct scenario *scenario, struct random *random)
{
    uint32_t factor = between(random, scenario->factor_least, scenario->factor_most);
    uint32_t result = (uint32_t)((uint64_t)size * factor / 100);
    return size && !result ? 1 : result;
}

/* Where sessions begin in the midst of a connection, the first bytes of a request tell which one it is. */
static uint32_t least_request(const struct scenario *scenario)
{
    return scenario->restarts && scenario->request_least < TELLING ? TELLING : scenario->request_least;
}

static void draw_exchange(struct exchange *exchange, const struct scenario *scenario, struct random *random)
{
    exchange->request = least_request(scenario) + any_size(random, scenario->request_most);
    exchange->answer = chance(random, scenario->no_answer) ? 0 : any_size(random, scenario->answer_most);
    exchange->target_answer = scaled(exchange->answer, scenario, random);
    exchange->think_us = below(random, scenario->target_think_us + 1);
    exchange->pipelined = chance(random, scenario->pipelined);
    exchange->overlap = chance(random, scenario->overlap);
    exchange->in_pieces = chance(random, scenario->target_pieces);
}

static enum ending draw_ending(const struct scenario *scenario, struct random *random)
{
    if (scenario->ending != ENDING_ANY)
        return scenario->ending;
    enum ending ending = CLIENT_CLOSES + below(random, ENDINGS - 1);
    return ending == SERVER_RESETS && !scenario->both ? SERVER_CLOSES : ending;
}

void dialogue_draw(struct dialogue *dialogue, const struct scenario *scenario, struct random *random)
{
    *dialogue = (struct dialogue){.count = between(random, 1, scenario->turns)};
    if (chance(random, scenario->greeting))
        dialogue->greeting = any_size(random, scenario->answer_most < 3000 ? scenario->answer_most : 3000);
    dialogue->target_greeting = scaled(dialogue->greeting, scenario, random);
    for (uint32_t i = 0; i < dialogue->count; i++)
        draw_exchange(&dialogue->exchanges[i], scenario, random);
    dialogue->ending = draw_ending(scenario, random);
}

static uint32_t target_push(uint32_t push, const struct scenario *scenario)
{
    return scenario->target_pushes == PUSHES_NOTHING ? 0 : push;
}

void dialogue_draw_duplex(struct dialogue *dialogue, const struct scenario *scenario, struct random *random)
{
    for (uint32_t i = 0; i < dialogue->count; i++) {
        struct exchange *exchange = &dialogue->exchanges[i];
        exchange->pause_ms = below(random, scenario->pause_ms + 1);
        exchange->every = scenario->update_every;
        exchange->update = scenario->update_size;
        if (!chance(random, scenario->pushes))
            continue;
        exchange->push = any_size(random, scenario->push_most);
        exchange->target_push = target_push(exchange->push, scenario);
        exchange->push_us = below(random, 1000 * scenario->push_pause_ms + 1);
    }
}

uint32_t exchange_updates(const struct exchange *exchange, uint32_t got)
{
    return exchange->every ? got / exchange->every * exchange->update : 0;
}

uint32_t dialogue_requests(const struct dialogue *dialogue, uint32_t exchange)
{
    uint32_t sum = 0;
    for (uint32_t i = 0; i < exchange; i++)
        sum += dialogue->exchanges[i].request;
    return sum;
}

/* The part of the target's answer for a part of production's; a first byte for a first byte. */
static uint32_t part(uint32_t production, uint32_t target, uint32_t offset)
{
    return offset >= production ? target
                                : (uint32_t)(((uint64_t)target * offset + production - 1) / production);
}

uint32_t dialogue_target_offset(const struct dialogue *dialogue, uint32_t production_offset)
{
    uint32_t target = part(dialogue->greeting, dialogue->target_greeting, production_offset);
    uint32_t said = dialogue->greeting;
    for (uint32_t i = 0; i < dialogue->count && said < production_offset; i++) {
        const struct exchange *exchange = &dialogue->exchanges[i];
        uint32_t updates = exchange_updates(exchange, exchange->request);
        const uint32_t words[][2] = {{updates, updates},
                                     {exchange->answer, exchange->target_answer},
                                     {exchange->push, exchange->target_push}};
        for (uint32_t j = 0; j < 3 && said < production_offset; said += words[j++][0])
            target += part(words[j][0], words[j][1], production_offset - said);
    }
    return target + (said < production_offset); /* the server's FIN */
}

bool dialogue_server_closes(const struct dialogue *dialogue)
{
    return dialogue->ending == SERVER_CLOSES || dialogue->ending == BOTH_CLOSE;
}

void content_fill(uint32_t connection, uint32_t offset, uint8_t *bytes, uint32_t size)
{
    while (size) {
        uint64_t word = mix64(((uint64_t)connection + 1) << 40 ^ offset / 8);
        uint32_t skip = offset % 8;
        uint32_t part = 8 - skip < size ? 8 - skip : size;
        memcpy(bytes, (const uint8_t *)&word + skip, part);
        bytes += part;
        offset += part;
        size -= part;
    }
}
