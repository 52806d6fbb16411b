/* ports.c: the engine's ports: opened and dealt to the workers, closed, and asked for what dataplane.h tells.
 */
#include <errno.h>

#include "engine.h"

static int open_queue(struct dp_engine *engine, uint32_t port, uint32_t queue)
{
    const struct dp_port *config = &engine->config->ports[port];
    struct port **at = &engine->ports[port].queues[queue];
    int code = port_open(config, queue, at, engine->error);
    if (code)
        return code;
    struct worker *worker = &engine->workers[queue % engine->config->workers];
    if (worker->inlet_count == WORKER_QUEUES)
        return engine_fail(engine, -EINVAL, "more than %d queues for one worker", WORKER_QUEUES);
    worker->inlets[worker->inlet_count++] = (struct inlet){*at, config->verify_checksums};
    if ((*at)->patience)
        engine->capture = worker->capture = *at;
    if (config->role == DP_ROLE_TEST && !worker->outlet) {
        worker->outlet = *at;
        memcpy(worker->mac, config->mac, sizeof(worker->mac));
    }
    return 0;
}

static int open_queues(struct dp_engine *engine)
{
    for (uint32_t port = 0; port < engine->config->port_count; port++) {
        for (uint32_t queue = 0; queue < engine->config->ports[port].queues; queue++) {
            int code = open_queue(engine, port, queue);
            if (code)
                return code;
        }
    }
    return 0;
}

/* By which frames that would be refused can be dropped before they fill a ring. */
static int open_sheds(struct dp_engine *engine)
{
    for (uint32_t i = 0; i < engine->config->port_count; i++) {
        const struct dp_port *port = &engine->config->ports[i];
        if (port->shed_map <= 0)
            continue;
        int code = shed_open(port->shed_map, engine->config->workers, &engine->sheds.at[engine->sheds.count]);
        if (code)
            return engine_fail(engine, code, "what is to be dropped before port %.16s cannot be mapped: %s",
                               port->device, strerror(-code));
        engine->sheds.count++;
    }
    return 0;
}

int engine_open_ports(struct dp_engine *engine)
{
    int code = open_queues(engine);
    return code ? code : open_sheds(engine);
}

void engine_close_ports(struct dp_engine *engine)
{
    for (uint32_t port = 0; port < DP_MAX_PORTS; port++)
        for (uint32_t queue = 0; queue < WORKER_QUEUES; queue++)
            if (engine->ports[port].queues[queue])
                engine->ports[port].queues[queue]->ops->close(engine->ports[port].queues[queue]);
    for (uint32_t i = 0; i < engine->sheds.count; i++)
        shed_close(engine->sheds.at[i]);
}

static struct port *port_at(const struct dp_engine *engine, uint32_t port, uint32_t queue)
{
    if (port >= engine->config->port_count || queue >= engine->config->ports[port].queues)
        return NULL;
    return engine->ports[port].queues[queue];
}

int dp_port_mode(const struct dp_engine *engine, uint32_t port, uint32_t queue)
{
    const struct port *at = port_at(engine, port, queue);
    return at ? (int)at->mode : -EINVAL;
}

int dp_port_huge_pages(const struct dp_engine *engine, uint32_t port, uint32_t queue)
{
    const struct port *at = port_at(engine, port, queue);
    return at ? at->huge_pages : -EINVAL;
}

int dp_port_statistics(const struct dp_engine *engine, uint32_t port, uint32_t queue,
                       struct dp_port_statistics *statistics)
{
    const struct port *at = port_at(engine, port, queue);
    return at ? at->ops->statistics(at, statistics) : -EINVAL;
}

int dp_capture_progress(const struct dp_engine *engine, struct dp_capture_progress *progress)
{
    if (!engine->capture)
        return -EINVAL;
    engine->capture->ops->progress(engine->capture, progress);
    return 0;
}

int dp_capture_trouble(const struct dp_engine *engine, uint32_t file, char *trouble, size_t size)
{
    if (!engine->capture)
        return -EINVAL;
    engine->capture->ops->trouble(engine->capture, file, trouble, size);
    return 0;
}

int dp_capture_pause(struct dp_engine *engine, uint32_t paused)
{
    if (!engine->capture)
        return engine_fail(engine, -EINVAL, "there is no capture to pause");
    if (paused)
        __atomic_fetch_or(&engine->orders.bits, ORDER_PAUSE, __ATOMIC_RELEASE);
    else
        __atomic_fetch_and(&engine->orders.bits, ~(uint32_t)ORDER_PAUSE, __ATOMIC_RELEASE);
    engine->capture->ops->pause(engine->capture, paused);
    return 0;
}

static struct port *mem_at(struct dp_engine *engine, uint32_t port, uint32_t queue)
{
    struct port *at = port_at(engine, port, queue);
    return at && at->mode == DP_MODE_MEMORY ? at : NULL;
}

int dp_mem_send(struct dp_engine *engine, uint32_t port, uint32_t queue, const uint8_t *frame, uint32_t size)
{
    struct port *at = mem_at(engine, port, queue);
    return at ? port_mem_send(at, frame, size)
              : engine_fail(engine, -EINVAL, "port %u queue %u is no memory port", port, queue);
}

int dp_mem_receive(struct dp_engine *engine, uint32_t port, uint32_t queue, uint8_t *frame, uint32_t size)
{
    struct port *at = mem_at(engine, port, queue);
    return at ? port_mem_receive(at, frame, size)
              : engine_fail(engine, -EINVAL, "port %u queue %u is no memory port", port, queue);
}

int dp_mem_limit(struct dp_engine *engine, uint32_t port, uint32_t queue, uint32_t frames)
{
    struct port *at = mem_at(engine, port, queue);
    if (!at)
        return engine_fail(engine, -EINVAL, "port %u queue %u is no memory port", port, queue);
    port_mem_limit(at, frames);
    return 0;
}
