#include <errno.h>
#include <stdio.h>

#include "port.h"

int port_open(const struct dp_port *config, uint32_t queue, struct port **port, char *error)
{
#define PORT_KIND(kind, open) [kind] = (open),
    static int (*const OPEN[])(const struct dp_port *, uint32_t, struct port **,
                               char *) = {PORT_KINDS(PORT_KIND)};
#undef PORT_KIND
    *port = NULL;
    if (config->kind < sizeof(OPEN) / sizeof(OPEN[0]))
        return OPEN[config->kind](config, queue, port, error);
    snprintf(error, DP_ERROR_SIZE, "port %.16s: there is no kind %u", config->device, config->kind);
    return -EINVAL;
}
