/* Any bytes as a frame: no read outside it, and what is accepted lies inside it. */
#include <stdlib.h>
#include <string.h>

#include "wire/parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size)
        return 0;
    struct packet packet;
    uint8_t *copy = malloc(size);
    memcpy(copy, data, size);
    struct frame frame = {copy, (uint32_t)size, 0};
    for (int verify = 0; verify < 2; verify++) {
        enum drop drop = parse_frame(&frame, verify, &packet);
        if (drop >= DROP_COUNT)
            abort();
        if (!drop && (packet.payload < copy || packet.payload + packet.size > copy + size))
            abort();
    }
    free(copy);
    return 0;
}
