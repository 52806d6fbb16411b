#include "files.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench.h"

enum { MOST_OBJECT = 1 << 20 };

struct program *file_program(const char *path, const char *name)
{
    static uint8_t object[MOST_OBJECT];
    char error[PROGRAM_ERROR_SIZE] = "";
    FILE *file = fopen(path, "rbe");
    if (!file)
        bench_fail("cannot read %s", path);
    size_t size = fread(object, 1, sizeof(object), file);
    fclose(file);
    struct program *program;
    int code = program_load(object, size, name, false, &program, error);
    if (code)
        bench_fail("cannot load %s of %s (%d): %s", name, path, code, error);
    return program;
}

const struct stats_segment *file_segment(const char *path)
{
    struct stat status;
    uint32_t workers;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status))
        bench_fail("cannot read %s", path);
    void *memory = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_SHARED, fd, 0);
    close(fd);
    if (memory == MAP_FAILED || dp_segment_check(memory, (size_t)status.st_size, &workers))
        bench_fail("%s is no stats segment of this version", path);
    return memory;
}
