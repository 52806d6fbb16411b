/* view.h: borrowed bytes, read from the start and never beyond the end.
 *
 * Taking a header off moves the view forward; nothing is copied. The next header is read in the same way
 * whether or not a tunnel's came before it.
 */
#ifndef XDPCOPY_VIEW_H
#define XDPCOPY_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct view {
    const uint8_t *at;
    uint32_t size;
};

static inline bool view_has(const struct view *view, uint32_t size)
{
    return view->size >= size;
}

/* Moves on by so many bytes, which it has. */
static inline void view_skip(struct view *view, uint32_t size)
{
    view->at += size;
    view->size -= size;
}

/* Ends it after so many bytes, which it has. */
static inline void view_cut(struct view *view, uint32_t size)
{
    view->size = size;
}

/* Moves on by so many bytes and returns them; NULL, and stays, if it has less. */
static inline const uint8_t *view_take(struct view *view, uint32_t size)
{
    if (view->size < size)
        return NULL;
    const uint8_t *taken = view->at;
    view_skip(view, size);
    return taken;
}

#endif
