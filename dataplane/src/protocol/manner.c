#include "manner.h"

#include <string.h>
#include <strings.h>

static bool begins_with(const uint8_t *bytes, uint32_t size, const char *text)
{
    return size >= strlen(text) && !strncasecmp((const char *)bytes, text, strlen(text));
}

/* RFC 5321, 959, 1939: the server greets, the client gives commands. */
static bool is_command(const uint8_t *bytes, uint32_t size)
{
    static const char *const WORDS[] = {"EHLO ", "HELO ", "LHLO ", "USER ", "APOP "};
    for (uint32_t i = 0; i < sizeof(WORDS) / sizeof(WORDS[0]); i++)
        if (begins_with(bytes, size, WORDS[i]))
            return true;
    return false;
}

static bool asks_for_upgrade(const uint8_t *bytes, uint32_t size)
{
    for (uint32_t at = 0; at + 2 < size; at++)
        if (bytes[at] == '\n' && begins_with(bytes + at + 1, size - at - 1, "Upgrade:"))
            return true;
    return false;
}

/* RESP: *2\r\n$9\r\nSUBSCRIBE; also PSUBSCRIBE and SSUBSCRIBE, and MONITOR. */
bool manner_client_subscribes(const uint8_t *bytes, uint32_t size)
{
    uint32_t at = 0;
    if (!size || bytes[0] != '*')
        return false;
    for (uint32_t lines = 0; at < size && at < 24 && lines < 2; at++)
        lines += bytes[at] == '\n';
    const uint8_t *word = bytes + at;
    uint32_t left = size - at;
    return begins_with(word, left, "SUBSCRIBE") || begins_with(word, left, "PSUBSCRIBE") ||
           begins_with(word, left, "SSUBSCRIBE") || begins_with(word, left, "MONITOR");
}

bool manner_server_switches(const uint8_t *bytes, uint32_t size)
{
    return begins_with(bytes, size, "HTTP/1.1 101");
}

/* MQTT: CONNECT, and the protocol's name behind a length of one or two bytes. */
static bool is_mqtt(const uint8_t *bytes, uint32_t size)
{
    return size >= 8 && bytes[0] == 0x10 &&
           (!memcmp(bytes + 2, "\0\4MQTT", 6) || (size >= 9 && !memcmp(bytes + 3, "\0\4MQTT", 6)));
}

enum manner manner_of(enum protocol protocol, const uint8_t *bytes, uint32_t size, bool server_spoke)
{
    switch (protocol) {
    case PROTOCOL_http1:
        return asks_for_upgrade(bytes, size) ? MANNER_PUSHES : MANNER_ANSWERS;
    case PROTOCOL_redis:
        return manner_client_subscribes(bytes, size) ? MANNER_PUSHES : MANNER_ANSWERS;
    case PROTOCOL_mysql:
    case PROTOCOL_postgresql:
        return MANNER_ANSWERS;
    case PROTOCOL_http2:
        return MANNER_PUSHES;
    default:
        break;
    }
    if (server_spoke && is_command(bytes, size))
        return MANNER_ANSWERS;
    return is_mqtt(bytes, size) ? MANNER_PUSHES : MANNER_UNKNOWN;
}
