"""A client whose connections, ports and pace the test decides: ``python -m tests.e2e.hard_client --help``.

Requests have the ids PREFIX-CONNECTION-NUMBER. Prints ``waiting`` where it waits for a line on its standard
input, and at the end one JSON line.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import socket
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise

ANSWER_TIMEOUT_S = 60.0
READ = 65536


@dataclass
class Outcome:
    """What became of the requests."""

    answered: int = 0
    failures: Counter[str] = field(default_factory=Counter)


class Connection:
    """One connection, in one task."""

    def __init__(self, options: argparse.Namespace, number: int) -> None:
        self.options = options
        self.number = number
        self.loop = asyncio.get_running_loop()
        self.buffer = bytearray()
        sources = options.sources.split(",")
        ports = [int(port) for port in options.source_ports.split(",") if port]
        port = ports[number // len(sources)] if ports else 0
        self.socket = socket.socket()
        self.socket.setblocking(False)  # noqa: FBT003 - the socket's own signature
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if options.receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, options.receive_buffer)
        self.socket.bind((sources[number % len(sources)], port))

    async def connect(self) -> None:
        await self.loop.sock_connect(self.socket, (self.options.address, self.options.port))

    async def exchange(self, number: int) -> None:
        options = self.options
        name = f"{options.prefix}-{self.number}-{number}"
        post = options.method == "POST"
        head = [f"{options.method} /{'store' if post else options.size} HTTP/1.1", f"Host: {options.address}"]
        head += [f"X-Request-Id: {name}"] + [f"Content-Length: {options.size}"] * post
        head += ["Connection: close"] * (options.server_closes and number == options.requests - 1)
        body = random.Random(name).randbytes(options.size) if post else b""  # noqa: S311 - repeatable
        await self.loop.sock_sendall(self.socket, "\r\n".join([*head, "", ""]).encode() + body)
        while b"\r\n\r\n" not in self.buffer:
            await self._read()
        said = bytes(self.buffer).partition(b"\r\n\r\n")[0]
        if b" 200 " not in said.split(b"\r\n")[0]:
            raise ValueError(said.split(b"\r\n")[0].decode())
        length = int(said.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        while len(self.buffer) < len(said) + 4 + length:
            await self._read()
        del self.buffer[: len(said) + 4 + length]

    async def _read(self) -> None:
        rate = self.options.read_rate
        data = await self.loop.sock_recv(self.socket, max(rate // 50, 1) if rate else READ)
        if not data:
            raise ConnectionError("closed by the server")
        self.buffer += data
        if rate:
            await asyncio.sleep(len(data) / rate)

    async def close(self) -> None:
        if self.options.server_closes:
            while await self.loop.sock_recv(self.socket, READ):
                pass
        self.socket.close()


async def _converse(connection: Connection, outcome: Outcome, first: int, last: int) -> None:
    """Make the requests from ``first`` to before ``last``, not faster than the interval allows."""
    options = connection.options
    start = time.monotonic() + options.interval * random.random()  # noqa: S311 - spread them
    for number in range(first, last):
        if options.interval:
            await asyncio.sleep(max(0, start + (number - first) * options.interval - time.monotonic()))
        try:
            await asyncio.wait_for(connection.exchange(number), ANSWER_TIMEOUT_S)
        except (OSError, TimeoutError, ValueError) as error:
            outcome.failures[f"{type(error).__name__}: {error}"] += 1
            return
        outcome.answered += 1


async def _run(options: argparse.Namespace) -> Outcome:
    outcome = Outcome()
    connections = [Connection(options, number) for number in range(options.connections)]
    limit = asyncio.Semaphore(256)  # connecting at once; a server's backlog is finite

    async def connect(connection: Connection) -> None:
        async with limit:
            await connection.connect()

    await asyncio.gather(*map(connect, connections))
    parts = [0, options.wait_after, options.requests] if options.wait_after else [0, options.requests]
    for index, (first, last) in enumerate(pairwise(parts)):
        if index:
            print("waiting", flush=True)
            await asyncio.to_thread(sys.stdin.readline)
        await asyncio.gather(*(_converse(each, outcome, first, last) for each in connections))
    await asyncio.gather(*(each.close() for each in connections))
    return outcome


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="hard_client", description=__doc__)
    parser.add_argument("--address", required=True)
    parser.add_argument("--port", type=int, default=80)
    parser.add_argument("--sources", required=True, help="own addresses, used in rotation")
    parser.add_argument("--source-ports", default="", help="own ports: each is used with every address")
    parser.add_argument("--connections", type=int, required=True)
    parser.add_argument("--requests", type=int, required=True, help="on each connection")
    parser.add_argument("--method", choices=("GET", "POST"), default="GET")
    parser.add_argument("--size", type=int, default=64, help="of the answer, or of the POST's body")
    parser.add_argument("--interval", type=float, default=0.0, help="least seconds between requests")
    parser.add_argument("--wait-after", type=int, default=0, help="so many requests wait for a line")
    parser.add_argument("--receive-buffer", type=int, default=0)
    parser.add_argument("--read-rate", type=int, default=0, help="bytes per second on each connection")
    parser.add_argument("--server-closes", action="store_true")
    parser.add_argument("--prefix", default="h")
    return parser.parse_args()


def main() -> int:
    options = _options()
    start = time.monotonic()
    outcome = asyncio.run(_run(options))
    report = {
        "requests": options.connections * options.requests,
        "answered": outcome.answered,
        "failures": dict(outcome.failures),
        "seconds": round(time.monotonic() - start, 3),
    }
    print(json.dumps(report))
    return 0


if __name__ == "__main__":
    sys.exit(main())
