"""``python -m tests.bench.target OBJECT PROGRAM DEVICE``: a target made of one XDP program.

Attaches it, prints ``ready``, and stays until its standard input ends; then prints what it counted, as JSON.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from dataplane.pyxdp import AttachMode, Program

ONLY = 0  # the one key of counts


def main() -> None:
    path, name, device = sys.argv[1:]
    with Program.load(Path(path).read_bytes(), name) as program:
        with program.attach(device, AttachMode.NATIVE):
            print("ready", flush=True)
            sys.stdin.read()
        print(json.dumps({**program.maps["counts"].read(ONLY), "delays": delays(program)}), flush=True)


def delays(program: Program) -> dict[int, int]:
    """How many requests were under way for about so many nanoseconds (the upper end of a bucket)."""
    counts = program.maps["delays"]
    found: dict[int, int] = {}
    for bucket in range(counts.entries):
        count = sum(int.from_bytes(value, sys.byteorder) for value in counts.lookup_each(bucket))
        if count:
            power, eighth = divmod(bucket, 8)
            found[(9 + eighth) << (power - 3)] = count
    return found


if __name__ == "__main__":
    main()
