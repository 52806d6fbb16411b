/* ready.h: the list of sessions that may have something to send.
 *
 * First in, first out; a session is on the list once. The first one sends up to READY_BUDGET segments before
 * it goes to the end, so that a long upload does not hold up the others. The list is part of struct replay.
 * Here and not in a .c file: every event of a session ends with ready_push.
 */
#ifndef XDPCOPY_READY_H
#define XDPCOPY_READY_H

#include "replay.h"

enum { READY_BUDGET = 16 };

/* A session that is on the list stays where it is. */
static inline void ready_push(struct replay *replay, struct session *session)
{
    if (session->ready)
        return;
    session->ready = true;
    replay->ready_count++;
    session->ready_next = NULL;
    if (replay->ready_tail)
        replay->ready_tail->ready_next = session;
    else {
        replay->ready_head = session;
        replay->budget = READY_BUDGET;
    }
    replay->ready_tail = session;
}

/* The list is not empty. */
static inline struct session *ready_pop(struct replay *replay)
{
    struct session *session = replay->ready_head;
    replay->ready_head = session->ready_next;
    if (!replay->ready_head)
        replay->ready_tail = NULL;
    replay->budget = READY_BUDGET;
    session->ready = false;
    replay->ready_count--;
    return session;
}

#endif
