/* reassembly.h: the bytes of one direction of a connection, put in order.
 *
 * Segments go in by offset (sequence number less that of the first byte: 32 bits, wrapping), in any order,
 * twice or overlapping; where they overlap they are taken to agree. Every byte comes out once, in order. Owns
 * the chunks. Knows neither sessions nor what the bytes mean, so it serves either direction of the mirror,
 * and the target's answers.
 *
 * Stored: reassembly_store appends to a list of chunks for a number of readers, each of which walks it and
 * lets go of chunk after chunk with reassembly_release. (Requests, which sessions send.)
 *
 * Read through: reassembly_take names the bytes that are in order now, still in the caller's segment; only
 * early bytes are stored, and leave with reassembly_ripe. The whole of it
 *
 *     if (!reassembly_take(&answer, chunks, &span))
 *         hash(span.bytes, span.size);
 *     for (chunk; (chunk = reassembly_ripe(&answer, chunks)); pool_give(chunks, chunk))
 *         hash(chunk->bytes, chunk->size);
 *
 * Turns. Bytes carry how far their sender had acknowledged the other side (`turn`). Bytes of different turns
 * never share a chunk, and turns never go back along the list.
 *
 * Holes. `known` is how far the sender has got, by the numbers of either side (a FIN counts as one), and
 * never less than `next`. Between the two something is missing. A reader gives up the hole at `next` with
 * reassembly_skip, which says how large it was.
 *
 * Bounds. Bytes more than FURTHEST_AHEAD ahead are refused. `held` is for the caller to compare with its own
 * limit; the pool is the limit of all.
 *
 * tcp.h keeps ranges of its own for what the target sent out of order: SACK wants the latest first, and no
 * bytes.
 */
#ifndef XDPCOPY_REASSEMBLY_H
#define XDPCOPY_REASSEMBLY_H

#include "reason.h"
#include "store/pool.h"
#include "wire/bytes.h"

#define CHUNK_BYTES 2016
#define FURTHEST_AHEAD (1u << 30)

struct chunk {
    struct chunk *next;
    uint32_t offset;
    uint32_t turn;
    uint16_t size;
    uint16_t holders; /* readers that have not let go of it */
    uint16_t segment; /* size of the segment that ends with it; 0: none does */
    uint16_t behind;  /* size of the segment that ends where it begins; 0: none does */
    bool goes_on; /* for the caller, false at first: its turn may begin in the midst of what was written */
    uint8_t pad[7];
    uint8_t bytes[CHUNK_BYTES];
};

struct reassembly {
    struct chunk *head; /* in order: the oldest that a reader still holds */
    struct chunk *tail;
    struct chunk *waiting; /* early, sorted by offset */
    struct chunk *waiting_last;
    uint32_t next;  /* offset of the next byte in order */
    uint32_t known; /* all before this offset is known to have been said */
    uint32_t held;  /* bytes in chunks, in order or early */
    uint16_t last;  /* size of the segment that ends at `next`; 0: none does */
};

/* A segment's bytes, or what is left of them. */
struct span {
    const uint8_t *bytes;
    uint32_t offset;
    uint32_t size;
    uint32_t turn;
    uint32_t end;     /* of the segment */
    uint16_t segment; /* its size */
};

static inline struct span span_of(const uint8_t *bytes, uint32_t offset, uint32_t size, uint32_t turn)
{
    return (struct span){bytes, offset, size, turn, offset + size, (uint16_t)size};
}

/* Stores the bytes for so many readers. DROP_NONE also if there are none. After DROP_buffers_full, what found
 * no room is a hole. */
enum drop reassembly_store(struct reassembly *reassembly, struct pool *chunks, struct span *span,
                           uint16_t readers);

/* Stores the bytes, which a chunk can hold, as a chunk of their own behind the last. NULL: no memory. */
struct chunk *reassembly_store_apart(struct reassembly *reassembly, struct pool *chunks,
                                     const struct span *span, uint16_t readers);

/* A reader lets go of the chunk. Returns the one behind it; chunks that nobody holds are given back, oldest
 * first. */
struct chunk *reassembly_release(struct reassembly *reassembly, struct pool *chunks, struct chunk *chunk);

/* Reads through. On DROP_NONE the span is cut down to what is new and in order, and that counts as read; it
 * is empty if the bytes are early and wait now. Then reassembly_ripe. */
enum drop reassembly_take(struct reassembly *reassembly, struct pool *chunks, struct span *span);

/* The next early bytes that are in order now, or NULL. They count as read; the chunk is the caller's. */
struct chunk *reassembly_ripe(struct reassembly *reassembly, struct pool *chunks);

/* Reading through: gives up the hole at `next`, which ends at the first early byte or at `known`, and returns
 * its size. Then reassembly_ripe. */
uint32_t reassembly_skip(struct reassembly *reassembly);

/* Gives back all chunks; the offsets stay. */
void reassembly_clear(struct reassembly *reassembly, struct pool *chunks);

/* All before this offset was said; an offset too far from `next` says nothing. */
static inline void reassembly_note_known(struct reassembly *reassembly, uint32_t offset)
{
    if (offset - reassembly->next < FURTHEST_AHEAD)
        reassembly->known = seq_max(reassembly->known, offset);
}

static inline bool reassembly_has_hole(const struct reassembly *reassembly)
{
    return reassembly->known != reassembly->next;
}

#endif
