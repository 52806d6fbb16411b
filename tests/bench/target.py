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
        print(json.dumps(program.maps["counts"].read(ONLY)), flush=True)


if __name__ == "__main__":
    main()
