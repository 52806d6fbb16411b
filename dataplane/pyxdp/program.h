/* program.h: one XDP program with its maps, through libbpf; the other half of the cdef of dataplane.pyxdp.
 *
 * A struct program owns the program and the maps that it loaded. An attachment has a descriptor of its own (a
 * bpf link), which the kernel closes, and so detaches, when the process ends.
 *
 * Functions that can fail return 0 (or a descriptor) or a negative errno. Those that take error leave there
 * what libbpf and the verifier said, its last PROGRAM_ERROR_SIZE bytes; it may be empty.
 */
#ifndef PROGRAM_H
#define PROGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PROGRAM_ERROR_SIZE 4096
#define PROGRAM_NAME_SIZE 64

struct program;

struct program_map {
    char name[PROGRAM_NAME_SIZE];
    int fd;
    uint32_t key_size;
    uint32_t value_size;
    uint32_t entries;
    uint32_t per_cpu; /* 1: a lookup gives a value for each possible CPU, each padded to 8 bytes */
};

/* A member of the struct that a map holds, as the type information (BTF) of the object tells it. */
struct program_member {
    char name[PROGRAM_NAME_SIZE];
    uint32_t offset; /* bytes */
    uint32_t size;   /* bytes; 0: not an integer */
};

/* The outcome of running a program on a frame without a device. */
struct program_run {
    uint32_t verdict;  /* enum xdp_action */
    uint32_t size;     /* bytes of the frame afterwards */
    uint32_t duration; /* nanoseconds a run */
};

/* Loads the program of that name out of an ELF object, with maps of its own. fragments: it will be shown
 * frames of several buffers too, the first of them. */
int program_load(const uint8_t *object, size_t size, const char *name, bool fragments,
                 struct program **program, char *error);
void program_close(struct program *program);
int program_fd(const struct program *program);

/* The map, or member, of that number; -ENOENT behind the last. */
int program_map_at(const struct program *program, uint32_t number, struct program_map *map);
int program_member_at(const struct program *program, uint32_t map, uint32_t number,
                      struct program_member *member);

int map_update(int map, const uint8_t *key, const uint8_t *value);
int map_lookup(int map, const uint8_t *key, uint8_t *value);
int map_delete(int map, const uint8_t *key);
/* The key behind a key (NULL: the first); -ENOENT behind the last. */
int map_next_key(int map, const uint8_t *key, uint8_t *next);
/* Possible CPUs: values that a lookup in a per-CPU map gives. */
int map_cpus(void);

/* Attaches to a device; flags are XDP_FLAGS_DRV_MODE or XDP_FLAGS_SKB_MODE. Returns the link's descriptor. */
int link_attach(int program, int ifindex, uint32_t flags);
int link_detach(int link);
void link_close(int link);

/* The program that is attached to a device and its mode, XDP_ATTACHED_*; 0 and XDP_ATTACHED_NONE if none. */
int device_program(int ifindex, uint32_t *program_id, uint32_t *mode);

/* Runs the program repeat times on a frame that came, so it believes, from a queue of a device (ifindex 0:
 * the loopback device and queue 0). out has room for the frame afterwards. */
int program_test_run(int program, const uint8_t *frame, uint32_t size, uint32_t ifindex, uint32_t queue,
                     uint32_t repeat, uint8_t *out, uint32_t out_size, struct program_run *run);

#endif
