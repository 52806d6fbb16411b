/* handoff.h: frames on their way from the worker whose queue got them to the worker that owns them.
 *
 * A ring with one producer and one consumer for each ordered pair of workers. It holds copies, because a
 * borrowed frame lives for one loop only. Where the ring is full the frame is dropped and counted.
 */
#ifndef XDPCOPY_HANDOFF_H
#define XDPCOPY_HANDOFF_H

#include <stdbool.h>
#include <stdint.h>

#include "frame.h"

struct handoff;

struct handed {
    struct frame frame;
    uint32_t role; /* enum dp_port_role of the port that it came in by */
    bool verify_checksums;
    enum patience patience;
};

/* NULL: no memory. slots: a power of two. */
struct handoff *handoff_open(uint32_t slots, uint32_t frame_size);
void handoff_close(struct handoff *handoff);

/* The producer's side. False: full, or the frame is larger than a slot. */
bool handoff_is_full(const struct handoff *handoff);
bool handoff_has_room(const struct handoff *handoff, uint32_t frames);
bool handoff_put(struct handoff *handoff, const struct handed *handed);

/* The consumer's side: frames that wait, and the slots for them. */
uint32_t handoff_waiting(const struct handoff *handoff);
uint32_t handoff_slots(const struct handoff *handoff);

/* Borrows up to `most` frames; handoff_done gives the first so many of them back. */
uint32_t handoff_take(const struct handoff *handoff, struct handed *handed, uint32_t most);
void handoff_done(struct handoff *handoff, uint32_t frames);

#endif
