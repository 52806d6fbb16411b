/* shed.h: what workers tell the XDP program of a mirror port, so that frames of connections that are kept out
 * do not fill the rings.
 *
 * One struct shed is the only value of the BPF map `shed_map` (bpf/steer.bpf.c), mapped into the process: the
 * line makes no system call for it. Written by workers, each its own `closed` and, with atomic operations,
 * what they share; read by the program on any CPU. There is one for each mirror port; struct sheds holds
 * those of a worker, and may be empty.
 *
 * The program drops a frame if the hash of its client is among those that the client's owner has closed, and
 * no connection with that hash is known to any worker. The closed hashes are the highest ones, those that the
 * sample goes by (hash.h); an owner is hash_owner(client).
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
    __u32 closing;              /* workers that have closed any: 0: nothing needs to be looked at */
    __u32 closed[SHED_WORKERS]; /* hashes, from the highest down */
    __u8 known[SHED_SLOTS];     /* connections that are known, by the first bits of their hash; 255: many */
};

static inline __attribute__((always_inline)) __u32 shed_slot(__u32 hash)
{
    return hash >> (32 - SHED_SLOT_BITS);
}

/* Whether it is among the closed ones. */
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

/* So many hashes of this worker's clients are closed, from the highest down. */
void sheds_close_above(struct sheds *sheds, __u32 closed);

#endif
