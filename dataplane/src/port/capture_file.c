#include "capture_file.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "dataplane.h"

enum {
    ETHERNET_HEADER = 14,
    ETHERTYPE_AT = 12,
    ETHERTYPE_IPV4 = 0x0800,
    ETHERTYPE_IPV6 = 0x86dd,
    SLL_HEADER = 16, /* Linux cooked, v1: the ethertype is its last field */
    SLL_ETHERTYPE_AT = 14,
    SLL2_HEADER = 20, /* v2: it is its first */
    LOOPBACK_HEADER = 4,
    READ_AHEAD = 256 << 10,
    MOST_SHOWN = 100,
    NANOSECONDS = 1000000000,
};

static uint16_t load16(const uint8_t *at)
{
    return (uint16_t)(at[0] << 8 | at[1]);
}

static bool link_is_known(int link)
{
    switch (link) {
    case DLT_EN10MB:
    case DLT_RAW:
    case DLT_IPV4:
    case DLT_IPV6:
    case DLT_LINUX_SLL:
    case DLT_LINUX_SLL2:
    case DLT_NULL:
    case DLT_LOOP:
        return true;
    default:
        return false;
    }
}

/* As much of the path's end as a sentence has room for. */
static const char *shown(const char *path)
{
    size_t length = strlen(path);
    return length > MOST_SHOWN ? path + length - MOST_SHOWN : path;
}

/* A regular file, or a sentence that says why not. */
static FILE *open_stream(struct capture_file *file, char *error)
{
    struct stat status;
    FILE *stream = fopen(file->path, "rb");
    if (!stream || fstat(fileno(stream), &status)) {
        int code = errno;
        snprintf(error, DP_ERROR_SIZE, "%s cannot be read: %s", shown(file->path), strerror(code));
        if (stream)
            fclose(stream);
        errno = code;
        return NULL;
    }
    if (!S_ISREG(status.st_mode)) {
        snprintf(error, DP_ERROR_SIZE, "%s is no regular file; save the capture to one first",
                 shown(file->path));
        fclose(stream);
        errno = EINVAL;
        return NULL;
    }
    setvbuf(stream, NULL, _IOFBF, READ_AHEAD);
    file->size = (uint64_t)status.st_size;
    return stream;
}

int capture_file_open(struct capture_file *file, const char *path, char *error)
{
    *file = (struct capture_file){.path = path};
    FILE *stream = open_stream(file, error);
    if (!stream)
        return -errno;
    char reason[PCAP_ERRBUF_SIZE];
    file->pcap = pcap_fopen_offline_with_tstamp_precision(stream, PCAP_TSTAMP_PRECISION_NANO, reason);
    if (!file->pcap) {
        fclose(stream);
        snprintf(error, DP_ERROR_SIZE, "%s is no capture file (pcap or pcapng): %.80s", shown(path), reason);
        return -EINVAL;
    }
    file->link = pcap_datalink(file->pcap);
    if (link_is_known(file->link))
        return 0;
    const char *name = pcap_datalink_val_to_name(file->link);
    snprintf(error, DP_ERROR_SIZE,
             "%s: link type %s (%d) cannot be replayed; Ethernet, raw IP, Linux cooked, loopback can",
             shown(path), name ? name : "unknown", file->link);
    capture_file_close(file);
    return -EPROTONOSUPPORT;
}

void capture_file_close(struct capture_file *file)
{
    if (file->pcap)
        pcap_close(file->pcap);
    file->pcap = NULL;
}

bool capture_file_next(struct capture_file *file, char *error)
{
    struct pcap_pkthdr *header;
    error[0] = 0;
    int code = pcap_next_ex(file->pcap, &header, &file->bytes);
    if (code == 1) {
        file->time = (uint64_t)header->ts.tv_sec * NANOSECONDS + (uint64_t)header->ts.tv_usec;
        file->captured = header->caplen;
        file->length = header->len;
        file->frames++;
        return true;
    }
    if (code == PCAP_ERROR)
        snprintf(error, DP_ERROR_SIZE, "%s: its rest is left out after %llu frames: %.80s", shown(file->path),
                 (unsigned long long)file->frames, pcap_geterr(file->pcap));
    capture_file_close(file);
    return false;
}

/* Of what has no link header: by the version in the first byte. */
static uint16_t ethertype_of_ip(const uint8_t *bytes, uint32_t size)
{
    uint8_t version = size ? bytes[0] >> 4 : 0;
    return version == 4 ? ETHERTYPE_IPV4 : version == 6 ? ETHERTYPE_IPV6 : 0;
}

/* Where the link header ends (never behind the captured bytes), and what it says about the rest. */
static uint32_t read_link(const struct capture_file *file, uint16_t *ethertype)
{
    uint32_t header = file->link == DLT_LINUX_SLL    ? SLL_HEADER
                      : file->link == DLT_LINUX_SLL2 ? SLL2_HEADER
                      : file->link == DLT_NULL       ? LOOPBACK_HEADER
                      : file->link == DLT_LOOP       ? LOOPBACK_HEADER
                                                     : 0;
    *ethertype = 0;
    if (file->captured < header)
        return file->captured;
    if (file->link == DLT_LINUX_SLL)
        *ethertype = load16(file->bytes + SLL_ETHERTYPE_AT);
    else if (file->link == DLT_LINUX_SLL2)
        *ethertype = load16(file->bytes);
    else /* the loopback header's number for IPv6 depends on the system; the IP header does not */
        *ethertype = ethertype_of_ip(file->bytes + header, file->captured - header);
    return header;
}

uint32_t capture_file_copy(const struct capture_file *file, uint8_t *to, uint32_t room)
{
    uint32_t front = 0;
    uint32_t skipped = 0;
    if (file->link != DLT_EN10MB) {
        uint16_t ethertype;
        skipped = read_link(file, &ethertype);
        memset(to, 0, ETHERTYPE_AT);
        to[ETHERTYPE_AT] = (uint8_t)(ethertype >> 8);
        to[ETHERTYPE_AT + 1] = (uint8_t)ethertype;
        front = ETHERNET_HEADER;
    }
    uint32_t size = file->captured - skipped;
    size = size < room - front ? size : room - front;
    memcpy(to + front, file->bytes + skipped, size);
    return front + size;
}

uint64_t capture_file_position(const struct capture_file *file)
{
    if (!file->pcap)
        return file->size;
    long at = ftell(pcap_file(file->pcap));
    return at < 0 ? 0 : (uint64_t)at;
}
