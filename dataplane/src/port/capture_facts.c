/* capture_facts.c: what a capture file holds, read once from end to end, before it is replayed. */
#include <errno.h>
#include <stdio.h>

#include "capture_file.h"
#include "dataplane.h"

static void count(const struct capture_file *file, struct dp_capture_facts *facts)
{
    facts->first = !facts->frames || file->time < facts->first ? file->time : facts->first;
    facts->last = file->time > facts->last ? file->time : facts->last;
    facts->cut += file->captured < file->length;
    facts->frames++;
}

int dp_capture_inspect(const char *path, struct dp_capture_facts *facts, char *error, size_t size)
{
    struct capture_file file;
    char reason[DP_ERROR_SIZE] = "";
    int code = capture_file_open(&file, path, reason);
    if (code) {
        snprintf(error, size, "%s", reason);
        return code;
    }
    *facts = (struct dp_capture_facts){.bytes = file.size, .link = file.link};
    while (capture_file_next(&file, reason))
        count(&file, facts);
    snprintf(facts->trouble, sizeof(facts->trouble), "%s", reason);
    return 0;
}
