/* shed.h: what workers tell the XDP program of a mirror port, so that frames of connections that are kept out
 * do not fill the rings.
 *
 * One struct shed is the only value of the BPF map `shed_map` (bpf/steer.bpf.c), mapped into the process, so
 * the line makes no system call for it. Each worker writes its own `closed`; what they share they change with
 * atomic operations; the program reads it on any CPU. Each mirror port has one; struct sheds refers to all of
 * them for a worker, and may be empty.
 *
 * The program drops a frame if the hash of its client is among those that the client's owner has closed, and
 * no worker knows a connection with that hash. The closed hashes are the highest ones of those that decide on
 * the sample (hash_sample); the owner is hash_owner(client).
 */
#ifndef XDPCOPY_SHED_H
#define XDPCOPY_SHED_H

#include <linux/types.h>

#define SHED_WORKERS 64
#define SHED_PORTS 8
#define SHED_SLOT_BITS 18
#define SHED_SLOTS (1 << SHED_SLOT_BITS)

struct shed {
    __u32 workers;
    __u32 closing;              /* workers that have closed any; 0: nothing needs to be looked at */
    __u32 closed[SHED_WORKERS]; /* hashes, from the highest down */
    __u8 known[SHED_SLOTS];     /* known connections, by the first bits of their hash; 255: many */
};

static inline __attribute__((always_inline)) __u32 shed_slot(__u32 hash)
{
    return hash >> (32 - SHED_SLOT_BITS);
}

/* Whether the hash is among the closed ones. */
static inline __attribute__((always_inline)) int shed_is_closed(__u32 closed, __u32 hash)
{
    return ~hash < closed;
}

struct sheds {
    struct shed *at[SHED_PORTS];
    __u32 count;
    __u32 worker;
    __u32 closed;
};

struct endpoint;

/* Maps the value of a BPF map. Returns 0 or a negative errno. */
int shed_open(int map, __u32 workers, struct shed **shed);
void shed_close(struct shed *shed);

/* A connection of this client is known from now on, or forgotten. */
void sheds_know(const struct sheds *sheds, const struct endpoint *client);
void sheds_forget(const struct sheds *sheds, const struct endpoint *client);

/* From the highest down, so many hashes of this worker's clients are closed. */
void sheds_close_above(struct sheds *sheds, __u32 closed);

#endif
