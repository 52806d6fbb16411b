/* lifecycle.h: how connections and sessions begin and end.
 *
 * A connection is a stream and the sessions that replay it. Everything that takes objects from the pools,
 * enters them into the tables or takes them out again is here.
 */
#ifndef XDPCOPY_LIFECYCLE_H
#define XDPCOPY_LIFECYCLE_H

#include "replay.h"

/* After every event of a session: retires it if it has ended; else it may have something to send or to wait
 * for. */
void session_follow_up(struct replay *replay, struct session *session);

/* Takes an ended session out of everything but the ready list, where its last RST may still wait. */
void session_retire(struct replay *replay, struct session *session);

/* It ends by order: pause, removal, stop. */
static inline bool ends_by_order(const struct session *session)
{
    return session->end == END_paused || session->end == END_transfer_removed || session->end == END_stopped;
}

/* What keeps a new connection out, or DROP_NONE. `opens`: its sessions would start now. */
enum drop connection_refuse(struct replay *replay, const struct dp_transfer *transfer,
                            const struct endpoint *client, bool opens);

/* Room in the pools for one more connection of the transfer. */
bool connection_has_room(const struct replay *replay, const struct dp_transfer *transfer);

/* A SYN: a stream, and as many sessions as the transfer wants. */
enum drop connection_open(struct replay *replay, const struct dp_transfer *transfer, const struct flow *flow,
                          const struct packet *packet);

/* A connection that is under way: a stream now, its sessions when its next turn begins. */
enum drop connection_open_joining(struct replay *replay, const struct dp_transfer *transfer,
                                  const struct flow *flow, const struct packet *packet);

/* As many sessions as the transfer wants and free endpoints allow. */
void connection_open_sessions(struct replay *replay, struct stream *stream);

void connection_end_sessions(struct replay *replay, struct stream *stream, enum end end);
void connection_forget(struct replay *replay, struct stream *stream);

/* Tells the sessions that the stream has got further; `first` is the first new chunk, or NULL. */
void connection_tell(struct replay *replay, struct stream *stream, struct chunk *first);

/* When something about the stream is due: a gap, idleness, the end of lingering. */
uint64_t connection_deadline(const struct replay *replay, const struct stream *stream);

/* After every event of the connection: files it under its phase and arms its timer for that deadline. */
void connection_watch(struct replay *replay, struct stream *stream);

#endif
