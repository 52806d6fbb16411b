#include "script.h"

const struct script SCRIPT_HANDSHAKE = {
    .stages = {{{CLIENT_SYN, SERVER_SYN}}, {{TARGET_SYN, CLIENT_ACK}}},
    .count = 2,
};

const struct script SCRIPT_EXCHANGE = {
    .stages = {{{CLIENT_REQUEST, SERVER_ANSWER}}, {{TARGET_ANSWER, CLIENT_ACK}}},
    .count = 2,
};

const struct script SCRIPT_VISIT = {
    .stages = {{{CLIENT_SYN, SERVER_SYN}},
               {{TARGET_SYN, CLIENT_ACK}},
               {{CLIENT_REQUEST, SERVER_ANSWER}},
               {{TARGET_ANSWER, CLIENT_ACK}},
               {{CLIENT_FIN, SERVER_FIN}},
               {{CLIENT_ACK, TARGET_FIN}}},
    .count = 6,
};

bool stage_shows(const struct stage *stage, enum line line, enum mirrored mirrored)
{
    if (line_is_of_server(line))
        return mirrored == MIRRORED_BOTH;
    return line != CLIENT_ACK || stage->lines[0] != TARGET_ANSWER || mirrored != MIRRORED_REQUESTS;
}

uint32_t script_cohort(const struct script *script, enum mirrored mirrored, uint32_t sessions)
{
    uint32_t shown = 0;
    uint32_t answered = 0;
    for (uint32_t i = 0; i < script->count; i++) {
        const struct stage *stage = &script->stages[i];
        for (uint32_t j = 0; j < STAGE_LINES; j++) {
            enum line line = stage->lines[j];
            answered += line_is_of_target(line) ? sessions : 0;
            shown += !line_is_of_target(line) && stage_shows(stage, line, mirrored);
        }
    }
    uint32_t most = shown > answered ? shown : answered;
    return most && most < SCRIPT_BURST ? SCRIPT_BURST / most : 1;
}
