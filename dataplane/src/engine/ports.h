/* ports.h: the engine's ports: opened, dealt to the workers, closed. */
#ifndef XDPCOPY_PORTS_H
#define XDPCOPY_PORTS_H

#include "engine.h"

/* Opens the queues of all ports and gives each to its worker; maps what is told of overload. */
int engine_open_ports(struct dp_engine *engine);
void engine_close_ports(struct dp_engine *engine);

#endif
