"""A hop with a delay: ``hard_hop.py DEVICE DEVICE SECONDS``. What arrives on one leaves on the other, later.

A constant delay in each direction, nothing lost, nothing reordered. Prints ``forwarding``.
"""

from __future__ import annotations

import selectors
import socket
import sys
import time
from collections import deque

EVERY_PROTOCOL = 3
BUFFER = 64 << 20
LARGEST = 65536
BUDGET = 64  # frames of one side before the other has its turn


def _open(device: str) -> socket.socket:
    side = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(EVERY_PROTOCOL))
    side.setsockopt(socket.SOL_SOCKET, 33, BUFFER)  # SO_RCVBUFFORCE
    side.bind((device, EVERY_PROTOCOL))
    side.setblocking(False)  # noqa: FBT003 - the socket's own signature
    return side


def _receive(side: socket.socket, queue: deque[tuple[float, bytes]], delay: float) -> None:
    for _ in range(BUDGET):
        try:
            frame, address = side.recvfrom(LARGEST)
        except BlockingIOError:
            return
        if address[2] != socket.PACKET_OUTGOING:
            queue.append((time.monotonic() + delay, frame))


def main(first: str, second: str, delay: float) -> None:
    sides = (_open(first), _open(second))
    queues: tuple[deque[tuple[float, bytes]], ...] = (deque(), deque())  # towards the other side
    selector = selectors.DefaultSelector()
    for index, side in enumerate(sides):
        selector.register(side, selectors.EVENT_READ, index)
    print("forwarding", flush=True)
    while True:
        due = min((queue[0][0] for queue in queues if queue), default=None)
        timeout = None if due is None else max(0.0, due - time.monotonic())
        for key, _ in selector.select(timeout):
            _receive(sides[key.data], queues[key.data], delay)
        now = time.monotonic()
        for index, queue in enumerate(queues):
            while queue and queue[0][0] <= now:
                sides[1 - index].send(queue.popleft()[1])


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]))
