"""Bounds that dataplane.h sets, and what it names by number."""

from dataplane._dataplane import lib

NO_CPU: int = lib.DP_NO_CPU
MAX_FRAME = 65536
MAX_ROWS: int = lib.DP_MAX_ROWS
MAX_WORKERS: int = lib.DP_MAX_WORKERS
MAX_PORTS: int = lib.DP_MAX_PORTS
MAX_TRANSFERS: int = lib.DP_MAX_TRANSFERS
MAX_RANGES: int = lib.DP_MAX_RANGES
MAX_CAPTURES: int = lib.DP_MAX_FILES
MAX_CAPTURE_PATH: int = lib.DP_FILE_SIZE - 1
MAX_STATS_PATH: int = lib.DP_PATH_SIZE - 1
MIN_MTU: int = lib.DP_MIN_MTU
MAX_MTU: int = lib.DP_MAX_MTU
RING_SIZE: int = lib.DP_RING_SIZE
ANY: int = lib.DP_ANY
SECOND = 1_000_000_000
