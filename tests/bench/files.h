/* files.h: what the programs of the lab read from files: BPF objects, and stats segments of other processes.
 * Each fails as bench_fail does.
 */
#ifndef BENCH_FILES_H
#define BENCH_FILES_H

#include "observe/stats.h"
#include "program.h"

/* Loads a program out of an object file that clang made. */
struct program *file_program(const char *path, const char *name);

/* Maps a stats segment, to read it. */
const struct stats_segment *file_segment(const char *path);

#endif
