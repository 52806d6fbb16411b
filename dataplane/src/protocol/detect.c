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

/* The header of a record of SSL 3.0 to TLS 1.3, as far as it is here. */
enum tls protocol_tls(const uint8_t *bytes, uint32_t size)
{
    static const uint8_t LEAST[] = {20, 3, 0, 0, 0};
    static const uint8_t MOST[] = {24, 3, 4, 72,
                                   255}; /* 2^14 bytes and what encryption adds: less than 73 * 256 */
    for (uint32_t i = 0; i < sizeof(LEAST) && i < size; i++)
        if (bytes[i] < LEAST[i] || bytes[i] > MOST[i])
            return TLS_NO;
    if (size < sizeof(LEAST))
        return size ? TLS_UNSURE : TLS_NO;
    return bytes[3] || bytes[4] ? TLS_YES : TLS_NO;
}

int protocol_is_hello(const uint8_t *bytes, uint32_t size)
{
    if (size < 9 || bytes[0] != 22 || bytes[5] != 1 || protocol_tls(bytes, size) != TLS_YES)
        return false;
    uint32_t record = (uint32_t)bytes[3] << 8 | bytes[4];
    uint32_t hello = (uint32_t)bytes[6] << 16 | (uint32_t)bytes[7] << 8 | bytes[8];
    return hello + 4 >= record && hello < 1 << 17;
}

static bool is_text_at(const uint8_t *bytes, const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (bytes[i] != (uint8_t)text[i] && (bytes[i] | 32) != (uint8_t)text[i])
            return false;
    return true;
}

int protocol_asks_for_tls(const uint8_t *bytes, uint32_t size)
{
    enum { LONGEST = 512 };
    static const uint8_t SSL_REQUEST[] = {0, 0, 0, 8, 4, 210, 22, 47};
    static const char *const TEXTS[] = {"starttls", "stls\r\n", "1.3.6.1.4.1.1466.20037"};
    if (size == sizeof(SSL_REQUEST) && memcmp(bytes, SSL_REQUEST, size) == 0)
        return true;
    for (uint32_t i = 0; size <= LONGEST && i < sizeof(TEXTS) / sizeof(TEXTS[0]); i++) {
        size_t length = strlen(TEXTS[i]);
        for (uint32_t at = 0; at + length <= size; at++)
            if (is_text_at(bytes + at, TEXTS[i], length))
                return true;
    }
    return false;
}

/* The short handshake response with CLIENT_SSL. */
static bool is_mysql_ssl_request(const struct view *start, bool server_spoke)
{
    static const uint8_t HEADER[] = {32, 0, 0, 1};
    return server_spoke && start->size >= 36 && memcmp(start->at, HEADER, sizeof(HEADER)) == 0 &&
           (start->at[5] & 8);
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
    if (protocol_tls(bytes, size) == TLS_YES || is_mysql_ssl_request(&start, server_spoke))
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
