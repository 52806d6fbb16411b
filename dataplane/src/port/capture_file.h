/* capture_file.h: one capture file (pcap or pcapng), read frame by frame with an Ethernet header in front.
 *
 * Reading and the formats are libpcap's; added here are sentences for what goes wrong, and one link header
 * for all link types: Ethernet as it is; raw IP, Linux cooked (v1, v2) and BSD loopback (NULL, LOOP) get an
 * Ethernet header without addresses.
 */
#ifndef XDPCOPY_CAPTURE_FILE_H
#define XDPCOPY_CAPTURE_FILE_H

#include <pcap/pcap.h>
#include <stdbool.h>
#include <stdint.h>

#include "frame.h"

struct capture_file {
    const char *path;
    pcap_t *pcap;      /* NULL: it has ended */
    uint64_t size;     /* bytes of the file */
    uint64_t frames;   /* read so far */
    uint64_t time;     /* of the present frame: nanoseconds since 1970 */
    uint32_t captured; /* bytes of the present frame that the file has */
    uint32_t length;   /* bytes that it had */
    const uint8_t *bytes;
    int link; /* DLT_… */
};

/* Opens at the first frame's threshold. Returns 0, or a negative errno and a sentence in error (DP_ERROR_SIZE
 * bytes). */
int capture_file_open(struct capture_file *file, const char *path, char *error);
void capture_file_close(struct capture_file *file);

/* On to the next frame. False: the file has ended and is closed; if the reason is damage, a sentence is in
 * error, else it is empty. */
bool capture_file_next(struct capture_file *file, char *error);

/* Copies the present frame, as Ethernet, to where there is room for so many bytes; its size there. What does
 * not fit is left out, and the parser will call it truncated. */
uint32_t capture_file_copy(const struct capture_file *file, uint8_t *to, uint32_t room);

/* Bytes of the file that have been read. */
uint64_t capture_file_position(const struct capture_file *file);

#endif
