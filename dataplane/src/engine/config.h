/* config.h: whether a configuration makes sense; and what 0 stands for in it, said once. */
#ifndef XDPCOPY_CONFIG_H
#define XDPCOPY_CONFIG_H

#include "dataplane.h"

/* 0, or -EINVAL and a sentence in error (DP_ERROR_SIZE bytes). What 0 stands for has been put in its place:
 * nothing behind this sees a multiplier, instances, transport, speed or repeats of 0. */
int config_check(struct dp_config *config, char *error);

/* The same for transfers and ranges alone. */
int config_check_transfers(struct dp_config *config, char *error);

#endif
