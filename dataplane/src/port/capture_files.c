#include "capture_files.h"

#include <string.h>

/* The first trouble of a file is the one that is kept. */
static void note_trouble(struct capture_files *files, struct capture_source *source, const char *trouble)
{
    if (source->is_broken)
        return;
    memcpy(source->trouble, trouble, sizeof(source->trouble));
    __atomic_store_n(&source->is_broken, 1, __ATOMIC_RELEASE);
    __atomic_fetch_add(&files->broken, 1, __ATOMIC_RELAXED);
}

int capture_files_open(struct capture_files *files, const struct dp_capture *config, char *error)
{
    for (uint32_t i = 0; i < config->file_count; i++) {
        int code = capture_file_open(&files->sources[i].file, config->files[i], error);
        if (code)
            return code;
        files->count++;
        files->bytes += files->sources[i].file.size;
    }
    return 0;
}

void capture_files_close(struct capture_files *files)
{
    for (uint32_t i = 0; i < files->count; i++)
        capture_file_close(&files->sources[i].file);
}

void capture_files_begin(struct capture_files *files)
{
    for (uint32_t i = 0; i < files->count; i++)
        if (files->sources[i].file.pcap)
            capture_files_advance(files, &files->sources[i]);
}

void capture_files_reopen(struct capture_files *files)
{
    char trouble[DP_ERROR_SIZE];
    for (uint32_t i = 0; i < files->count; i++) {
        struct capture_source *source = &files->sources[i];
        if (capture_file_open(&source->file, source->file.path, trouble))
            note_trouble(files, source, trouble);
    }
}

struct capture_source *capture_files_earliest(struct capture_files *files)
{
    struct capture_source *found = NULL;
    for (uint32_t i = 0; i < files->count; i++) {
        struct capture_source *source = &files->sources[i];
        if (source->file.pcap && (!found || source->file.time < found->file.time))
            found = source;
    }
    return found;
}

void capture_files_advance(struct capture_files *files, struct capture_source *source)
{
    char trouble[DP_ERROR_SIZE];
    if (!capture_file_next(&source->file, trouble) && trouble[0])
        note_trouble(files, source, trouble);
}

uint64_t capture_files_read(const struct capture_files *files)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < files->count; i++)
        bytes += capture_file_position(&files->sources[i].file);
    return bytes;
}

const char *capture_files_trouble(const struct capture_files *files, uint32_t file)
{
    bool is_broken =
        file < files->count && __atomic_load_n(&files->sources[file].is_broken, __ATOMIC_ACQUIRE);
    return is_broken ? files->sources[file].trouble : "";
}
