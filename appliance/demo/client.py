"""The demo's client: HTTP/1.1 over many real TCP connections.

``python -m appliance.demo.client --help``. Prints one line of JSON: what was sent and answered, and how fast.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import socket
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from appliance.demo.nginx import SIZES
from appliance.demo.workload import Conversation, Exchange, body, workload

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ANSWER_TIMEOUT_S = 30.0
OK = b"200"
IP_BIND_ADDRESS_NO_PORT = 24  # linux/in.h


@dataclass
class Outcome:
    """What happened to the requests."""

    answered: int = 0
    connections: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    latencies: list[float] = field(default_factory=list)

    def as_dict(self, requests: int, seconds: float) -> dict[str, object]:
        """The line of JSON."""
        ordered = sorted(self.latencies) or [0.0]

        def milliseconds(share: float) -> float:
            return round(1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))], 3)

        return {
            "requests": requests,
            "answered": self.answered,
            "connections": self.connections,
            "failures": dict(self.failures),
            "seconds": round(seconds, 3),
            "p50_ms": milliseconds(0.5),
            "p99_ms": milliseconds(0.99),
            "max_ms": milliseconds(1.0),
        }


class AnswerError(Exception):
    """The server's answer is not the expected one."""


def _head(exchange: Exchange, host: str, *, last: bool) -> bytes:
    path = f"/{exchange.size}" if exchange.method == "GET" else "/store"
    lines = [f"{exchange.method} {path} HTTP/1.1", f"Host: {host}", f"X-Request-Id: {exchange.id}"]
    if exchange.method == "POST":
        lines.append(f"Content-Length: {exchange.size}")
    if last:
        lines.append("Connection: close")
    return "\r\n".join([*lines, "", ""]).encode()


async def _answer(reader: asyncio.StreamReader) -> tuple[bytes, int]:
    """Reads one answer; its status and the length of its body."""
    head = await reader.readuntil(b"\r\n\r\n")
    status = head.split(b" ", 2)[1]
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            await reader.readexactly(int(value))
            return status, int(value)
    raise AnswerError("an answer without a length")


async def _exchange(
    exchange: Exchange, host: str, streams: tuple[asyncio.StreamReader, asyncio.StreamWriter], *, last: bool
) -> None:
    reader, writer = streams
    writer.write(_head(exchange, host, last=last))
    if exchange.method == "POST":
        writer.write(body(exchange))
    await writer.drain()
    status, length = await _answer(reader)
    if status != OK or (exchange.method == "GET" and length != exchange.size):
        raise AnswerError(f"status {status.decode()}, {length} bytes")


async def _connect(address: tuple[str, int], source: str) -> socket.socket:
    """Connects as most clients do: the kernel picks the port at connect, and none that was just used."""
    peer = socket.socket(socket.AF_INET6 if ":" in source else socket.AF_INET, socket.SOCK_STREAM)
    try:
        peer.settimeout(0)
        peer.setsockopt(socket.SOL_IP, IP_BIND_ADDRESS_NO_PORT, 1)
        peer.bind((source, 0))
        await asyncio.get_running_loop().sock_connect(peer, address)
    except BaseException:
        peer.close()
        raise
    return peer


async def _converse(
    conversation: Conversation, address: tuple[str, int], source: str, outcome: Outcome, pause: float
) -> None:
    streams = await asyncio.open_connection(sock=await _connect(address, source))
    outcome.connections += 1
    try:
        for number, exchange in enumerate(conversation.exchanges, 1):
            last = conversation.server_closes and number == len(conversation.exchanges)
            start = time.perf_counter()
            await asyncio.wait_for(_exchange(exchange, address[0], streams, last=last), ANSWER_TIMEOUT_S)
            outcome.latencies.append(time.perf_counter() - start)
            outcome.answered += 1
            if pause:
                await asyncio.sleep(pause)
        if conversation.server_closes:
            await streams[0].read()
    finally:
        streams[1].close()
        await streams[1].wait_closed()


async def _worker(
    work: Iterator[Conversation], options: argparse.Namespace, source: str, outcome: Outcome
) -> None:
    for conversation in work:
        try:
            await _converse(conversation, (options.address, options.port), source, outcome, options.pause)
        except (OSError, TimeoutError, asyncio.IncompleteReadError, AnswerError) as error:
            outcome.failures[f"{type(error).__name__}: {error}"] += 1


async def _run(options: argparse.Namespace, work: Sequence[Conversation], outcome: Outcome) -> None:
    sources = options.sources.split(",")
    shared = iter(work)
    try:
        async with asyncio.timeout(options.limit):
            await asyncio.gather(
                *(
                    _worker(shared, options, sources[n % len(sources)], outcome)
                    for n in range(options.parallel)
                )
            )
    except TimeoutError:
        outcome.failures[f"not done within {options.limit:g} s"] += 1


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m appliance.demo.client", description=__doc__)
    parser.add_argument("--address", required=True, help="the server's address")
    parser.add_argument("--port", type=int, default=80, help="the server's port")
    parser.add_argument("--sources", required=True, help="own addresses, separated by commas")
    parser.add_argument("--requests", type=int, default=20000, help="number of requests")
    parser.add_argument("--parallel", type=int, default=64, help="number of connections at once")
    parser.add_argument("--seed", type=int, default=1, help="determines the mix and the ids")
    parser.add_argument(
        "--pause", type=float, default=0.0, help="seconds between the requests of a connection"
    )
    parser.add_argument("--limit", type=float, default=120.0, help="give up after so many seconds")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the workload; 0 if every request was answered as expected."""
    options = _options(argv)
    outcome = Outcome()
    start = time.perf_counter()
    asyncio.run(_run(options, workload(options.requests, options.seed, SIZES), outcome))
    print(json.dumps(outcome.as_dict(options.requests, time.perf_counter() - start)))
    return 0 if outcome.answered == options.requests else 1


if __name__ == "__main__":
    sys.exit(main())
