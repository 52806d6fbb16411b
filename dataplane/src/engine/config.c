#include "config.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

#include "line/filter.h"
#include "line/worker.h"

__attribute__((format(printf, 2, 3))) static int invalid(char *error, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(error, DP_ERROR_SIZE, format, arguments);
    va_end(arguments);
    return -EINVAL;
}

static bool is_power_of_two(uint32_t number)
{
    return number && !(number & (number - 1));
}

static int check_port(const struct dp_config *config, const struct dp_port *port, char *error)
{
    if (port->queues < 1 || port->queues > WORKER_QUEUES)
        return invalid(error, "port %s: queues is %u; give 1 to %d", port->device, port->queues,
                       WORKER_QUEUES);
    if (!is_power_of_two(port->ring_size))
        return invalid(error, "port %s: ring_size is %u; give a power of two", port->device, port->ring_size);
    if (port->kind == DP_PORT_CAPTURE && port->role != DP_ROLE_MIRROR)
        return invalid(error, "a capture cannot be a test port");
    if (port->mtu < DP_MIN_MTU || port->mtu > DP_MAX_MTU)
        return invalid(error, "port %s: mtu is %u; give %d to %d", port->device, port->mtu, DP_MIN_MTU,
                       DP_MAX_MTU);
    if (port->role == DP_ROLE_TEST && port->queues < config->workers)
        return invalid(error,
                       "test port %s: %u queues for %u workers; each worker sends on a queue of its own",
                       port->device, port->queues, config->workers);
    return 0;
}

static const struct dp_port *port_of_kind(const struct dp_config *config, enum dp_port_kind kind)
{
    for (uint32_t i = 0; i < config->port_count; i++)
        if (config->ports[i].kind == kind)
            return &config->ports[i];
    return NULL;
}

static uint32_t mirror_queues(const struct dp_config *config)
{
    uint32_t queues = 0;
    for (uint32_t i = 0; i < config->port_count; i++)
        queues += config->ports[i].role == DP_ROLE_MIRROR ? config->ports[i].queues : 0;
    return queues;
}

static int check_capture(struct dp_config *config, char *error)
{
    const struct dp_port *port = port_of_kind(config, DP_PORT_CAPTURE);
    if (!port)
        return 0;
    struct dp_capture *capture = port->capture;
    if (mirror_queues(config) != 1)
        return invalid(error, "a capture is the only mirror port, with one queue");
    if (!capture || capture->file_count < 1 || capture->file_count > DP_MAX_FILES)
        return invalid(error, "%u capture files; give 1 to %d", capture ? capture->file_count : 0,
                       DP_MAX_FILES);
    capture->speed = capture->speed == 0 ? 1 : capture->speed;
    capture->repeats = capture->repeats ? capture->repeats : 1;
    if (!(capture->speed >= 1e-3 && capture->speed <= 1e6))
        return invalid(error, "speed is %g; give 0.001 to 1000000", capture->speed);
    if (capture->speed < 1) /* so much later comes what a hole misses */
        config->timing.gap_timeout = (uint64_t)((double)config->timing.gap_timeout / capture->speed);
    return 0;
}

static int check_transfer(const struct dp_config *config, uint32_t index, char *error)
{
    const struct dp_transfer *transfer = &config->transfers[index];
    if (transfer->state > DP_STOPPED)
        return invalid(error, "transfer %u: its state is %u", index, transfer->state);
    if ((uint64_t)transfer->range_first + transfer->range_count > config->range_count)
        return invalid(error, "transfer %u: its ranges are not there", index);
    return 0;
}

static void complete_transfer(struct dp_transfer *transfer)
{
    transfer->multiplier = transfer->multiplier ? transfer->multiplier : 1;
    transfer->instances = transfer->instances ? transfer->instances : 1;
    transfer->transport = transfer->transport ? transfer->transport : DP_TCP;
}

int config_check_transfers(struct dp_config *config, char *error)
{
    if (config->transfer_count > DP_MAX_TRANSFERS || config->range_count > DP_MAX_RANGES)
        return invalid(error, "more than %d transfers or %d ranges", DP_MAX_TRANSFERS, DP_MAX_RANGES);
    for (uint32_t i = 0; i < config->transfer_count; i++) {
        int code = check_transfer(config, i, error);
        if (code)
            return code;
        complete_transfer(&config->transfers[i]);
    }
    return 0;
}

int config_check(struct dp_config *config, char *error)
{
    uint32_t tests = 0;
    if (config->workers < 1 || config->workers > DP_MAX_WORKERS)
        return invalid(error, "workers is %u; give 1 to %d", config->workers, DP_MAX_WORKERS);
    if (config->port_count > DP_MAX_PORTS)
        return invalid(error, "more than %d ports", DP_MAX_PORTS);
    for (uint32_t i = 0; i < config->port_count; i++) {
        int code = check_port(config, &config->ports[i], error);
        if (code)
            return code;
        tests += config->ports[i].role == DP_ROLE_TEST;
    }
    if (config->rss.table_size > DP_MAX_RSS_TABLE || config->rss.key_size > DP_MAX_RSS_KEY)
        return invalid(error, "rss: %u queues in the table, %u bytes of key; at most %d and %d",
                       config->rss.table_size, config->rss.key_size, DP_MAX_RSS_TABLE, DP_MAX_RSS_KEY);
    if (!filter_is_valid(&config->filter))
        return invalid(error, "the filter's program is not valid; let dp_filter_compile make it");
    if (tests != 1)
        return invalid(error, "%u test ports; there must be exactly one", tests);
    int code = config_check_transfers(config, error);
    return code ? code : check_capture(config, error);
}
