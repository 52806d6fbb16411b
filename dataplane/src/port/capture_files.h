/* capture_files.h: capture files merged by time. Owns the open files, and the sentence about each whose rest
 * could not be read.
 *
 * One thread reads; another may ask for the sentences, which stand behind a flag.
 */
#ifndef XDPCOPY_CAPTURE_FILES_H
#define XDPCOPY_CAPTURE_FILES_H

#include "capture_file.h"
#include "dataplane.h"

struct capture_source {
    struct capture_file file;
    uint32_t is_broken;
    char trouble[DP_ERROR_SIZE];
};

struct capture_files {
    uint32_t count;
    uint32_t broken; /* of them */
    uint64_t bytes;  /* of all */
    struct capture_source sources[DP_MAX_FILES];
};

/* Opens all of them. Returns 0, or a negative errno and a sentence in error (DP_ERROR_SIZE bytes). */
int capture_files_open(struct capture_files *files, const struct dp_capture *config, char *error);
void capture_files_close(struct capture_files *files);

/* On to each file's first frame. */
void capture_files_begin(struct capture_files *files);

/* Opens all of them once more. One that cannot be opened any more is left out. */
void capture_files_reopen(struct capture_files *files);

/* The file whose present frame is the earliest; the first named of equals. NULL: all have ended. */
struct capture_source *capture_files_earliest(struct capture_files *files);

/* On to that file's next frame. */
void capture_files_advance(struct capture_files *files, struct capture_source *source);

/* Bytes that have been read since they were opened. */
uint64_t capture_files_read(const struct capture_files *files);

/* Why the rest of a file could not be read; "" for one that is whole. From any thread. */
const char *capture_files_trouble(const struct capture_files *files, uint32_t file);

#endif
