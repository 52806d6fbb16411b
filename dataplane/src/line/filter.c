#include "filter.h"

#include <errno.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <string.h>

enum { WHOLE_FRAME = 262144, OPTIMISE = 1 };

/* Programs pass between libpcap and dp_filter as they are. */
_Static_assert(sizeof(struct dp_instruction) == sizeof(struct bpf_insn), "instructions differ");
_Static_assert(offsetof(struct dp_instruction, k) == offsetof(struct bpf_insn, k), "instructions differ");

static const struct bpf_insn *program_of(const struct dp_filter *filter)
{
    return (const struct bpf_insn *)filter->instructions;
}

bool filter_is_valid(const struct dp_filter *filter)
{
    return filter->count <= DP_MAX_INSTRUCTIONS &&
           (!filter->count || bpf_validate(program_of(filter), (int)filter->count));
}

bool filter_passes(const struct dp_filter *filter, const struct frame *frame)
{
    return !filter->count || bpf_filter(program_of(filter), frame->data, frame->size, frame->size);
}

static int take_program(const struct bpf_program *program, struct dp_filter *filter, char *error,
                        size_t error_size)
{
    if (program->bf_len > DP_MAX_INSTRUCTIONS) {
        snprintf(error, error_size, "the filter needs %u instructions; %d are the most", program->bf_len,
                 DP_MAX_INSTRUCTIONS);
        return -E2BIG;
    }
    filter->count = program->bf_len;
    memcpy(filter->instructions, program->bf_insns, program->bf_len * sizeof(struct bpf_insn));
    return 0;
}

int dp_filter_compile(const char *text, struct dp_filter *filter, char *error, size_t error_size)
{
    struct bpf_program program;
    pcap_t *pcap = pcap_open_dead(DLT_EN10MB, WHOLE_FRAME);
    if (!pcap) {
        snprintf(error, error_size, "no memory for the filter");
        return -ENOMEM;
    }
    int code = -EINVAL;
    if (pcap_compile(pcap, &program, text, OPTIMISE, PCAP_NETMASK_UNKNOWN)) {
        snprintf(error, error_size, "%s", pcap_geterr(pcap));
    } else {
        code = take_program(&program, filter, error, error_size);
        pcap_freecode(&program);
    }
    pcap_close(pcap);
    return code;
}
