#include "detect.h"

#include <stdbool.h>
#include <string.h>

#include "wire/bytes.h"
#include "wire/view.h"

static bool begins_with(const struct view *start, const char *text)
{
    size_t size = strlen(text);
    return start->size >= size && memcmp(start->at, text, size) == 0;
}

/* A handshake record with a ClientHello, of SSL 3.0 to TLS 1.3. */
static bool is_tls(const struct view *start)
{
    return start->size >= 6 && start->at[0] == 22 && start->at[1] == 3 && start->at[2] <= 4 &&
           start->at[5] == 1;
}

static bool is_http1(const struct view *start)
{
    static const char *const METHODS[] = {"GET ",     "POST ",  "HEAD ",    "PUT ",  "DELETE ",
                                          "OPTIONS ", "PATCH ", "CONNECT ", "TRACE "};
    for (uint32_t i = 0; i < sizeof(METHODS) / sizeof(METHODS[0]); i++)
        if (begins_with(start, METHODS[i]))
            return true;
    return false;
}

/* A start-up message of version 3, or a request for TLS, GSSAPI or cancellation in its stead. */
static bool is_postgresql(const struct view *start)
{
    if (start->size < 8)
        return false;
    uint32_t size = load32(start->at);
    uint32_t code = load32(start->at + 4);
    bool request = code >= 80877102 && code <= 80877104 && (size == 8 || size == 16);
    return request || (code >> 16 == 3 && (code & 0xffff) <= 2 && size >= 8 && size <= 10000);
}

/* After the server's greeting: packet number 1, with the capability flags of protocol 4.1. */
static bool is_mysql(const struct view *start, bool server_spoke)
{
    if (!server_spoke || start->size < 36)
        return false;
    uint32_t size = start->at[0] | (uint32_t)start->at[1] << 8 | (uint32_t)start->at[2] << 16;
    return start->at[3] == 1 && size >= 32 && size + 4 >= start->size && (start->at[5] & 2);
}

/* An array of bulk strings: what every client sends a command as. */
static bool is_redis(const struct view *start)
{
    uint32_t at = 1;
    if (start->size < 5 || start->at[0] != '*')
        return false;
    while (at < start->size && at < 8 && start->at[at] >= '0' && start->at[at] <= '9')
        at++;
    return at > 1 && at + 2 < start->size && start->at[at] == '\r' && start->at[at + 1] == '\n' &&
           start->at[at + 2] == '$';
}

enum protocol protocol_detect(const uint8_t *bytes, uint32_t size, int server_spoke)
{
    struct view start = {bytes, size};
    if (is_tls(&start))
        return PROTOCOL_tls;
    if (begins_with(&start, "PRI * HTTP/2.0\r\n"))
        return PROTOCOL_http2;
    if (is_http1(&start))
        return PROTOCOL_http1;
    if (is_postgresql(&start))
        return PROTOCOL_postgresql;
    if (is_redis(&start))
        return PROTOCOL_redis;
    if (begins_with(&start, "SSH-2.0-")) /* RFC 4253 4.2 */
        return PROTOCOL_ssh;
    return is_mysql(&start, server_spoke) ? PROTOCOL_mysql : PROTOCOL_unknown;
}
