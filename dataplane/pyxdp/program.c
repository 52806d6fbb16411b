#define _GNU_SOURCE /* vasprintf */

#include "program.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_link.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct program {
    struct bpf_object *object;
    struct bpf_program *program;
};

/* --- what libbpf says ---
 *
 * libbpf prints through one function for the whole process. Ours keeps the text for the thread that is
 * loading a program, and is silent for all others: every failure has a code, and its caller reports that. */

static _Thread_local char *said;

static void said_append(const char *text, size_t length)
{
    size_t room = PROGRAM_ERROR_SIZE - 1;
    if (length > room) {
        text += length - room;
        length = room;
    }
    size_t have = strlen(said);
    size_t keep = have < room - length ? have : room - length;
    memmove(said, said + have - keep, keep);
    memcpy(said + keep, text, length);
    said[keep + length] = 0;
}

__attribute__((format(printf, 2, 0))) static int listen_to_libbpf(enum libbpf_print_level level,
                                                                  const char *format, va_list values)
{
    char *text;
    if (!said || level == LIBBPF_DEBUG)
        return 0;
    int length = vasprintf(&text, format, values);
    if (length >= 0) {
        said_append(text, (size_t)length);
        free(text);
    }
    return length;
}

/* --- loading --- */

static int select_program(struct program *p, const char *name)
{
    struct bpf_program *each;
    bpf_object__for_each_program(each, p->object)
    {
        bool wanted = strcmp(bpf_program__name(each), name) == 0;
        bpf_program__set_autoload(each, wanted);
        if (wanted)
            p->program = each;
    }
    return p->program ? bpf_program__set_type(p->program, BPF_PROG_TYPE_XDP) : -ENOENT;
}

static int load(struct program *p, const uint8_t *object, size_t size, const char *name, bool fragments)
{
    p->object = bpf_object__open_mem(object, size, NULL);
    if (!p->object)
        return -errno;
    int code = select_program(p, name);
    if (!code && fragments)
        code = bpf_program__set_flags(p->program, BPF_F_XDP_HAS_FRAGS);
    return code ? code : bpf_object__load(p->object);
}

int program_load(const uint8_t *object, size_t size, const char *name, bool fragments,
                 struct program **program, char *error)
{
    *program = NULL;
    *error = 0;
    struct program *p = calloc(1, sizeof(*p));
    if (!p)
        return -ENOMEM;
    said = error;
    libbpf_set_print(listen_to_libbpf);
    int code = load(p, object, size, name, fragments);
    said = NULL;
    if (code) {
        program_close(p);
        return code;
    }
    *program = p;
    return 0;
}

void program_close(struct program *p)
{
    if (!p)
        return;
    bpf_object__close(p->object);
    free(p);
}

int program_fd(const struct program *p)
{
    return bpf_program__fd(p->program);
}

/* --- maps --- */

static struct bpf_map *map_at(const struct program *p, uint32_t number)
{
    struct bpf_map *map = bpf_object__next_map(p->object, NULL);
    while (map && number-- > 0)
        map = bpf_object__next_map(p->object, map);
    return map;
}

static bool is_per_cpu(enum bpf_map_type type)
{
    return type == BPF_MAP_TYPE_PERCPU_HASH || type == BPF_MAP_TYPE_PERCPU_ARRAY ||
           type == BPF_MAP_TYPE_LRU_PERCPU_HASH;
}

int program_map_at(const struct program *p, uint32_t number, struct program_map *out)
{
    const struct bpf_map *map = map_at(p, number);
    if (!map)
        return -ENOENT;
    *out = (struct program_map){
        .fd = bpf_map__fd(map),
        .key_size = bpf_map__key_size(map),
        .value_size = bpf_map__value_size(map),
        .entries = bpf_map__max_entries(map),
        .per_cpu = is_per_cpu(bpf_map__type(map)),
    };
    snprintf(out->name, sizeof(out->name), "%s", bpf_map__name(map));
    return 0;
}

int program_member_at(const struct program *p, uint32_t map, uint32_t number, struct program_member *out)
{
    const struct bpf_map *of = map_at(p, map);
    const struct btf *btf = bpf_object__btf(p->object);
    if (!of || !btf)
        return -ENOENT;
    const struct btf_type *type = btf__type_by_id(btf, bpf_map__btf_value_type_id(of));
    if (!type || !btf_is_struct(type) || number >= btf_vlen(type))
        return -ENOENT;
    const struct btf_member *member = btf_members(type) + number;
    int resolved = btf__resolve_type(btf, member->type);
    const struct btf_type *inner = resolved > 0 ? btf__type_by_id(btf, (uint32_t)resolved) : NULL;
    *out = (struct program_member){
        .offset = btf_member_bit_offset(type, number) / 8,
        .size = inner && btf_is_int(inner) ? inner->size : 0,
    };
    snprintf(out->name, sizeof(out->name), "%s", btf__name_by_offset(btf, member->name_off));
    return 0;
}

int map_update(int map, const uint8_t *key, const uint8_t *value)
{
    return bpf_map_update_elem(map, key, value, BPF_ANY);
}

int map_lookup(int map, const uint8_t *key, uint8_t *value)
{
    return bpf_map_lookup_elem(map, key, value);
}

int map_delete(int map, const uint8_t *key)
{
    return bpf_map_delete_elem(map, key);
}

int map_next_key(int map, const uint8_t *key, uint8_t *next)
{
    return bpf_map_get_next_key(map, key, next);
}

int map_cpus(void)
{
    return libbpf_num_possible_cpus();
}

/* --- devices --- */

int link_attach(int program, int ifindex, uint32_t flags)
{
    LIBBPF_OPTS(bpf_link_create_opts, options, .flags = flags);
    return bpf_link_create(program, ifindex, BPF_XDP, &options);
}

int link_detach(int link)
{
    return bpf_link_detach(link);
}

void link_close(int link)
{
    close(link);
}

int device_program(int ifindex, uint32_t *program_id, uint32_t *mode)
{
    LIBBPF_OPTS(bpf_xdp_query_opts, found);
    int code = bpf_xdp_query(ifindex, 0, &found);
    if (code)
        return code;
    *program_id = found.prog_id;
    *mode = found.attach_mode;
    return 0;
}

int program_test_run(int program, const uint8_t *frame, uint32_t size, uint32_t ifindex, uint32_t queue,
                     uint32_t repeat, uint8_t *out, uint32_t out_size, struct program_run *run)
{
    struct xdp_md context = {.data_end = size, .ingress_ifindex = ifindex, .rx_queue_index = queue};
    LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = frame, .data_size_in = size, .data_out = out,
                .data_size_out = out_size, .repeat = (int)repeat);
    if (ifindex) {
        options.ctx_in = &context;
        options.ctx_size_in = sizeof(context);
    }
    int code = bpf_prog_test_run_opts(program, &options);
    if (code)
        return code;
    *run = (struct program_run){
        .verdict = options.retval, .size = options.data_size_out, .duration = options.duration};
    return 0;
}
