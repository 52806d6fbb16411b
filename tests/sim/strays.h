/* strays.h: segments of an older connection between the same endpoints, as a slow path through the network
 * still shows them: of either side, with numbers far from those of the connection, so that nobody believes
 * them.
 */
#ifndef SIM_STRAYS_H
#define SIM_STRAYS_H

#include "random.h"

#include <stdbool.h>
#include <stdint.h>

struct sim;
struct connection;

/* Farther than any window or stream of the simulation reaches. */
#define STRAY_DISTANCE (1u << 24)

/* Where the connection is. */
struct moment {
    uint64_t now;
    uint32_t said;     /* by the client */
    uint32_t answered; /* by the server */
    bool fin_heard;
};

/* One such segment appears on the mirror. */
void strays_show(struct sim *sim, const struct connection *connection, const struct moment *moment,
                 struct random *random);

#endif
