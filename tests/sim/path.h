/* path.h: frames on their way: the mirror's towards the line, the line's towards the target, the target's
 * back.
 *
 * A queue of frames sorted by the time of their arrival, and the dice that lose, repeat, delay and damage
 * them. Frames with the same time arrive in the order in which they were sent.
 */
#ifndef SIM_PATH_H
#define SIM_PATH_H

#include "random.h"
#include "scenario.h"

enum way { WAY_MIRROR, WAY_UP, WAY_DOWN, WAYS };

struct event {
    uint64_t at;
    uint64_t serial;
    enum way way;
    uint32_t about; /* the connection (mirror) or the session (up, down) that it belongs to */
    uint32_t queue; /* of the line, on which it arrives */
    uint32_t size;
    uint8_t bytes[];
};

struct path {
    const struct scenario *scenario;
    struct random random[WAYS];
    struct event **heap;
    struct event *taken;
    uint32_t count;
    uint32_t room;
    uint64_t serial;
    uint64_t mirror_from;
    uint32_t first_queue; /* of connection or session 0: all frames of one arrive on the same queue */
    uint64_t carried[WAYS];
};

void path_open(struct path *path, const struct scenario *scenario, uint64_t now);
void path_close(struct path *path);

/* Sends a frame on its way; says what became of it, for traces. `not_before`: it arrives no earlier. Returns
 * when (the first copy of) it arrives whole, or 0. */
uint64_t path_send(struct path *path, enum way way, uint32_t about, uint64_t at, uint64_t not_before,
                   const uint8_t *bytes, uint32_t size);

/* When the next frame arrives; UINT64_MAX: none is under way. */
uint64_t path_next(const struct path *path);

/* Takes the next frame; it lives until the one after it is taken. */
const struct event *path_take(struct path *path);

#endif
