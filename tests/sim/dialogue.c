#include "dialogue.h"

#include <string.h>

static uint32_t scaled(uint32_t size, const struct scenario *scenario, struct random *random)
{
    uint32_t factor = between(random, scenario->factor_least, scenario->factor_most);
    uint32_t result = (uint32_t)((uint64_t)size * factor / 100);
    return size && !result ? 1 : result;
}

static void draw_exchange(struct exchange *exchange, const struct scenario *scenario, struct random *random)
{
    exchange->request = any_size(random, scenario->request_most);
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
        target += part(exchange->answer, exchange->target_answer, production_offset - said);
        said += exchange->answer;
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
