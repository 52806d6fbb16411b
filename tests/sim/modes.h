/* modes.h: named ways to change what a seed draws, for runs that are about one thing. */
#ifndef SIM_MODES_H
#define SIM_MODES_H

#include "scenario.h"

/* False: there is no such mode. */
bool mode_apply(const char *name, struct scenario *scenario);

#endif
