/* config.h: whether a configuration makes sense. Called by engine.c before anything is opened. */
#ifndef XDPCOPY_CONFIG_H
#define XDPCOPY_CONFIG_H

#include "dataplane.h"

/* 0, or -EINVAL and a sentence in error (DP_ERROR_SIZE bytes). What was left out of a capture's settings is
 * put in. */
int config_check(struct dp_config *config, char *error);

/* The same for its transfers and ranges alone. */
int config_check_transfers(const struct dp_config *config, char *error);

#endif
